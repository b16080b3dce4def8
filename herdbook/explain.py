"""Why curation kept or dropped a row: the steps that it met, in their order, and what each made of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from herdbook.book import Book
from herdbook.entry import Entry
from herdbook.errors import BookError
from herdbook.hands import Hand, hands_of
from herdbook.phases import Begin, unseen
from herdbook.recipe import labels, parse_steps
from herdbook.snapshot import Snapshot
from herdbook.target import columns_of, find_row, places_of, row_at
from herdbook.trace import descends

_KEPT, _SURPLUS = "kept", "surplus"


@dataclass(frozen=True)
class Met:
    """A step that a row met: its name, its settings, and what it made of the row."""

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


def explain(target: str, book: Book, snapshot: Snapshot, begin: Begin = unseen) -> list[Explanation]:
    """What became of the row whose id begins with `target`, in each curated set of its generation.

    Raises BookError where there is no such row, or no recipe met it, and MissingError where a table cannot be had."""
    row = find_row(target, book, snapshot, begin)
    if row is None:
        raise BookError(f"{target}: no row of {snapshot.label} has an id that begins so; herdbook trace finds datasets and models too")
    found, sets = [], list(_sets(row.dataset, book))
    advance = begin("curated sets", len(sets))
    for entry in sets:
        found.append(_explained(str(row.values["id"]), entry, snapshot))
        advance(1)
    if not found:
        raise BookError(f"{target}: is a row of {row.dataset}, which no recipe curates; rows of offspring are curated")
    return found


def _sets(dataset: str, book: Book) -> Iterator[Entry]:
    """The curated sets made of a dataset, itself or as a lineage adopted it; a curated set itself."""
    for name, entry in book.entries.items():
        if entry["kind"] == "curated" and entry["status"] == "bred" and (dataset == name or descends(entry, dataset, book)):
            yield entry


def _explained(row_id: str, entry: Entry, snapshot: Snapshot) -> Explanation:
    folder = Path(entry["path"])
    (recipe,) = (value for key, value in entry["stage"]["parameters"].items() if key.endswith(".recipe"))
    rejected = snapshot.local(folder / "rejected.parquet")
    hands = snapshot.local(folder / "hands.parquet")
    own, writers = hands_of(row_id, hands), {name for name, step in parse_steps(recipe["steps"], "recipe") if step.writes}
    written_by = next((hand["step"] for hand in reversed(own) if hand["id"] == row_id and hand["step"] in writers), None)
    remade_by, fate = _remade_by(row_id, hands, writers), _KEPT
    if places := places_of(columns_of(rejected, "id")["id"], row_id):
        fate = str(row_at(rejected, places[0], "reason")["reason"])
    elif remade_by:
        fate = f"made into another row by {remade_by}"
    elif not places_of(columns_of(snapshot.local(folder / "rows.parquet"), "id")["id"], row_id):
        fate = _SURPLUS
    return Explanation(entry["name"], fate, tuple(_met(recipe["steps"], fate, written_by, remade_by)), tuple(own))


def _remade_by(row_id: str, hands: Path, writers: set[str]) -> str | None:
    """The step that wrote another row in place of this one."""
    told = columns_of(hands, "id", "step", "parents").to_pylist()
    return next((hand["step"] for hand in told if hand["step"] in writers and row_id in hand["parents"]), None)


def _met(steps: list[dict[str, Any]], fate: str, written_by: str | None, remade_by: str | None) -> Iterator[Met]:
    """The steps that the row met: from the one that wrote it on, to the one that rejected it or made it into another."""
    names = labels([step["name"] for step in steps])
    first = names.index(written_by) if written_by in names else 0
    for number, (name, step) in enumerate(zip(names, steps, strict=True)):
        if number < first:
            continue
        settings = {key: value for key, value in step.items() if key != "name"}
        if name == fate.split(".")[0]:
            yield Met(name, settings, f"rejected: {fate}")
            return
        if name == remade_by:
            yield Met(name, settings, fate)
            return
        yield Met(name, settings, "wrote it" if name == written_by else "passed")
