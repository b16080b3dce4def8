"""Texts that repeat other texts: near-duplicates by word 3-shingles, and shared word n-grams.

Words and their n-grams are those of herdbook/words.py.
Near-duplicates are found exactly, by prefix filtering (Bayardo, Ma, Srikant 2007, "Scaling up all pairs
similarity search"): sets of Jaccard >= t must share one of their |s| - ceil(t |s|) + 1 rarest shingles."""

import math
from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from herdbook.words import Hashes, Lookup, blocks, digest, hashed_ngrams, hashed_words, words_of

SHINGLE_WORDS = 3


def near_duplicates(texts: Sequence[str], jaccard: float) -> list[int | None]:
    """For each text the index of the first earlier kept text that it nearly repeats; None keeps the text.

    Two texts are alike where the Jaccard similarity of their word 3-shingles is at least `jaccard`
    (0 < jaccard <= 1). A text of fewer words is one shingle, so that exact copies are always found."""
    shelf = _Shelf(texts, jaccard)
    found: list[int | None] = []
    for number in range(len(texts)):
        found.append(shelf.first_like(number))
        if found[-1] is None:
            shelf.put(number)
    return found


def matches(texts: Sequence[str], others: Sequence[str], jaccard: float) -> list[bool]:
    """For each of `texts`, whether it nearly repeats any of `others`; alike as in near_duplicates."""
    shelf = _Shelf([*texts, *others], jaccard)
    for number in range(len(others)):
        shelf.put(len(texts) + number)
    return [shelf.first_like(number) is not None for number in range(len(texts))]


def ngrams_of(texts: Sequence[str], n: int) -> Hashes:
    """The distinct word n-grams of all the texts as sorted 64-bit hashes; none spans two texts, nor comes of fewer than `n` words."""
    return distinct_of(hashed_ngrams(hashed_words(texts), n)[0])


def overlaps(texts: Sequence[str], known: Hashes, n: int) -> list[bool]:
    """For each text, whether it holds a word n-gram of `known` (sorted, from ngrams_of with the same `n`)."""
    lookup = Lookup(known)
    found = [lookup.owners_of_any(*hashed_ngrams(hashed_words(block), n), len(block)).tolist() for block in blocks(texts)]
    return list(chain.from_iterable(found))


class _Shelf:
    """Texts put aside so far, found again by what they share with another."""

    def __init__(self, texts: Sequence[str], jaccard: float) -> None:
        self.jaccard = jaccard
        self.shingles, self.num_lone = _shingles(texts)
        self.sets: dict[int, frozenset[int]] = {}  # made on first use: few texts are ever compared
        self.postings: dict[int, list[int]] = {}

    def put(self, number: int) -> None:
        """Add a text of the list."""
        for shingle in self._prefix(number):
            self.postings.setdefault(shingle, []).append(number)

    def first_like(self, number: int) -> int | None:
        """The lowest number on the shelf whose text is like this one."""
        postings = [self.postings[shingle] for shingle in self._prefix(number) if shingle in self.postings]
        return next((other for other in sorted(set(chain(*postings))) if self._is_like(number, other)), None)

    def _prefix(self, number: int) -> list[int]:
        shingles = self.shingles[number]
        shared = math.ceil(self.jaccard * len(shingles) - 1e-9)  # at least so many, less a rounding error
        prefix = shingles[: len(shingles) - shared + 1]
        return prefix[np.searchsorted(prefix, self.num_lone) :].tolist()  # a shingle of one text finds none

    def _is_like(self, one: int, other: int) -> bool:
        sizes = len(self.shingles[one]), len(self.shingles[other])
        if min(sizes) < self.jaccard * max(sizes) * (1 - 1e-9):
            return False
        num_shared = len(self._set(one) & self._set(other))
        return num_shared / (sum(sizes) - num_shared) >= self.jaccard

    def _set(self, number: int) -> frozenset[int]:
        if number not in self.sets:
            self.sets[number] = frozenset(self.shingles[number].tolist())
        return self.sets[number]


def _shingles(texts: Sequence[str]) -> tuple[list[NDArray[np.int64]], int]:
    """The distinct shingles of each text, the rarest first, as ranks; and how many ranks occur in one text only."""
    hashes, owners = hashed_ngrams(hashed_words(texts), SHINGLE_WORDS)
    short = np.flatnonzero(np.bincount(owners, minlength=len(texts)) == 0)
    whole = b"".join(digest((" ".join(words_of(texts[number])) or texts[number]).encode()) for number in short.tolist())
    hashes, owners = np.concatenate([hashes, np.frombuffer(whole, dtype="<u8")]), np.concatenate([owners, short])
    distinct, ids = np.unique(hashes, return_inverse=True)
    pairs = distinct_of(owners * len(distinct) + ids)
    num_texts = np.bincount(pairs % max(len(distinct), 1), minlength=len(distinct))
    ranks = np.empty(len(distinct), dtype=np.int64)
    ranks[np.argsort(num_texts, kind="stable")] = np.arange(len(distinct))  # ties in order of hash
    owners, ids = np.divmod(pairs, max(len(distinct), 1))
    pairs = np.sort(owners * len(distinct) + ranks[ids])
    bounds = np.searchsorted(pairs, np.arange(1, len(texts)) * len(distinct))
    return np.split(pairs % max(len(distinct), 1), bounds), int(np.count_nonzero(num_texts == 1))


def distinct_of(values: NDArray) -> NDArray:
    """Each value once, sorted."""
    return np.unique(values, return_counts=True)[0]  # sorts; without counts numpy 2.4 hashes, 40 times slower
