"""What a family of problems is: questions of which each has one right answer, which a program can find.

The text of a problem is its question, of a fixed number of characters so that a prompt of as many holds it
whole, and then its answer. Each problem has exactly one text. What is asked about may be any text at all: it
is not right, or lies in no cell, and to find that out costs no more than a true problem would."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict


class Family(BaseModel):
    """One family of problems and its settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    separator: ClassVar[str]  # one character, the last of every question

    @property
    @abstractmethod
    def question_characters(self) -> int:
        """The length of every question, with the spaces on its left and the separator."""

    @property
    @abstractmethod
    def longest_characters(self) -> int:
        """The length of the longest problem, question and answer."""

    @property
    @abstractmethod
    def num_problems(self) -> int:
        """How many distinct problems there are."""

    @property
    @abstractmethod
    def num_cells(self) -> int:
        """How many cells there are; each holds some problem."""

    def problem(self, generator: np.random.Generator) -> str:
        """The text of a true problem; every problem may be drawn, and every cell is equally likely unless a family says otherwise."""
        question = (self._draw(generator) + self.separator).rjust(self.question_characters)
        answer = self.answer(question)
        assert answer is not None
        return question + answer

    def answer(self, question: str) -> str | None:
        """The one right answer; None for what is not a question of this family."""
        body = self._body(question)
        return None if body is None else self._solve(body)

    def question_of(self, text: str) -> str | None:
        """The question that a text begins with, whatever answer follows; None where it begins with none."""
        question = text[: self.question_characters]
        return None if self.answer(question) is None else question

    def is_right(self, text: str) -> bool:
        """Whether a text is a question and its right answer, and nothing more."""
        question = text[: self.question_characters]
        answer = self.answer(question)
        return answer is not None and text == question + answer

    def cell(self, text: str) -> str | None:
        """The part of the problem space that a text's question lies in, whatever answer follows; None where it begins with none."""
        question = self.question_of(text)
        body = None if question is None else self._body(question)
        return None if body is None else self._cell(body)

    @abstractmethod
    def _draw(self, generator: np.random.Generator) -> str:
        """The body of a question: what stands between the spaces on its left and the separator."""

    @abstractmethod
    def _solve(self, body: str) -> str | None:
        """The answer to a question; None where its body, ASCII and no longer than a question, is not well formed."""

    @abstractmethod
    def _cell(self, body: str) -> str:
        """The cell of a well-formed body."""

    def _body(self, question: str) -> str | None:
        if len(question) != self.question_characters or not question.isascii() or not question.endswith(self.separator):
            return None
        return question[: -len(self.separator)].lstrip(" ")
