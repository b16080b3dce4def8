"""Why curation kept or dropped a row: the steps that it met, in their order, and what each made of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from herdbook.book import Book
from herdbook.entry import Entry
from herdbook.errors import BookError
from herdbook.hands import Hand, hands_of
from herdbook.snapshot import Snapshot
from herdbook.target import columns_of, find_row, places_of, row_at

_KEPT, _SURPLUS, _REMADE = "kept", "surplus", "made into another row"


@dataclass(frozen=True)
class Met:
    """A step that a row met: its name, its settings, and `passed`, or the reason for which it rejected the row."""

    step: str
    settings: Mapping[str, Any]
    result: str


@dataclass(frozen=True)
class Explanation:
    """What became of a row in one curated set."""

    dataset: str
    fate: str  # kept, surplus of a full set, made into another row, or rejected with the reason
    met: tuple[Met, ...]
    hands: tuple[Hand, ...]  # of steps that wrote or chose it


def explain(target: str, book: Book, snapshot: Snapshot) -> list[Explanation]:
    """What became of the row whose id begins with `target`, in each curated set of its generation.

    Raises BookError where there is no such row, or no recipe met it, and MissingError where a table cannot be had."""
    row = find_row(target, book, snapshot)
    if row is None:
        raise BookError(f"{target}: no row of {snapshot.label} has an id that begins so; herdbook trace finds datasets and models too")
    found = [_explained(str(row.values["id"]), entry, snapshot) for entry in _sets(row.dataset, book)]
    if not found:
        raise BookError(f"{target}: is a row of {row.dataset}, which no recipe curates; rows of offspring are curated")
    return found


def _sets(dataset: str, book: Book) -> Iterator[Entry]:
    """The curated sets made of a dataset, itself or as a lineage adopted it; a curated set itself."""
    for name, entry in book.entries.items():
        if entry["kind"] != "curated" or entry["status"] != "bred":
            continue
        offspring = [parent["name"] for parent in entry["parents"] if parent["role"] == "offspring"]
        adopted = [parent["name"] for each in offspring for parent in book.entries[each]["parents"] if parent["role"] == "offspring"]
        if dataset in (name, *offspring, *adopted):
            yield entry


def _explained(row_id: str, entry: Entry, snapshot: Snapshot) -> Explanation:
    folder = Path(entry["path"])
    (recipe,) = (value for key, value in entry["stage"]["parameters"].items() if key.endswith(".recipe"))
    rejected = snapshot.local(folder / "rejected.parquet")
    hands = snapshot.local(folder / "hands.parquet")
    fate = _KEPT
    if places := places_of(columns_of(rejected, "id")["id"], row_id):
        fate = str(row_at(rejected, places[0], "reason")["reason"])
    elif not places_of(columns_of(snapshot.local(folder / "rows.parquet"), "id")["id"], row_id):
        parents = {parent for parents in columns_of(hands, "parents")["parents"].to_pylist() for parent in parents}
        fate = _REMADE if row_id in parents else _SURPLUS
    return Explanation(entry["name"], fate, tuple(_met(recipe["steps"], fate)), tuple(hands_of(row_id, hands)))


def _met(steps: list[dict[str, Any]], fate: str) -> Iterator[Met]:
    """The steps up to the one that rejected the row; `fate` names it, and its reason behind a point."""
    rejecting = fate.split(".")[0]
    for step in steps:
        name = step["name"]
        settings = {key: value for key, value in step.items() if key != "name"}
        if name == rejecting:
            yield Met(name, settings, f"rejected: {fate}")
            return
        yield Met(name, settings, "passed")
