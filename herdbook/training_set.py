"""A training set on disk: rows, the pool they were drawn from, and the making that says how it came about."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from herdbook.files import rounded, write_json, write_table, written_aside
from herdbook.layout import MAKING, Place
from herdbook.params import Mixture
from herdbook.regimes import Portion, composition, mean_depth
from herdbook.rows import num_tokens

Taken = Sequence[Portion]
SCORES = pa.schema([("id", pa.string()), ("nll_nats", pa.float64())])


def scored(rows: pa.Table, scores: pa.Table) -> pa.Table:
    """`rows` with the nll_nats that `scores` (columns id, nll_nats) has for their ids; KeyError where it has none."""
    nll = dict(zip(scores["id"].to_pylist(), scores["nll_nats"].to_pylist(), strict=True))
    column = pa.array([nll[row] for row in rows["id"].to_pylist()], pa.float64())
    return rows.set_column(rows.schema.get_field_index("nll_nats"), "nll_nats", column)


def write_training(place: Place, rows: pa.Table, pool: pa.Table, parents: dict[str, str], waivers: list[dict], taken: Taken = ()) -> None:
    """Write place.training whole.

    `rows` are of TRAINING, `pool` of ROWS; `parents` maps a role to a digest, `waivers` lists what inspections a
    regime waived, `taken` is what its mixture took."""
    making = {
        "kind": "training",
        "regime": place.regime,
        "seed": place.seed,
        "generation": place.generation,
        "parents": [{"role": role, "digest": found} for role, found in sorted(parents.items())],
        "composition": composition(rows),
        "depth": mean_depth(rows),
        "waivers": waivers,
        "mixture": realised(taken),
    }
    with written_aside(place.training) as aside:
        write_table(aside / "rows.parquet", rows)
        write_table(aside / "pool.parquet", pool)
        write_json(aside / MAKING, making)


def realised(taken: Taken) -> dict[str, dict[str, float | int | None]]:
    """What a mixture came to, by source: tokens as read, unique tokens, fraction of all tokens, and epochs."""
    read = {portion.source.source: num_tokens(portion.rows) for portion in taken}
    unique = {portion.source.source: num_tokens(portion.unique) for portion in taken}
    return {
        source: {
            "num_tokens": count,
            "num_unique_tokens": unique[source],
            "fraction": rounded(count / sum(read.values())) if count else 0.0,
            "epochs": rounded(count / unique[source]) if count else 0.0,
        }
        for source, count in read.items()
    }


def mixture_gap(found: Mapping[str, Mapping[str, float]], wanted: Mixture | None) -> float:
    """How far the tokens of the source that is farthest off lie from what the mixture asks, as a share of all; 0 without a mixture."""
    if wanted is None:
        return 0.0
    return max(abs(found[source.source]["num_tokens"] / wanted.num_tokens - source.fraction) for source in wanted.sources)
