"""The verdicts on the claims of a project: of its table of generations, its calibrations, and the standing of each claim.

compare writes them; whoever wants to know whether they follow from the table makes them anew."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from herdbook.claims import Hypotheses
from herdbook.files import canonical_json
from herdbook.judging import judge_family
from herdbook.registration import Conditions, Registration, ever_registered, standings

_WORDS = frozenset({"regime", "seed", "status", "training_verdict", "offspring_verdict", "stopped_by"})


def lines_of(table: str) -> list[dict[str, Any]]:
    """The lines of reports/generations.csv: numbers as numbers, None where a cell is empty. Raises ValueError on what is no number."""
    return [{name: _value(name, cell) for name, cell in line.items()} for line in csv.DictReader(io.StringIO(table))]


def _value(name: str, cell: str) -> Any:
    if name in _WORDS:
        return cell
    if name == "generation":
        return int(cell)
    return float(cell) if cell else None


def verdicts(
    hypotheses: Hypotheses,
    registrations: Sequence[Registration],
    now: Conditions,
    table: str,
    calibrations: Iterable[Mapping[str, Any]],
) -> dict[str, Any]:
    """The document of reports/verdicts.json, as it is read back; `table` is reports/generations.csv, `calibrations` their results."""
    found = standings(hypotheses.claims, registrations, now)
    failed = [result["name"] for result in calibrations if not result["passed"]]
    judged = judge_family(hypotheses, lines_of(table), found, len(ever_registered(registrations)), failed)
    return dict(json.loads(canonical_json(judged)))
