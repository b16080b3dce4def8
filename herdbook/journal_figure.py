"""The figure of a journal entry: each seed's difference, their mean with its interval, and the bounds of equivalence."""

from collections.abc import Mapping
from typing import Any

from herdbook.report.chart import VEGA_LITE

_FONT = "Liberation Sans"  # vl-convert brings it along: with one of the machine's, places of text would differ between machines
_WIDTH, _LINE_HEIGHT = 520, 30
_DARK, _LIGHT, _COLOUR = "#222222", "#bbbbbb", "#0072b2"  # the blue of Okabe and Ito's colour-blind safe set
_MEAN = "mean, 95 %"


def svg(result: Mapping[str, Any]) -> str | None:
    """The figure of a claim of reports/verdicts.json; None where no difference was measured."""
    if not result["pairs"]:
        return None
    import vl_convert

    return str(vl_convert.vegalite_to_svg(spec(result), vl_version=VEGA_LITE)) + "\n"


def spec(result: Mapping[str, Any]) -> dict[str, Any]:
    """Its Vega-Lite specification: the band is what counts as no effect, the dashed line the smallest effect of interest."""
    document, effect = result["document"], result["effect"]
    low, high = document["equivalence"]
    claimed = document["smallest_effect"] * (1 if document["direction"] == "greater" else -1)
    points = [{"name": pair["seed"], "difference": pair["difference"]} for pair in result["pairs"]]
    mean = [] if effect is None else [{"name": _MEAN, "difference": effect["mean"]}]
    interval = [{"name": _MEAN, **_ends(effect["interval_95"])}] if mean and effect["interval_95"] else []
    names = [point["name"] for point in (*points, *mean)]
    contrast = document["contrast"]
    title = [
        f"{contrast['treatment']} less {contrast['control']}, {document['metric']}",
        "grey: as good as none; dashed: smallest of interest",
    ]
    x = {"field": "difference", "type": "quantitative", "title": title, "scale": {"zero": True}}
    y = {"field": "name", "type": "nominal", "sort": names, "title": None}
    ends = {"x": {**x, "field": "low"}, "x2": {"field": "high"}}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": "Differences by seed, their mean, and the bounds they are held against.",
        "width": _WIDTH,
        "height": _LINE_HEIGHT * len(names),
        "background": "white",
        "config": {"font": _FONT, "axis": {"labelColor": _DARK, "titleColor": _DARK, "titleFontWeight": "normal"}},
        "layer": [
            _layer([_ends([low, high])], {"type": "rect", "color": _LIGHT, "opacity": 0.4}, ends),
            _layer([{"difference": 0}], {"type": "rule", "color": _DARK, "strokeWidth": 1}, {"x": x}),
            _layer([{"difference": claimed}], {"type": "rule", "color": _DARK, "strokeDash": [4, 3]}, {"x": x}),
            _layer(interval, {"type": "rule", "color": _COLOUR, "strokeWidth": 3}, {**ends, "y": y}),
            _layer(points, {"type": "point", "color": _DARK, "filled": True, "size": 60, "opacity": 1}, {"x": x, "y": y}),
            _layer(
                mean, {"type": "point", "color": _COLOUR, "filled": True, "shape": "diamond", "size": 120, "opacity": 1}, {"x": x, "y": y}
            ),
        ],
    }


def _ends(bounds: Any) -> dict[str, float]:
    return {"low": bounds[0], "high": bounds[1]}


def _layer(values: list[dict[str, Any]], mark: dict[str, Any], encoding: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"values": values}, "mark": mark, "encoding": encoding}
