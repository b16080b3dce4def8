"""Texts as hashes: of their words, and of runs of words.

A word is a lower-cased run of letters, digits and underscores. Words become 64-bit BLAKE2b digests and
n-grams a polynomial of these modulo 2**64, so results depend on the texts alone, not on Python's hash()."""

import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from hashlib import blake2b

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Numbers = NDArray[np.int64]
Words = tuple[Hashes, Numbers]  # a hash for each, and the number of the text it stands in; same shape, in text order

BLOCK_TEXTS = 1 << 14  # whose characters are in memory at once: 3 KB for a text of 64 words

_WORD = re.compile(r"\w+")
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that a factor never loses bits
_FIRST_BITS = 22  # a table of 4 MB


def blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in order, so few at a time that memory does not grow with their number."""
    return (texts[start : start + BLOCK_TEXTS] for start in range(0, len(texts), BLOCK_TEXTS))


def words_of(text: str) -> list[str]:
    """The words of a text, lower-cased."""
    return _WORD.findall(text.lower())


def digest(text: bytes) -> bytes:
    """The 64-bit BLAKE2b digest of UTF-8, little-endian."""
    return blake2b(text, digest_size=8).digest()


_word_digest = lru_cache(1 << 17)(digest)  # 20 MB


def hashed_words(texts: Sequence[str]) -> Words:
    """Every word of all the texts."""
    found = [_hashed_words(block) for block in blocks(texts)] or [_hashed_words([])]
    owners = [owners + number * BLOCK_TEXTS for number, (_, owners) in enumerate(found)]
    return np.concatenate([hashes for hashes, _ in found]), np.concatenate(owners)


def _hashed_words(texts: Sequence[str]) -> Words:
    encoded = [text.lower().encode("utf-8", "surrogatepass") for text in texts]
    data = np.frombuffer(b"\n".join(encoded), dtype=np.uint8)
    is_of_word = _are_of_words(data)
    edges = np.flatnonzero(np.diff(is_of_word, prepend=False, append=False))
    starts, offsets = edges[::2], np.concatenate([[0], np.cumsum(np.diff(edges)[::2])])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data[is_of_word])]
    words = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(starts), buffers).dictionary_encode()
    digests = np.frombuffer(b"".join(map(_word_digest, words.dictionary.to_pylist())), dtype="<u8")
    firsts = np.cumsum([len(text) + 1 for text in encoded])  # of the next text
    counts = np.diff(np.searchsorted(starts, firsts), prepend=0)
    return digests[words.indices.to_numpy()], np.repeat(np.arange(len(texts)), counts)


def _are_of_words(data: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """For each byte of UTF-8, whether it is of a character that words have."""
    table = _word_characters()
    found = table[:256][data]
    is_beyond = data >= 0x80  # ASCII
    if is_beyond.any():
        text = data[is_beyond].tobytes().decode("utf-8", "surrogatepass")
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        found[is_beyond] = np.repeat(table[codes], 2 + (codes >= 0x800) + (codes >= 0x10000))
    return found


@cache
def _word_characters() -> NDArray[np.bool_]:
    """For each code point, whether words have it."""
    every = np.arange(sys.maxunicode + 1, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    found = np.zeros(len(every), dtype=bool)
    for run in _WORD.finditer(every):
        found[run.start() : run.end()] = True
    return found


def hashed_ngrams(words: Words, n: int) -> Words:
    """Every run of `n` words within one text."""
    hashes, owners = words
    num_windows = max(len(hashes) - n + 1, 0)
    windows = np.zeros(num_windows, dtype=np.uint64)
    for offset in range(n):
        windows *= _BASE
        windows += hashes[offset : offset + num_windows]
    is_whole = owners[:num_windows] == owners[len(owners) - num_windows :]
    return windows[is_whole], owners[:num_windows][is_whole]


class Lookup:
    """Hashes to be found among others: the first bits tell of most that are not among them, without a search."""

    def __init__(self, hashes: Hashes) -> None:
        """Of sorted hashes."""
        self._hashes = hashes
        self._occurs = np.zeros(1 << _FIRST_BITS, dtype=bool)
        self._occurs[hashes >> (64 - _FIRST_BITS)] = True

    def has(self, hashes: Hashes) -> NDArray[np.bool_]:
        """For each hash, whether it is one of them."""
        found = self._occurs[hashes >> (64 - _FIRST_BITS)]
        likely = hashes[found]
        found[found] = self._hashes[np.minimum(np.searchsorted(self._hashes, likely), len(self._hashes) - 1)] == likely
        return found

    def owners_of_any(self, hashes: Hashes, owners: Numbers, num_texts: int) -> NDArray[np.bool_]:
        """For each text, whether any of its hashes is one of them."""
        return np.bincount(owners[self.has(hashes)], minlength=num_texts) > 0
