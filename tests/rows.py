"""Tiny tables of rows for tests."""

import pyarrow as pa

from herdbook.rows import row_id, rows_table


def rows_of(
    document: str,
    count: int,
    model: str | None = None,
    generation: int = 0,
    depth: float = 0.0,
    tokens: list[int] | None = None,
    text: str | None = None,
    nll: float | None = 1.0,
) -> pa.Table:
    """`count` rows of four tokens each (or of `tokens`), whose texts differ."""
    return rows_table(
        [
            {
                "id": row_id(model, document, index, tokens or [1, 2, 3, index]),
                "generation": generation,
                "model": model,
                "document": document,
                "index": index,
                "depth": depth,
                "tokens": tokens or [1, 2, 3, index],
                "num_tokens": len(tokens or [1, 2, 3, index]),
                "text": text if text is not None else f"{document} says {index}",
                "nll_nats": nll,
            }
            for index in range(count)
        ]
    )
