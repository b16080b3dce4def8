"""Texts that repeat other texts: near-duplicates by word 3-shingles, and shared word n-grams.

A word is a lower-cased run of letters, digits and underscores. Words become 64-bit BLAKE2b digests and
n-grams a polynomial of these modulo 2**64, so results depend on the texts alone, not on Python's hash().
Near-duplicates are found exactly, by prefix filtering (Bayardo, Ma, Srikant 2007, "Scaling up all pairs
similarity search"): sets of Jaccard >= t must share one of their |s| - ceil(t |s|) + 1 rarest shingles."""

import math
import re
from collections.abc import Sequence
from hashlib import blake2b
from itertools import chain

import numpy as np
from numpy.typing import NDArray

SHINGLE_WORDS = 3

_WORD = re.compile(r"\w+")
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that a factor never loses bits


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


def ngrams_of(texts: Sequence[str], n: int) -> NDArray[np.uint64]:
    """The distinct word n-grams of all the texts as sorted 64-bit hashes; none spans two texts, nor comes of fewer than `n` words."""
    return distinct_of(hashed_ngrams(words_of(texts), n)[0])


def overlaps(texts: Sequence[str], known: NDArray[np.uint64], n: int) -> list[bool]:
    """For each text, whether it holds a word n-gram of `known` (sorted, from ngrams_of with the same `n`)."""
    hashes, owners = hashed_ngrams(words_of(texts), n)
    is_shared = np.zeros(len(texts), dtype=bool)
    is_shared[owners[is_in(hashes, known)]] = True
    return is_shared.tolist()


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
    words = words_of(texts)
    hashes, owners = hashed_ngrams(words, SHINGLE_WORDS)
    short = [number for number, found in enumerate(words) if len(found) < SHINGLE_WORDS]
    whole = [_digest(" ".join(words[number]) or texts[number]) for number in short]
    hashes = np.concatenate([hashes, np.array(whole, dtype=np.uint64)])
    owners = np.concatenate([owners, np.array(short, dtype=np.int64)])
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


def words_of(texts: Sequence[str]) -> list[list[str]]:
    """The words of each text, lower-cased."""
    return [_WORD.findall(text.lower()) for text in texts]


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


class _Digests(dict[str, int]):
    def __missing__(self, word: str) -> int:
        self[word] = _digest(word)
        return self[word]


def hashed_ngrams(words: Sequence[Sequence[str]], n: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The hash of every word n-gram, and the number of the text it stands in; same shape, in text order."""
    lengths = np.array([len(found) for found in words], dtype=np.int64)
    num_words = int(lengths.sum())
    hashes = np.fromiter(map(_Digests().__getitem__, chain(*words)), dtype=np.uint64, count=num_words)
    owners = np.repeat(np.arange(len(words)), lengths)
    num_windows = max(num_words - n + 1, 0)
    windows = np.zeros(num_windows, dtype=np.uint64)
    for offset in range(n):
        windows = windows * _BASE + hashes[offset : offset + num_windows]
    is_whole = owners[:num_windows] == owners[num_words - num_windows :]
    return windows[is_whole], owners[:num_windows][is_whole]


def is_in(hashes: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """For each hash, whether it is among `known`, which is sorted."""
    if not len(known):
        return np.zeros(len(hashes), dtype=bool)
    places = np.searchsorted(known, hashes)
    return known[np.minimum(places, len(known) - 1)] == hashes
