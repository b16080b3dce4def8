"""Sums, differences and products of whole numbers."""

import re
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from herdbook.tasks.family import Family

_NUMBER = "(0|[1-9][0-9]*)"
_QUESTION = re.compile(f"{_NUMBER}([-+*]){_NUMBER}")
_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
}


class Arithmetic(Family):
    """`17-42=-25`: two numbers from 0 to `max_operand`, written without leading zeros, and one operation."""

    separator: ClassVar[str] = "="
    max_operand: Annotated[int, Field(ge=1, le=1_000_000, strict=True)]
    operations: Annotated[tuple[Literal["+", "-", "*"], ...], Field(min_length=1)]

    @field_validator("operations")
    @classmethod
    def _names_each_once(cls, operations: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(operations)) < len(operations):
            raise ValueError("an operation is named twice")
        return operations

    @property
    def question_characters(self) -> int:
        """See Family."""
        return 2 * len(str(self.max_operand)) + 2

    @property
    def longest_characters(self) -> int:
        """See Family."""
        longest = {"+": 2 * self.max_operand, "-": -self.max_operand, "*": self.max_operand**2}
        return self.question_characters + max(len(str(longest[operation])) for operation in self.operations)

    @property
    def num_problems(self) -> int:
        """See Family."""
        return len(self.operations) * (self.max_operand + 1) ** 2

    @property
    def num_cells(self) -> int:
        """The operation, and the tenth of the range in which each operand lies: a model may lose an operation, or the ends of the range.

        As likely as each other where `max_operand` + 1 is a multiple of ten, and nearly so where it is large."""
        return len(self.operations) * self._num_parts**2

    @property
    def _num_parts(self) -> int:
        return min(10, self.max_operand + 1)

    def _draw(self, generator: np.random.Generator) -> str:
        left, right = generator.integers(self.max_operand + 1, size=2).tolist()
        return f"{left}{self.operations[generator.integers(len(self.operations))]}{right}"

    def _solve(self, body: str) -> str | None:
        parsed = self._parsed(body)
        if parsed is None:
            return None
        left, operation, right = parsed
        return str(_OPERATIONS[operation](left, right))

    def _cell(self, body: str) -> str:
        parsed = self._parsed(body)
        assert parsed is not None
        left, right = (operand * self._num_parts // (self.max_operand + 1) for operand in parsed[::2])
        return f"{left}{parsed[1]}{right}"

    def _parsed(self, body: str) -> tuple[int, str, int] | None:
        found = _QUESTION.fullmatch(body)
        if found is None or found[2] not in self.operations:
            return None
        left, right = int(found[1]), int(found[3])
        return (left, found[2], right) if max(left, right) <= self.max_operand else None
