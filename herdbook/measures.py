"""Formulas that measure a set of texts: pure functions of arrays, each with its source.

Tokens come as two arrays of shape (num_tokens,): the token ids of all rows one after another, and the
number of the row that each stands in (0, 1, ...; ascending). A measure of nothing is None."""

import math
from collections.abc import Sequence
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ids = NDArray[np.int64]

_HASHED_TEXTS = 1 << 14  # in memory at once
_REPEATED = (2, 3, 4)  # the n of rep-n


def flattened(column: pa.ChunkedArray) -> tuple[Ids, Ids]:
    """The tokens of a list column, one row after another, and the number of the row of each; null is an empty row."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    return pc.list_flatten(column).to_numpy().astype(np.int64), np.repeat(np.arange(len(column)), lengths)


def row_ngrams(tokens: Ids, rows: Ids, longest: int) -> list[tuple[Ids, Ids]]:
    """For n = 1 .. longest the n-grams within rows: an id for each (equal where the tokens are) and its row."""
    _, types = np.unique(tokens, return_inverse=True)
    num_types, ids = int(types.max(initial=0)) + 1, types
    found = [(types, rows)]
    for n in range(2, longest + 1):
        num_windows = max(len(tokens) - n + 1, 0)
        _, ids = np.unique(ids[:num_windows] * num_types + types[len(types) - num_windows :], return_inverse=True)
        is_whole = rows[:num_windows] == rows[len(rows) - num_windows :]
        found.append((ids[is_whole], rows[:num_windows][is_whole]))
    return found


def distinct_share(ids: Ids) -> float | None:
    """distinct-n: distinct n-grams over all n-grams (Li et al. 2016, "A diversity-promoting objective function")."""
    return len(_counts(ids)) / len(ids) if len(ids) else None


def entropy_bits(ids: Ids) -> float | None:
    """The Shannon entropy of the n-grams' frequencies in bits: log2 N - sum c log2 c / N over counts c of N n-grams."""
    if not len(ids):
        return None
    counts, times = np.unique(_counts(ids), return_counts=True)
    # fsum and math.log2, since numpy's sum and log differ in the last bits between instruction sets
    return math.log2(len(ids)) - math.fsum(n * c * math.log2(c) for c, n in zip(counts.tolist(), times.tolist(), strict=True)) / len(ids)


def rare_half(tokens: Ids) -> Ids:
    """The rarer half of the token types that occur, in order of id: types by (count, id), the lower half, rounded down."""
    types, counts = np.unique(tokens, return_counts=True)
    return np.sort(types[np.argsort(counts, kind="stable")][: len(types) // 2])


def tail(tokens: Ids, rare: Ids) -> tuple[float | None, float | None]:
    """The share of the `rare` types that occur, and the share of the tokens that are of them.

    Collapse begins with the loss of the tails (Shumailov et al. 2024, definition 2.1)."""
    is_rare = np.isin(tokens, rare)
    coverage = len(_counts(tokens[is_rare])) / len(rare) if len(rare) else None
    return coverage, float(np.count_nonzero(is_rare)) / len(tokens) if len(tokens) else None


def repetition(tokens: Ids, rows: Ids, num_rows: int) -> NDArray[np.float64]:
    """For each row 1 - (1 - rep-2)(1 - rep-3)(1 - rep-4); rep-n = 1 - distinct n-grams / n-grams, 0 in a row of none.

    Su et al. 2022, "A contrastive framework for neural text generation", section 4.1, within rows."""
    kept = np.ones(num_rows)
    for ids, owners in row_ngrams(tokens, rows, max(_REPEATED))[min(_REPEATED) - 1 :]:
        totals = np.bincount(owners, minlength=num_rows)
        num_ids = int(ids.max(initial=0)) + 1
        codes = np.unique(owners * num_ids + ids, return_counts=True)[0]
        num_distinct = np.bincount(codes // num_ids, minlength=num_rows)
        kept *= np.where(totals > 0, num_distinct / np.maximum(totals, 1), 1.0)
    return 1 - kept


def compression_ratio(texts: Sequence[str]) -> float | None:
    """UTF-8 bytes of the texts joined by newlines over the bytes of their gzip (level 9); higher is more redundant.

    The gzip is that of the pinned pyarrow: the one that Python links differs between machines."""
    data = "\n".join(texts).encode()
    return len(data) / len(pa.Codec("gzip", compression_level=9).compress(data, asbytes=True)) if data else None


def exact_duplicate_share(texts: Sequence[str] | pa.ChunkedArray) -> float | None:
    """1 - distinct texts / texts. Texts whose hash no other has are not compared, so memory is 24 bytes a text and the copies."""
    column = texts if isinstance(texts, pa.ChunkedArray) else pa.chunked_array([pa.array(texts, pa.string())])
    if not len(column):
        return None
    blocks = (column.slice(start, _HASHED_TEXTS).to_pylist() for start in range(0, len(column), _HASHED_TEXTS))
    hashes = np.fromiter(map(hash, chain.from_iterable(blocks)), dtype=np.int64, count=len(column))
    _, places, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    is_alone = counts[places] == 1
    num_distinct = int(np.count_nonzero(is_alone)) + pc.count_distinct(column.filter(pa.array(~is_alone)), mode="all").as_py()
    return 1 - num_distinct / len(column)


def mean(values: NDArray[np.float64], weights: NDArray | None = None) -> float | None:
    """The (weighted) mean, summed exactly; None for no values or no weight."""
    weights = np.ones(len(values)) if weights is None else weights
    total = math.fsum(weights)
    return math.fsum(values * weights) / total if total else None


def quantile(values: NDArray[np.float64], share: float) -> float | None:
    """The value that `share` of the values lie below, interpolated linearly between neighbours."""
    return float(np.quantile(values, share)) if len(values) else None


def wasserstein_1(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """The Wasserstein-1 distance of two samples: the area between their cumulative distributions, in their unit."""
    if not len(one) or not len(other):
        return None
    values = np.sort(np.concatenate([one, other]))
    shares = [np.searchsorted(np.sort(sample), values[:-1], side="right") / len(sample) for sample in (one, other)]
    return math.fsum(np.abs(shares[0] - shares[1]) * np.diff(values))


def _counts(ids: Ids) -> Ids:
    """How often each distinct id occurs."""
    return np.unique(ids, return_counts=True)[1]
