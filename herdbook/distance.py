"""How far two files that should be one are apart: tensors, tables and JSON by their values, all else by its bytes."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors import SafetensorError

from herdbook.errors import one_line
from herdbook.files import rounded

Distance = dict[str, Any]  # plain values; `kind` is tensors, table, json or bytes
Values = NDArray[np.float64]

_UNREADABLE = (pa.ArrowException, SafetensorError, OSError, ValueError, RecursionError)
_NOTHING = "nothing"  # what a person is shown for a key that one side lacks
_SHOWN = 5  # of the tensors, columns and keys that differ; JSON output has them all


def distance(old: Path, new: Path, name: str) -> Distance:
    """How far the file `new` is from `old`; `name` says by its ending what they should be.

    A file that cannot be read as such is compared byte by byte."""
    kinds = {".safetensors": _tensors, ".parquet": _tables, ".json": _documents}
    compare = kinds.get(Path(name).suffix, _bytes)
    try:
        return compare(old, new)
    except _UNREADABLE as error:
        return {**_bytes(old, new), "why": f"not read as {Path(name).suffix[1:]} ({type(error).__name__})"}


def _tensors(old: Path, new: Path) -> Distance:
    """Per tensor that differs: the largest absolute difference, and the largest relative to the greater magnitude of the two (0 to 2)."""
    from safetensors import safe_open

    found: dict[str, Any] = {}
    with safe_open(old, framework="pt") as before, safe_open(new, framework="pt") as after:
        for name in sorted({*before.keys(), *after.keys()}):
            left, right = (side.get_tensor(name) if name in side.keys() else None for side in (before, after))  # noqa: SIM118  # no mapping
            if left is None or right is None or left.shape != right.shape:
                found[name] = {"shapes": [None if tensor is None else list(tensor.shape) for tensor in (left, right)]}
            elif gap := _gap(left.double().numpy().ravel(), right.double().numpy().ravel()):
                found[name] = gap
    return {"kind": "tensors", "apart": found}


def _tables(old: Path, new: Path) -> Distance:
    """Rows of one id are compared, or without shared ids rows of one place. Per column that differs: in how many, and numbers how far."""
    tables = [pq.read_table(old), pq.read_table(new)]
    num_rows = [table.num_rows for table in tables]
    before, after, by = _paired(*tables)
    differs = np.zeros(before.num_rows, dtype=bool)
    found: dict[str, Any] = {}
    for name in dict.fromkeys([*before.column_names, *after.column_names]):
        types = [str(table.schema.field(name).type) if name in table.column_names else None for table in (before, after)]
        if types[0] != types[1]:
            found[name] = {"types": types}
            continue
        left, right = (table[name].combine_chunks() for table in (before, after))
        is_other = _is_other(left, right)
        if is_other.any():
            differs |= is_other
            found[name] = {"num_apart": int(is_other.sum()), **(_number_gap(left, right) or {})}
    counts = {"num_rows": num_rows, "compared_by": by, "num_compared": before.num_rows, "num_rows_apart": int(differs.sum())}
    return {"kind": "table", **counts, "apart": found}


def _paired(before: pa.Table, after: pa.Table) -> tuple[pa.Table, pa.Table, str]:
    """The rows of both tables that are to be compared, in one order, and by what they were paired."""
    if all("id" in table.column_names and pc.count_distinct(table["id"]).as_py() == table.num_rows for table in (before, after)):
        places = pc.index_in(before["id"], value_set=after["id"])
        shared = pc.is_valid(places)
        if pc.any(shared).as_py():
            return before.filter(shared), after.take(places.drop_null()), "id"
    count = min(before.num_rows, after.num_rows)
    return before.slice(0, count), after.slice(0, count), "place"


def _is_other(left: pa.Array, right: pa.Array) -> NDArray[np.bool_]:
    """For each place, whether the two values differ; null equals null."""
    if pa.types.is_list(left.type):  # Arrow compares no lists
        left, right = (pc.binary_join(column.cast(pa.list_(pa.string())), " ") for column in (left, right))
    both = pc.fill_null(pc.equal(left, right), False)
    return np.asarray(pc.invert(pc.or_(both, pc.and_(pc.is_null(left), pc.is_null(right)))), dtype=bool)


def _number_gap(left: pa.Array, right: pa.Array) -> Distance | None:
    """The gap of two columns of numbers where both have one; None for other types."""
    if not (pa.types.is_integer(left.type) or pa.types.is_floating(left.type)):
        return None
    return _gap(*(np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False)) for column in (left, right)))


def _documents(old: Path, new: Path) -> Distance:
    """Per key that differs, dotted: both values; None on the side that lacks it."""
    before, after = (dict(leaves(json.loads(path.read_bytes()))) for path in (old, new))
    keys = sorted({*before, *after})
    return {"kind": "json", "apart": {key: [before.get(key), after.get(key)] for key in keys if before.get(key) != after.get(key)}}


def _bytes(old: Path, new: Path) -> Distance:
    """Both sizes, and where the first byte differs."""
    before, after = (np.frombuffer(path.read_bytes(), dtype=np.uint8) for path in (old, new))
    shared = min(before.size, after.size)
    places = np.flatnonzero(before[:shared] != after[:shared])
    return {"kind": "bytes", "num_bytes": [before.size, after.size], "first_at": int(places[0]) if places.size else shared}


def _gap(old: Values, new: Values) -> Distance | None:
    """The largest absolute and relative difference; None where all are equal, and for a figure that is not finite."""
    is_same = (old == new) | (np.isnan(old) & np.isnan(new))
    if is_same.all():
        return None
    old, new = old[~is_same], new[~is_same]
    with np.errstate(invalid="ignore"):
        apart = np.abs(new - old)
        relative = apart / np.maximum(np.abs(old), np.abs(new))
    return {"num_values": int(apart.size), "max_absolute": rounded(float(apart.max())), "max_relative": rounded(float(relative.max()))}


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of everything in nested mappings; a list is one value."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from leaves(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def told(found: Distance) -> list[str]:
    """A distance in words for a person, a line each; long lists are cut."""
    if found["kind"] == "bytes":
        sizes = " and ".join(f"{size:,}" for size in found["num_bytes"])
        return [f"{sizes} bytes, first apart at byte {found['first_at']:,}" + (f"; {found['why']}" if "why" in found else "")]
    lines = [f"{one_line(name)}: {_gap_told(gap)}" for name, gap in found["apart"].items()]
    if len(lines) > _SHOWN:
        lines[_SHOWN:] = [f"and {len(lines) - _SHOWN} more"]
    if found["kind"] == "table":
        before, after = (count - found["num_compared"] for count in found["num_rows"])
        surplus = f"; {before:,} more rows are recorded, {after:,} more came out" if before or after else ""
        compared = f"{found['num_compared']:,} rows differ, compared by {found['compared_by']}"
        lines.insert(0, f"{found['num_rows_apart']:,} of {compared}{surplus}")
    return lines or ["the same values, written otherwise"]


def _gap_told(gap: Distance | list) -> str:
    if isinstance(gap, list):
        return " became ".join(_NOTHING if side is None else one_line(json.dumps(side, ensure_ascii=False))[:60] for side in gap)
    if sides := gap.get("shapes") or gap.get("types"):
        return " became ".join(_NOTHING if side is None else str(side) for side in sides)
    rows = [f"{gap['num_apart']:,} rows"] if "num_apart" in gap else []
    if "max_absolute" in gap:
        rows.append(f"by up to {_figure(gap['max_absolute'])} ({_figure(gap['max_relative'])} of the value)")
    return " ".join(rows)


def _figure(value: float | None) -> str:
    return "no finite number" if value is None else f"{value:.3g}"
