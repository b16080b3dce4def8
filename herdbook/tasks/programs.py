"""Programs over lists of digits."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from herdbook.tasks.family import Family

Digits = Sequence[int]

# Each makes of digits as many digits: every program ends, and its answer is no longer than its input.
INSTRUCTIONS: dict[str, Callable[[Digits], Digits]] = {
    "asc": sorted,
    "dbl": lambda digits: [2 * digit % 10 for digit in digits],
    "inc": lambda digits: [(digit + 1) % 10 for digit in digits],
    "max": lambda digits: list(accumulate(digits, max)),  # the highest so far
    "neg": lambda digits: [-digit % 10 for digit in digits],
    "rev": lambda digits: digits[::-1],
    "rot": lambda digits: [*digits[1:], digits[0]],
    "sum": lambda digits: [total % 10 for total in accumulate(digits)],  # of the digits so far
}
_NAMES = list(INSTRUCTIONS)


class Programs(Family):
    """`907 rev inc asc=018`: digits, and what is done with them, from left to right; all numbers are modulo ten."""

    separator: ClassVar[str] = "="
    num_digits: Annotated[int, Field(ge=1, le=32, strict=True)]
    num_instructions: Annotated[int, Field(ge=1, le=16, strict=True)]

    @property
    def question_characters(self) -> int:
        """See Family."""
        return self.num_digits + 4 * self.num_instructions + 1

    @property
    def longest_characters(self) -> int:
        """See Family."""
        return self.question_characters + self.num_digits

    @property
    def num_problems(self) -> int:
        """See Family."""
        return 10**self.num_digits * len(INSTRUCTIONS) ** self.num_instructions

    @property
    def num_cells(self) -> int:
        """The first and the last instruction: a model may come to write few kinds of program; in one of length 1 they are the same."""
        return len(INSTRUCTIONS) ** min(self.num_instructions, 2)

    def _draw(self, generator: np.random.Generator) -> str:
        digits = "".join(map(str, generator.integers(10, size=self.num_digits).tolist()))
        return " ".join([digits, *(_NAMES[n] for n in generator.integers(len(_NAMES), size=self.num_instructions))])

    def _solve(self, body: str) -> str | None:
        text, *program = body.split(" ")
        if len(text) != self.num_digits or not text.isdecimal() or len(program) != self.num_instructions:
            return None
        if not all(name in INSTRUCTIONS for name in program):
            return None
        digits: Digits = [int(digit) for digit in text]
        for name in program:
            digits = INSTRUCTIONS[name](digits)
        return "".join(map(str, digits))

    def _cell(self, body: str) -> str:
        _, *program = body.split(" ")
        return f"{program[0]} {program[-1]}"
