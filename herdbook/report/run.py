"""All that the report tells of, read from the working directory."""

import base64
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from herdbook.calibration.check import results
from herdbook.errors import FileError
from herdbook.layout import BOOK_ROOT, CALIBRATION, GENERATIONS, HUMAN_PROFILE, HUMAN_RECEIPT, METRICS, PARAMS, VERDICT_RECORD
from herdbook.params import Params
from herdbook.records import Generation, lineage_places, read_generations, read_object
from herdbook.registration import Registration, read_register
from herdbook.summary import Metrics

Lines = Sequence[Mapping[str, str]]  # of reports/generations.csv


@dataclass(frozen=True, kw_only=True)
class Run:
    """All that the report tells of."""

    params: Params
    generations: Sequence[Generation]
    metrics: Metrics
    lines: Lines
    human: Mapping[str, Any]  # profile of the human training rows
    human_receipt: Mapping[str, Any]
    book: Mapping[str, Any]  # its root
    judged: Mapping[str, Any]  # reports/verdicts.json
    registrations: Sequence[Registration]  # oldest first
    calibrations: Sequence[Mapping[str, Any]]  # each as its result.json, with its sheets of samples

    def lineage(self, regime: str, seed: str) -> list[Generation]:
        """The generations of one lineage, from g0 on."""
        return [found for found in self.generations if (found.place.regime, found.place.seed) == (regime, seed)]


def read_run(params: Params) -> Run:
    """All that the report tells of, as it lies in the working directory."""
    gates = {name: regime.gate for name, regime in params.regimes.items()}
    return Run(
        params=params,
        generations=read_generations(gates, params.seeds, params.generations),
        metrics=_metrics(params),
        lines=read_lines(params),
        human=read_object(HUMAN_PROFILE),
        human_receipt=read_object(HUMAN_RECEIPT),
        book=read_object(BOOK_ROOT),
        judged=read_object(VERDICT_RECORD),
        registrations=read_register(),
        calibrations=[{**found, "sheets": sheets_of(found["name"])} for found in results()],
    )


def _metrics(params: Params) -> Metrics:
    """reports/metrics.json; FileError where it is not of the regimes and generations that the parameters name."""
    found = read_object(METRICS)
    wanted = {regime: set(params.generations) for regime in params.regimes}
    if {regime: set(generations) for regime, generations in found.items()} != wanted:
        raise FileError(f"{METRICS}: is not of the generations that {PARAMS} names; run dvc repro compare")
    return found


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


def sheets_of(name: str) -> list[dict[str, str]]:
    """The pictures beside the result of a calibration: each with its title, as an address that holds all of it."""
    return [
        {"title": path.stem.replace("_", " "), "address": "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()}
        for path in sorted((CALIBRATION / name).glob("*.png"))
    ]
