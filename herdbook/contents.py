"""What a table of rows amounts to: rows, tokens, composition and depth, from its columns alone.

Columns are read and summed in Arrow, so a million rows cost a fraction of a second and little memory."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from herdbook.errors import FileError
from herdbook.files import rounded

_COLUMNS = ["generation", "model", "num_tokens", "depth"]


def contents(path: Path) -> dict[str, Any]:
    """{num_rows, num_tokens, composition: {origin: {rows, tokens}}, depth} of a parquet file of ROWS.

    An origin is `human`, or the generation (g0, g1, ...) that wrote the rows; depth is the token-weighted
    mean, None without tokens. Raises FileError where the file cannot be read."""
    try:
        table = pq.read_table(path, columns=_COLUMNS)
    except (pa.ArrowException, OSError) as error:
        raise FileError(f"{path}: not a whole parquet file of rows ({str(error).splitlines()[0]}); write it anew (dvc repro)") from error
    tokens = table["num_tokens"].cast(pa.int64())
    num_tokens = pc.sum(tokens).as_py() or 0
    weighted = pc.sum(pc.multiply(table["depth"], tokens.cast(pa.float64()))).as_py() or 0.0
    origins = pa.table({"generation": table["generation"], "is_human": pc.is_null(table["model"]), "tokens": tokens})
    groups = origins.group_by(["is_human", "generation"], use_threads=False).aggregate([("tokens", "sum"), ("tokens", "count")])
    composition: dict[str, dict[str, int]] = {}
    for group in groups.to_pylist():
        count = composition.setdefault("human" if group["is_human"] else f"g{group['generation']}", {"rows": 0, "tokens": 0})
        count["rows"] += group["tokens_count"]
        count["tokens"] += group["tokens_sum"]
    return {
        "num_rows": table.num_rows,
        "num_tokens": num_tokens,
        "composition": dict(sorted(composition.items())),
        "depth": rounded(weighted / num_tokens) if num_tokens else None,
    }
