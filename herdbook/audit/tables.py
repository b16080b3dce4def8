"""Tables of rows, boiled down: what an audit keeps of a file, read in pieces.

Every row becomes a mark, 16 bytes over all that it holds but its score: whether a row is one of its parent's is
then a comparison of whole rows at a fraction of their memory."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from herdbook.audit.copies import Copies
from herdbook.phases import Advance
from herdbook.reference import SHARED_WORDS

_BATCH_ROWS = 1 << 14
_MARKED = ("id", "generation", "model", "document", "prompt", "index", "depth", "num_tokens")  # and the tokens and the text


@dataclass(frozen=True)
class Table:
    """What one file of rows comes down to."""

    num_rows: int
    marks: pa.FixedSizeBinaryArray
    models: frozenset[str]  # whoever wrote rows
    authors: frozenset[tuple[str | None, int, float]]  # (model, generation, depth) of rows; of what people and models wrote
    documents: frozenset[str | None]  # which its rows are of, or were prompted by; of what people and models wrote
    num_held_out: int  # rows that are of, or were prompted by, a held-out document
    copied: frozenset[bytes]  # marks of rows that share a run of words with held-out text; of what people and models wrote
    num_misnamed: int  # rows whose id is not that of what they hold
    reasons: Mapping[str, int]  # rows by the step that rejected them


@dataclass(frozen=True)
class HeldOut:
    """What may not train: its documents' ids and their text."""

    documents: pa.Array
    text: Copies


def read_held_out(path: Path) -> HeldOut:
    """The held-out documents of a parquet file."""
    table = pq.read_table(path, columns=["id", "text"])
    return HeldOut(table["id"].combine_chunks(), Copies(table["text"].to_pylist(), SHARED_WORDS))


def read_documents(path: Path, advance: Advance) -> dict[str, str]:
    """id -> sha256 of the text, of each document; `advance` is told of those that were read."""
    found = {}
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(256, columns=["id", "text"]):
            for name, text in zip(batch["id"].to_pylist(), batch["text"].to_pylist(), strict=True):
                found[name] = sha256(text.encode()).hexdigest()
            advance(batch.num_rows)
    return found


def read_rows(path: Path, held_out: HeldOut, is_written: bool, advance: Advance) -> Table:
    """Boil a file of rows down; texts and ids are looked at where a person or a model `is_written` it, the rest are copies.

    `advance` is told of the rows that were read."""
    marks, copied, models, reasons = [], set[bytes](), set[str](), Counter[str]()
    authors, documents = set[tuple[str | None, int, float]](), set[str | None]()
    num_held_out = num_misnamed = 0
    with pq.ParquetFile(path) as file:
        wanted = [name for name in file.schema_arrow.names if name != "nll_nats"]
        for batch in file.iter_batches(_BATCH_ROWS, columns=wanted):
            found = _marks(batch)
            marks.append(b"".join(found))
            models.update(model for model in pc.unique(batch["model"]).to_pylist() if model)
            num_held_out += pc.sum(pc.is_in(batch["document"], value_set=held_out.documents)).as_py() or 0
            if is_written:
                said = pa.Table.from_batches([batch.select(["model", "generation", "depth"])]).group_by(["model", "generation", "depth"])
                authors.update((one["model"], one["generation"], one["depth"]) for one in said.aggregate([]).to_pylist())
                documents.update(pc.unique(batch["document"]).to_pylist())
                copied.update(found[place] for place in np.flatnonzero(held_out.text.are_in(batch["text"])))
                num_misnamed += _num_misnamed(batch)
            if "reason" in wanted:
                reasons.update(batch["reason"].to_pylist())
            advance(batch.num_rows)
        num_rows = file.metadata.num_rows
    joined = pa.py_buffer(b"".join(marks))
    array = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), num_rows, [None, joined])
    written = frozenset(models), frozenset(authors), frozenset(documents)
    return Table(num_rows, array, *written, num_held_out, frozenset(copied), num_misnamed, reasons)


def _marks(batch: pa.RecordBatch) -> list[bytes]:
    tokens = batch["tokens"]
    columns = [*(batch[name] for name in _MARKED), pc.list_value_length(tokens), batch["text"]]
    strings = [pc.fill_null(pc.cast(column, pa.string()), "\1") for column in columns]
    heads = pc.cast(pc.binary_join_element_wise(*strings, "\0"), pa.binary()).to_pylist()
    values = tokens.values.to_numpy()
    ends = (tokens.offsets.to_numpy() * values.itemsize).tolist()
    data = values.tobytes()
    return [blake2b(head + data[begin:end], digest_size=16).digest() for head, begin, end in zip(heads, ends, ends[1:], strict=False)]


def _num_misnamed(batch: pa.RecordBatch) -> int:
    """Rows whose id is not rows.row_id of them, or whose num_tokens is not the number of their tokens."""
    tokens = batch["tokens"]
    spelled = pa.ListArray.from_arrays(tokens.offsets, pc.cast(tokens.values, pa.string()))
    parts = [
        pc.fill_null(batch["model"], "human"), pc.fill_null(batch["document"], ""), pc.cast(batch["index"], pa.string()),
        pc.binary_join(spelled, ","),
    ]  # fmt: skip
    named = pc.cast(pc.binary_join_element_wise(*parts, "\0"), pa.binary()).to_pylist()
    ids = pa.array([sha256(name).hexdigest() for name in named], pa.string())
    is_right = pc.and_(pc.equal(ids, batch["id"]), pc.equal(pc.list_value_length(tokens), batch["num_tokens"]))
    return int(batch.num_rows - (pc.sum(pc.fill_null(is_right, False)).as_py() or 0))
