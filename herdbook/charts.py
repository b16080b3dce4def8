"""The charts of the report, as Vega-Lite specifications: one figure over the generations, a line a regime."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from herdbook.figures import Figure

VEGA_LITE = "6.4"  # the version that vl-convert bundles
DASHES: tuple[list[int], ...] = ([1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [12, 4], [4, 2, 1, 2], [5, 5], [3, 1])
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")
NUM_COLOURS = 7  # of Okabe and Ito's colour-blind safe set, given a dark and a light tint by the report's style
_HEIGHT = 190
_MAX_TICKS = 8
_NOTE_PIXELS = 14  # a line of text above the plot


# Outlines of SHAPES about (0, 0), for the legend.
_OUTLINES = (
    "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0", "M-4,-4h8v8h-8Z", "M0,-5L5,4H-5Z", "M0,-5.5L4.5,0L0,5.5L-4.5,0Z",
    "M-2,-5h4v3h3v4h-3v3h-4v-3h-3v-4h3Z", "M0,5L5,-4H-5Z", "M5,0L-4,5V-5Z", "M-5,0L4,5V-5Z",
)  # fmt: skip


@dataclass(frozen=True)
class Swatch:
    """How the legend shows one regime: the number of its colour, and its dash and outline in SVG."""

    colour: int
    dash: str
    outline: str


def swatch(number: int) -> Swatch:
    """The swatch of the regime that stands at `number` among the regimes."""
    dash = DASHES[number % len(DASHES)]
    return Swatch(number % NUM_COLOURS, " ".join(map(str, dash)) if dash[1] else "none", _OUTLINES[number % len(_OUTLINES)])


@dataclass(frozen=True)
class Point:
    """One regime x generation over its seeds; `mean` is None where nothing was measured."""

    regime: str
    generation: int
    num_seeds: int
    num_bred: int
    mean: float | None
    low: float | None
    high: float | None


def chart(figure: Figure, points: Sequence[Point], regimes: Sequence[str], human: float | None) -> dict[str, Any]:
    """The specification of one chart: mean line, band and bars from the least to the greatest seed, `human` as a rule.

    A generation that some seed was not bred for is told above the plot. The parameter `shown` lists the
    regimes to draw. Colours come from the configuration of the page: those of range.category, in the
    order of `regimes`."""
    drawn = [point for point in points if point.mean is not None]
    notes = _notes(points, regimes)
    last = max((point.generation for point in points), default=0)
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": f"{figure.title} over generations, by regime. {figure.meaning}",
        "width": "container",
        "height": _HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "params": [{"name": "shown", "value": list(regimes)}],
        "data": {"values": [_datum(point) for point in drawn]},
        "encoding": {"x": _x(last)},
        "layer": [
            *_human_layers(human, drawn, last),
            *_regime_layers(regimes, _y_scale(figure, drawn, human)),
            *([_note_layer(notes)] if notes else []),
        ],
    }


def _datum(point: Point) -> dict[str, Any]:
    seeds = f"{point.num_bred} of {point.num_seeds}"
    return {"regime": point.regime, "g": point.generation, "mean": point.mean, "low": point.low, "high": point.high, "bred": seeds}


def _x(last: int) -> dict[str, Any]:
    numbers = list(range(0, last + 1, math.ceil((last + 1) / _MAX_TICKS)))  # left to itself, the axis labels halves too
    axis = {"title": None, "values": numbers, "labelExpr": "'g' + datum.value", "grid": False}
    return {"field": "g", "type": "quantitative", "scale": {"domain": [0, max(last, 1)], "nice": False, "padding": 10}, "axis": axis}


def _y_scale(figure: Figure, drawn: Sequence[Point], human: float | None) -> dict[str, Any]:
    if figure.scale == "log":
        return {"type": "log", "nice": False}
    if figure.scale == "free":
        return {"zero": False}
    highest = max([*(point.high or 0.0 for point in drawn), human or 0.0], default=0.0)
    return {"zero": True, "nice": True} if highest > 0 else {"domain": [0, 1]}


def _regime_layers(regimes: Sequence[str], y_scale: dict[str, Any]) -> list[dict[str, Any]]:
    """Band, bars, line and points of each regime; the band tells the seeds apart from the mean, the bars lone generations."""
    colour = {"field": "regime", "type": "nominal", "scale": {"domain": list(regimes)}, "legend": None}
    low = {"field": "low", "type": "quantitative", "scale": y_scale, "title": None}
    spread = {"y": low, "y2": {"field": "high"}, "color": colour}
    mean = {**low, "field": "mean"}
    dash = {**colour, "scale": {"domain": list(regimes), "range": _cycled(DASHES, regimes)}}
    shape = {**colour, "scale": {"domain": list(regimes), "range": _cycled(SHAPES, regimes)}}
    is_shown = [{"filter": "indexof(shown, datum.regime) >= 0"}]
    return [
        {"transform": is_shown, "mark": {"type": "area", "opacity": 0.16}, "encoding": spread},
        {"transform": is_shown, "mark": {"type": "rule", "opacity": 0.7}, "encoding": spread},
        {"transform": is_shown, "mark": {"type": "line", "strokeWidth": 2}, "encoding": {"y": mean, "color": colour, "strokeDash": dash}},
        {
            "transform": is_shown,
            "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1},
            "encoding": {"y": mean, "color": colour, "shape": shape, "tooltip": _TOOLTIP},
        },
    ]  # fmt: skip


_TOOLTIP = [
    {"field": "regime", "type": "nominal"},
    {"field": "g", "type": "quantitative", "title": "generation", "format": "d"},
    {"field": "mean", "type": "quantitative", "format": ".4~g"},
    {"field": "low", "type": "quantitative", "title": "least seed", "format": ".4~g"},
    {"field": "high", "type": "quantitative", "title": "greatest seed", "format": ".4~g"},
    {"field": "bred", "type": "nominal", "title": "seeds bred"},
]


def _cycled(values: Sequence[Any], regimes: Sequence[str]) -> list[Any]:
    return [values[number % len(values)] for number in range(len(regimes))]


def _human_layers(human: float | None, drawn: Sequence[Point], last: int) -> list[dict[str, Any]]:
    if human is None or not math.isfinite(human):
        return []
    data = {"values": [{"human": human, "g": max(last, 1), "label": "human text"}]}
    y = {"field": "human", "type": "quantitative", "title": None}
    is_top = 0 < human >= max((point.high or 0.0 for point in drawn), default=0.0)  # the label then stands below, clear of the notes
    text = {"type": "text", "align": "right", "baseline": "top" if is_top else "bottom", "dy": 4 if is_top else -3}
    tooltip = [{"field": "label", "type": "nominal", "title": "reference"}, {"field": "human", "type": "quantitative", "format": ".4~g"}]
    return [
        {
            "data": data,
            "mark": {"type": "rule", "strokeWidth": 1.5, "strokeDash": [1, 3]},
            "encoding": {"x": None, "y": y, "tooltip": tooltip},
        },
        {"data": data, "mark": text, "encoding": {"y": y, "text": {"field": "label"}}},
    ]


def _notes(points: Sequence[Point], regimes: Sequence[str]) -> list[dict[str, Any]]:
    """What stands above the plot, a line a regime: a cross at each generation that was not bred, the first with words."""
    notes: list[dict[str, Any]] = []
    stopped = [regime for regime in regimes if any(point.regime == regime and point.num_bred < point.num_seeds for point in points)]
    for line, regime in enumerate(reversed(stopped)):
        missing = sorted(
            (point for point in points if point.regime == regime and point.num_bred < point.num_seeds), key=lambda point: point.generation
        )
        for number, point in enumerate(missing):
            count = "" if not point.num_bred else f" {point.num_seeds - point.num_bred} of {point.num_seeds}"
            words = f"{regime} not bred{count} ✕" if number == 0 else "✕"
            notes.append({"regime": regime, "g": point.generation, "words": words, "y": -8 - _NOTE_PIXELS * line})
    return notes


def _note_layer(notes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Text at pixels above the plot, so that it never hides a line."""
    y = {"field": "y", "type": "quantitative", "scale": None, "axis": None}
    return {
        "data": {"values": list(notes)},
        "transform": [{"filter": "indexof(shown, datum.regime) >= 0"}],
        "mark": {"type": "text", "align": "right", "dx": 5, "baseline": "middle"},
        "encoding": {"y": y, "text": {"field": "words"}},
    }
