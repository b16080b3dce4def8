import pytest

from herdbook.tasks import parse_task

FAMILY = parse_task({"family": "arithmetic", "max_operand": 99, "operations": ["+", "-", "*"]})


@pytest.mark.parametrize(
    ("question", "answer"),
    [("17+42=", "59"), ("17-42=", "-25"), (" 7*42=", "294"), ("99*99=", "9801"), ("  0-0=", "0"), ("  0*9=", "0"), ("  0-1=", "-1")],
)
def test_the_answer_is_the_whole_number_that_comes_out(question, answer):
    assert FAMILY.answer(question) == answer
    assert FAMILY.is_right(question + answer)


@pytest.mark.parametrize(
    "question", [" 07+4=", "-7+42=", "7 +42=", "7+ 42=", "7++42=", "100+1=", "1_1+1=", "17/42=", " 7**2=", "17+42 ", "   +1="]
)
def test_anything_else_is_no_question(question):
    assert len(question) == FAMILY.question_characters
    assert FAMILY.answer(question) is None


def test_an_operand_beyond_the_greatest_is_no_question():
    family = parse_task({"family": "arithmetic", "max_operand": 42, "operations": ["+"]})
    assert family.answer("42+42=") == "84"
    assert family.answer("43+42=") is None
    assert family.answer("42+43=") is None
    assert family.answer("42-42=") is None


@pytest.mark.parametrize(("operations", "longest"), [(["+"], "99+99=198"), (["-"], "10-99=-89"), (["+", "-", "*"], "99*99=9801")])
def test_the_longest_problem_is_that_of_the_operations(operations, longest):
    family = parse_task({"family": "arithmetic", "max_operand": 99, "operations": operations})
    assert family.is_right(longest)
    assert family.longest_characters == len(longest)


def test_the_cell_is_the_operation_and_the_tenth_of_each_operand():
    assert FAMILY.cell("17+42=") == "1+4"
    assert FAMILY.cell(" 9*90=") == "0*9"
    assert (FAMILY.num_cells, FAMILY.num_problems) == (300, 30_000)


def test_few_numbers_are_cells_by_themselves():
    family = parse_task({"family": "arithmetic", "max_operand": 2, "operations": ["+"]})
    assert [family.cell(question) for question in ("0+1=", "1+2=")] == ["0+1", "1+2"]
    assert family.num_cells == family.num_problems == 9
