"""Steps that judge a row by its own text and tokens, by rules from papers or by what human rows measure."""

import math
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field, model_validator

from herdbook import measures
from herdbook.errors import CorpusError
from herdbook.params import Count, Share
from herdbook.steps.step import Filter, Material, Need, flagged

Bound = Annotated[float, Field(ge=0, strict=True)]
WholeBound = Annotated[int, Field(ge=0, strict=True)]

_CHUNK_ROWS = 65_536  # of 64 tokens each: what is made of them takes some 300 MB
_STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})  # Gopher's
_WORD = re.compile(r"\w+")
_LETTER = re.compile(r"[^\W\d_]")
_ELLIPSIS = re.compile(r"\.{3,}|…")
_BULLET = re.compile(r"[•‣◦▪●]|[*-]\s")  # neither paper lists its marks


def chunks(rows: pa.Table) -> Iterator[pa.Table]:
    """The rows in order, so few at a time that memory does not grow with their number; no rows are one empty chunk."""
    yield from (rows.slice(start, _CHUNK_ROWS) for start in range(0, max(rows.num_rows, 1), _CHUNK_ROWS))


def texts(rows: pa.Table) -> list[str]:
    """The text of each row; a null is an empty one."""
    return pc.fill_null(rows["text"], "").to_pylist()


def first_faults(faults: Mapping[str, NDArray[np.bool_]]) -> list[str | None]:
    """For each row the first of the named faults that it has; None where it has none."""
    names, has = [*faults, None], np.stack([*faults.values()])
    return [names[place] for place in np.where(has.any(axis=0), has.argmax(axis=0), len(faults)).tolist()]


def human_quantiles(values: NDArray[np.float64], shares: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """The values that these shares of human rows lie below, interpolated linearly; CorpusError where no row has a finite value."""
    known = values[np.isfinite(values)]
    if not len(known):
        raise CorpusError(f"human training rows: none of {len(values)} has a value to compare with; prepare and score them first")
    return np.quantile(known, shares)


class Length(Filter):
    """Rejects rows of fewer tokens."""

    min_tokens: Count

    def faults(self, rows: pa.Table, material: Material) -> list[str | None]:
        """See Filter."""
        return flagged([number < self.min_tokens for number in rows["num_tokens"].to_pylist()])


class Repetition(Filter):
    """Rejects rows that repeat their own token n-grams more (measures.repetition)."""

    max_repetition: Share

    def faults(self, rows: pa.Table, material: Material) -> list[str | None]:
        """See Filter."""
        found = [measures.repetition(*measures.flattened(chunk["tokens"]), chunk.num_rows) for chunk in chunks(rows)]
        return flagged(np.concatenate(found) > self.max_repetition)


class Gopher(Filter):
    """Rejects rows whose text breaks a rule of thumb for web pages; the first rule broken is the reason.

    The rules, and their values as defaults, are those of Gopher (Rae et al. 2021, 2112.11446, appendix A.1.1) and,
    the last two, of C4 (Raffel et al. 2020, 1910.10683, section 2.2). A word is a run between white space, a line one
    that has words; a row of no words has mean 0 and share 0. Left out is what a cut of some 64 tokens cannot answer
    for: how many words and sentences a page has, and how lines end. Gopher's rules on repetition are Repetition. Of 2,000
    human blocks of 64 tokens of the default corpus 7.6 % have fewer than two of the stop words, and 1 % break another rule."""

    min_mean_characters: Bound = 3.0  # of a word
    max_mean_characters: Bound = 10.0
    min_letter_share: Share = 0.8  # of words that have a letter
    max_hashes_per_word: Bound = 0.1
    max_ellipses_per_word: Bound = 0.1
    max_bullet_share: Share = 0.9  # of lines that begin with a bullet
    max_ellipsis_share: Share = 0.3  # of lines that end in an ellipsis
    min_stop_words: WholeBound = 2  # different ones
    max_lorem_ipsums: WholeBound = 0
    max_curly_brackets: WholeBound = 0

    def reasons(self) -> tuple[str, ...]:
        """See Step."""
        return tuple(self._breaches(""))

    def faults(self, rows: pa.Table, material: Material) -> list[str | None]:
        """See Filter."""
        return [next((reason for reason, is_so in self._breaches(text).items() if is_so), None) for text in texts(rows)]

    def _breaches(self, text: str) -> dict[str, bool]:
        lowered = text.lower()
        words = text.split()
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        num_words, num_lines = max(len(words), 1), max(len(lines), 1)
        mean_characters = sum(map(len, words)) / num_words
        return {
            "short_words": mean_characters < self.min_mean_characters,
            "long_words": mean_characters > self.max_mean_characters,
            "letters": sum(bool(_LETTER.search(word)) for word in words) / num_words < self.min_letter_share,
            "hashes": text.count("#") / num_words > self.max_hashes_per_word,
            "ellipses": len(_ELLIPSIS.findall(text)) / num_words > self.max_ellipses_per_word,
            "bullets": sum(bool(_BULLET.match(line)) for line in lines) / num_lines > self.max_bullet_share,
            "ellipsis_lines": sum(line.endswith(("...", "…")) for line in lines) / num_lines > self.max_ellipsis_share,
            "stop_words": len(_STOP_WORDS.intersection(_WORD.findall(lowered))) < self.min_stop_words,
            "lorem_ipsum": lowered.count("lorem ipsum") > self.max_lorem_ipsums,
            "curly_brackets": text.count("{") + text.count("}") > self.max_curly_brackets,
        }


class Band(Filter):
    """Rejects rows whose score lies outside two quantiles of the scores of human rows, bounds kept."""

    needs: ClassVar[frozenset[Need]] = frozenset({"human"})
    low_quantile: Share
    high_quantile: Share

    @model_validator(mode="after")
    def _leaves_room(self) -> "Band":
        if self.low_quantile >= self.high_quantile:
            raise ValueError(f"low_quantile must be below high_quantile, which is {self.high_quantile}")
        return self

    @abstractmethod
    def scores(self, rows: pa.Table, human: pa.Table) -> NDArray[np.float64]:
        """The score of each row, shape (num_rows,)."""

    def human_scores(self, human: pa.Table) -> NDArray[np.float64]:
        """The score of each human row, as of a row that is not among them."""
        return self.scores(human, human)

    def reasons(self) -> tuple[str, ...]:
        """See Step."""
        return "low", "high"

    def faults(self, rows: pa.Table, material: Material) -> list[str | None]:
        """See Filter."""
        low, high = human_quantiles(self.human_scores(material.human), [self.low_quantile, self.high_quantile])
        scores = self.scores(rows, material.human)
        return first_faults({"low": scores < low, "high": scores > high})


class Compression(Band):
    """Rejects rows whose text compresses far less or far more than human rows do (measures.compression_ratio; 0 of no text).

    The phi-4 technical report (2412.08905) removed outliers of compression from its web data; to judge them by human rows
    is ours."""

    def scores(self, rows: pa.Table, human: pa.Table) -> NDArray[np.float64]:
        """See Band."""
        return np.array([measures.compression_ratio([text]) or 0.0 for text in texts(rows)], dtype=np.float64)


class NgramOutlier(Band):
    """Rejects rows whose token bigrams are far rarer or far more common in human text than those of human rows.

    The score is the mean over the row's bigrams of ln(1 + c), c being how often the bigram stands in human training
    rows; a human row's own bigrams are left out of c, or none would be new to it. A row without bigrams has 0. "low" is
    broken text, "high" is text of commonplaces alone, or a copy. The phi-4 technical report (2412.08905) removed outliers of
    n-gram statistics from its web data; this statistic is ours."""

    def scores(self, rows: pa.Table, human: pa.Table) -> NDArray[np.float64]:
        """See Band."""
        known, counts = np.unique(_bigrams(human)[0], return_counts=True)
        found = []
        for chunk in chunks(rows):
            bigrams, owners = _bigrams(chunk)
            places = np.searchsorted(known, bigrams)
            times = np.where(np.append(known, -1)[places] == bigrams, np.append(counts, 0)[places], 0)
            found.append(_mean_logarithms(times, owners, chunk.num_rows))
        return np.concatenate(found)

    def human_scores(self, human: pa.Table) -> NDArray[np.float64]:
        """See Band."""
        bigrams, owners = _bigrams(human)
        _, ids, counts = np.unique(bigrams, return_inverse=True, return_counts=True)
        _, places, own = np.unique(owners * len(counts) + ids, return_inverse=True, return_counts=True)
        return _mean_logarithms(counts[ids] - own[places], owners, human.num_rows)


def _bigrams(rows: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A number for each bigram of tokens within rows, equal where the tokens are, and the place of its row."""
    tokens, owners = measures.flattened(rows["tokens"])
    is_whole = owners[:-1] == owners[1:]
    return (tokens[:-1] << 32 | tokens[1:])[is_whole], owners[:-1][is_whole]  # ids are of 32 bits


def _mean_logarithms(times: NDArray[np.int64], owners: NDArray[np.int64], num_rows: int) -> NDArray[np.float64]:
    """For each row the mean of ln(1 + c) over the counts `times` of its bigrams."""
    logarithms = np.array([math.log1p(count) for count in range(int(times.max(initial=0)) + 1)])  # numpy's differ between processors
    sums = np.bincount(owners, logarithms[times], num_rows)
    return sums / np.maximum(np.bincount(owners, minlength=num_rows), 1)
