"""Curation recipes: the steps that offspring must pass to be kept.

A recipe is a list of steps in params.yaml, each a name and its settings. A step is given the rows that
passed the steps before it, in order, and names those that fail; whether a row passes depends on that row
and the rows before it alone, so the first survivors are the same however many follow."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, ValidationError

from herdbook import measures
from herdbook.duplicates import near_duplicates, ngrams_of, overlaps
from herdbook.errors import ParamsError
from herdbook.params import Count, PositiveShare, Share
from herdbook.schema import REJECTED


class Step(BaseModel):
    """One step and its settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    reads_held_out: ClassVar[bool] = False

    @abstractmethod
    def fails(self, rows: pa.Table, held_out: Sequence[str]) -> list[bool]:
        """For each row of ROWS, whether it is rejected; `held_out` are the texts of the held-out documents."""


class Length(Step):
    """Rejects rows of fewer tokens."""

    min_tokens: Count

    def fails(self, rows: pa.Table, held_out: Sequence[str]) -> list[bool]:
        """See Step."""
        return [number < self.min_tokens for number in rows["num_tokens"].to_pylist()]


class Repetition(Step):
    """Rejects rows that repeat their own token n-grams more (measures.repetition)."""

    max_repetition: Share

    def fails(self, rows: pa.Table, held_out: Sequence[str]) -> list[bool]:
        """See Step."""
        return (measures.repetition(*measures.flattened(rows["tokens"]), rows.num_rows) > self.max_repetition).tolist()


class ExactDuplicate(Step):
    """Rejects rows whose text an earlier row has."""

    def fails(self, rows: pa.Table, held_out: Sequence[str]) -> list[bool]:
        """See Step."""
        texts = rows["text"].to_pylist()
        first = {text: number for number, text in reversed(list(enumerate(texts)))}
        return [first[text] < number for number, text in enumerate(texts)]


class NearDuplicate(Step):
    """Rejects rows whose text is nearly that of an earlier kept row (duplicates.near_duplicates)."""

    jaccard: PositiveShare

    def fails(self, rows: pa.Table, held_out: Sequence[str]) -> list[bool]:
        """See Step."""
        return [first is not None for first in near_duplicates(rows["text"].to_pylist(), self.jaccard)]


class HeldOutOverlap(Step):
    """Rejects rows that share a run of `ngram` words with held-out text."""

    reads_held_out: ClassVar[bool] = True
    ngram: Count

    def fails(self, rows: pa.Table, held_out: Sequence[str]) -> list[bool]:
        """See Step."""
        return overlaps(rows["text"].to_pylist(), ngrams_of(held_out, self.ngram), self.ngram)


STEPS: dict[str, type[Step]] = {
    "exact_duplicate": ExactDuplicate,
    "held_out_overlap": HeldOutOverlap,
    "length": Length,
    "near_duplicate": NearDuplicate,
    "repetition": Repetition,
}


def parse_steps(steps: Sequence[Mapping[str, Any]], where: str) -> list[tuple[str, Step]]:
    """The named steps of a recipe; ParamsError at `where` names an unknown step or setting and what is allowed."""
    return [_parsed(dict(step), f"{where}.{number}") for number, step in enumerate(steps)]


def _parsed(settings: dict[str, Any], where: str) -> tuple[str, Step]:
    name = settings.pop("name", None)
    if not isinstance(name, str) or name not in STEPS:
        raise ParamsError(f"{where}: unknown step {name!r}; allowed: {', '.join(STEPS)}; correct its name there")
    try:
        return name, STEPS[name].model_validate(settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        found = {"missing": "is missing", "extra_forbidden": "is unknown"}.get(first["type"], f"is {first['input']!r} ({first['msg']})")
        allowed = ", ".join(STEPS[name].model_fields) or "none"
        raise ParamsError(f"{where}: setting {key!r} of step {name} {found}; its settings are: {allowed}; correct it there") from error


def reads_held_out(steps: Sequence[tuple[str, Step]]) -> bool:
    """Whether any step compares with held-out text."""
    return any(step.reads_held_out for _, step in steps)


@dataclass(frozen=True, kw_only=True)
class Curated:
    """What became of every row: num_in = kept + num_surplus + rejected."""

    kept: pa.Table  # ROWS
    rejected: pa.Table  # REJECTED; the reason is the name of the step
    num_surplus: int  # survivors that a full set has no place for
    is_full: bool
    num_rejected: dict[str, int]  # by step, each step of the recipe


def curate(rows: pa.Table, steps: Sequence[tuple[str, Step]], num_rows: int, held_out: Sequence[str]) -> Curated:
    """Keep the first `num_rows` rows that pass every step, in their order.

    All rows are examined even when the set is full before the last: the rejection rate is a result, and
    so is one of the same number of draws in every generation."""
    survivors, parts = rows, [REJECTED.empty_table()]
    num_rejected = dict.fromkeys((name for name, _ in steps), 0)
    for name, step in steps:
        fails = pa.array(step.fails(survivors, held_out), pa.bool_())
        rejected = survivors.filter(fails)
        parts.append(rejected.append_column(REJECTED.field("reason"), pa.array([name] * rejected.num_rows, pa.string())))
        num_rejected[name] += rejected.num_rows
        survivors = survivors.filter(pc.invert(fails))
    kept = survivors.slice(0, num_rows)
    return Curated(
        kept=kept,
        rejected=pa.concat_tables(parts),
        num_surplus=survivors.num_rows - kept.num_rows,
        is_full=kept.num_rows == num_rows,
        num_rejected=num_rejected,
    )
