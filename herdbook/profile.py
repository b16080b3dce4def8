"""The profile of a table of rows: one flat object of numbers that policies and metrics refer to.

A figure that cannot be computed (of no rows, of rows without a score) is null, so that a rule on it
cannot be evaluated, and blocks."""

from collections.abc import Iterator, Sequence
from itertools import compress, pairwise
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from herdbook import measures
from herdbook.duplicates import near_duplicates
from herdbook.files import rounded
from herdbook.params import Profile
from herdbook.reference import SHARED_WORDS, Reference
from herdbook.words import BLOCK_TEXTS, Lookup, hashed_ngrams, hashed_words

Figures = dict[str, float | int | None]

_ENCODED_ROWS = 1 << 10  # whose encodings are in memory at once: 8 KB for a row of 64 tokens


class Tokenizer(Protocol):
    """What a profile asks of a tokenizer."""

    @property
    def mark(self) -> int:
        """The id of the end-of-text mark."""

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Token ids without special tokens."""


def profile(rows: pa.Table, reference: Reference, tokenizer: Tokenizer, params: Profile, target_rows: int | None = None) -> Figures:
    """Measure a table of ROWS; shares lie in 0..1, `_nats` are per token, `_bits` per n-gram.

    Diversity is measured on the first params.num_rows rows in order of id: ids are hashes, so these
    are a uniform sample, and sets of other sizes compare; a row that a mixture reads again counts once there.
    `target_rows` is how many there should be."""
    is_new, unique = _is_new(rows), rows.select(["id", "tokens", "text"])
    unique = unique if is_new is None else unique.filter(is_new)
    measured = _first(unique, params.num_rows)
    figures = {
        "num_rows": rows.num_rows,
        "num_tokens": pc.sum(rows["num_tokens"]).as_py() or 0,
        "num_rows_measured": measured.num_rows,
        "mean_tokens": measures.mean(_numbers(rows, "num_tokens")),
        "target_rows": target_rows,
        **_diversity(measured, reference),
        **_redundancy(unique, measured, params.near_duplicate_jaccard),
        **_overlap(rows, reference),
        "broken_text_share": _share(_is_broken(rows, tokenizer)),
        **_likelihood(rows, reference),
        **_ancestry(rows),
    }
    return {name: rounded(value) if isinstance(value, float) else value for name, value in figures.items()}


def _is_new(rows: pa.Table) -> pa.ChunkedArray | None:
    """Which rows are read for the first time; None where all are, as without a mixture that reads some again."""
    is_new = pc.equal(rows["pass"], 0) if "pass" in rows.column_names else None
    return None if is_new is None or pc.all(is_new, skip_nulls=False).as_py() else is_new


def _first(rows: pa.Table, num_rows: int) -> pa.Table:
    """The first rows in order of id; no others are copied."""
    is_first = np.zeros(rows.num_rows, dtype=bool)
    is_first[pc.sort_indices(rows["id"]).to_numpy()[:num_rows]] = True
    return rows.filter(pa.array(is_first)).sort_by("id")


def _diversity(measured: pa.Table, reference: Reference) -> Figures:
    tokens, rows = measures.flattened(measured["tokens"])
    one, two, three = (ids for ids, _ in measures.row_ngrams(tokens, rows, 3))
    coverage, share = measures.tail(tokens, reference.rare)
    return {
        "distinct_1": measures.distinct_share(one),
        "distinct_2": measures.distinct_share(two),
        "distinct_3": measures.distinct_share(three),
        "entropy_1_bits": measures.entropy_bits(one),
        "entropy_2_bits": measures.entropy_bits(two),
        "tail_coverage": coverage,
        "tail_share": share,
    }


def _redundancy(rows: pa.Table, measured: pa.Table, jaccard: float) -> Figures:
    tokens, owners = measures.flattened(measured["tokens"])
    texts = _texts(measured)
    return {
        "repetition": measures.mean(measures.repetition(tokens, owners, measured.num_rows)),
        "compression_ratio": measures.compression_ratio(texts),
        "exact_duplicate_share": measures.exact_duplicate_share(pc.fill_null(rows["text"], "")),
        "near_duplicate_share": _share([first is not None for first in near_duplicates(texts, jaccard)]),
    }


def _overlap(rows: pa.Table, reference: Reference) -> Figures:
    held_out, train = Lookup(reference.held_out_ngrams), Lookup(reference.train_ngrams)
    is_contaminated: list[bool] = []
    is_copied: list[bool] = []
    for chunk in _chunks(rows, BLOCK_TEXTS):
        ngrams = hashed_ngrams(hashed_words(_texts(chunk)), SHARED_WORDS)
        is_contaminated += held_out.owners_of_any(*ngrams, chunk.num_rows).tolist()
        is_copied += train.owners_of_any(*ngrams, chunk.num_rows).tolist()
    memorised = list(compress(is_copied, rows["model"].is_valid().to_pylist()))
    return {"contamination_share": _share(is_contaminated), "memorisation_share": _share(memorised) if memorised else 0.0}


def _is_broken(rows: pa.Table, tokenizer: Tokenizer) -> list[bool]:
    """For each row, whether its text does not encode back to its tokens, marks aside."""
    is_broken: list[bool] = []
    for chunk in _chunks(rows, _ENCODED_ROWS):
        tokens, owners = measures.flattened(chunk["tokens"])
        is_said = tokens != tokenizer.mark
        bounds = np.cumsum([0, *np.bincount(owners[is_said], minlength=chunk.num_rows)]).tolist()
        said = tokens[is_said].tolist()
        encoded = tokenizer.encode(_texts(chunk))
        is_broken += [found != said[start:end] for found, (start, end) in zip(encoded, pairwise(bounds), strict=True)]
    return is_broken


def _likelihood(rows: pa.Table, reference: Reference) -> Figures:
    nll = _numbers(rows, "nll_nats")
    if not np.isfinite(nll).all():
        nll = nll[:0]  # some rows have no score: the set has none
    known = nll[:0] if reference.held_out_nll is None else reference.held_out_nll
    return {
        "nll_mean_nats": measures.mean(nll),
        "nll_p05_nats": measures.quantile(nll, 0.05),
        "nll_p50_nats": measures.quantile(nll, 0.50),
        "nll_p95_nats": measures.quantile(nll, 0.95),
        "nll_distance_nats": measures.wasserstein_1(nll, known),
    }


def _ancestry(rows: pa.Table) -> Figures:
    num_tokens, depth = _numbers(rows, "num_tokens"), _numbers(rows, "depth")
    is_human = rows["model"].is_null().to_numpy()
    return {
        "depth_mean": measures.mean(depth, num_tokens),
        "depth_max": float(depth.max()) if len(depth) else None,
        "human_row_share": _share(is_human.tolist()),
        "human_token_share": measures.mean(is_human.astype(float), num_tokens),
    }


def _chunks(rows: pa.Table, num_rows: int) -> Iterator[pa.Table]:
    return (rows.slice(start, num_rows) for start in range(0, rows.num_rows, num_rows))


def _texts(rows: pa.Table) -> list[str]:
    return pc.fill_null(rows["text"], "").to_pylist()


def _numbers(rows: pa.Table, column: str) -> NDArray[np.float64]:
    """A numeric column; NaN where it is null."""
    return rows[column].cast(pa.float64()).to_numpy()


def _share(is_so: Sequence[bool]) -> float | None:
    return sum(is_so) / len(is_so) if is_so else None
