"""Propositional formulas over given truth values."""

import re
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from herdbook.tasks.family import Family

_NAMES = "abcdef"
_TRUE = ("1", "!0")
_APPLIED = re.compile(r"(!?)\((!?[01])([&|])(!?[01])\)")


class Logic(Family):
    """`a=1 b=0: !((a&!b)|b)=0`: not (!), and (&), or (|), with a pair of parentheses for each `&` and `|`.

    formula: `!`, or nothing, before a variable or before (formula & formula) or (formula | formula).
    A formula has 1 to `max_operators` of `&` and `|`, each number equally likely."""

    separator: ClassVar[str] = "="
    num_variables: Annotated[int, Field(ge=1, le=len(_NAMES), strict=True)]
    max_operators: Annotated[int, Field(ge=1, le=12, strict=True)]

    @property
    def question_characters(self) -> int:
        """See Family."""
        values = 4 * self.num_variables + 1
        formula = (self.max_operators + 1) + 3 * self.max_operators + (2 * self.max_operators + 1)  # variables; `(&)`; `!` before each
        return values + formula + 1

    @property
    def longest_characters(self) -> int:
        """See Family."""
        return self.question_characters + 1

    @property
    def num_problems(self) -> int:
        """See Family."""
        formulas = [2 * self.num_variables]  # by number of operators
        for number in range(1, self.max_operators + 1):
            formulas.append(4 * sum(formulas[left] * formulas[number - 1 - left] for left in range(number)))
        return 2**self.num_variables * sum(formulas[1:])

    @property
    def num_cells(self) -> int:
        """The truth values and the number of operators: a model may come to write short formulas, or none over some values."""
        return 2**self.num_variables * self.max_operators

    def _draw(self, generator: np.random.Generator) -> str:
        values = " ".join(f"{name}={generator.integers(2)}" for name in self._names)
        return f"{values}: {self._formula(generator, int(generator.integers(1, self.max_operators + 1)))}"

    def _formula(self, generator: np.random.Generator, num_operators: int) -> str:
        sign = "!" * int(generator.integers(2))
        if not num_operators:
            return sign + self._names[generator.integers(len(self._names))]
        num_left = int(generator.integers(num_operators))
        left, right = self._formula(generator, num_left), self._formula(generator, num_operators - 1 - num_left)
        return f"{sign}({left}{'&|'[generator.integers(2)]}{right})"

    def _solve(self, body: str) -> str | None:
        parsed = self._parsed(body)
        if parsed is None:
            return None
        values, formula = parsed
        num_applied = 1
        reduced = formula.translate(dict(zip(map(ord, self._names), values, strict=True)))
        while num_applied:  # at most once an operator, and no recursion: no depth of hostile text can exhaust the stack
            reduced, num_applied = _APPLIED.subn(_apply, reduced)
        return reduced if reduced in ("0", "1") else None

    def _cell(self, body: str) -> str:
        parsed = self._parsed(body)
        assert parsed is not None
        values, formula = parsed
        return f"{''.join(values)}:{_num_operators(formula)}"

    def _parsed(self, body: str) -> tuple[list[str], str] | None:
        """The values and the formula: of the right characters, with a right number of operators, and perhaps no formula all the same."""
        values = " ".join(f"{name}=([01])" for name in self._names)
        found = re.fullmatch(f"{values}: ([{self._names}()!&|]+)", body)
        if found is None or "!!" in body or not 1 <= _num_operators(found[found.re.groups]) <= self.max_operators:
            return None
        *given, formula = found.groups()
        return given, formula

    @property
    def _names(self) -> str:
        return _NAMES[: self.num_variables]


def _num_operators(formula: str) -> int:
    return formula.count("&") + formula.count("|")


def _apply(found: re.Match[str]) -> str:
    """The value of `(x&y)` or `(x|y)`, with the sign before it."""
    sides = found[2] in _TRUE, found[4] in _TRUE
    value = all(sides) if found[3] == "&" else any(sides)
    return str(int(value != bool(found[1])))
