"""Compare all generations of all lineages, and judge the claims on them.

Reads every record under records/ that the parameters name, and refuses any other; hypotheses.yaml, journal/register.jsonl
and reports/calibration/. Writes reports/generations.csv, a line a generation, reports/metrics.json, its figures over the
seeds, and reports/verdicts.json. Params: all, for a claim is registered under all."""

import csv
import io
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from herdbook.calibration.check import results
from herdbook.claims import read_hypotheses
from herdbook.figures import FIGURES
from herdbook.files import rounded, write_json, write_text
from herdbook.layout import GENERATIONS, HYPOTHESES, METRICS, PARAMS, REGISTER, VERDICT_RECORD
from herdbook.lineage import NOT_BRED
from herdbook.params import read_params
from herdbook.records import DATASETS, VERDICTS, Generation, read_generations
from herdbook.registration import conditions, read_register
from herdbook.verdicts import verdicts

Line = dict[str, Any]

_LEADING = ("regime", "seed", "generation", "status", "training_verdict", "offspring_verdict", "stopped_by")
_GROUPS = ("held_out_", "train_loss_", "num_", "is_", "rejected_", "training_", "offspring_")


def line_of(generation: Generation) -> Line:
    """One line of the table: who, what became of it, and every number that was recorded, None where there is none."""
    place, rejected = generation.place, generation.counts.get("rejected", {})
    return {
        "regime": place.regime,
        "seed": place.seed,
        "generation": place.number,
        "status": "bred" if generation.is_bred else NOT_BRED,
        **{f"{dataset}_verdict": generation.verdict(dataset) for dataset in DATASETS},
        "stopped_by": "; ".join(generation.stopped_by),
        **_numbers(generation.loss),
        **{f"{dataset}_{name}": value for dataset in DATASETS for name, value in _numbers(generation.profiles[dataset]).items()},
        **{name: int(value) if isinstance(value, bool) else value for name, value in _numbers(generation.counts).items()},
        **{f"rejected_{reason}": count for reason, count in rejected.items()},
    }


def _numbers(record: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a record and the nulls in place of numbers; nothing of a record that says not bred."""
    if record.get("status") == NOT_BRED:
        return {}
    return {name: value for name, value in record.items() if value is None or isinstance(value, int | float)}


def csv_text(lines: Sequence[Line]) -> str:
    """The table as CSV: the leading columns, then every other of any line by group and name; empty where null."""
    others = {name for line in lines for name in line} - set(_LEADING)
    columns = [*_LEADING, *sorted(others, key=lambda name: (*(not name.startswith(group) for group in _GROUPS), name))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for line in lines:
        writer.writerow([_cell(line.get(column)) for column in columns])
    return text.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, float):
        value = rounded(value)
    return "" if value is None else str(value)


def metrics_of(lines: Sequence[Line]) -> dict[str, dict[str, dict[str, Any]]]:
    """Each regime and generation over its seeds: counts of verdicts, and each charted figure over the bred lineages."""
    cells: dict[str, dict[str, list[Line]]] = {}
    for line in lines:
        cells.setdefault(line["regime"], {}).setdefault(f"g{line['generation']}", []).append(line)
    return {regime: {name: _over_seeds(cell) for name, cell in generations.items()} for regime, generations in cells.items()}


def _over_seeds(lines: Sequence[Line]) -> dict[str, Any]:
    bred = [line for line in lines if line["status"] == "bred"]
    verdicts = {
        f"{dataset}_verdicts": {verdict: sum(line[f"{dataset}_verdict"] == verdict for line in lines) for verdict in VERDICTS}
        for dataset in DATASETS
    }
    figures = {figure.column: mean_and_std(line.get(figure.column) for line in bred) for figure in FIGURES}
    return {"num_seeds": len(lines), "num_seeds_bred": len(bred), **verdicts, **figures}


def mean_and_std(values: Iterable[float | None]) -> dict[str, float | None]:
    """The mean of the values that are not null, and their sample standard deviation (n - 1); null without enough of them."""
    known = [value for value in values if value is not None]
    return {
        "mean": rounded(statistics.fmean(known)) if known else None,
        "std": rounded(statistics.stdev(known)) if len(known) > 1 else None,
    }


def main(args: list[str]) -> None:
    """Compare: no arguments."""
    params = read_params(PARAMS)
    gates = {name: regime.gate for name, regime in params.regimes.items()}
    lines = [line_of(generation) for generation in read_generations(gates, params.seeds, params.generations)]
    table = csv_text(lines)
    write_text(GENERATIONS, table)
    write_json(METRICS, metrics_of(lines))
    judged = verdicts(read_hypotheses(HYPOTHESES), read_register(REGISTER), conditions(Path()), table, results())
    write_json(VERDICT_RECORD, judged)
