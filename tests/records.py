"""A small records/ tree for tests: what a run leaves behind, with figures that can be told apart."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from herdbook.artefacts import Artefact, artefacts
from herdbook.book import INDEX, entry_path
from herdbook.calibration.check import NAMES, Check, Outcome, result
from herdbook.entry import SCHEMA, entry_id
from herdbook.experiment import NOTHING_CLAIMED
from herdbook.files import canonical_json
from herdbook.layout import CALIBRATION, HUMAN_TRAIN, HYPOTHESES, Place
from herdbook.params import read_params
from tests.rows import rows_of

DECODING = {"num_rows": 20, "temperature": 1.0, "top_k": 50, "top_p": 1.0, "num_beams": 1, "repetition_penalty": 1.0}
BOOK = {"root": "ab" * 32, "num_entries": 5, "num_not_bred": 0}
EXAMPLES = [{"prompt": "Once", "text": "upon a time"}]
WORDS = ("one", "two", "three", "four")  # human rows hold them 4, 3, 2 times and once; kept rows of generation n all but the last n
SHARES = (
    "distinct_1", "distinct_2", "distinct_3", "tail_coverage", "tail_share", "repetition", "exact_duplicate_share", "near_duplicate_share",
    "contamination_share", "memorisation_share", "broken_text_share", "human_row_share", "human_token_share",
)  # fmt: skip
OTHERS = ("entropy_1_bits", "entropy_2_bits", "compression_ratio", "mean_tokens", "depth_mean", "depth_max")
NLL = ("nll_mean_nats", "nll_p05_nats", "nll_p50_nats", "nll_p95_nats", "nll_distance_nats")


def profile(value: float) -> dict[str, Any]:
    """A profile whose shares are all `value` and whose other measures are ten times that."""
    counts = {"num_rows": 20, "num_tokens": 200, "num_rows_measured": 20, "target_rows": None}
    return {**counts, **dict.fromkeys(SHARES, value), **dict.fromkeys((*OTHERS, *NLL), 10 * value)}


def rule(status: str = "failed", observed: Any = 0.05, severity: str = "critical", column: str | None = "distinct_2") -> dict[str, Any]:
    """One rule of a receipt."""
    return {
        "suite": "offspring_profile", "rule": "expect_column_min_to_be_between", "column": column, "notes": "Narrowing.",
        "severity": severity, "status": status, "observed": observed, "allowed": ">= 0.22 (human_distinct_2 * 0.8)",
        "error": "there is no column 'distinct_2'" if status == "errored" else None,
    }  # fmt: skip


def receipt(kind: str, *rules: Mapping[str, Any]) -> dict[str, Any]:
    """A receipt with the status that its critical rules give it."""
    critical = {each["status"] for each in rules if each["severity"] == "critical"}
    status = next((status for status in ("errored", "failed") if status in critical), "passed")
    return {"kind": kind, "status": status, "data": {}, "policies": {}, "parameters": {}, "rules": list(rules)}


def loss(nats: float) -> dict[str, Any]:
    """A loss record."""
    return {
        "held_out_loss_nats": nats, "held_out_perplexity": 2.718281828459045**nats, "held_out_bits_per_byte": nats / 2,
        "train_loss_first_nats": 7.0, "train_loss_last_nats": nats, "num_steps": 10, "num_tokens_seen": 1000,
    }  # fmt: skip


STOP = {"generation": "g1", "dataset": "offspring", "inspection": "failed", "rules": ["distinct_2: expect_column_min_to_be_between"]}
NOT_BRED = {"status": "not bred", **STOP}


def write(path: Path, value: Any) -> None:
    """Write JSON, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def _put(path: Path, data: bytes) -> None:
    """Write bytes, with their folder; herdbook.files waits for the disk, which takes seconds for all of a book."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _put_table(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def write_bred(folder: Path, nats: float, share: float, training: Any = None, offspring: Any = None, examples: Any = None) -> None:
    """The records of a generation that was bred; receipts passed unless given."""
    write(folder / "loss.json", loss(nats))
    write(folder / "training/profile.json", profile(share))
    write(folder / "offspring/profile.json", profile(share))
    write(folder / "training/receipt.json", training or receipt("training"))
    write(folder / "offspring/receipt.json", offspring or receipt("offspring"))
    write(folder / "counts.json", {"num_in": 20, "num_out": 15, "num_surplus": 2, "is_full": True, "rejected": {"length": 3}})
    write(folder / "examples.json", examples if examples is not None else EXAMPLES)


def write_not_bred(folder: Path) -> None:
    """The records of a generation that its lineage's gate stopped."""
    for dataset in ("training", "offspring"):
        write(folder / f"{dataset}/profile.json", NOT_BRED)
        write(folder / f"{dataset}/receipt.json", {"kind": dataset, **NOT_BRED})
    for name in ("loss", "counts", "examples"):
        write(folder / f"{name}.json", NOT_BRED)


def write_calibrations(root: Path, failed: Sequence[str] = ()) -> None:
    """A result of each calibration, of one check, which passed unless its name is among `failed`."""
    for name in NAMES:
        check = Check(f"what {name} <b>shows</b>", "a paper", 1.0, 3.0 if name in failed else 1.0, 0.0, 2.0)
        write(root / CALIBRATION / name / "result.json", result(name, {}, Outcome([check], [])))


def write_rows(root: Path, place: Place, text: str) -> None:
    """One row kept of the offspring of a generation; no word of its text touches an edge of the row."""
    _put_table(root / place.curated / "rows.parquet", rows_of("d", 1, model="m", generation=place.number, text=f" {text} "))


def write_book(root: Path) -> None:
    """An entry of everything that params.yaml names, all of it bred, as the report reads them."""
    entries: dict[str, dict[str, Any]] = {}
    for artefact in artefacts(read_params(root / "params.yaml")):
        entry = _entry(artefact) | {"parents": [{"role": r, "name": n, "entry": entry_id(entries[n])} for r, n in artefact.parents]}
        entries[artefact.name] = entry
        _put(root / entry_path(artefact.name), canonical_json(entry).encode())
    ids = {name: entry_id(entry) for name, entry in entries.items()}
    _put(root / INDEX, canonical_json({"schema": SCHEMA, "entries": ids, "code": {}}).encode())


def _entry(artefact: Artefact) -> dict[str, Any]:
    number = artefact.place.number if artefact.place else 0
    part = {"rows": 20, "tokens": 200}
    composition = {f"g{number - 1}": part} if number else {"human": part}
    contents = {"num_rows": 20, "num_tokens": 200, "depth": float(number), "composition": composition}
    return {
        "schema": SCHEMA, "name": artefact.name, "kind": artefact.kind, "status": "bred", "stopped_by": None, "path": str(artefact.path),
        "digest": "", "files": {}, "stage": {"parameters": {}, "code": None}, "environment": None, "counts": None, "waivers": [],
        "contents": contents if artefact.kind == "training" else None, "inspection": None, "records": {},
    }  # fmt: skip


def write_project(root: Path, regimes: Mapping[str, str], seeds: Sequence[str] = ("s0", "s1"), num_generations: int = 3) -> Path:
    """params.yaml with `regimes` (name -> gate) and a records/ tree in which all was bred and passed; the tree's path.

    Seed number k of generation n has a held-out loss of 5 + n + k nats and shares of 0.4 / (n + 1). Beside it a
    book, and rows of WORDS."""
    names = [f"g{number}" for number in range(num_generations)]
    whole = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text())
    regime = {
        "weights": {"offspring": 1.0, "previous": 0.0, "human": 0.0}, "budget_rows": None, "mixture": None, "decoding": DECODING,
        "recipe": {"num_rows": 20, "steps": []}, "start": "fresh", "compute": "steps",
    }  # fmt: skip
    births = [{"parent": parent, "child": child} for parent, child in pairwise(names)]
    lists = {"seeds": list(seeds), "generations": names, "bred": names[1:], "births": births}
    policies = {"decodings": {"top_k_50": DECODING}, "regimes": {name: {**regime, "gate": gate} for name, gate in regimes.items()}}
    (root / "params.yaml").write_text(yaml.safe_dump({**whole, **policies, **lists}, sort_keys=False))

    write(root / "reports/book.json", BOOK)
    write_book(root)
    _put_table(root / HUMAN_TRAIN, rows_of("d", 1, text=" One two. " + "one two three. " * 2 + "ONE four "))
    write_calibrations(root)
    (root / HYPOTHESES).write_text(NOTHING_CLAIMED)
    (root / "herdbook").symlink_to(Path(__file__).parents[1] / "herdbook")  # a claim is registered under the code that judges it
    records = root / "records"
    write(records / "human/split.json", {})
    write(records / "human/profile.json", {**profile(0.5), **dict.fromkeys(NLL)})
    write(records / "human/receipt.json", receipt("human"))
    for number, seed in enumerate(seeds):
        write(records / "founder" / seed / "g0/loss.json", loss(5.0 + number))
        write(records / "founder" / seed / "g0/examples.json", {"top_k_50": EXAMPLES})
        for name in regimes:
            for generation in range(num_generations):
                write_bred(records / name / seed / f"g{generation}", 5.0 + generation + number, 0.4 / (generation + 1))
                write_rows(root, Place(name, seed, f"g{generation}"), " ".join(WORDS[: max(len(WORDS) - generation, 1)]))
    return records
