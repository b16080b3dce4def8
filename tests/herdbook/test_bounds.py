import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook.bounds import bound, is_number, names_in
from herdbook.errors import PolicyError

NUMBERS = st.floats(0.1, 100).map(lambda number: f"{number:.4f}")


def joined(parts):
    left, sign, right = parts
    return f"({left} {sign} {right})"


EXPRESSIONS = st.recursive(
    st.one_of(NUMBERS, st.sampled_from(["a", "b"])),
    lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(joined),
    max_leaves=6,
)


def test_a_share_of_a_reference_is_computed_and_says_what_it_used():
    found = bound("human_distinct_2 * 0.8", {"human_distinct_2": 0.275, "human_other": 9.0}, "here")
    assert (found.expression, found.value, found.used) == ("human_distinct_2 * 0.8", 0.22, {"human_distinct_2": 0.275})


def test_signs_bind_as_in_arithmetic():
    assert bound("-a + 2 * (b - 1) / 4", {"a": 1.0, "b": 3.0}, "here").value == 0.0


@settings(deadline=None, max_examples=100)
@given(EXPRESSIONS.filter(lambda text: "a" in text or "b" in text))
def test_arithmetic_agrees_with_python(expression):
    values = {"a": 3.0, "b": 0.7}
    try:
        wanted = eval(expression, {"__builtins__": {}}, values)  # an oracle: the text was made by this test
    except ZeroDivisionError:
        with pytest.raises(PolicyError, match="cannot be computed"):
            bound(expression, values, "here")
        return
    assert math.isclose(bound(expression, values, "here").value, wanted, rel_tol=1e-9, abs_tol=1e-9)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_is_refused_in_one_line(text):
    message = "p.yaml: entry 1"
    try:
        names_in(text, message)
    except PolicyError as error:
        message = str(error)
    assert message.startswith("p.yaml: entry 1")
    assert "\n" not in message


@pytest.mark.parametrize(
    "expression",
    ["a ** 2", "a // 2", "a % 2", "f(a)", "a.b", "a[0]", "a if a else 1", "[a]", "a < 1", "not a", "a and 1", "'x' * a", "True * a",
     "1e999 * a", "", "a *", "a\n+1)", "(" * 150 + "a" + ")" * 40, "lambda: a", "a := 1", "\0a"],
)  # fmt: skip
def test_what_is_not_arithmetic_is_refused(expression):
    with pytest.raises(PolicyError, match="is not arithmetic"):
        names_in(expression, "here")


@pytest.mark.parametrize("expression", [0.5, None, ["a"], "a + " * 100 + "a"])
def test_what_is_not_a_short_text_is_no_expression(expression):
    with pytest.raises(PolicyError, match="must be text such as"):
        names_in(expression, "here")


def test_an_expression_without_a_parameter_is_refused():
    with pytest.raises(PolicyError, match="names no parameter"):
        names_in("3 * 0.8", "here")


def test_a_missing_parameter_is_an_error_that_names_the_nearest():
    with pytest.raises(PolicyError, match=r"p\.yaml: entry 2: unknown parameter 'human_distinkt_2'.*did you mean human_distinct_2\?"):
        bound("human_distinkt_2 * 0.8", {"human_distinct_2": 0.3}, "p.yaml: entry 2")


@pytest.mark.parametrize("value", [None, "0.3", True, math.nan, math.inf, -math.inf, 10**400])
def test_a_parameter_that_is_no_finite_number_is_an_error(value):
    with pytest.raises(PolicyError, match="must be a finite number"):
        bound("a * 2", {"a": value}, "here")


@pytest.mark.parametrize(
    ("expression", "message"), [("1 / a", "cannot be computed"), ("1 / (a - a)", "cannot"), ("b * b", "must be finite")]
)
def test_a_result_that_is_no_finite_number_is_an_error(expression, message):
    with pytest.raises(PolicyError, match=message):
        bound(expression, {"a": 0.0, "b": 1e300}, "here")


def test_numbers_are_finite_and_no_truth_values():
    assert [is_number(value) for value in (1, 0.5, True, math.nan, "1", 10**400)] == [True, True, False, False, False, False]
