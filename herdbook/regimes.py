"""Regimes are weights: p(n+1) = a offspring + b previous + c human covers the field.

Shumailov et al. 2024 (Nature 631:755, section "Theoretical intuition") write a generation's data as such
a mixture; replace is (1, 0, 0) and their 10 % setting (0.9, 0, 0.1). "Previous" is the pool that the last
training set was drawn from, so (1, 1, 0) keeps everything (accumulate, Gerstgrasser et al. 2024) and
(1, 1, 0) with a budget draws from everything (accumulate-subsample, Kazdan et al. 2024).

A mixture says the same in fractions of tokens, and how often each source is read, as phi-4's table 5
(technical report, 2412.08905) does."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from herdbook.errors import ParamsError
from herdbook.params import Mixture, Source, Weights
from herdbook.schema import TRAINING


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


_TAKEN_FIRST = ("previous", "offspring", "human")


@dataclass(frozen=True)
class Portion:
    """What a mixture took of one source: unique rows, each read in every full pass, and the first of them once more."""

    source: Source
    unique: pa.Table
    num_passes: int  # of every unique row
    num_again: int  # how many of the first rows are read once more

    @property
    def rows(self) -> pa.Table:
        """As read: a table of TRAINING, pass after pass."""
        passes = [self.unique] * self.num_passes + [self.unique.slice(0, self.num_again)]
        return pa.concat_tables([in_pass(rows, number) for number, rows in enumerate(passes)])


def in_pass(rows: pa.Table, number: int) -> pa.Table:
    """A table of ROWS as one of TRAINING: read for the `number`th time, from 0."""
    return rows.append_column(TRAINING.field("pass"), pa.array(np.full(rows.num_rows, number, dtype=np.int32)))


def mix_tokens(sources: Mapping[str, pa.Table], mixture: Mixture, generator: np.random.Generator) -> list[Portion]:
    """What a mixture takes of each of its sources (tables of ROWS), in its order: rows in random order, to the nearest row.

    No row is in two portions: what stands in one source is not taken of the next, previous before offspring before human.
    A source that has too few tokens gives all that it has: its fraction is then off, and the gate judges that."""
    taken: dict[str, Portion] = {}
    for source in sorted(mixture.sources, key=lambda each: _TAKEN_FIRST.index(each.source)):
        rows = sources[source.source]
        for other in taken.values():
            rows = rows.filter(pc.invert(pc.is_in(rows["id"], value_set=other.unique["id"].combine_chunks())))
        taken[source.source] = _portion(source, rows, mixture.num_tokens, generator)
    return [taken[source.source] for source in mixture.sources]


def _portion(source: Source, rows: pa.Table, num_tokens: int, generator: np.random.Generator) -> Portion:
    """Unique rows for the fraction and the epochs; where the epochs are no whole number, the first of them once more."""
    shuffled = rows.take(generator.permutation(rows.num_rows))
    unique = shuffled.slice(0, max(_nearest(shuffled, source.fraction * num_tokens / source.epochs), 1))
    num_passes, part = divmod(source.epochs, 1)
    return Portion(source, unique, int(num_passes), _nearest(unique, part * sum(unique["num_tokens"].to_pylist())))


def _nearest(rows: pa.Table, num_tokens: float) -> int:
    """How many of the first rows hold about `num_tokens` tokens: the count whose sum is nearest, the smaller of two."""
    sums = np.concatenate([[0], np.cumsum(rows["num_tokens"].to_numpy())])
    return int(np.argmin(np.abs(sums - num_tokens)))


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
