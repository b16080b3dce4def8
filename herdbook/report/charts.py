"""One chart a figure over the generations, with its numbers beneath."""

import re
from collections.abc import Sequence
from typing import Any

from herdbook.figures import GROUPS, Figure
from herdbook.narrative import figure_text
from herdbook.params import Params
from herdbook.report.chart import Band, Point, drawing, scales
from herdbook.report.run import Run
from herdbook.report.section import Section

_BOUND = re.compile(r"([<>]=) (-?[0-9][0-9.e+-]*) \((.*?)\)")  # of a receipt's `allowed`: a bound and what it was reckoned from


def section(run: Run) -> Section:
    """The section of the charts: a specification each as data, by the column that it shows."""
    groups: list[dict[str, Any]] = []
    specs: dict[str, Any] = {}
    for title, figures in GROUPS.items():
        shown = []
        for figure in figures:
            points = points_of(figure, run)
            if all(point.mean is None for point in points):
                continue  # a figure of another kind of subject, or nothing was bred
            human = band_of(figure, run)
            specs[figure.column] = drawing(figure, points, list(run.params.regimes), human)
            shown.append(item_of(figure, points, run.params, human))
        if shown:
            groups.append({"title": title, "charts": shown})
    return Section(name="charts", link="Charts", context={"groups": groups}, data={"charts-data": specs})


def points_of(figure: Figure, run: Run) -> list[Point]:
    """Each regime x generation of one chart, in the order of the parameters."""
    values: dict[tuple[str, str], list[float]] = {}
    for line in run.lines:
        if line["status"] == "bred" and line.get(figure.column):
            values.setdefault((line["regime"], line["generation"]), []).append(float(line[figure.column]))
    points = []
    for regime in run.params.regimes:
        for number, name in enumerate(run.params.generations):
            entry, own = run.metrics[regime][name], values.get((regime, str(number)), [])
            mean, low, high = entry[figure.column]["mean"], min(own, default=None), max(own, default=None)
            points.append(Point(regime, number, entry["num_seeds"], entry["num_seeds_bred"], mean, low, high))
    return points


def band_of(figure: Figure, run: Run) -> Band | None:
    """Human text, and how far from it the gate lets a training set stray; None where the figure has none to compare with.

    The founders trained on human text itself, whose profile differs between seeds in nothing but what the founder says of it; so
    the spread is the one that the policy calls near enough: the bounds on the same measure of a training set, reckoned from
    the human value, as the receipts of this run record them. A side without a bound ends at the human value."""
    value = run.human.get(figure.human) if figure.human else None
    if value is None:
        return None
    rules = run.generations[0].receipts["training"].get("rules", ()) if run.generations else ()
    bounds = [
        (sign, float(number))
        for rule in rules
        if rule["column"] == figure.human and rule["allowed"] and rule["severity"] == "critical"
        for sign, number, source in _BOUND.findall(str(rule["allowed"]))
        if f"human_{figure.human}" in source
    ]
    low = max((number for sign, number in bounds if sign == ">="), default=value)
    high = min((number for sign, number in bounds if sign == "<="), default=value)
    return Band(value, min(low, value), max(high, value))


def item_of(figure: Figure, points: Sequence[Point], params: Params, human: Band | None) -> dict[str, Any]:
    """What the macro `chart` of charts.macros.j2 shows around and beneath one chart."""
    return {
        "figure": figure,
        "rows": rows_of(points, params),
        "human": _told(human),
        "can_be_log": scales(figure, points, human)["log"] is not None,
    }


def rows_of(points: Sequence[Point], params: Params) -> list[dict[str, Any]]:
    """The numbers of a chart as text: a row a regime, a cell a generation."""
    cells = {(point.regime, point.generation): _cell(point) for point in points}
    return [{"regime": regime, "cells": [cells[regime, number] for number in range(len(params.generations))]} for regime in params.regimes]


def _told(human: Band | None) -> dict[str, Any] | None:
    if human is None:
        return None
    low, high = figure_text(human.low), figure_text(human.high)
    if human.low < human.value < human.high:
        band = f"{low} to {high}"
    elif human.low < human.high:
        band = f"at least {low}" if human.low < human.value else f"at most {high}"
    else:
        band = ""
    return {"value": figure_text(human.value), "band": band}


def _cell(point: Point) -> str:
    if not point.num_bred:
        return "not bred"
    if point.mean is None:
        return "–"
    spread = "" if point.low == point.high else f" ({figure_text(point.low)} to {figure_text(point.high)})"
    return figure_text(point.mean) + spread + ("" if point.num_bred == point.num_seeds else f", {point.num_bred} of {point.num_seeds} bred")
