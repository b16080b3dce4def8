"""The step that thins rows so that what remains is spread as human text is, tails and all."""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from herdbook import measures
from herdbook.params import PositiveShare
from herdbook.steps.heuristics import chunks, human_quantiles
from herdbook.steps.step import Filter, Material, Need, flagged

NUM_DECILES = 10

_NUM_ROUNDS = 100  # tables of some thousand cells: milliseconds, and far more rounds than they take to settle
_MAX_WEIGHT = 10.0  # no row counts for more than ten of the average row, or for less than a tenth: none is surely lost
_UNIT = 2**32

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


class Match(Filter):
    """Keeps a share of the rows, drawn so that three histograms come near to those of human training rows.

    They are of length in tokens, of mean nats per token under the founder, and of rarity: the mean over a row's tokens of
    the decile of the token's frequency (`deciles`), 0 without tokens. Bins are cut at quantiles of human rows, and rows
    without a score are a bin of their own, which human rows leave empty. Every cell of the three bins gets one weight, by
    raking (Deming and Stephan 1940), and a row's chance to be kept is proportional to its cell's. Tails count for what
    they count among people, neither more nor less; what no row supplies, no weight can. Depends on all rows given."""

    needs: ClassVar[frozenset[Need]] = frozenset({"human"})
    keep_share: PositiveShare  # of the rows given, rounded to whole rows, halves to even
    num_bins: Annotated[int, Field(ge=2, le=100, strict=True)]  # of each histogram

    def faults(self, rows: pa.Table, material: Material) -> list[str | None]:
        """See Filter."""
        size = round(self.keep_share * rows.num_rows)
        if size in (0, rows.num_rows):
            return flagged([size == 0] * rows.num_rows)
        found, targets = binned(rows, material.human, self.num_bins)
        codes = np.ravel_multi_index(found, [len(target) for target in targets])
        _, firsts, cells, counts = np.unique(codes, return_index=True, return_inverse=True, return_counts=True)
        weights = raked(counts, [bins[firsts] for bins in found], targets)
        is_kept = np.zeros(rows.num_rows, dtype=bool)
        order = np.argsort(cells, kind="stable")
        is_kept[order[drawn(chances(weights, counts, size)[cells[order]], size, material.generator("match"))]] = True
        return flagged(~is_kept)


def binned(rows: pa.Table, human: pa.Table, num_bins: int) -> tuple[list[Numbers], list[Floats]]:
    """For each histogram the bin of every row, and the share of human rows in each bin; CorpusError where there are none."""
    rarities = deciles(human)
    found, targets = [], []
    for own, theirs in zip(_features(rows, rarities), _features(human, rarities), strict=True):
        # values that many human rows have, as the length of a full block, would else cut empty bins between equal edges
        edges = np.unique(human_quantiles(theirs, np.arange(1, num_bins) / num_bins))
        found.append(_bins(own, edges))
        shares = np.bincount(_bins(theirs, edges), minlength=len(edges) + 2)
        targets.append(shares / len(theirs))
    return found, targets


def deciles(human: pa.Table) -> Numbers:
    """The decile of each token id among the tokens of human rows, 0 to 9; the last stands for all ids above theirs.

    It is ten times the share of all tokens that are of more frequent types (of equally frequent ones, those of lower id),
    rounded down, so that each decile has about a tenth of the tokens; what people never used is in the last."""
    counts = np.bincount(measures.flattened(human["tokens"])[0])
    order = np.argsort(-counts, kind="stable")
    ordered = np.append(counts[order], 0)
    found = np.empty(len(ordered), dtype=np.int64)
    found[np.append(order, len(order))] = (np.cumsum(ordered) - ordered) * NUM_DECILES // max(int(counts.sum()), 1)
    return np.minimum(found, NUM_DECILES - 1)


def raked(counts: Numbers, members: Sequence[Numbers], targets: Sequence[Floats]) -> Floats:
    """Weights of the cells of a table of rows, 1 in the mean over rows, that bring its marginals to the targets.

    counts: rows of each cell, all positive. members: for each marginal the bin of every cell. targets: for each marginal
    the share wanted of each bin. Iterative proportional fitting (Deming and Stephan 1940), with weights held within a
    factor of ten of the mean: a target that would take more is approached as far as that allows."""
    weights = np.ones(len(counts))
    for _ in range(_NUM_ROUNDS):
        for bins, target in zip(members, targets, strict=True):
            present = np.bincount(bins, counts * weights, len(target))
            fitted = weights * (target / np.where(present > 0, present, 1))[bins]
            if fitted.any():  # else no row is where any of people is, and the marginal says nothing
                weights = np.clip(fitted * _normaliser(fitted, counts), 1 / _MAX_WEIGHT, _MAX_WEIGHT)
    return weights * _normaliser(weights, counts)


def chances(weights: Floats, counts: Numbers, size: int) -> Floats:
    """For each cell the chance of each of its rows: proportional to the weight, at most 1, and `size` in sum over the rows."""
    found, is_certain = np.ones(len(weights)), np.zeros(len(weights), dtype=bool)
    while not is_certain.all():
        rest = ~is_certain
        left = size - int(counts[is_certain].sum())
        found[rest] = weights[rest] * (left / math.fsum(weights[rest] * counts[rest]))
        if not (found > 1).any():
            break
        is_certain |= found >= 1
        found[is_certain] = 1
    return found


def drawn(chance: Floats, size: int, generator: np.random.Generator) -> Numbers:
    """The places of `size` different rows, each drawn with its chance (0 to 1, `size` in sum), in order.

    Systematic sampling (Madow 1949): neighbours are nearly as many as their chances say, so that rows given in the order
    of their cells are drawn evenly from all. In whole numbers, so that rounding neither loses a row nor draws it twice."""
    ends = np.cumsum(np.floor(chance * _UNIT).astype(np.int64))
    start = generator.integers(ends[-1] - (size - 1) * _UNIT)
    return np.searchsorted(ends, start + _UNIT * np.arange(size), side="right")


def _features(rows: pa.Table, rarities: Numbers) -> list[Floats]:
    """The number of each row in each histogram; NaN where it has none."""
    found = []
    for chunk in chunks(rows):
        tokens, owners = measures.flattened(chunk["tokens"])
        sums = np.bincount(owners, rarities[np.minimum(tokens, len(rarities) - 1)], chunk.num_rows)
        found.append(sums / np.maximum(np.bincount(owners, minlength=chunk.num_rows), 1))
    return [*(rows[name].cast(pa.float64()).to_numpy() for name in ("num_tokens", "nll_nats")), np.concatenate(found)]


def _bins(values: Floats, edges: Floats) -> Numbers:
    """How many edges each value reaches; one more than all of them for NaN."""
    return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))


def _normaliser(weights: Floats, counts: Numbers) -> float:
    return int(counts.sum()) / math.fsum(weights * counts)
