"""What changed between two versions of the project: which datasets and models, because of what, and by how much."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from herdbook.book import Book
from herdbook.causes import INHERITED, Cause, apart, causes
from herdbook.distance import leaves
from herdbook.entry import Entry
from herdbook.errors import BookError, FileError, one_line
from herdbook.open_book import open_book
from herdbook.phases import Begin, unseen
from herdbook.snapshot import Snapshot
from herdbook.target import find

if TYPE_CHECKING:
    from rich.console import Group

_DIGITS = 12  # of a digest, as people are shown it
_KINDS = {
    "parameter": "", "code": "code: ", "package": "package: ", "policy": "policy: ", "environment": "environment: ",
    "given": "given anew: ", "parent": "its parents: ", "reference": "inspected against: ", "unknown": "",
}  # fmt: skip  # what a person is shown before the names
_SHOWN = 3  # of the causes of one kind, as people are shown them


@dataclass(frozen=True, kw_only=True)
class Change:
    """One artefact whose entry is not the same in both books."""

    name: str
    state: str  # appeared, disappeared, or changed
    digests: tuple[str | None, str | None]  # of its bytes, before and now; equal where only what is known of it changed
    causes: tuple[Cause, ...]  # nearest first; those that lie in other artefacts last
    verdicts: tuple[str | None, str | None]
    figures: Mapping[str, list[Any]]  # dotted name -> before and now: contents, counts and, for a target, its profile
    rows: Mapping[str, int] | None = None  # for a target that is a table: num_added, num_removed, num_kept, by id
    missing: tuple[str, ...] = ()  # what could not be read, so that something is not told

    @property
    def is_root(self) -> bool:
        """Whether nothing that it descends from changed."""
        return not any(cause.kind in INHERITED for cause in self.causes)

    @property
    def is_same_bytes(self) -> bool:
        """Whether only what is known of it changed."""
        return self.digests[0] == self.digests[1]


def diff(old: Snapshot, new: Snapshot, target: str | None = None, begin: Begin = unseen) -> list[Change]:
    """Every artefact that changed from `old` to `new`, root causes first.

    Of a target only itself, then those of its ancestors that changed, nearest first. Empty where nothing did.
    Raises BookError where a side has no book, or where `target` is in neither."""
    books = open_book(old, begin), open_book(new, begin)
    names = [*books[1].entries, *(name for name in books[0].entries if name not in books[1].entries)]
    changes = {name: _change(name, *books) for name in names if books[0].ids.get(name) != books[1].ids.get(name)}
    if target is None:
        return sorted(changes.values(), key=lambda change: not change.is_root)
    name = _found(target, books, (old, new))
    found = list(_with_ancestors(name, changes))
    return [_detailed(found[0], books, (old, new)), *found[1:]] if found else []


def _found(target: str, books: tuple[Book, Book], sides: tuple[Snapshot, Snapshot]) -> str:
    """The name of a target in the new book or, where it is not there, in the old one."""
    try:
        return find(target, books[1], sides[1])
    except BookError as error:
        try:
            return find(target, books[0], sides[0])
        except BookError:
            raise error from None


def _with_ancestors(name: str, changes: Mapping[str, Change]) -> Iterator[Change]:
    """A change, and those of other artefacts that it comes from, breadth first."""
    todo, seen = [name], set()
    while todo:
        if (name := todo.pop(0)) in changes and name not in seen:
            seen.add(name)
            yield changes[name]
            todo += [cause.name for cause in changes[name].causes if cause.kind in INHERITED]


def _change(name: str, old: Book, new: Book) -> Change:
    before, after = old.entries.get(name), new.entries.get(name)
    return Change(
        name=name,
        state="changed" if before and after else "appeared" if after else "disappeared",
        digests=(before["digest"] if before else None, after["digest"] if after else None),
        causes=causes(name, old, new),
        verdicts=(verdict_of(before), verdict_of(after)),
        figures=apart(_figures(before), _figures(after)) if _are_bred(before, after) else {},
    )


def verdict_of(entry: Entry | None) -> str | None:
    """What its inspection came to, or that it was not bred; None for what is not inspected."""
    if entry is None or entry["status"] != "bred":
        return entry["status"] if entry else None
    return entry["inspection"]["verdict"] if entry["inspection"] else None


def _are_bred(*entries: Entry | None) -> bool:
    """Whether each is there and was bred: of what is not, every figure would be nothing."""
    return all(entry is not None and entry["status"] == "bred" for entry in entries)


def _figures(entry: Entry | None) -> dict[str, Any]:
    known = {"contents": entry["contents"], "counts": entry["counts"]} if entry else {}
    return {key: value for key, value in leaves(known) if value is not None}


def _detailed(change: Change, books: tuple[Book, Book], sides: tuple[Snapshot, Snapshot]) -> Change:
    """A change with the rows that came and went, and what its profile measured."""
    entries = [book.entries.get(change.name) for book in books]
    pairs = [(entry, side) for entry, side in zip(entries, sides, strict=True) if entry]
    missing: list[str] = []
    profiles = [_profile(entry, side, missing) for entry, side in pairs]
    ids = [_row_ids(entry, side, missing) for entry, side in pairs] if len(pairs) == 2 else []
    return replace(
        change,
        figures={**change.figures, **(apart(*profiles) if _are_bred(*entries) else {})},
        rows=_rows(*ids) if ids and ids[0] is not None and ids[1] is not None else None,
        missing=tuple(missing),
    )


def _profile(entry: Entry, side: Snapshot, missing: list[str]) -> dict[str, Any]:
    """The figures of a dataset's profile; none where it has none."""
    if not entry["inspection"]:
        return {}
    path = Path(entry["inspection"]["profile"]["path"])
    try:
        return {f"profile.{key}": value for key, value in json.loads(side.read(path)).items()} if entry["status"] == "bred" else {}
    except (FileError, ValueError, AttributeError) as error:
        missing.append(f"{path} of {side.label}: cannot be read ({error})")
        return {}


def _row_ids(entry: Entry, side: Snapshot, missing: list[str]) -> pa.ChunkedArray | None:
    """The ids of the rows of a table; None for what is none, or cannot be read."""
    top = Path(entry["path"])
    tables = [name for name in entry["files"] if name.endswith(".parquet")]
    if len(tables) != 1 and "rows.parquet" not in tables:
        return None
    name = "rows.parquet" if "rows.parquet" in tables else tables[0]
    path = top if top.name == name else top / name
    try:
        file = side.local(path)
        return pq.read_table(file, columns=["id"])["id"] if "id" in pq.read_schema(file).names else None
    except (FileError, pa.ArrowException, OSError) as error:
        missing.append(f"{path} of {side.label}: cannot be read ({error})")
        return None


def _rows(old: pa.ChunkedArray, new: pa.ChunkedArray) -> dict[str, int]:
    """How many rows are new, gone and the same, by id."""
    added, removed = (len(a) - (pc.sum(pc.is_in(a, value_set=pc.unique(b))).as_py() or 0) for a, b in ((new, old), (old, new)))
    return {"num_added": added, "num_removed": removed, "num_kept": len(new) - added}


def drawn(changes: Sequence[Change], target: str | None = None) -> "Group":
    """Changes for a terminal: the details of a target, and a table of what changed; without a target of root causes alone, for what
    descends from these is most of a book."""
    from rich import box
    from rich.console import Group
    from rich.table import Column, Table
    from rich.text import Text

    if not changes:
        return Group(Text(f"{one_line(target)}: the same in both" if target else "every dataset and model is the same in both"))
    columns = (Column(name, overflow="fold") for name in ("what", "change", "verdict", "because of"))  # a name is typed again
    table = Table(*columns, box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    shown = [change for change in changes if target or change.is_root]
    for change in shown:
        verdict = " -> ".join(str(side or "-") for side in dict.fromkeys(change.verdicts))
        cells = (change.name, _state(change), "" if verdict == "-" else verdict, "\n".join(_cause_lines(change.causes)))
        table.add_row(*(Text("\n".join(map(one_line, cell.split("\n")))) for cell in cells), style="bold" if change.is_root else None)
    details = [Text(one_line(line)) for line in _detail_lines(changes[0])] if target else []
    return Group(*details, table, *map(Text, _descending(changes[len(shown) :])))


def _descending(changes: Sequence[Change]) -> Iterator[str]:
    """What is said of changes that are not shown: root causes come first."""
    if changes:
        num_records = sum(change.state == "changed" and change.is_same_bytes for change in changes)
        yield f"{len(changes)} more descend from these, {num_records} of them with the same bytes; name one to see why, or --json has all"


def _state(change: Change) -> str:
    return "record only" if change.state == "changed" and change.is_same_bytes else "bytes" if change.state == "changed" else change.state


def _cause_lines(found: Sequence[Cause]) -> Iterator[str]:
    """A line a kind of cause."""
    kinds: dict[str, list[Cause]] = {}
    for cause in found:
        kinds.setdefault(cause.kind, []).append(cause)
    for kind, alike in kinds.items():
        more = f" and {len(alike) - _SHOWN} more" if len(alike) > _SHOWN else ""
        yield f"{_KINDS[kind]}{', '.join(map(_cause_told, alike[:_SHOWN]))}{more}"


def _cause_told(cause: Cause) -> str:
    if cause.kind not in ("parameter", "package", "environment") or cause.old is cause.new is None:
        return cause.name
    return f"{cause.name} {_value(cause.old)} -> {_value(cause.new)}"


def _value(value: Any) -> str:
    return "nothing" if value is None else (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:40]


def _detail_lines(change: Change) -> Iterator[str]:
    before, now = (digest[:_DIGITS] if digest else "none" for digest in change.digests)
    yield f"{change.name}: {_state(change)}, sha256 {before} -> {now}"
    if change.rows:
        yield f"rows by id: {change.rows['num_added']:,} added, {change.rows['num_removed']:,} removed, {change.rows['num_kept']:,} kept"
    for key, (old, new) in change.figures.items():
        yield f"{key}: {_value(old)} -> {_value(new)}"
    for what in change.missing:
        yield f"not told: {what}"
    yield ""


def as_json(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Changes as plain values."""
    return [{**asdict(change), "is_root": change.is_root, "is_same_bytes": change.is_same_bytes} for change in changes]
