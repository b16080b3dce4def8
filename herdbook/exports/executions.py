"""What ran, as the book tells it: each stage that made datasets or models, and each inspection of one.

Nothing here knows a clock, a host or chance: an execution is named by what it ran on, with and into."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from herdbook.book import Book
from herdbook.entry import Entry, paths_of
from herdbook.errors import BookError
from herdbook.files import canonical_json, digest_bytes
from herdbook.lineage import NOT_BRED
from herdbook.snapshot import Snapshot
from herdbook.trace import ancestors_of

NAMESPACE = "urn:herdbook"  # the beginning of every identifier that the exports coin
_UUIDS = uuid5(NAMESPACE_URL, NAMESPACE)
_LAUNCHER = "python -m stages "


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One stage and what it made; of an inspection `outputs` is empty and `inspected` is its dataset."""

    stage: Mapping[str, Any]  # command, parameters and code, as an entry has them
    inputs: tuple[tuple[str, Entry], ...]  # (role, entry), each pair once
    outputs: tuple[Entry, ...]
    run_id: str
    inspected: Entry | None = None

    @property
    def name(self) -> str:
        """The stage and its arguments, such as `train replace s0 g1`."""
        return str(self.stage["command"]).removeprefix(_LAUNCHER)

    @property
    def is_bred(self) -> bool:
        """Whether it made more than a marker that its lineage had ended."""
        return self.inspected is not None or any(entry["status"] != NOT_BRED for entry in self.outputs)


def executions(book: Book, target: str | None = None) -> Iterator[Execution]:
    """Every stage that made something of the ancestry of `target`, inputs first, each with the inspections of what it made.

    A stage that made more than that is told with what was asked for, under the same id."""
    wanted = exported(book, target)
    made: dict[str, list[Entry]] = {}
    for entry in book.entries.values():
        if command := entry["stage"]["command"]:
            made.setdefault(command, []).append(entry)
    for command in _inputs_first(book, made):
        entries = made[command]
        if outputs := [entry for entry in entries if entry["name"] in wanted]:
            yield Execution(
                stage=outputs[0]["stage"],
                inputs=_inputs(book, outputs),
                outputs=tuple(outputs),
                run_id=_run_id(entries[0]["stage"], [entry["digest"] for _, entry in _inputs(book, entries)], entries),
            )
            yield from filter(None, map(_inspection, outputs))


def exported(book: Book, target: str | None) -> dict[str, Entry]:
    """The entry `target` and all that it descends from, parents first; the whole book where it is None."""
    return dict(book.entries) if target is None else ancestors_of(target, book)


def _inputs_first(book: Book, made: Mapping[str, list[Entry]]) -> list[str]:
    """The commands of stages, each after those whose outputs it read."""
    needs = {command: dict.fromkeys(entry["stage"]["command"] for _, entry in _inputs(book, made[command])) for command in made}
    return [command for command in TopologicalSorter(needs).static_order() if command]


def _inputs(book: Book, outputs: list[Entry]) -> tuple[tuple[str, Entry], ...]:
    """The parents, but for what the same stage made."""
    own = {entry["name"] for entry in outputs}
    found = {(role, parent["name"]): parent for entry in outputs for role, parent in book.parents(entry)}
    return tuple((role, parent) for (role, name), parent in found.items() if name not in own)


def _inspection(entry: Entry) -> Execution | None:
    inspection = entry["inspection"]
    if not inspection or inspection["verdict"] == NOT_BRED:
        return None
    run_id = _run_id(inspection["stage"], [entry["digest"], *inspection["policies"].values(), inspection["receipt"]["sha256"]], [])
    return Execution(stage=inspection["stage"], inputs=(("inspected", entry),), outputs=(), run_id=run_id, inspected=entry)


def _run_id(stage: Mapping[str, Any], digests: list[str], outputs: list[Entry]) -> str:
    """The same for the same stage on the same inputs with the same results, in whatever book it stands."""
    return str(uuid5(_UUIDS, canonical_json([stage, digests, [entry["digest"] for entry in outputs]])))


def book_id(book: Book) -> UUID:
    """The id of the run that a whole book tells of."""
    return uuid5(_UUIDS, book.root)


def entry_urn(book: Book, entry: Entry) -> str:
    """What names an entry anywhere."""
    return f"{NAMESPACE}:entry:{book.ids[entry['name']]}"


def files_of(entry: Entry) -> dict[str, dict[str, Any]]:
    """{sha256, num_bytes} of each file of a dataset or model by its path in the project."""
    return {path.as_posix(): file for path, file in zip(paths_of(entry), entry["files"].values(), strict=True)}


def read_receipt(entry: Entry, snapshot: Snapshot) -> dict[str, Any]:
    """The receipt of an inspected dataset; BookError where its bytes are not those that the entry names."""
    recorded = entry["inspection"]["receipt"]
    text = snapshot.read(Path(recorded["path"]))
    if (found := digest_bytes(text)) != recorded["sha256"]:
        raise BookError(
            f"{recorded['path']}: sha256 is {found[:12]}, the entry of {entry['name']} names {recorded['sha256'][:12]}; run herdbook audit"
        )
    receipt: dict[str, Any] = json.loads(text)
    return receipt


def rule_name(rule: Mapping[str, Any]) -> str:
    """What names a rule of a receipt, such as `training_profile: distinct_2: expect_column_max_to_be_between`."""
    return ": ".join(part for part in (rule["suite"], rule["column"], rule["rule"]) if part)
