"""The book: an entry for each dataset and model of a run, bound together by one digest.

book/index.json names every entry and every stage's code by sha256, and the sha256 of that file is the
root: whoever knows the root can check all the rest."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from herdbook.entry import SCHEMA, Entry, entry_id, parse_entry
from herdbook.errors import BookError
from herdbook.files import canonical_json, digest, digest_bytes
from herdbook.layout import BOOK, CODE

INDEX = BOOK / "index.json"


@dataclass(frozen=True)
class Book:
    """Entries by name, parents first; the code that stages ran by its digest; and the root."""

    entries: Mapping[str, Entry]
    ids: Mapping[str, str]  # name -> sha256 of the entry
    code: Mapping[str, Mapping[str, Any]]  # stage -> fingerprint
    root: str

    def parents(self, entry: Entry) -> Iterator[tuple[str, Entry]]:
        """(role, entry) of each parent."""
        for parent in entry["parents"]:
            yield parent["role"], self.entries[parent["name"]]


def entry_path(name: str) -> Path:
    """Where the entry of a dataset or model lies."""
    return BOOK / "entries" / f"{name}.json"


def code_path(stage: str) -> Path:
    """Where the book keeps what a stage's code was."""
    return BOOK / "code" / f"{stage}.json"


def index_of(entries: Mapping[str, Entry]) -> dict[str, Any]:
    """The index: what each entry, and the code of each stage, is named by."""
    return {
        "schema": SCHEMA,
        "entries": {name: entry_id(entry) for name, entry in entries.items()},
        "code": {path.stem: digest(path) for path in sorted(CODE.glob("*.json")) if path.stem in _stages(entries)},
    }


def _stages(entries: Mapping[str, Entry]) -> set[str]:
    steps = [entry["stage"] for entry in entries.values()]
    steps += [entry["inspection"]["stage"] for entry in entries.values() if entry["inspection"]]
    return {step["code"]["stage"] for step in steps if step["code"]}


def root_of(index: Mapping[str, Any]) -> str:
    """The one digest that stands for the whole book."""
    return digest_bytes(canonical_json(index).encode())


def read_book(read: Callable[[Path], bytes]) -> Book:
    """The book that `read` (path of the project -> bytes) gives, each entry of the digest that the index names.

    Raises BookError where a part of it is not what the index says, or cannot be read at all."""
    text = read(INDEX)
    try:
        index = json.loads(text)
        names, code, schema = dict(index["entries"]), dict(index["code"]), int(index["schema"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BookError(f"{INDEX}: not an index of entries ({error!r}); restore it with dvc checkout book") from error
    if schema > SCHEMA:
        raise BookError(f"{INDEX}: a book of schema {schema}, this version reads up to {SCHEMA}; install a newer herdbook")
    entries = {name: parse_entry(_checked(read, entry_path(name), names[name]), str(entry_path(name))) for name in names}
    fingerprints = {stage: json.loads(_checked(read, code_path(stage), code[stage])) for stage in code}
    return Book(_parents_first(entries, names), names, fingerprints, digest_bytes(text))


def _checked(read: Callable[[Path], bytes], path: Path, wanted: str) -> bytes:
    text = read(path)
    if (found := digest_bytes(text)) != wanted:
        raise BookError(f"{path}: sha256 is {found[:12]}, {INDEX} names {wanted[:12]}; restore it with dvc checkout book")
    return text


def _parents_first(entries: Mapping[str, Entry], names: Mapping[str, str]) -> dict[str, Entry]:
    """The entries in an order that the graph gives; BookError where a parent is missing or its own descendant."""
    for name, entry in entries.items():
        if lost := [parent["name"] for parent in entry["parents"] if parent["name"] not in entries]:
            raise BookError(f"{entry_path(name)}: its parent {lost[0]} has no entry; restore it: dvc checkout book")
    ordered: dict[str, Entry] = {}
    waiting = dict(entries)
    while waiting:
        ready = [name for name, entry in waiting.items() if all(parent["name"] in ordered for parent in entry["parents"])]
        if not ready:
            raise BookError(f"{entry_path(next(iter(waiting)))}: descends from itself; restore it: dvc checkout book")
        for name in ready:
            ordered[name] = waiting.pop(name)
    for name, entry in entries.items():
        if other := [parent["name"] for parent in entry["parents"] if parent["entry"] != names[parent["name"]]]:
            raise BookError(f"{entry_path(name)}: its parent {other[0]} is another entry than {INDEX} names; restore it: dvc checkout book")
    return ordered
