"""The ancestry of an artefact or of one row, down to the documents that people wrote."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from herdbook.book import Book
from herdbook.entry import ROW_KINDS, Entry, weights_of
from herdbook.errors import one_line
from herdbook.layout import CORPUS
from herdbook.snapshot import MissingError, Snapshot
from herdbook.target import Row, columns_of, find, find_row, places_of, row_at

if TYPE_CHECKING:
    from rich.tree import Tree

_DIGITS = 12  # of a digest, as people are shown it
_DOCUMENT_COLUMNS = ("id", "title", "licence", "url")


@dataclass
class Node:
    """One artefact in a tree of ancestors; what was told higher up is not told again."""

    role: str  # what it was to its descendant
    name: str
    facts: list[str]
    parents: "list[Node]" = field(default_factory=list)


@dataclass
class Trace:
    """What a target is and what it comes from."""

    target: str
    root: str  # of the book
    ancestry: Node
    ancestors: dict[str, Entry]  # by name, parents first, the target itself last
    documents: list[dict[str, str]]  # that people wrote: id, title, licence, url
    missing: list[str]  # files that could not be had, so that something is not told
    row: dict[str, Any] | None = None


def trace(target: str, book: Book, snapshot: Snapshot) -> Trace:
    """The ancestry of a target (target.find), or of a row by its id; BookError where there is none."""
    missing: list[str] = []
    if row := find_row(target, book, snapshot) if _may_be_a_row(target, book) else None:
        name, told = row.dataset, _row_told(row, book, snapshot, missing)
    else:
        name, told = find(target, book, snapshot), None
    ancestors = ancestors_of(name, book)
    ids = {row.values["document"]} - {None} if row else _document_ids(book.entries[name], snapshot, missing)
    documents = _documents(ids, snapshot, missing)
    return Trace(target, book.root, _node("", name, book, set()), ancestors, documents, missing, told)


def _may_be_a_row(target: str, book: Book) -> bool:
    return target not in book.entries and "/" not in target


def ancestors_of(name: str, book: Book) -> dict[str, Entry]:
    """An artefact and all that it descends from, parents first."""
    wanted, todo = set(), [name]
    while todo:
        if (found := todo.pop()) not in wanted:
            wanted.add(found)
            todo += [parent["name"] for parent in book.entries[found]["parents"]]
    return {found: entry for found, entry in book.entries.items() if found in wanted}


def _node(role: str, name: str, book: Book, told: set[str]) -> Node:
    entry = book.entries[name]
    if name in told:
        return Node(role, name, ["told above"] if entry["parents"] else [])
    told.add(name)
    return Node(role, name, list(_facts(entry)), [_node(parent["role"], parent["name"], book, told) for parent in entry["parents"]])


def _facts(entry: Entry) -> Iterator[str]:
    """What there is to say of an artefact, a line each."""
    yield f"{entry['kind']}, sha256 {entry['digest'][:_DIGITS]}"
    if stop := entry["stopped_by"]:
        yield f"not bred: the {stop['dataset']} of {stop['generation']} broke {'; '.join(stop['rules'])}"
        return
    contents = entry["contents"] or {}
    if "composition" in contents:
        parts = (f"{origin} {count['rows']} rows, {count['tokens']} tokens" for origin, count in contents["composition"].items())
        yield f"{'; '.join(parts)}; depth {contents['depth']}"
    if "num_steps" in contents:
        yield f"{contents['num_parameters']} parameters, {contents['num_steps']} steps from {contents['start']} weights"
    if counts := entry["counts"]:
        rejected = ", ".join(f"{count} {reason}" for reason, count in counts["rejected"].items() if count) or "none"
        yield f"{counts['num_in']} rows in, {counts['num_out']} out, {counts['num_surplus']} surplus, rejected: {rejected}"
    if inspection := entry["inspection"]:
        broken = f": {'; '.join(inspection['broken'])}" if inspection["broken"] else ""
        yield f"inspection {inspection['verdict']}{broken} (receipt {inspection['receipt']['sha256'][:_DIGITS]})"
    for waiver in entry["waivers"]:
        yield f"waived: the {waiver['dataset']} of {waiver['generation']} broke {'; '.join(waiver['rules'])}"


def _row_told(row: Row, book: Book, snapshot: Snapshot, missing: list[str]) -> dict[str, Any]:
    """A row with what wrote it and from which prompt, and what became of it in its own generation."""
    writer = next(
        (name for name, entry in book.entries.items() if entry["kind"] == "model" and weights_of(entry) == row.values["model"]), None
    )
    told = {**row.values, "dataset": row.dataset, "written_by": writer or "a person", "prompt_text": None}
    if row.values["prompt"] is not None:
        told["prompt_text"] = _prompt_text(row, book, snapshot, missing)
    told["fate"] = list(_fates(str(row.values["id"]), row.dataset, book, snapshot, missing))
    return told


def _prompt_text(row: Row, book: Book, snapshot: Snapshot, missing: list[str]) -> str | None:
    """The beginning of the human row that prompted a model: its first `sample.prompt_tokens` tokens, decoded."""
    from herdbook.tokenizer import load_tokenizer

    try:
        human = _row_with(snapshot.local(Path(book.entries["human/train"]["path"])), str(row.values["prompt"]))
        tokenizer = load_tokenizer(snapshot.folder(Path(book.entries["human/base"]["path"])))
    except MissingError as error:
        missing.append(str(error))
        return None
    sample = next(e["stage"]["parameters"]["sample"] for e in book.entries.values() if "sample" in e["stage"]["parameters"])
    return tokenizer.decode([human["tokens"][: sample["prompt_tokens"]]])[0] if human else None


def _row_with(path: Path, row_id: str) -> dict[str, Any] | None:
    places = places_of(columns_of(path, "id")["id"], row_id)
    return row_at(path, places[0]) if places else None


def _fates(row_id: str, dataset: str, book: Book, snapshot: Snapshot, missing: list[str]) -> Iterator[str]:
    """What the datasets that descend directly from the row's own made of it."""
    for name, entry in book.entries.items():
        if entry["kind"] != "curated" or entry["status"] != "bred" or not _descends(entry, dataset, book):
            continue
        for file, fate in (("rows.parquet", "kept"), ("rejected.parquet", "rejected")):
            try:
                found = _row_with(snapshot.local(Path(entry["path"]) / file), row_id)
            except MissingError as error:
                missing.append(str(error))
                continue
            if found:
                yield f"{name}: {fate}" + (f" by {found['reason']}" if "reason" in found else "")


def _descends(curated: Entry, dataset: str, book: Book) -> bool:
    """Whether a curated set was made of `dataset`, itself or as a lineage adopted it."""
    offspring = [parent["name"] for parent in curated["parents"] if parent["role"] == "offspring"]
    adopted = [parent["name"] for name in offspring for parent in book.entries[name]["parents"] if parent["role"] == "offspring"]
    return dataset in (*offspring, *adopted)


def _document_ids(entry: Entry, snapshot: Snapshot, missing: list[str]) -> set[str]:
    """The human documents that the rows of a table are of, or were prompted by; none for what holds no rows."""
    if entry["kind"] not in ROW_KINDS or entry["status"] != "bred":
        return set()
    path = Path(entry["path"])
    try:
        file = snapshot.local(path if len(entry["files"]) == 1 else path / "rows.parquet")
    except MissingError as error:
        missing.append(str(error))
        return set()
    return set(pc.unique(columns_of(file, "document")["document"]).to_pylist()) - {None}


def _documents(ids: set[Any], snapshot: Snapshot, missing: list[str]) -> list[dict[str, str]]:
    """Title, licence and address of each human document, in the order of the corpus."""
    if not ids:
        return []
    try:
        table = columns_of(snapshot.local(CORPUS / "corpus.parquet"), *_DOCUMENT_COLUMNS)
    except MissingError as error:
        missing.append(str(error))
        return []
    if len(ids) == 1:  # of one row; a set to look in would import pandas, half a second
        return [table.slice(place, 1).to_pylist()[0] for place in places_of(table["id"], min(ids))]
    return list(table.filter(pc.is_in(table["id"], value_set=pa.array(sorted(ids)))).to_pylist())


def drawn(found: Trace) -> "Tree":
    """A trace for a terminal. Text of rows and titles is hostile: it is shown as what it is, without effect."""
    from rich.text import Text
    from rich.tree import Tree

    top = Tree(Text(one_line(found.target), style="bold"))
    if found.row:
        for line in _row_lines(found.row):
            top.add(Text(line))
    _grow(top, found.ancestry)
    if found.documents:
        branch = top.add(Text(f"{len(found.documents)} human documents"))
        for document in found.documents:
            branch.add(Text(one_line(f"{document['title']} ({document['licence'] or 'no licence given'}) {document['url'] or ''}")))
    for what in found.missing:
        top.add(Text(f"not told, for a file is missing: {one_line(what)}", style="yellow"))
    return top


def _row_lines(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"text: {one_line(str(row['text']))}"
    yield f"written by {row['written_by']}, as number {row['index']}; {row['num_tokens']} tokens, depth {row['depth']}"
    if row["prompt"]:
        yield f"prompt: {one_line(str(row['prompt_text']))} (the beginning of human row {row['prompt'][:_DIGITS]})"
    yield from row["fate"]


def _grow(tree: "Tree", node: Node) -> None:
    from rich.text import Text

    label = Text(f"{node.role}: " if node.role else "", style="dim")
    branch = tree.add(label.append(node.name, style="bold"))
    for fact in node.facts:
        branch.add(Text(one_line(fact), style="yellow" if fact.startswith(("waived", "not bred", "inspection waived")) else ""))
    for parent in node.parents:
        _grow(branch, parent)


def as_json(found: Trace) -> dict[str, Any]:
    """A trace as plain values."""
    return {
        "target": found.target,
        "root": found.root,
        "row": found.row,
        "ancestors": [dict(entry) for entry in found.ancestors.values()],
        "documents": found.documents,
        "missing": found.missing,
    }
