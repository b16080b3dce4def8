"""The charts of the report, as Vega-Lite specifications: one figure over the generations, a line a regime."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

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


@dataclass(frozen=True)
class Band:
    """Human text: its value, and how far from it still counts as near (low <= value <= high)."""

    value: float
    low: float
    high: float


def chart(figure: Figure, points: Sequence[Point], regimes: Sequence[str], human: Band | None) -> dict[str, Any]:
    """The specification of one chart: mean line, band and bars from the least to the greatest seed, `human` as a rule in its band.

    A generation that some seed was not bred for is told above the plot. The parameter `shown` lists the
    regimes to draw. Colours are names of the style of the page, so that the chart turns dark with it."""
    drawn = [point for point in points if point.mean is not None]
    notes = _notes(points, regimes)
    last = max((point.generation for point in points), default=0)
    both = scales(figure, points, human)
    scale = both["log"] if figure.scale == "log" and both["log"] else both["linear"]
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
            *_regime_layers(regimes, scale),
            *([_note_layer(notes)] if notes else []),
        ],
    }


def drawing(figure: Figure, points: Sequence[Point], regimes: Sequence[str], human: Band | None) -> dict[str, Any]:
    """What charts.js.j2 draws: the specification of a chart and its scales, of which the reader chooses."""
    return {"spec": chart(figure, points, regimes, human), "scales": scales(figure, points, human)}


class Scales(TypedDict):
    """The scales of a chart in Vega-Lite; log is None where a value is 0 or less."""

    linear: dict[str, Any]
    log: dict[str, Any] | None


def scales(figure: Figure, points: Sequence[Point], human: Band | None) -> Scales:
    """The linear and the log scale of a chart; log is None where a value is 0 or less, and so is on no log scale.

    A band of human text may reach far beyond all values: then the plot ends a third of their span from them, and cuts it."""
    values = [value for point in points for value in (point.mean, point.low, point.high) if value is not None]
    values += [] if human is None else [human.value]
    low, high = min(values, default=0.0), max(values, default=0.0)
    if figure.scale == "from zero":
        linear: dict[str, Any] = {"zero": True, "nice": True} if high > 0 else {"domain": [0, 1]}
        linear |= {"domainMax": high + high / 3} if human and 0 < high + high / 3 < human.high else {}
    else:
        room = (high - low) / 3
        linear = {"zero": False}
        linear |= {"domainMin": low - room} if human and human.low < low - room else {}
        linear |= {"domainMax": high + room} if human and human.high > high + room else {}
    if low <= 0:
        return {"linear": linear, "log": None}
    room, log = (high / low) ** (1 / 3), {"type": "log", "nice": False}
    log |= {"domainMin": low / room} if human and human.low < low / room else {}
    log |= {"domainMax": high * room} if human and human.high > high * room else {}
    return {"linear": linear, "log": log}


def _datum(point: Point) -> dict[str, Any]:
    seeds = f"{point.num_bred} of {point.num_seeds}"
    return {"regime": point.regime, "g": point.generation, "mean": point.mean, "low": point.low, "high": point.high, "bred": seeds}


def _x(last: int) -> dict[str, Any]:
    numbers = list(range(0, last + 1, math.ceil((last + 1) / _MAX_TICKS)))  # left to itself, the axis labels halves too
    axis = {"title": None, "values": numbers, "labelExpr": "'g' + datum.value", "grid": False}
    return {"field": "g", "type": "quantitative", "scale": {"domain": [0, max(last, 1)], "nice": False, "padding": 10}, "axis": axis}


def _regime_layers(regimes: Sequence[str], y_scale: dict[str, Any]) -> list[dict[str, Any]]:
    """Band, bars, line and points of each regime; the band tells the seeds apart from the mean, the bars lone generations."""
    colour = {"field": "regime", "type": "nominal", "scale": {"domain": list(regimes), "range": _colours(regimes)}, "legend": None}
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


def _colours(regimes: Sequence[str]) -> list[str]:
    return [f"var(--regime-{number % NUM_COLOURS})" for number in range(len(regimes))]


def _cycled(values: Sequence[Any], regimes: Sequence[str]) -> list[Any]:
    return [values[number % len(values)] for number in range(len(regimes))]


def _human_layers(human: Band | None, drawn: Sequence[Point], last: int) -> list[dict[str, Any]]:
    if human is None or not math.isfinite(human.value):
        return []
    datum = {"human": human.value, "low": human.low, "high": human.high, "g": max(last, 1), "label": "human text"}
    data = {"values": [datum]}
    y = {"field": "human", "type": "quantitative", "title": None}
    is_top = 0 < human.value >= max((point.high or 0.0 for point in drawn), default=0.0)  # the label then stands below, clear of the notes
    text = {"type": "text", "align": "right", "baseline": "top" if is_top else "bottom", "dy": 4 if is_top else -3}
    fields = [("human", "human text"), ("low", "near it from"), ("high", "near it to")]
    tooltip = [{"field": field, "type": "quantitative", "title": title, "format": ".4~g"} for field, title in fields]
    band = {
        "data": data,
        "mark": {"type": "rect", "color": "var(--muted)", "opacity": 0.14, "clip": True},
        "encoding": {"x": None, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "tooltip": tooltip},
    }
    return [
        *([band] if human.low < human.high else []),
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
