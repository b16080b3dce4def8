"""Steps that reject rows which repeat, or nearly repeat, other rows: of their own set, of human text, of what their model learnt from."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, ValidationInfo, field_validator

from herdbook import duplicates, minhash
from herdbook.params import Count, PositiveShare
from herdbook.steps.step import Filter, Material, Need, flagged


class ExactDuplicate(Filter):
    """Rejects rows whose text an earlier row has."""

    def faults(self, rows: pa.Table, material: Material) -> list[str | None]:
        """See Filter."""
        encoded = pc.dictionary_encode(rows["text"], null_encoding="encode")
        numbers = np.concatenate([[-1], *(chunk.indices.to_numpy() for chunk in encoded.chunks)])  # texts are numbered as they come
        return flagged(numbers[1:] <= np.maximum.accumulate(numbers)[:-1])


class _Alike(Filter):
    """Compares texts by the Jaccard similarity of their word 3-shingles (herdbook/duplicates.py)."""

    jaccard: PositiveShare
    method: Literal["exact", "minhash"] = "exact"  # minhash is for large sets, and may miss some (herdbook/minhash.py)
    num_permutations: Count | None = Field(default=None, validate_default=True)  # of minhash; null for exact

    @field_validator("num_permutations")
    @classmethod
    def _suits_the_method(cls, value: int | None, info: ValidationInfo) -> int | None:
        if not {"jaccard", "method"} <= info.data.keys():
            return value  # what is wrong with these is said first
        if (info.data["method"] == "minhash") != (value is not None):
            raise ValueError("must be a number with method minhash, and null with method exact")
        if value is not None:
            minhash.bands(info.data["jaccard"], value)
        return value

    def _is_alike(self, rows: pa.Table, others: pa.Table) -> list[bool]:
        texts, known = rows["text"].to_pylist(), others["text"].to_pylist()
        if self.num_permutations is None:
            return duplicates.matches(texts, known, self.jaccard)
        return minhash.matches(texts, known, self.jaccard, self.num_permutations)


class NearDuplicate(_Alike):
    """Rejects rows whose text is nearly that of an earlier kept row."""

    def faults(self, rows: pa.Table, material: Material) -> list[str | None]:
        """See Filter."""
        texts = rows["text"].to_pylist()
        if self.num_permutations is None:
            found = duplicates.near_duplicates(texts, self.jaccard)
        else:
            found = minhash.near_duplicates(texts, self.jaccard, self.num_permutations)
        return flagged([first is not None for first in found])


class Memorised(_Alike):
    """Rejects rows whose text is nearly that of a human training row."""

    needs: ClassVar[frozenset[Need]] = frozenset({"human"})

    def faults(self, rows: pa.Table, material: Material) -> Sequence[str | None]:
        """See Filter."""
        return flagged(self._is_alike(rows, material.human))


class Repeated(_Alike):
    """Rejects rows whose text is nearly that of a row that their own model learnt from."""

    needs: ClassVar[frozenset[Need]] = frozenset({"previous"})

    def faults(self, rows: pa.Table, material: Material) -> Sequence[str | None]:
        """See Filter."""
        return flagged(self._is_alike(rows, material.previous))
