"""What a step of a recipe is, what it may be given, and what it gives back.

A step sees the rows that the steps before it left, in their order. It keeps rows, rejects rows with a reason,
and may put rows of its own making in the place of others; of these it tells from which rows, and how."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from herdbook.schema import HANDS, REJECTED

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from herdbook.tasks import Family
    from herdbook.teacher import Teacher
    from herdbook.tokenizer import Tokenizer

Need = Literal["benchmarks", "founder", "held_out", "human", "previous", "task", "teacher", "tokenizer"]


class Material(Protocol):
    """What steps may compare rows with, or ask; a part that no step of a recipe needs is never read."""

    @property
    def benchmarks(self) -> Sequence[str]:
        """The texts of the user's benchmark files."""

    @property
    def founder(self) -> "PreTrainedModel":
        """The founder of the rows' lineage."""

    @property
    def founder_digest(self) -> str:
        """The digest of the founder's weights, as rows name their writer."""

    @property
    def generation(self) -> int:
        """Of the rows, 0 for the founder's."""

    @property
    def held_out(self) -> Sequence[str]:
        """The texts of the held-out documents."""

    @property
    def human(self) -> pa.Table:
        """The human training rows, a table of ROWS, scored by the founder."""

    @property
    def previous(self) -> pa.Table:
        """What the rows' own model learnt from: the pool of its training set, a table of ROWS."""

    @property
    def task(self) -> "Family":
        """The family of problems that the human corpus is made of."""

    @property
    def teacher(self) -> "Teacher":
        """The model that is asked for critiques and revisions."""

    @property
    def tokenizer(self) -> "Tokenizer":
        """The tokenizer of the base model."""

    def generator(self, step: str) -> np.random.Generator:
        """A source of randomness of this lineage, generation and step alone, another one each time."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a step made of the rows it was given: each was kept, rejected, or is a parent of a row in `hands`."""

    kept: pa.Table  # ROWS
    rejected: pa.Table = field(default_factory=REJECTED.empty_table)
    hands: pa.Table = field(default_factory=HANDS.empty_table)  # of each row of `kept` that was not given


class Step(BaseModel):
    """One step and its settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    needs: ClassVar[frozenset[Need]] = frozenset()
    writes: ClassVar[bool] = False  # rows of its own making

    @abstractmethod
    def apply(self, rows: pa.Table, material: Material) -> Outcome:
        """What becomes of a table of ROWS; depends on the rows, the settings and the material that the step needs alone."""

    @abstractmethod
    def reasons(self) -> tuple[str, ...]:
        """Every reason for which it may reject a row, less the step's own name: "" where there is but one."""


class Filter(Step):
    """A step that only keeps and rejects."""

    @abstractmethod
    def faults(self, rows: pa.Table, material: Material) -> Sequence[str | None]:
        """For each row of ROWS one of `reasons`, or None where it is kept."""

    def reasons(self) -> tuple[str, ...]:
        """See Step."""
        return ("",)

    def apply(self, rows: pa.Table, material: Material) -> Outcome:
        """See Step."""
        faults = pa.array(self.faults(rows, material), pa.string())
        return Outcome(kept=rows.filter(pc.is_null(faults)), rejected=rejected(rows, faults))


def rejected(rows: pa.Table, faults: pa.Array) -> pa.Table:
    """Of `rows` those that have a fault, a table of REJECTED."""
    is_faulty = pc.is_valid(faults)
    return rows.filter(is_faulty).append_column(REJECTED.field("reason"), faults.filter(is_faulty))


def flagged(is_rejected: Sequence[bool] | np.ndarray) -> list[str | None]:
    """The faults of a step with one reason."""
    return ["" if fault else None for fault in is_rejected]
