import pytest
from hypothesis import given
from hypothesis import strategies as st

from herdbook.tasks import parse_task, problems

FAMILY = parse_task({"family": "logic", "num_variables": 2, "max_operators": 3})
WIDTH = 8 + 1 + 20 + 1  # values, space, formula, separator


def asked(formula, values="a=1 b=0"):
    return f"{values}: {formula}=".rjust(WIDTH)


@pytest.mark.parametrize(
    ("formula", "answer"),
    [
        ("(a&b)", "0"),
        ("(a|b)", "1"),
        ("!(a&b)", "1"),
        ("(!a|b)", "0"),
        ("(a&!b)", "1"),
        ("((a&!b)|b)", "1"),
        ("!((a&!b)|b)", "0"),
        ("(!(a&b)&!(a|b))", "0"),
        ("!(!a&!(!a&!(!b&!b)))", "1"),  # the inmost is 1, its denial 0; 0 & 0, denied 1; 0 & 1, denied 1; all signs, all lengths
    ],
)
def test_the_answer_is_the_value_of_the_formula(formula, answer):
    assert FAMILY.answer(asked(formula)) == answer


def test_lengths_are_those_of_the_longest_formula():
    longest = asked("!(!a&!(!a&!(!b&!b)))")
    assert len(longest) == FAMILY.question_characters == WIDTH
    assert longest.startswith("a=1 b=0: !")
    assert FAMILY.longest_characters == WIDTH + 1


OF_NO_OPERATOR_OR_TOO_MANY = ["", "a", "!a", "(a)", "()", "(((a&b)&b)&(a&b))"]
OUT_OF_PARENTHESES = ["a&b", "(a&b", "a&b)", "(a&b))", "((a&b)", "(a&b|a)", "(a&b)(a|b)", "(a(a&b)&b)", "(a&(b))"]
OF_A_SIGN_TOO_MANY = ["!!(a&b)", "(!!a&b)", "(a&b)!", "(a!&b)", "(a&b!)", "(a&&b)", "(&b)", "(a&)", "(ab&a)"]
OF_OTHER_CHARACTERS = ["(1&0)", "(a&0)", "(a&c)", "(A&b)", "(a^b)", "(a & b)", "(a&b) ", "(a&b):", "(a&b)\n"]


@pytest.mark.parametrize("formula", [*OF_NO_OPERATOR_OR_TOO_MANY, *OUT_OF_PARENTHESES, *OF_A_SIGN_TOO_MANY, *OF_OTHER_CHARACTERS])
def test_anything_else_is_no_formula(formula):
    assert FAMILY.answer(asked(formula)) is None


@pytest.mark.parametrize("values", ["a=1", "b=0 a=1", "a=1 b=2", "a=1  b=0", "a=1 b=0 c=1", "a=1,b=0", "a=1 b=", "a=1 a=0"])
def test_each_variable_has_one_value_in_order(values):
    assert FAMILY.answer(asked("(a&b)", values)) is None


def test_there_are_as_many_problems_as_formulas_times_values():
    # one variable, with and without sign: 2; of one operator 2 * 2 * (2 * 2) = 16; of two 2 * 2 * (2 * 16 + 16 * 2) = 256
    family = parse_task({"family": "logic", "num_variables": 1, "max_operators": 2})
    assert family.num_problems == 2 * (16 + 256)
    assert len(problems(family, family.num_problems, seed=0)) == family.num_problems


def test_the_cell_is_the_values_and_the_number_of_operators():
    assert FAMILY.cell(asked("((a&!b)|b)")) == "10:2"
    assert FAMILY.num_cells == 12


VALUES = {"a": True, "b": False, "c": True}
LEAVES = st.sampled_from(sorted(VALUES)).map(lambda name: (name, VALUES[name]))
SIGNED = st.one_of(LEAVES, LEAVES.map(lambda leaf: (f"!{leaf[0]}", not leaf[1])))


def joined(left, operator, right, is_denied):
    value = left[1] and right[1] if operator == "&" else left[1] or right[1]
    return f"{'!' * is_denied}({left[0]}{operator}{right[0]})", value != is_denied


FORMULAS = st.recursive(SIGNED, lambda part: st.builds(joined, part, st.sampled_from("&|"), part, st.booleans()), max_leaves=13)


@given(FORMULAS)
def test_formulas_have_the_value_that_they_were_built_with(formula):
    family = parse_task({"family": "logic", "num_variables": 3, "max_operators": 12})
    text, value = formula
    question = f"a=1 b=0 c=1: {text}=".rjust(family.question_characters)
    assert family.answer(question) == (str(int(value)) if "(" in text else None)
