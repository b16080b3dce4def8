"""Steps for problems whose answers can be checked or counted: the text of a row is a question and an answer."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from herdbook.params import Count, Share
from herdbook.schema import HANDS
from herdbook.steps.step import Filter, Material, Need, Outcome, Step, rejected
from herdbook.tasks import Family


class Verify(Filter):
    """Rejects rows whose answer is not right, as a verifier does that errs at set rates (Feng et al. 2024, arXiv 2406.07515).

    It errs about answers alone: what begins with no question is always rejected."""

    needs: ClassVar[frozenset[Need]] = frozenset({"task"})
    false_accept: Share = 0.0  # psi = P(keep | wrong)
    false_reject: Share = 0.0  # 1 - phi = P(reject | right)

    def reasons(self) -> tuple[str, ...]:
        """See Step."""
        return ("malformed", "rejected_by_error", "wrong")

    def faults(self, rows: pa.Table, material: Material) -> list[str | None]:
        """See Filter."""
        uniforms = material.generator("verify").random(rows.num_rows).tolist()  # a number for every row, needed or not
        return [self._fault(material.task, text, uniform) for text, uniform in zip(rows["text"].to_pylist(), uniforms, strict=True)]

    def _fault(self, family: Family, text: str, uniform: float) -> str | None:
        if family.is_right(text):
            return "rejected_by_error" if uniform < self.false_reject else None
        if family.question_of(text) is None:
            return "malformed"
        return None if uniform < self.false_accept else "wrong"


def break_even(phi: float, psi: float) -> float:
    """The share of wrong answers at which a verifier keeps as many wrong ones as right ones: p* = 1 / (1 + psi / phi).

    phi = P(keep | right) and psi = P(keep | wrong), each 0 to 1. Of answers of which a share p is wrong it keeps
    (1 - p) phi that are right and p psi that are wrong; so most of what it keeps is right below p*, that is where
    a share of more than 1 - p* was right to begin with. 0 for phi = 0, when nothing right is kept; nan when nothing is.

    The breakdown point of Feng et al. 2024, arXiv 2406.07515, whose theory is of mixtures of Gaussians and linear models. Answers of
    many kinds that are wrong in as many ways mislead less than two classes do; for them it is this count and no more."""
    return phi / (phi + psi) if phi + psi else math.nan


class Plurality(Step):
    """Keeps of the rows of one question the first that gives the answer that most of them give; of equals, the answer given first.

    Questions that are too easy, where all agree, or too hard, where few do, can be left out
    (phi-4 technical report, arXiv 2412.08905, section 2.2). No answer is checked: a wrong one may have most votes."""

    needs: ClassVar[frozenset[Need]] = frozenset({"task"})
    min_samples: Count  # rows of one question
    drop_unanimous: Annotated[bool, Field(strict=True)]  # a lone row is unanimous
    min_share: Share  # of a question's rows that give its plurality answer

    def reasons(self) -> tuple[str, ...]:
        """See Step."""
        return ("hopeless", "malformed", "minority", "same_answer", "too_few", "unanimous")

    def apply(self, rows: pa.Table, material: Material) -> Outcome:
        """See Step; each kept row was given, and has a hand whose parents are all rows of its question."""
        ids, texts = rows["id"].to_pylist(), rows["text"].to_pylist()
        faults: list[str | None] = ["malformed"] * len(texts)
        hands = {}
        for numbers in _by_question(material.task, texts):
            answers = [texts[number][material.task.question_characters :] for number in numbers]
            (plurality, num_agreeing), *_ = Counter(answers).most_common(1)  # of equals the first to occur
            fault = self._fault(num_agreeing, len(answers))
            for number, answer in zip(numbers, answers, strict=True):
                faults[number] = fault or ("same_answer" if answer == plurality else "minority")
            if not fault:
                first = numbers[answers.index(plurality)]
                faults[first] = None
                note = f"{num_agreeing} of {len(answers)} answers"
                parents = [ids[number] for number in numbers]
                hands[first] = {"id": ids[first], "step": "plurality", "parents": parents, "by": "plurality", "note": note}
        column = pa.array(faults, pa.string())
        return Outcome(
            kept=rows.filter(pc.is_null(column)),
            rejected=rejected(rows, column),
            hands=pa.Table.from_pylist([hands[number] for number in sorted(hands)], schema=HANDS),
        )

    def _fault(self, num_agreeing: int, num_samples: int) -> str | None:
        """Why all rows of a question are rejected."""
        if num_samples < self.min_samples:
            return "too_few"
        if self.drop_unanimous and num_agreeing == num_samples:
            return "unanimous"
        return "hopeless" if num_agreeing / num_samples < self.min_share else None


def _by_question(family: Family, texts: Sequence[str]) -> list[list[int]]:
    """The places of the texts of each question, in order."""
    places: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        question = family.question_of(text)
        if question is not None:
            places.setdefault(question, []).append(number)
    return list(places.values())
