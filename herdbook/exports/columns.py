"""The columns of tables: of which types, what they mean, and from which columns of other tables their values come.

Only what the stages do to every row is told. What a model wrote comes from no column, and so has no origin here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from herdbook.entry import MODEL_KINDS, ROW_KINDS, Entry
from herdbook.errors import BookError
from herdbook.lineage import NOT_BRED
from herdbook.schema import ROWS
from herdbook.snapshot import Snapshot

MEANING = {
    "id": "Digest that names the row or document.",
    "title": "Title that the source gives the document.",
    "source": "Where the document was read from.",
    "licence": "Licence of the document.",
    "url": "Address of the document; empty where unknown.",
    "generation": "Generation of the model that wrote the row; 0 without a model is human.",
    "model": "Digest of the model that wrote the row; null for human text.",
    "document": "Id of the human document that the row is of, or that its prompt is of; null when unprompted.",
    "prompt": "Id of the row whose beginning prompted it, human or of its model's training set; null for human text and when unprompted.",
    "index": "Place among the blocks of a human document, or among the draws of a model.",
    "depth": "Model passes between the row and a person.",
    "tokens": "Token ids.",
    "num_tokens": "Number of tokens.",
    "text": "The text; of a row its tokens decoded, special tokens left out.",
    "nll_nats": "Mean nats per token under the founder; null until scored.",
    "split": "Side of the human rows: train or held_out.",
}
_STEP_COLUMNS = {"length": "num_tokens", "repetition": "tokens"}  # of the steps of a recipe; the others look at text


@dataclass(frozen=True)
class Origin:
    """A column that another comes from, and how: IDENTITY, TRANSFORMATION, AGGREGATION; or, for all columns, FILTER, JOIN."""

    entry: Entry
    column: str
    how: str


@dataclass(frozen=True)
class Origins:
    """Where a table comes from: column by column, and what decided which rows it has."""

    fields: Mapping[str, list[Origin]]
    rows: list[Origin]


class Tables:
    """Reads what columns tables have; one kind of table that one code wrote is looked at once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._seen: dict[tuple[str, str], pa.Schema] = {}

    def columns(self, entry: Entry) -> pa.Schema | None:
        """The columns of a dataset; None for a model and for what was not bred. MissingError where the file cannot be had."""
        if (path := table_path(entry)) is None:
            return None
        code = entry["stage"]["code"]
        key = (entry["name"] if code is None else entry["kind"], "" if code is None else code["sha256"])
        if key not in self._seen:
            try:
                self._seen[key] = pq.read_schema(self._snapshot.local(path))
            except (pa.ArrowException, OSError) as error:
                raise BookError(f"{path}: not a whole parquet file ({str(error).splitlines()[0]}); run herdbook audit") from error
        return self._seen[key]


def table_path(entry: Entry) -> Path | None:
    """The one table that a dataset is read by; None for a model and for what was not bred."""
    if entry["kind"] in MODEL_KINDS or entry["status"] == NOT_BRED:
        return None
    path = Path(entry["path"])
    if list(entry["files"]) == [path.name]:
        return path
    return path / ("corpus.parquet" if entry["kind"] == "corpus" else "rows.parquet")


def origins(entry: Entry, parents: list[tuple[str, Entry]], names: list[str]) -> Origins:
    """The origins of a table with columns `names`; `parents` as (role, entry)."""
    by_role: dict[str, list[Entry]] = {}
    for role, parent in parents:
        by_role.setdefault(role, []).append(parent)
    stage = (entry["stage"]["code"] or {}).get("stage")
    match stage, entry["kind"]:
        case "prepare", "documents" if "corpus" in by_role:
            found = _documents(by_role, names, is_train=entry["name"].endswith("train_documents"))
        case "prepare", "human":
            found = _blocks(by_role["documents"][0])
        case "prepare", "reference":
            found = Origins(_reference(by_role["text"]), [])
        case "train", "scores":
            scored = by_role["scored"]
            fields = {"id": [Origin(rows, "id", "IDENTITY") for rows in scored]}
            found = Origins(fields | {"nll_nats": [Origin(rows, "tokens", "TRANSFORMATION") for rows in scored]}, [])
        case "sample", "offspring":
            rows = by_role.get("prompts", [])
            found = Origins(
                {name: [Origin(row, of, "IDENTITY") for row in rows] for name, of in (("document", "document"), ("prompt", "id"))}, []
            )
        case (("adopt" | "blend" | "curate"), kind) if kind in ROW_KINDS:
            found = _gathered(by_role, names, entry["stage"]["parameters"])
        case _:
            found = Origins({}, [])
    return Origins({name: found.fields[name] for name in names if found.fields.get(name)}, found.rows)


def _documents(by_role: Mapping[str, list[Entry]], names: list[str], is_train: bool) -> Origins:
    corpus = by_role["corpus"][0]
    deciding = ["id", "text"] if is_train else ["id"]  # the lot is drawn from the id; near repeats are told by text
    return Origins({name: [Origin(corpus, name, "IDENTITY")] for name in names}, [Origin(corpus, name, "FILTER") for name in deciding])


def _blocks(documents: Entry) -> Origins:
    text = [Origin(documents, "text", "TRANSFORMATION")]
    identity = [Origin(documents, "id", "IDENTITY")]
    of_text = dict.fromkeys(("index", "tokens", "num_tokens", "text"), text)
    return Origins({**of_text, "document": identity, "id": [Origin(documents, "id", "TRANSFORMATION"), *text]}, [])


def _reference(texts: list[Entry]) -> dict[str, list[Origin]]:
    columns = {"human/train": ("rare", "tokens"), "human/train_documents": ("train_ngrams", "text")}
    columns["human/held_out_documents"] = ("held_out_ngrams", "text")
    return {columns[entry["name"]][0]: [Origin(entry, columns[entry["name"]][1], "AGGREGATION")] for entry in texts}


def _gathered(by_role: Mapping[str, list[Entry]], names: list[str], parameters: Mapping[str, Any]) -> Origins:
    """Rows taken over as they are, human ones with the founder's score for their id; the pass that reads them is no row's own."""
    names = [name for name in names if name in ROWS.names]
    taken = [entry for role in ("offspring", "previous") for entry in by_role.get(role, [])]
    human, scores = by_role.get("human", []), by_role.get("scores", [])
    fields = {name: [Origin(entry, name, "IDENTITY") for entry in taken] for name in names}
    for name in names:
        fields[name] += [Origin(entry, name, "IDENTITY") for entry in (scores if human and name == "nll_nats" else human)]
    rows = [Origin(entry, "id", "JOIN") for entry in (*human, *scores)] if human else []
    steps = [step["name"] for key, recipe in parameters.items() if key.endswith(".recipe") for step in recipe["steps"]]
    looked_at = list(dict.fromkeys(_STEP_COLUMNS.get(step, "text") for step in steps))
    rows += [Origin(entry, column, "FILTER") for entry in taken for column in looked_at]
    return Origins(fields, rows + [Origin(entry, "text", "FILTER") for entry in by_role.get("held out", [])])
