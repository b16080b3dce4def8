"""The ancestry of an artefact or of one row, down to the documents that people wrote."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from herdbook.book import Book
from herdbook.branch import Branch
from herdbook.entry import Entry, paths_of, table_of, weights_of
from herdbook.errors import HerdbookError, one_line
from herdbook.files import digest_bytes
from herdbook.hands import hands_of
from herdbook.hashing import sha256_of
from herdbook.layout import CORPUS
from herdbook.phases import Begin, unseen
from herdbook.snapshot import MissingError, Snapshot
from herdbook.target import Row, candidates, columns_of, find, find_row, places_of, row_named

if TYPE_CHECKING:
    from rich.text import Text

_DIGITS = 12  # of a digest, as people are shown it
_PROMPT_COLUMNS = ("generation", "model", "prompt", "tokens")
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
    row: dict[str, Any] | None
    missing: list[str]  # files that could not be had or read, so that something is not told
    altered: list[str]  # files that were read though they are not what their entries say


class _Sources:
    """Files that a trace reads: of each it is noted where it is missing, and where it is not what the book says."""

    def __init__(self, book: Book, snapshot: Snapshot, begin: Begin) -> None:
        self.missing: list[str] = []
        self.altered: list[str] = []
        self._snapshot, self._begin, self._places = snapshot, begin, dict[Path, Path]()
        self._known = {path: sha256 for entry in book.entries.values() for path, sha256 in paths_of(entry).items()}

    def local(self, path: Path) -> Path | None:
        """Where the bytes of a file lie; None where they cannot be had, which is noted."""
        if path not in self._places:
            self._begin(str(path))
            try:
                place = self._places[path] = self._snapshot.local(path)
            except MissingError as error:
                self.missing.append(str(error))
                return None
            if path in self._known and sha256_of(place, self._begin(f"hashing {path}", place.stat().st_size)) != self._known[path]:
                self.altered.append(f"{path}: is not what its entry says (sha256 {self._known[path][:_DIGITS]}); herdbook audit tells more")
        return self._places[path]


def trace(target: str, book: Book, snapshot: Snapshot, begin: Begin = unseen) -> Trace:
    """The ancestry of a target (target.find) or, where no artefact is meant, of a row by its id; BookError where there is none."""
    sources = _Sources(book, snapshot, begin)
    row = None if candidates(target, book, snapshot) else find_row(target, book, snapshot, begin)
    name = row.dataset if row else find(target, book, snapshot)
    told = _row_told(row, book, snapshot, sources) if row else None
    ids = {row.values["document"]} - {None} if row else _document_ids(book.entries[name], sources)
    documents = _documents(ids, sources)
    ancestry, ancestors = _node("", name, book, set()), ancestors_of(name, book)
    return Trace(target, book.root, ancestry, ancestors, documents, told, sources.missing, sources.altered)


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
    stop = entry["stopped_by"]
    yield entry["kind"] if stop else f"{entry['kind']}, sha256 {entry['digest'][:_DIGITS]}"
    if stop:
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


def _row_told(row: Row, book: Book, snapshot: Snapshot, sources: _Sources) -> dict[str, Any]:
    """A row with what wrote it and from which prompt, and what became of it in its own generation."""
    if table := table_of(book.entries[row.dataset]):
        sources.local(table)  # so that it is noted where its bytes are other ones
    model = row.values["model"]
    prompts = list(_prompts(row, book, snapshot, sources))
    told = {**row.values, "dataset": row.dataset, "written_by": _author(model, book), "prompts": prompts}
    told["prompt_text"] = prompts[0]["text"] if prompts else None
    told["fate"] = list(_fates(str(row.values["id"]), row.dataset, book, sources))
    hands = list(_hands(str(row.values["id"]), row.dataset, book, sources))
    told["hands"] = hands
    if model is not None:  # a teacher is named in hands alone
        told["written_by"] = next((hand["by"] for hand in hands if digest_bytes(hand["by"].encode()) == model), told["written_by"])
    return told


def _author(model: Any, book: Book) -> str:
    """Who wrote a row, by the model that it names; teachers are no models of the book."""
    names = (name for name, entry in book.entries.items() if entry["kind"] == "model" and weights_of(entry) == model)
    return "a person" if model is None else next(names, f"a model that is none of this book ({model})")


def _prompts(row: Row, book: Book, snapshot: Snapshot, sources: _Sources) -> Iterator[dict[str, Any]]:
    """The row whose beginning prompted a row, the one whose beginning prompted that, and so on down to a person's.

    A prompt is a human row, or one of the training set of the model that wrote the row. Ends where a table has it not."""
    lineage, values, seen = book.entries[row.dataset], row.values, set[str]()
    while (prompt := values["prompt"]) is not None and prompt not in seen:
        seen.add(str(prompt))
        names = ("human/train", f"{lineage['regime']}/{lineage['seed']}/g{values['generation']}/training")
        tables = (table_of(book.entries[name]) for name in names if name in book.entries)
        paths = filter(None, (sources.local(table) for table in tables if table))
        found = (row_named(str(prompt), path, *_PROMPT_COLUMNS) for path in paths)
        if (values := next(filter(None, found), {})) == {}:
            return
        text = _beginning(values["tokens"], book, snapshot, sources)
        yield {"id": prompt, "generation": values["generation"], "written_by": _author(values["model"], book), "text": text}


def _beginning(tokens: Any, book: Book, snapshot: Snapshot, sources: _Sources) -> str | None:
    """The first `sample.prompt_tokens` tokens of a row, decoded."""
    from herdbook.tokenizer import load_tokenizer

    base = Path(book.entries["human/base"]["path"])
    if sources.local(base / "tokenizer.json") is None:
        return None
    try:
        tokenizer = load_tokenizer(snapshot.folder(base))
    except HerdbookError as error:
        sources.missing.append(str(error))
        return None
    sample = next(e["stage"]["parameters"]["sample"] for e in book.entries.values() if "sample" in e["stage"]["parameters"])
    return tokenizer.decode([tokens[: sample["prompt_tokens"]]])[0]


def _cell(path: Path | None, row_id: str, column: str) -> Any:
    """What one row has in one column; None where it is not in the table."""
    return row_named(row_id, path, column).get(column) if path else None


def _fates(row_id: str, dataset: str, book: Book, sources: _Sources) -> Iterator[str]:
    """What the datasets that descend directly from the row's own made of it."""
    for name, entry in book.entries.items():
        if entry["kind"] != "curated" or entry["status"] != "bred" or not descends(entry, dataset, book):
            continue
        kept, rejected = (sources.local(Path(entry["path"]) / file) for file in ("rows.parquet", "rejected.parquet"))
        if kept and places_of(columns_of(kept, "id")["id"], row_id):
            yield f"{name}: kept"
        elif (reason := _cell(rejected, row_id, "reason")) is not None:
            yield f"{name}: rejected by {reason}"


def _hands(row_id: str, dataset: str, book: Book, sources: _Sources) -> Iterator[dict[str, Any]]:
    """What steps of recipes did with a row, in each curated set that kept it or where they wrote it."""
    writers = {weights_of(entry): name for name, entry in book.entries.items() if entry["kind"] == "model"}
    for name, entry in book.entries.items():
        if entry["kind"] != "curated" or entry["status"] != "bred" or not (name == dataset or descends(entry, dataset, book)):
            continue
        path = sources.local(Path(entry["path"]) / "hands.parquet")
        for hand in hands_of(row_id, path) if path else ():
            yield {**hand, "dataset": name, "by": writers.get(hand["by"], hand["by"])}


def descends(curated: Entry, dataset: str, book: Book) -> bool:
    """Whether a curated set was made of `dataset`, itself or as a lineage adopted it."""
    offspring = [parent["name"] for parent in curated["parents"] if parent["role"] == "offspring"]
    adopted = [parent["name"] for name in offspring for parent in book.entries[name]["parents"] if parent["role"] == "offspring"]
    return dataset in (*offspring, *adopted)


def _document_ids(entry: Entry, sources: _Sources) -> set[str]:
    """The human documents that the rows of a table are of, or were prompted by; none for what holds no rows."""
    table = table_of(entry)
    path = sources.local(table) if table else None
    return set(columns_of(path, "document")["document"].unique().to_pylist()) - {None} if path else set()


def _documents(ids: set[Any], sources: _Sources) -> list[dict[str, str]]:
    """Title, licence and address of each human document, in the order of the corpus."""
    path = sources.local(CORPUS / "corpus.parquet") if ids else None
    if path is None:
        return []
    table = columns_of(path, *_DOCUMENT_COLUMNS)
    if len(ids) == 1:  # of one row; a set to look in would import pandas, half a second
        return [table.slice(place, 1).to_pylist()[0] for place in places_of(table["id"], min(ids))]
    import pyarrow.compute as pc

    return list(table.filter(pc.is_in(table["id"], value_set=pa.array(sorted(ids)))).to_pylist())


def drawn(found: Trace) -> "Text":
    """A trace for a terminal. Text of rows and titles is hostile: it is shown as what it is, without effect."""
    from rich.text import Text

    top = Branch(Text(one_line(found.target), style="bold"))
    if found.row:
        for line in _row_lines(found.row):
            top.add(Text(line))
    _grow(top, found.ancestry)
    if found.documents:
        branch = top.add(Text(f"{len(found.documents)} human document{'s' if len(found.documents) > 1 else ''}"))
        for document in found.documents:
            branch.add(Text(one_line(f"{document['title']} ({document['licence'] or 'no licence given'}) {document['url'] or ''}")))
    for what in found.missing:
        top.add(Text(f"not told, for a file is missing: {one_line(what)}", style="yellow"))
    for what in found.altered:
        top.add(Text(f"not to be believed: {one_line(what)}", style="red"))
    return top.drawn()


def _row_lines(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"text: {one_line(str(row['text']))}"
    yield f"written by {one_line(str(row['written_by']))}, as number {row['index']}; {row['num_tokens']} tokens, depth {row['depth']}"
    if row["prompt"] and not row["prompts"]:
        yield f"prompt: not at hand (the beginning of row {one_line(row['prompt'][:_DIGITS])})"
    for number, prompt in enumerate(row["prompts"]):
        of = "human row" if prompt["written_by"] == "a person" else f"row of {prompt['written_by']},"
        role = "prompt of that prompt" if number else "prompt"
        yield one_line(f"{role}: {prompt['text']} (the beginning of {of} {prompt['id'][:_DIGITS]})")
    yield from map(one_line, row["fate"])
    for hand in row["hands"]:
        parents = ", ".join(parent[:_DIGITS] for parent in hand["parents"])
        yield one_line(f"{hand['dataset']}: {hand['step']} by {hand['by']} of {parents}: {hand['note']}")


def _grow(tree: Branch, node: Node) -> None:
    from rich.text import Text

    label = Text(one_line(f"{node.role}: ") if node.role else "", style="dim")
    branch = tree.add(label.append(one_line(node.name), style="bold"))
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
        "altered": found.altered,
    }
