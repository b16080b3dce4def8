"""Digits to be put in order."""

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from herdbook.tasks.family import Family


class SortDigits(Family):
    """`352140>012345`: the digits of the question, the lowest first; a digit may occur more than once."""

    separator: ClassVar[str] = ">"
    num_digits: Annotated[int, Field(ge=1, le=64, strict=True)]

    @property
    def question_characters(self) -> int:
        """See Family."""
        return self.num_digits + 1

    @property
    def longest_characters(self) -> int:
        """See Family."""
        return self.question_characters + self.num_digits

    @property
    def num_problems(self) -> int:
        """See Family."""
        return 10**self.num_digits

    @property
    def num_cells(self) -> int:
        """The first two digits: a model that has narrowed begins with few of them."""
        return 10 ** min(self.num_digits, 2)

    def _draw(self, generator: np.random.Generator) -> str:
        return "".join(map(str, generator.integers(10, size=self.num_digits).tolist()))

    def _solve(self, body: str) -> str | None:
        return "".join(sorted(body)) if len(body) == self.num_digits and body.isdecimal() else None

    def _cell(self, body: str) -> str:
        return body[:2]
