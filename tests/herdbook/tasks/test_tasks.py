import math
from typing import ClassVar

import pytest

from herdbook.errors import ParamsError
from herdbook.tasks import FAMILIES, Family, accuracy, coverage, parse_task, problems

SORT = {"family": "sort_digits", "num_digits": 2}
LOGIC = {"family": "logic", "num_variables": 2, "max_operators": 3}


class Constant(Family):
    """Draws one problem of ten."""

    separator: ClassVar[str] = ">"
    question_characters = property(lambda self: 2)
    longest_characters = property(lambda self: 3)
    num_problems = property(lambda self: 10)
    num_cells = property(lambda self: 1)

    def _draw(self, generator):
        return "7"

    def _solve(self, body):
        return body

    def _cell(self, body):
        return ""


def test_a_task_is_a_family_with_its_settings():
    family = parse_task(SORT)
    assert isinstance(family, FAMILIES["sort_digits"])
    assert family.num_digits == 2
    assert SORT == {"family": "sort_digits", "num_digits": 2}


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"family": "sort"}, "task: unknown family 'sort'; allowed: arithmetic, logic, programs, sort_digits; "),
        ({}, "task: unknown family None; allowed: "),
        ({"family": ["logic"]}, "task: unknown family ['logic']; allowed: "),
        ({"family": "a\nb"}, "task: unknown family 'a\\nb'; allowed: "),
        ({"family": "sort_digits"}, "task: setting 'num_digits' of family sort_digits is missing; its settings are: num_digits; "),
        (SORT | {"width": 1}, "setting 'width' of family sort_digits is unknown; its settings are: num_digits; "),
        (SORT | {"num_digits": 0}, "setting 'num_digits' of family sort_digits is 0 ("),
        (SORT | {"num_digits": 65}, "setting 'num_digits' of family sort_digits is 65 ("),
        (SORT | {"num_digits": True}, "setting 'num_digits' of family sort_digits is True ("),
        (LOGIC | {"num_variables": 7}, "setting 'num_variables' of family logic is 7 ("),
        (LOGIC | {"max_operators": 13}, "setting 'max_operators' of family logic is 13 ("),
        ({"family": "programs", "num_digits": 33, "num_instructions": 1}, "setting 'num_digits' of family programs is 33 ("),
        ({"family": "programs", "num_digits": 3, "num_instructions": 17}, "setting 'num_instructions' of family programs is 17 ("),
        ({"family": "arithmetic", "max_operand": 9, "operations": []}, "setting 'operations' of family arithmetic is [] ("),
        ({"family": "arithmetic", "max_operand": 9, "operations": ["/"]}, "setting 'operations.0' of family arithmetic is '/' ("),
        (
            {"family": "arithmetic", "max_operand": 9, "operations": ["+", "+"]},
            "setting 'operations' of family arithmetic is ['+', '+'] (Value error, an operation is named twice); its settings are: ",
        ),
        ({"family": "arithmetic", "max_operand": 10**7, "operations": ["+"]}, "setting 'max_operand' of family arithmetic is 10000000 ("),
    ],
)
def test_a_task_that_cannot_be_made_is_refused_with_what_is_allowed(task, message):
    with pytest.raises(ParamsError) as error:
        parse_task(task)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_problems_are_distinct_and_the_first_ones_do_not_depend_on_how_many_are_asked_for():
    family = parse_task(LOGIC)
    found = problems(family, 300, seed=4)
    assert len(set(found)) == 300
    assert accuracy(family, found) == 1
    assert problems(family, 120, seed=4) == found[:120]
    assert problems(family, 120, seed=5) != found[:120]
    assert problems(family, 0, seed=4) == []


def test_every_problem_of_a_small_family_can_be_had():
    family = parse_task(SORT)
    assert sorted(problems(family, 100, seed=0))[:3] == ["00>00", "01>01", "02>02"]


def test_more_problems_than_there_are_are_refused():
    with pytest.raises(
        ParamsError, match="task: 101 distinct problems are asked for, and there are 100; ask for fewer, or widen the settings"
    ):
        problems(parse_task(SORT), 101, seed=0)


def test_problems_that_are_hardly_ever_drawn_are_given_up():
    with pytest.raises(ParamsError, match="task: 2 distinct problems are asked for, and 1040 draws found 1; ask for fewer"):
        problems(Constant(), 2, seed=0)


def test_accuracy_is_the_share_of_right_texts():
    assert accuracy(parse_task(SORT), ["31>13", "31>31", "31", "10>01"]) == 0.5
    assert math.isnan(accuracy(parse_task(SORT), []))


def test_coverage_is_the_share_of_cells_that_questions_lie_in_however_they_are_answered():
    family = parse_task(SORT)
    assert coverage(family, ["31>13", "31>31", "40>04", "rubbish", ""]) == 0.02
    assert coverage(family, []) == 0
    assert coverage(family, problems(family, 100, seed=1)) == 1
