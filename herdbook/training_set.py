"""A training set on disk: rows, the pool they were drawn from, and the making that says how it came about."""

import pyarrow as pa

from herdbook.files import write_json, write_table, written_aside
from herdbook.layout import MAKING, Place
from herdbook.regimes import composition, mean_depth

SCORES = pa.schema([("id", pa.string()), ("nll_nats", pa.float64())])


def scored(rows: pa.Table, scores: pa.Table) -> pa.Table:
    """`rows` with the nll_nats that `scores` (columns id, nll_nats) has for their ids; KeyError where it has none."""
    nll = dict(zip(scores["id"].to_pylist(), scores["nll_nats"].to_pylist(), strict=True))
    column = pa.array([nll[row] for row in rows["id"].to_pylist()], pa.float64())
    return rows.set_column(rows.schema.get_field_index("nll_nats"), "nll_nats", column)


def write_training(place: Place, rows: pa.Table, pool: pa.Table, parents: dict[str, str], waivers: list[dict]) -> None:
    """Write place.training whole: `parents` maps a role to a digest, `waivers` lists what inspections a regime waived."""
    making = {
        "kind": "training",
        "regime": place.regime,
        "seed": place.seed,
        "generation": place.generation,
        "parents": [{"role": role, "digest": found} for role, found in sorted(parents.items())],
        "composition": composition(rows),
        "depth": mean_depth(rows),
        "waivers": waivers,
    }
    with written_aside(place.training) as aside:
        write_table(aside / "rows.parquet", rows)
        write_table(aside / "pool.parquet", pool)
        write_json(aside / MAKING, making)
