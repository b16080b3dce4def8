"""Regimes are weights: p(n+1) = a offspring + b previous + c human covers the field.

Shumailov et al. 2024 (Nature 631:755, section "Theoretical intuition") write a generation's data as such
a mixture; replace is (1, 0, 0) and their 10 % setting (0.9, 0, 0.1). "Previous" is the pool that the last
training set was drawn from, so (1, 1, 0) keeps everything (accumulate, Gerstgrasser et al. 2024) and
(1, 1, 0) with a budget draws from everything (accumulate-subsample, Kazdan et al. 2024)."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from herdbook.errors import ParamsError
from herdbook.params import Weights


def mix(
    offspring: pa.Table, previous: pa.Table, human: pa.Table, weights: Weights, budget_rows: int | None, generator: np.random.Generator
) -> tuple[pa.Table, pa.Table]:
    """The training set and the pool it was drawn from.

    Each source is a table of ROWS; `weights` says what share of its rows is taken, uniformly and without
    replacement. Human rows are drawn from those that the pool does not hold already, so that no row
    stands twice. The training set is the whole pool, or `budget_rows` of it.
    Raises ParamsError when fewer human rows are left than the weight asks for."""
    pool = pa.concat_tables([_share(offspring, weights.offspring, generator), _share(previous, weights.previous, generator)])
    fresh = human.filter(pc.invert(pc.is_in(human["id"], value_set=pool["id"])))
    num_human = round(weights.human * human.num_rows)
    if num_human > fresh.num_rows:
        raise ParamsError(
            f"params.yaml: weights.human {weights.human} asks for {num_human} human rows, but only {fresh.num_rows} of "
            f"{human.num_rows} are not in the pool already; lower weights.human or weights.previous"
        )
    pool = pa.concat_tables([pool, _draw(fresh, num_human, generator)])
    training = pool if budget_rows is None else _draw(pool, min(budget_rows, pool.num_rows), generator)
    return training, pool


def _share(rows: pa.Table, share: float, generator: np.random.Generator) -> pa.Table:
    return _draw(rows, round(share * rows.num_rows), generator)


def _draw(rows: pa.Table, count: int, generator: np.random.Generator) -> pa.Table:
    """`count` rows in their order; all of them cost no randomness."""
    if count == rows.num_rows:
        return rows
    return rows.take(np.sort(generator.choice(rows.num_rows, size=count, replace=False)))


def composition(rows: pa.Table) -> dict[str, dict[str, int]]:
    """Rows and tokens by origin: human, or the generation (g0, g1, ...) that wrote them."""
    origins = [_origin(model, number) for model, number in zip(rows["model"].to_pylist(), rows["generation"].to_pylist(), strict=True)]
    counts: dict[str, dict[str, int]] = {}
    for origin, tokens in zip(origins, rows["num_tokens"].to_pylist(), strict=True):
        count = counts.setdefault(origin, {"rows": 0, "tokens": 0})
        count["rows"] += 1
        count["tokens"] += tokens
    return counts


def _origin(model: str | None, number: int) -> str:
    return "human" if model is None else f"g{number}"


def mean_depth(rows: pa.Table) -> float:
    """The token-weighted mean depth of a table of ROWS: 0 for human text and for an empty table."""
    tokens = rows["num_tokens"].to_numpy()
    return float(np.average(rows["depth"].to_numpy(), weights=tokens)) if tokens.sum() else 0.0
