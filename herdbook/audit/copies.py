"""Which rows share a run of words with known text: what duplicates.overlaps says, at a fifth of its time.

A quick look in Arrow passes over rows of plain ASCII that cannot share a run, for their words, numbered by
the vocabulary of the known text, make none of its runs; only what is left is looked at as overlaps does it."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from herdbook.duplicates import ngrams_of, overlaps

_WORD = re.compile(r"\w+")  # as in duplicates
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_AS_WORDS = np.full(256, ord(" "), np.uint8)  # bytes of words as they are, all others a space
_AS_WORDS[[byte for byte in range(128) if _WORD.match(chr(byte))]] = [byte for byte in range(128) if _WORD.match(chr(byte))]


class Copies:
    """Known texts, whose runs of `num_words` words are looked for in others."""

    def __init__(self, texts: list[str], num_words: int) -> None:
        words = [_WORD.findall(text.lower()) for text in texts]
        numbers = {word: number for number, word in enumerate(dict.fromkeys(word for found in words for word in found))}
        self._num_words, self._vocabulary = num_words, pa.array(numbers, pa.string())
        ids = np.array([numbers[word] for found in words for word in found], np.int64)
        self._runs = np.unique(self._runs_of(ids, np.repeat(np.arange(len(words)), [len(found) for found in words]))[0])
        self.ngrams = ngrams_of(texts, num_words)

    def are_in(self, texts: pa.StringArray) -> NDArray[np.bool_]:
        """For each text of a column, whether it holds a run of the known ones; a null holds none."""
        texts = pc.fill_null(texts, "")
        words = pc.ascii_split_whitespace(_plain(pc.ascii_lower(texts)))
        ids = pc.fill_null(pc.index_in(words.values, value_set=self._vocabulary), -1).to_numpy(zero_copy_only=False).astype(np.int64)
        runs, owners = self._runs_of(ids, np.repeat(np.arange(len(texts)), pc.list_value_length(words).to_numpy()))
        is_suspect = ~pc.string_is_ascii(texts).to_numpy(zero_copy_only=False)
        is_suspect[owners[np.isin(runs, self._runs)]] = True
        suspects = texts.filter(pa.array(is_suspect)).to_pylist()
        is_suspect[is_suspect] = overlaps(suspects, self.ngrams, self._num_words)
        return is_suspect

    def _runs_of(self, ids: NDArray[np.int64], owners: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """A number for each run of known words within one text, and whose it is."""
        num_runs = max(len(ids) - self._num_words + 1, 0)
        num_unknown = np.concatenate([[0], np.cumsum(ids < 0)])
        is_run = (num_unknown[len(ids) - num_runs + 1 :] == num_unknown[:num_runs]) & (owners[len(ids) - num_runs :] == owners[:num_runs])
        starts = np.flatnonzero(is_run)
        runs = np.zeros(len(starts), np.uint64)
        for place in range(self._num_words):
            runs = runs * _FACTOR + ids[starts + place].astype(np.uint64)
        return runs, owners[starts]


def _plain(texts: pa.StringArray) -> pa.StringArray:
    """The words of ASCII texts with single bytes of space for all between them."""
    _, offsets, data = texts.buffers()
    mapped = _AS_WORDS[np.frombuffer(data, np.uint8)] if data else np.empty(0, np.uint8)
    return pa.StringArray.from_buffers(len(texts), offsets, pa.py_buffer(mapped.tobytes()), None, 0, texts.offset)
