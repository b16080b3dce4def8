"""Write the report: one HTML file that needs no network and no server.

Reads every record under records/ that the parameters name, reports/calibration/, reports/metrics.json,
reports/generations.csv, reports/verdicts.json and reports/book.json. Writes reports/index.html. Params: seeds, generations, regimes."""

import base64
import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from herdbook.calibration.check import results
from herdbook.charts import VEGA_LITE, Point, chart, swatch
from herdbook.errors import FileError
from herdbook.figures import GROUPS, Figure
from herdbook.files import write_text
from herdbook.layout import BOOK_ROOT, CALIBRATION, GENERATIONS, HUMAN_PROFILE, HUMAN_RECEIPT, METRICS, PARAMS, REPORT, VERDICT_RECORD
from herdbook.lineage import NOT_BRED
from herdbook.narrative import figure_text, outcome, policy, printable, stops
from herdbook.params import Params, read_params
from herdbook.records import DATASETS, VERDICTS, Generation, lineage_places, read_generations, read_object
from herdbook.summary import HEADER, Metrics, table

_HERE = Path(__file__).parent
_SYMBOLS = dict(zip(VERDICTS, ("✓", "!", "✕", "?", "–"), strict=True))

Lines = Sequence[Mapping[str, str]]  # of reports/generations.csv


@dataclass(frozen=True, kw_only=True)
class Run:
    """All that the report tells of."""

    params: Params
    generations: Sequence[Generation]
    metrics: Metrics
    lines: Lines
    human: Mapping[str, Any]  # profile of the human training rows
    human_verdict: str
    book: Mapping[str, Any]  # its root
    judged: Mapping[str, Any]  # reports/verdicts.json
    calibrations: Sequence[Mapping[str, Any]]  # each as its result.json, with its sheets of samples


def read_lines(params: Params) -> Lines:
    """The lines of reports/generations.csv; FileError where they are not of the generations that the parameters name."""
    try:
        with GENERATIONS.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise FileError(f"{GENERATIONS}: not found; run dvc repro compare") from error
    found = [(line.get("regime"), line.get("seed"), f"g{line.get('generation')}") for line in lines]
    wanted = [
        (place.regime, place.seed, place.generation) for place in lineage_places(list(params.regimes), params.seeds, params.generations)
    ]
    if found != wanted:
        first = next(
            (f"{a} where {b} is due" for a, b in zip(found, wanted, strict=False) if a != b), f"{len(found)} lines, {len(wanted)} due"
        )
        raise FileError(f"{GENERATIONS}: is not of the generations that {PARAMS} names ({first}); run dvc repro compare")
    return lines


def points_of(figure: Figure, run: Run) -> list[Point]:
    """Each regime x generation of one chart, in the order of the parameters."""
    points = []
    for regime in run.params.regimes:
        for number, name in enumerate(run.params.generations):
            entry = run.metrics[regime][name]
            values = [
                float(line[figure.column])
                for line in run.lines
                if (line["regime"], line["generation"], line["status"]) == (regime, str(number), "bred") and line.get(figure.column)
            ]
            mean, low, high = entry[figure.column]["mean"], min(values, default=None), max(values, default=None)
            points.append(Point(regime, number, entry["num_seeds"], entry["num_seeds_bred"], mean, low, high))
    return points


def charts_of(run: Run) -> tuple[list[dict], dict[str, dict]]:
    """The groups of charts for the page, and the specification of each by its id."""
    groups, specs = [], {}
    for title, figures in GROUPS.items():
        shown = []
        for figure in figures:
            points = points_of(figure, run)
            if all(point.mean is None for point in points):
                continue  # a figure of another kind of subject, or nothing was bred
            reference = run.human.get(figure.human) if figure.human else None
            specs[figure.column] = chart(figure, points, list(run.params.regimes), reference)
            shown.append(
                {"figure": figure, "rows": _rows(points, run.params), "human": None if reference is None else figure_text(reference)}
            )
        if shown:
            groups.append({"title": title, "charts": shown})
    return groups, specs


def _rows(points: Sequence[Point], params: Params) -> list[dict[str, Any]]:
    cells = {(point.regime, point.generation): _cell(point) for point in points}
    return [{"regime": regime, "cells": [cells[regime, number] for number in range(len(params.generations))]} for regime in params.regimes]


def _cell(point: Point) -> str:
    if not point.num_bred:
        return "not bred"
    if point.mean is None:
        return "–"
    spread = "" if point.low == point.high else f" ({figure_text(point.low)} to {figure_text(point.high)})"
    return figure_text(point.mean) + spread + ("" if point.num_bred == point.num_seeds else f", {point.num_bred} of {point.num_seeds} bred")


def inspection(generation: Generation) -> dict[str, Any]:
    """One line of the gate table: the verdict on each dataset, and the rules that it did not pass."""
    verdicts = {dataset: generation.verdict(dataset) for dataset in DATASETS}
    broken = [
        {**rule, "dataset": dataset}
        for dataset in DATASETS
        if verdicts[dataset] != NOT_BRED
        for rule in not_passed(generation.receipts[dataset])
    ]
    return {"generation": generation, "verdicts": verdicts, "broken": broken}


def not_passed(receipt: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rules of a receipt that were not passed, each with its name as `column: rule`."""
    return [
        {**rule, "name": f"{rule['column']}: {rule['rule']}" if rule["column"] else rule["rule"]}
        for rule in receipt["rules"]
        if rule["status"] != "passed"
    ]


def examples_of(lineage: Sequence[Generation]) -> list[dict[str, Any]]:
    """Offspring of one lineage side by side: a prompt and, for each generation, what it wrote after it (None: nothing).

    A prompt that a generation was given twice stands twice."""
    columns: list[dict[tuple[str, int], str]] = []
    for generation in lineage:
        column: dict[tuple[str, int], str] = {}
        for example in generation.examples:
            number = sum(prompt == example["prompt"] for prompt, _ in column)
            column[example["prompt"], number] = example["text"]
        columns.append(column)
    keys = dict.fromkeys(key for column in columns for key in column)
    return [
        {"prompt": printable(key[0]), "texts": [printable(column[key]) if key in column else None for column in columns]} for key in keys
    ]


def script_json(value: Any) -> str:
    """JSON that can stand in a script element: no character of it can end the element or be read as markup."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def page(run: Run, bundle: str) -> str:
    """The whole report; `bundle` is the charting library as JavaScript."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    groups, specs = charts_of(run)
    script, style = ((_HERE / name).read_text(encoding="utf-8") for name in ("report.js.j2", "report.css.j2"))
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.j2").render(
        style=Markup(style),
        script=Markup(script),
        bundle=Markup(bundle),
        script_hashes=[_hash(bundle), _hash(script)],
        specs=Markup(script_json(specs)),
        groups=groups,
        params=run.params,
        regimes=[regime_of(name, number, run) for number, name in enumerate(run.params.regimes)],
        num_bred=sum(generation.is_bred for generation in run.generations),
        num_generations=len(run.generations),
        human_verdict=run.human_verdict,
        book=run.book,
        judged=run.judged,
        calibrations=run.calibrations,
        verdict_counts={dataset: verdict_counts(dataset, run.generations) for dataset in DATASETS},
        header=astuple(HEADER),
        table=[astuple(row) for row in table({name: run.metrics[name] for name in run.params.regimes})],
        notes=rule_notes(run.generations),
        symbols=_SYMBOLS,
    )


def regime_of(name: str, number: int, run: Run) -> dict[str, Any]:
    """What the page tells of one regime; `number` is its place among the regimes."""
    own = [generation for generation in run.generations if generation.place.regime == name]
    lineages = [[generation for generation in own if generation.place.seed == seed] for seed in run.params.seeds]
    entries = {generation: run.metrics[name][generation] for generation in run.params.generations}
    return {
        "name": name,
        "swatch": swatch(number),
        "policy": policy(run.params.regimes[name]),
        "outcome": outcome(entries, run.human.get("distinct_2")),
        "stops": stops(own),
        "lineages": [
            {
                "seed": seed,
                "generations": lineage,
                "inspections": [inspection(generation) for generation in lineage],
                "examples": examples_of(lineage),
            }
            for seed, lineage in zip(run.params.seeds, lineages, strict=True)
        ],
    }


def verdict_counts(dataset: str, generations: Sequence[Generation]) -> dict[str, int]:
    """How many datasets got each verdict; only those that some got."""
    given = [generation.verdict(dataset) for generation in generations]
    return {verdict: given.count(verdict) for verdict in VERDICTS if verdict in given}


def rule_notes(generations: Sequence[Generation]) -> list[dict[str, str]]:
    """Why each rule that some dataset did not pass is there: its name and the note of its policy, sorted."""
    broken = [rule for generation in generations for rule in inspection(generation)["broken"]]
    notes = {(rule["suite"], rule["name"], rule["notes"] or "") for rule in broken}
    return [{"suite": suite, "name": name, "notes": note} for suite, name, note in sorted(notes)]


def sheets_of(name: str) -> list[dict[str, str]]:
    """The pictures beside the result of a calibration: each with its title, as an address that holds all of it."""
    return [
        {"title": path.stem.replace("_", " "), "address": "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()}
        for path in sorted((CALIBRATION / name).glob("*.png"))
    ]


def _hash(script: str) -> str:
    """What the page's own policy calls a script that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def read_run(params: Params) -> Run:
    """All that the report tells of, as it lies in the working directory."""
    gates = {name: regime.gate for name, regime in params.regimes.items()}
    return Run(
        params=params,
        generations=read_generations(gates, params.seeds, params.generations),
        metrics=read_object(METRICS),
        lines=read_lines(params),
        human=read_object(HUMAN_PROFILE),
        human_verdict=read_object(HUMAN_RECEIPT)["status"],
        book=read_object(BOOK_ROOT),
        judged=read_object(VERDICT_RECORD),
        calibrations=[{**found, "sheets": sheets_of(found["name"])} for found in results()],
    )


def main(args: list[str]) -> None:
    """Report: no arguments."""
    import vl_convert

    run = read_run(read_params(PARAMS))
    write_text(REPORT, page(run, vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)))
