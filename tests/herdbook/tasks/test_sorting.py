import pytest

from herdbook.tasks import parse_task

FAMILY = parse_task({"family": "sort_digits", "num_digits": 6})


def test_the_answer_is_the_digits_in_order():
    assert FAMILY.answer("352140>") == "012345"
    assert FAMILY.answer("900900>") == "000099"
    assert (FAMILY.question_characters, FAMILY.longest_characters, FAMILY.num_problems) == (7, 13, 10**6)


@pytest.mark.parametrize("question", ["35214>", " 35214>", "35214 >", "3521409>", "35214a>", "352140=", "352140", "35214²>", "+35214>"])
def test_anything_else_is_no_question(question):
    assert FAMILY.answer(question) is None


def test_the_cell_is_the_first_two_digits():
    assert FAMILY.cell("352140>") == "35"
    assert parse_task({"family": "sort_digits", "num_digits": 1}).cell("7>7") == "7"
    assert [parse_task({"family": "sort_digits", "num_digits": n}).num_cells for n in (1, 2, 3)] == [10, 100, 100]
