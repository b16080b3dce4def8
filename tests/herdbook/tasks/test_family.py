"""What is true of every family."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from herdbook.tasks import FAMILIES, parse_task

TASKS = [
    {"family": "sort_digits", "num_digits": 5},
    {"family": "arithmetic", "max_operand": 120, "operations": ["+", "-", "*"]},
    {"family": "arithmetic", "max_operand": 4, "operations": ["-"]},
    {"family": "logic", "num_variables": 3, "max_operators": 4},
    {"family": "programs", "num_digits": 3, "num_instructions": 2},
    {"family": "programs", "num_digits": 1, "num_instructions": 1},
]
FAMILY = [parse_task(task) for task in TASKS]
families = pytest.mark.parametrize("family", FAMILY, ids=str)


def drawn(family, number, seed=0):
    generator = np.random.default_rng(seed)
    return [family.problem(generator) for _ in range(number)]


def test_every_family_is_looked_at():
    assert {type(family) for family in FAMILY} == set(FAMILIES.values())


@families
def test_problems_are_right_ascii_and_of_the_said_lengths(family):
    for text in drawn(family, 200):
        question = family.question_of(text)
        assert family.is_right(text)
        assert text == question + family.answer(question)
        assert len(question) == family.question_characters
        assert len(text) <= family.longest_characters
        assert question.endswith(family.separator)
        assert text.isascii()
        assert "\n" not in text


@families
def test_one_seed_draws_the_same_problems(family):
    assert drawn(family, 50) == drawn(family, 50) != drawn(family, 50, seed=1)


@families
def test_every_cell_is_drawn_and_none_beyond_their_number(family):
    cells = {family.cell(text) for text in drawn(family, 20 * family.num_cells)}
    assert None not in cells
    assert len(cells) == family.num_cells


@families
def test_a_cell_is_of_the_question_alone(family):
    for text in drawn(family, 20):
        question = family.question_of(text)
        assert family.cell(text) == family.cell(question) == family.cell(question + "rubbish\0")


@families
def test_nothing_but_the_whole_right_answer_is_right(family):
    for text in drawn(family, 50):
        question = family.question_of(text)
        answer = family.answer(question)
        for wrong in ["", answer[:-1], answer + "0", answer + " ", answer + "\n", answer + "\0", " " + answer, "0" + answer, "x", "1²"]:
            assert not family.is_right(question + wrong)
            assert family.question_of(question + wrong) == question


@families
def test_only_a_whole_question_is_answered(family):
    for text in drawn(family, 20):
        question = family.question_of(text)
        for other in ["", question[:-1], question[1:], " " + question, question + " ", question[:-1] + "#", question[:-2] + "\n="]:
            assert family.answer(other) is None
        assert family.question_of(question[:-1]) is None
        assert family.cell(question[:-1]) is None


FULL_WIDTH = {ord(digit): ord("０") + n for n, digit in enumerate("0123456789")}
HOSTILE = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="0123456789+-*=>()!&|abc: \0\n", max_size=60),
    st.sampled_from(
        ["", "\0" * 9, "9" * 100_000, "(" * 100_000, "!" * 100_000, " " * 100_000, "１２３４５>", "٣+٤=٧", "\u202e5=1+4", "1_0+1="]
    ),
)


@families
@given(text=HOSTILE, start=st.integers(0, 60), length=st.integers(0, 3), seed=st.integers(0, 5))
@settings(deadline=None, max_examples=100)
def test_hostile_text_is_judged_and_right_only_when_it_is_a_problem(family, text, start, length, seed):
    problem = drawn(family, 1, seed)[0]
    damaged = problem[:start] + text + problem[start + length :]
    for candidate in (text, damaged, problem + text, text + problem):
        question, beginning = family.question_of(candidate), candidate[: family.question_characters]
        assert question in (None, beginning)
        assert (family.cell(candidate) is None) == (question is None)
        assert family.answer(candidate) is None or candidate == question
        assert family.is_right(candidate) == (question is not None and candidate == question + family.answer(question))
        assert candidate.isascii() or not family.is_right(candidate)


@families
def test_digits_of_other_scripts_are_no_digits(family):
    for text in drawn(family, 20):
        assert not family.is_right(text.translate(FULL_WIDTH))
        assert family.is_right(text)


@families
def test_what_spells_a_problem_in_another_way_is_none(family):
    """Each problem has one text: a space more, a zero more or a sign more make another length, or no problem."""
    for text in drawn(family, 20):
        question = family.question_of(text)
        body = question.lstrip(" ")
        for other in [f"0{body}", f"+{body}", f"{body[:-1]} {body[-1]}", f"{body}{body[-1]}", f"({body[:-1]}){body[-1]}"]:
            assert family.answer(other.rjust(family.question_characters)) is None


@families
def test_a_family_is_frozen(family):
    with pytest.raises(ValidationError, match="frozen"):
        setattr(family, next(iter(type(family).model_fields)), 3)
