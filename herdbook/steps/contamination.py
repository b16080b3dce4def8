"""Steps that reject rows which repeat text that models are to be tested on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import StrictBool, model_validator

from herdbook.duplicates import distinct_of, ngrams_of, overlaps
from herdbook.params import Count, PositiveShare
from herdbook.steps.heuristics import chunks, first_faults, texts
from herdbook.steps.step import Filter, Material, Need, flagged
from herdbook.words import Hashes, Lookup, Numbers, Words, hashed_ngrams, hashed_words

COPIED_WORDS = 13  # phi-4's two sizes
SHARED_WORDS = 7


class HeldOutOverlap(Filter):
    """Rejects rows that share a run of `ngram` words with held-out text."""

    needs: ClassVar[frozenset[Need]] = frozenset({"held_out"})
    ngram: Count

    def faults(self, rows: pa.Table, material: Material) -> list[str | None]:
        """See Filter."""
        known = ngrams_of(material.held_out, self.ngram)
        return flagged([is_shared for chunk in chunks(rows) for is_shared in overlaps(texts(chunk), known, self.ngram)])


class Decontaminate(Filter):
    """Rejects rows that repeat a held-out document or a text of the user's benchmarks: algorithm 1 of phi-4's report.

    A row that shares a run of 13 words with a tested text is rejected as "ngram_13", unless the run is common: in at least
    `common_documents` documents of human training rows. Of other rows the highest ratio to any one tested text decides:
    distinct 7-grams of words shared, over those of the shorter of the two. From `contaminated_ratio` on it is "ngram_7";
    from `partial_ratio` on the row is kept, or rejected as "partial" where `drop_partial`. A held-out document is one text
    however long, so that against it the ratio is the share of the row that it repeats. A text of fewer than 7 words has no
    7-gram and finds nothing.

    phi-4 technical report, 2412.08905, appendix B. It tells neither its ratios nor what is common; the values here are
    choices: a copy in which every 13th word is another has ratio 6/13 and no common run of 13, and is to be found."""

    needs: ClassVar[frozenset[Need]] = frozenset({"benchmarks", "held_out", "human"})
    common_documents: Count = 10
    contaminated_ratio: PositiveShare = 0.4
    partial_ratio: PositiveShare = 0.1
    drop_partial: StrictBool = False

    @model_validator(mode="after")
    def _ratios_are_in_order(self) -> "Decontaminate":
        if self.partial_ratio > self.contaminated_ratio:
            raise ValueError(f"partial_ratio must be at most contaminated_ratio, which is {self.contaminated_ratio}")
        return self

    def reasons(self) -> tuple[str, ...]:
        """See Step."""
        return "ngram_13", "ngram_7", *(("partial",) if self.drop_partial else ())

    def faults(self, rows: pa.Table, material: Material) -> list[str | None]:
        """See Filter."""
        tested = [*material.held_out, *material.benchmarks]
        copied = Lookup(uncommon_ngrams(tested, material.human, self.common_documents))
        shelf = Shelf.of(tested)
        faults: list[str | None] = []
        for chunk in chunks(rows):
            words = hashed_words(texts(chunk))
            ratios = shelf.ratios_of(words, chunk.num_rows)
            found = {
                "ngram_13": copied.owners_of_any(*hashed_ngrams(words, COPIED_WORDS), chunk.num_rows),
                "ngram_7": ratios >= self.contaminated_ratio,
                "partial": (ratios >= self.partial_ratio) & self.drop_partial,
            }
            faults += first_faults(found)
        return faults


def uncommon_ngrams(tested: Sequence[str], human: pa.Table, common_documents: int) -> Hashes:
    """The distinct 13-grams of the tested texts, sorted, less those of so many different documents of human rows."""
    known = ngrams_of(tested, COPIED_WORDS)
    lookup = Lookup(known)
    documents = pc.rank(human["document"], tiebreaker="dense").to_numpy().astype(np.int64)  # a number for each
    found, owners, first = [known[:0]], [documents[:0]], 0
    for chunk in chunks(human):
        hashes, places = hashed_ngrams(hashed_words(texts(chunk)), COPIED_WORDS)
        is_tested = lookup.has(hashes)
        found.append(hashes[is_tested])
        owners.append(documents[first + places[is_tested]])
        first += chunk.num_rows
    ids = np.searchsorted(known, np.concatenate(found))
    pairs = distinct_of(ids * (len(documents) + 1) + np.concatenate(owners))
    num_documents = np.bincount(pairs // (len(documents) + 1), minlength=len(known))
    return known[num_documents < common_documents]


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """The distinct 7-grams of tested texts, each with the texts that it stands in."""

    ngrams: Hashes  # sorted
    starts: Numbers  # of each n-gram's texts, and where the last one's end
    texts: Numbers
    sizes: Numbers  # distinct n-grams of each text

    @classmethod
    def of(cls, tested: Sequence[str]) -> "Shelf":
        """The shelf of these texts."""
        hashes, owners = hashed_ngrams(hashed_words(tested), SHARED_WORDS)
        ngrams, ids = np.unique(hashes, return_inverse=True)
        ids, holders = np.divmod(distinct_of(ids * len(tested) + owners), max(len(tested), 1))
        starts = np.searchsorted(ids, np.arange(len(ngrams) + 1))
        return cls(ngrams=ngrams, starts=starts, texts=holders, sizes=np.bincount(holders, minlength=len(tested)))

    def highest_ratios(self, rows: Sequence[str]) -> NDArray[np.float64]:
        """For each row the highest share of 7-grams that it and one text have in common, of those of the shorter; 0 where none."""
        return self.ratios_of(hashed_words(rows), len(rows))

    def ratios_of(self, words: Words, num_rows: int) -> NDArray[np.float64]:
        """The same of the words of so many rows."""
        highest = np.zeros(num_rows)
        for row, size, found in self._shared(*hashed_ngrams(words, SHARED_WORDS), num_rows):
            holders = np.concatenate([self.texts[self.starts[ngram] : self.starts[ngram + 1]] for ngram in found])
            holders, num_shared = np.unique(holders, return_counts=True)
            highest[row] = (num_shared / np.minimum(size, self.sizes[holders])).max()
        return highest

    def _shared(self, hashes: Hashes, owners: Numbers, num_rows: int) -> Iterator[tuple[int, int, Numbers]]:
        """Each row that has a 7-gram of the shelf: its place, its distinct 7-grams, and the places of those on the shelf."""
        has_any = self.lookup.owners_of_any(hashes, owners, num_rows)[owners]
        hashes, owners = hashes[has_any], owners[has_any]
        distinct, ids = np.unique(hashes, return_inverse=True)
        owners, ids = np.divmod(distinct_of(owners * len(distinct) + ids), max(len(distinct), 1))
        sizes = np.bincount(owners, minlength=num_rows)
        is_shared = self.lookup.has(distinct)[ids]
        places, owners = np.searchsorted(self.ngrams, distinct[ids[is_shared]]), owners[is_shared]
        hits, starts = np.unique(owners, return_index=True)
        for row, found in zip(hits.tolist(), np.split(places, starts[1:]), strict=False):
            yield row, int(sizes[row]), found

    @cached_property
    def lookup(self) -> Lookup:
        """Of the n-grams."""
        return Lookup(self.ngrams)
