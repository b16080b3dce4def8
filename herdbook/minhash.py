"""Near-duplicates in sets too large to be compared exactly: MinHash-LSH says which texts to compare, herdbook/duplicates.py compares them.

MinHash keeps the least shingle under each of many permutations; two texts keep the same one with the probability of
their Jaccard similarity (Broder 1997, "On the resemblance and containment of documents"). Texts that agree with some
other in all permutations of a band are compared, each with each; the rest are kept unseen. So whatever is found is a
near-duplicate as there, and of these at least `found_share` are found; a few more where a later text agrees with one of
two that do not agree with each other. Memory goes by sketches, and by the words of the texts compared."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from herdbook import duplicates
from herdbook.duplicates import SHINGLE_WORDS
from herdbook.words import hashed_ngrams, hashed_words

LEAST_FOUND = 0.95  # of the pairs just at the threshold; of more alike ones more

_Item = TypeVar("_Item")
_SEED = 0  # of the permutations; one for all sets, so that a set's near-duplicates depend on its texts alone
_SKETCHED_TEXTS = 1 << 14  # whose words are in memory at once: 4 KB for a text of 64 words
_COMPARED_TEXTS = 1 << 17  # likewise, less those kept so far: 9 KB


def near_duplicates(texts: Sequence[str], jaccard: float, num_permutations: int) -> list[int | None]:
    """As duplicates.near_duplicates, but that texts which agree with none in a band are not compared."""
    found: list[int | None] = [None] * len(texts)
    kept: list[int] = []
    for block in _blocks(_candidates(texts, jaccard, num_permutations), _COMPARED_TEXTS):
        numbers = [*kept, *block]  # those kept repeat none of each other, and are kept again
        firsts = duplicates.near_duplicates([texts[number] for number in numbers], jaccard)
        for number, first in zip(numbers, firsts, strict=True):
            found[number] = None if first is None else numbers[first]
        kept = [number for number, first in zip(numbers, firsts, strict=True) if first is None]
    return found


def matches(texts: Sequence[str], others: Sequence[str], jaccard: float, num_permutations: int) -> list[bool]:
    """As duplicates.matches, but that texts which agree with none in a band are not compared."""
    both = [*texts, *others]
    candidates = _candidates(both, jaccard, num_permutations)
    split = bisect_left(candidates, len(texts))
    known = [both[number] for number in candidates[split:]]
    found = [False] * len(texts)
    for block in _blocks(candidates[:split], _COMPARED_TEXTS):
        for number, is_match in zip(block, duplicates.matches([texts[number] for number in block], known, jaccard), strict=True):
            found[number] = is_match
    return found


def found_share(jaccard: float, num_bands: int, band_permutations: int) -> float:
    """The share of the pairs of this similarity that agree in some band: 1 - (1 - s**r)**b.

    Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4.2."""
    return 1 - (1 - jaccard**band_permutations) ** num_bands


def bands(jaccard: float, num_permutations: int) -> tuple[int, int]:
    """How many bands, and the permutations of each: the longest bands that find LEAST_FOUND of the pairs at `jaccard`.

    Longer bands let fewer unlike texts through. Raises ValueError where even single permutations find fewer."""
    for length in range(num_permutations, 0, -1):
        if found_share(jaccard, num_permutations // length, length) >= LEAST_FOUND:
            return num_permutations // length, length
    raise ValueError(f"{num_permutations} permutations find less than {LEAST_FOUND:.0%} of the pairs of Jaccard {jaccard}; give more")


def _candidates(texts: Sequence[str], jaccard: float, num_permutations: int) -> list[int]:
    """The numbers of the texts that agree with another in some band, in order."""
    from rensa import RMinHash, RMinHashLSH

    num_bands, length = bands(jaccard, num_permutations)
    shingles = chain.from_iterable(map(_shingles, _blocks(texts, _SKETCHED_TEXTS)))
    sketches = RMinHash.digest_matrix_from_token_hash_sets(shingles, num_bands * length, _SEED)
    index = RMinHashLSH(jaccard, num_bands * length, num_bands)
    return np.flatnonzero(index.query_duplicate_flags_matrix_one_shot(sketches)).tolist()


def _shingles(texts: Sequence[str]) -> list[NDArray[np.uint64]]:
    """The shingles of each text, with repetitions; of a text of fewer words none, so that such texts are all compared."""
    hashes, owners = hashed_ngrams(hashed_words(texts), SHINGLE_WORDS)
    bounds = np.searchsorted(owners, np.arange(len(texts) + 1)).tolist()
    return [hashes[start:end] for start, end in pairwise(bounds)]  # as np.split does, at a tenth of its time


def _blocks(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
