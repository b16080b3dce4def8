"""What a person means by a target: an artefact by name, by path, by a digest or its beginning, or one row."""

import difflib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow._compute import MatchSubstringOptions, call_function  # of pyarrow.compute, which takes 0.1 s to import

from herdbook.book import Book, entry_path
from herdbook.entry import Entry, paths_of, table_of, weights_of
from herdbook.errors import BookError, FileError
from herdbook.phases import Begin, unseen
from herdbook.schema import ROWS
from herdbook.snapshot import MissingError, Snapshot

_MIN_DIGITS = 6  # of the beginning of a digest or id
_MD5_DIGITS = 32
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Row:
    """One row of a dataset: the values of its columns, and the name of the dataset that it was written into first."""

    dataset: str
    values: dict[str, object]


def find(target: str, book: Book, snapshot: Snapshot) -> str:
    """The name of the one artefact that `target` names, a path or a digest.

    Raises BookError where there is none (with near matches) or more than one (with all of them)."""
    found = candidates(target, book, snapshot)
    if len(found) == 1:
        return found[0]
    if found:
        shown = ", ".join(found[:8]) + (f" and {len(found) - 8} more" if len(found) > 8 else "")
        raise BookError(f"{target}: is that of {len(found)} artefacts: {shown}; name one of them")
    near = difflib.get_close_matches(target, book.entries, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"such names are {', '.join(list(book.entries)[-3:])}"
    raise BookError(f"{target}: no dataset, model, file, digest or row of {snapshot.label}; {hint}")


def candidates(target: str, book: Book, snapshot: Snapshot) -> list[str]:
    """The names of all artefacts that `target` may name, parents first."""
    return list(dict.fromkeys(_candidates(target, book, snapshot)))


def _candidates(target: str, book: Book, snapshot: Snapshot) -> Iterator[str]:
    if target in book.entries:
        yield target
        return
    path = target.rstrip("/").removeprefix("./")
    absolute = Path(path)
    if absolute.is_absolute() and absolute.is_relative_to(snapshot.root):
        path = absolute.relative_to(snapshot.root).as_posix()
    for name, entry in book.entries.items():
        if path in _paths(name, entry):
            yield name
    prefix = target.lower().removeprefix("sha256:").removeprefix("md5:")
    if is_id(prefix):
        named = [name for name, entry in book.entries.items() if any(d.startswith(prefix) for d in _digests(name, entry, book))]
        if len(prefix) <= _MD5_DIGITS:  # asked last: dvc.lock and the lists of folders are long to read
            named += [name for name, entry in book.entries.items() if _md5(entry, snapshot).startswith(prefix)]
            named = named or [name for name, entry in book.entries.items() if _has_file(name, entry, prefix, snapshot)]
        yield from (name for name in book.entries if name in named)


def _paths(name: str, entry: Entry) -> set[str]:
    """Every path that belongs to an artefact: its own, its files', its records' and its entry's."""
    own = {entry["path"], entry_path(name).as_posix(), *map(Path.as_posix, paths_of(entry)), *entry["records"]}
    inspection = entry["inspection"]
    return own | ({inspection[part]["path"] for part in ("receipt", "profile")} if inspection else set())


def _md5(entry: Entry, snapshot: Snapshot) -> str:
    """What DVC calls an artefact; empty where it does not."""
    return snapshot.recorded_md5(Path(entry["path"])) or ""


def _has_file(name: str, entry: Entry, prefix: str, snapshot: Snapshot) -> bool:
    """Whether DVC calls a file of an artefact so, within a folder too; not where the list of the folder cannot be had."""
    for path in map(Path, _paths(name, entry)):
        with suppress(MissingError):
            if (snapshot.md5_of(path) or "").startswith(prefix):
                return True
    return False


def _digests(name: str, entry: Entry, book: Book) -> Iterator[str]:
    """Every sha256 that names an artefact or a part of it."""
    yield from (book.ids[name], entry["digest"], *entry["records"].values())
    if entry["kind"] == "model":
        yield weights_of(entry)
    for file in entry["files"].values():
        yield file["sha256"]
    if inspection := entry["inspection"]:
        yield from (inspection[part]["sha256"] for part in ("receipt", "profile"))


def is_id(target: str) -> bool:
    """Whether a target can be the beginning of a digest or of the id of a row."""
    return len(target) >= _MIN_DIGITS and set(target.lower()) <= _HEX


def find_row(target: str, book: Book, snapshot: Snapshot, begin: Begin = unseen) -> Row | None:
    """The row whose id is `target` or begins with it, in the dataset that it was first written into; None without one.

    Looks into what people, models and the steps of recipes wrote, not into what was made of it. Raises BookError where rows of
    several ids begin so, and where none was found but not every table could be had."""
    missing: list[str] = []
    tables: list[tuple[str, Path]] = []
    written = list(_written(book)) if is_id(target) else []
    advance = begin("where tables lie", len(written))
    for name, path in written:
        try:
            tables.append((name, snapshot.local(path)))
        except MissingError as error:
            missing.append(str(error))
        advance(1)
    found: dict[str, Row] = {}
    advance = begin("tables of rows", len(tables))
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        hits = pool.map(partial(_ids_of, target.lower()), (path for _, path in tables))
        for (name, path), places in zip(tables, hits, strict=True):
            for place, row_id in places:
                if row_id not in found:
                    found[row_id] = Row(name, row_at(path, place, *ROWS.names))
            advance(1)
    if len(found) > 1:
        raise BookError(f"{target}: {len(found)} rows begin so, such as {', '.join(sorted(found)[:3])}; give more digits")
    if missing and not found:
        raise BookError(f"{target}: no row of the tables at hand; {len(missing)} could not be searched: {'; '.join(missing)}")
    return next(iter(found.values()), None)


def _written(book: Book) -> Iterator[tuple[str, Path]]:
    """The tables of what people, models and the steps of recipes wrote, with the names of their datasets."""
    for name, entry in book.entries.items():
        if (table := table_of(entry)) is None:
            continue
        if entry["kind"] in ("human", "offspring"):
            yield name, table
        elif (entry["counts"] or {}).get("num_added"):
            yield from ((name, table), (name, table.parent / "rejected.parquet"))


def _ids_of(prefix: str, path: Path) -> list[tuple[int, str]]:
    """(place, id) of each row of a table whose id begins with `prefix`."""
    ids = columns_of(path, "id")["id"]
    return [(place, ids[place].as_py()) for place in places_of(ids, prefix)]


def columns_of(path: Path, *names: str) -> pa.Table:
    """Some columns of a parquet file; FileError where it cannot give them. (pq.read_table would import pandas, half a second.)"""
    try:
        with pq.ParquetFile(path, memory_map=True, pre_buffer=False) as file:
            return file.read(columns=list(names))
    except (pa.ArrowException, OSError) as error:
        raise FileError(f"{path}: not a whole parquet file ({str(error).splitlines()[0]}); herdbook audit tells more") from error


def places_of(ids: pa.ChunkedArray, prefix: str) -> list[int]:
    """Where the ids stand that begin with `prefix`. (To compare with a scalar would import pandas.)"""
    return list(call_function("indices_nonzero", [call_function("starts_with", [ids], MatchSubstringOptions(prefix))]).to_pylist())


def row_at(path: Path, place: int, *names: str) -> dict[str, object]:
    """The values of one row of a parquet file, by column (all, or those named); only the row's own group is read."""
    try:
        with pq.ParquetFile(path) as file:
            group, offset = _group_of(file.metadata, place)
            table = file.read_row_group(group, columns=list(names) or None).slice(offset, 1)
    except (pa.ArrowException, OSError, IndexError) as error:
        raise FileError(f"{path}: has no row {place} ({error}); write it anew (dvc repro)") from error
    return dict(table.to_pylist()[0])


def row_named(row_id: str, path: Path, *names: str) -> dict[str, object]:
    """The values of the row of this id, by column; nothing where the file has no such row."""
    places = places_of(columns_of(path, "id")["id"], row_id)
    return row_at(path, places[0], *names) if places else {}


def _group_of(metadata: pq.FileMetaData, place: int) -> tuple[int, int]:
    """The row group that holds a row, and the row's place in it; IndexError where the file has not so many rows."""
    for group in range(metadata.num_row_groups):
        if place < (size := metadata.row_group(group).num_rows):
            return group, place
        place -= size
    raise IndexError("the file is shorter")
