import pytest

from herdbook.tasks import parse_task
from herdbook.tasks.programs import INSTRUCTIONS


def answer(question):
    digits, *program = question.removesuffix("=").split(" ")
    return parse_task({"family": "programs", "num_digits": len(digits), "num_instructions": len(program)}).answer(question)


@pytest.mark.parametrize(
    ("name", "digits"),
    [
        ("asc", "0347"),
        ("dbl", "4608"),
        ("inc", "8415"),
        ("max", "7777"),
        ("neg", "3706"),
        ("rev", "4037"),
        ("rot", "3047"),
        ("sum", "7004"),  # 7, 10, 10, 14
    ],
)
def test_each_instruction_does_what_its_name_says(name, digits):
    assert answer(f"7304 {name}=") == digits


def test_every_instruction_is_looked_at_and_keeps_the_number_of_digits():
    assert sorted(INSTRUCTIONS) == ["asc", "dbl", "inc", "max", "neg", "rev", "rot", "sum"]
    for name, instruction in INSTRUCTIONS.items():
        for digits in ([9], [9, 9, 9], [0, 5, 2, 8, 1]):
            given = list(digits)
            found = list(instruction(digits))
            assert len(found) == len(digits), name
            assert all(0 <= digit <= 9 for digit in found)
            assert digits == given


def test_instructions_are_followed_from_left_to_right():
    assert answer("907 rev inc asc=") == "018"  # 709, 810, 018
    assert answer("907 asc inc rev=") == "081"  # 079, 180, 081
    assert answer("31 max rot=") == "33"
    assert answer("13 max rot=") == "31"


@pytest.mark.parametrize(
    "question",
    [
        "907 rev=",
        "907 rev rev rev=",
        "90a rev inc=",
        "907  rev in=",
        "90 rev  inc=",
        "907 rev foo=",
        "907 REV inc=",
        "9070rev inc=",
        "907 rev inc ",
    ],
)
def test_anything_else_is_no_question(question):
    family = parse_task({"family": "programs", "num_digits": 3, "num_instructions": 2})
    assert family.answer(question.rjust(family.question_characters)) is None


def test_the_cell_is_the_first_and_the_last_instruction():
    family = parse_task({"family": "programs", "num_digits": 3, "num_instructions": 3})
    assert family.cell("907 rev inc asc=") == "rev asc"
    assert (family.num_cells, family.num_problems) == (64, 512_000)
    assert (family.question_characters, family.longest_characters) == (16, 19)
    assert parse_task({"family": "programs", "num_digits": 3, "num_instructions": 1}).num_cells == 8
