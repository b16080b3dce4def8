"""Rows: the tables that models write and train on, and what names a row."""

from collections.abc import Sequence

import pyarrow as pa

from herdbook.files import digest_bytes
from herdbook.schema import ROWS


def row_id(model: str | None, document: str | None, index: int, tokens: Sequence[int]) -> str:
    """The id of a row: sha256 over the model that wrote it, its document, its place and its tokens, in hex."""
    return digest_bytes("\0".join([model or "human", document or "", str(index), ",".join(map(str, tokens))]).encode())


def rows_table(rows: Sequence[dict[str, object]]) -> pa.Table:
    """A table of ROWS from one mapping a row."""
    return pa.Table.from_pylist(list(rows), schema=ROWS)


def num_tokens(rows: pa.Table) -> int:
    """All tokens of a table of rows."""
    return int(sum(rows["num_tokens"].to_pylist()))
