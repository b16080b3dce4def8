import math
from pathlib import Path

import pandas as pd
import pytest

from herdbook.errors import PolicyError
from herdbook.gate import evaluate
from herdbook.policy import parse_policy

FRAME = pd.DataFrame(
    {"id": ["a", "b", "c"], "count": [1, 2, 3], "score": [0.5, math.nan, 1.5], "nothing": [math.nan] * 3, "endless": [1.0, 2.0, math.inf]}
)


def policy(*rules, severity="critical"):
    entries = [{rule: arguments, "notes": f"note {number}", "severity": severity} for number, (rule, arguments) in enumerate(rules)]
    return parse_policy({"name": "p", "notes": "why", "expectations": entries}, Path("p.yaml"))


def outcome(rule, arguments, frame=FRAME, parameters=None):
    outcomes, _ = evaluate(policy((rule, arguments)), frame, parameters or {})
    return outcomes[0]


def test_an_aggregate_says_what_it_found_and_what_is_allowed():
    found = outcome("expect_column_min_to_be_between", {"column": "count", "min_value": 2, "max_value": 3, "strict_max": True})
    assert found == {
        "suite": "p",
        "rule": "expect_column_min_to_be_between",
        "column": "count",
        "notes": "note 0",
        "severity": "critical",
        "status": "failed",
        "observed": 1,
        "allowed": ">= 2 and < 3",
        "error": None,
    }


def test_a_bound_by_reference_shows_its_number_and_where_it_came_from():
    bound = {"column": "score", "max_value": {"$PARAMETER": "human_score * 0.8"}}
    outcomes, used = evaluate(policy(("expect_column_max_to_be_between", bound)), FRAME, {"human_score": 0.275, "human_other": 1.0})
    assert outcomes[0]["allowed"] == "<= 0.22 (human_score * 0.8)"
    assert outcomes[0]["status"] == "failed"
    assert used == {"human_score": 0.275}


def test_a_rule_on_rows_counts_the_rows_that_break_it():
    found = outcome("expect_column_values_to_be_between", {"column": "count", "min_value": 2})
    assert (found["status"], found["observed"], found["allowed"]) == ("failed", "1 of 3 rows break it", ">= 2 in every row")


def test_a_rule_may_ask_for_most_rows():
    found = outcome("expect_column_values_to_be_between", {"column": "count", "min_value": 2, "mostly": 0.6})
    assert (found["status"], found["allowed"]) == ("passed", ">= 2 in a share of rows >= 0.6")


def test_a_rule_on_a_pair_names_both_columns():
    found = outcome("expect_column_pair_values_to_be_equal", {"column_A": "count", "column_B": "endless"})
    assert (found["status"], found["column"], found["observed"]) == ("failed", "count, endless", "1 of 3 rows break it")


def test_a_rule_on_the_table_has_no_column():
    found = outcome("expect_table_row_count_to_be_between", {"min_value": 3})
    assert (found["status"], found["column"], found["observed"]) == ("passed", None, 3)


def test_other_arguments_are_shown_as_written():
    found = outcome("expect_column_values_to_be_in_set", {"column": "count", "value_set": [1, 2, 3]})
    assert (found["status"], found["allowed"]) == ("passed", "value_set [1, 2, 3] in every row")


BETWEEN = {"min_value": 0, "max_value": 9}
ERRORED = {
    "a column that is not there": ("expect_column_min_to_be_between", {"column": "zz", "min_value": 0}, "no column 'zz'; rules see"),
    "a null aggregate": ("expect_column_max_to_be_between", {"column": "nothing", "max_value": 9}, "no value to look at"),
    "an infinite aggregate": ("expect_column_max_to_be_between", {"column": "endless", "min_value": 0}, "not finite"),
    "an infinite quantile": (
        "expect_column_quantile_values_to_be_between",
        {"column": "endless", "quantile_ranges": {"quantiles": [1.0], "value_ranges": [[0, None]]}},
        "not finite",
    ),
    "nulls alone, which pass": ("expect_column_values_to_be_between", {"column": "nothing", **BETWEEN}, "nothing but nulls"),
    "distinct nulls, which pass": ("expect_column_values_to_be_unique", {"column": "nothing"}, "nothing but nulls"),
    "numbers of text": ("expect_column_values_to_be_between", {"column": "id", **BETWEEN}, "same type"),
    "the mean of text": ("expect_column_mean_to_be_between", {"column": "id", **BETWEEN}, ""),
    "a rule that leaves no evidence": ("expect_column_to_exist", {"column": "id"}, "no value to look at"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORED)
def test_what_cannot_be_evaluated_is_errored_and_never_passed(case):
    rule, arguments, message = ERRORED[case]
    found = outcome(rule, arguments)
    assert found["status"] == "errored"
    assert message in found["error"]
    assert "\n" not in found["error"]


def test_an_empty_table_passes_nothing():
    rules = [
        ("expect_column_values_to_not_be_null", {"column": "count"}),
        ("expect_column_values_to_be_unique", {"column": "id"}),
        ("expect_column_values_to_be_between", {"column": "count", **BETWEEN}),
        ("expect_column_values_to_be_in_set", {"column": "count", "value_set": [1]}),
        ("expect_column_pair_values_to_be_equal", {"column_A": "count", "column_B": "score"}),
        ("expect_column_max_to_be_between", {"column": "count", "max_value": 9}),
        ("expect_table_row_count_to_be_between", {"min_value": 1}),
    ]
    outcomes, _ = evaluate(policy(*rules), FRAME.head(0), {})
    assert {found["rule"]: found["status"] for found in outcomes} == {
        rule: "failed" if rule == "expect_table_row_count_to_be_between" else "errored" for rule, _ in rules
    }


def test_one_rule_that_cannot_be_evaluated_leaves_the_others_standing():
    rules = [("expect_column_max_to_be_between", {"column": column, "max_value": 9}) for column in ("zz", "count", "id")]
    outcomes, _ = evaluate(policy(*rules), FRAME, {})
    assert [(found["column"], found["status"]) for found in outcomes] == [("count", "passed"), ("id", "errored"), ("zz", "errored")]


def test_nothing_of_the_data_stands_in_an_outcome():
    hostile = FRAME.assign(id=["<script>", "<script>", "\x1b[2J"])
    rules = [
        ("expect_column_values_to_be_unique", {"column": "id"}),
        ("expect_column_values_to_match_regex", {"column": "id", "regex": "^[0-9]+$"}),
        ("expect_column_distinct_values_to_be_in_set", {"column": "id", "value_set": ["b"]}),
        ("expect_column_most_common_value_to_be_in_set", {"column": "id", "value_set": ["b"]}),
        ("expect_column_values_to_be_between", {"column": "id", **BETWEEN}),
    ]
    outcomes, _ = evaluate(policy(*rules), hostile, {})
    assert "passed" not in {found["status"] for found in outcomes}
    assert "script" not in str(outcomes)
    assert "\\x1b" not in str(outcomes)


def test_columns_that_no_rule_names_are_not_looked_at():
    unhashable = FRAME.assign(text=[{}, {}, {}])
    assert outcome("expect_column_max_to_be_between", {"column": "count", "max_value": 9}, unhashable)["status"] == "passed"


def test_two_evaluations_are_equal_and_in_the_same_order_and_silent(capfd):
    rules = [("expect_column_max_to_be_between", {"column": column, "max_value": 9}) for column in ("zz", "score", "count", "id")]
    once, again = evaluate(policy(*rules), FRAME, {}), evaluate(policy(*rules), FRAME, {})
    other, _ = evaluate(policy(*reversed(rules)), FRAME, {})
    assert once == again
    assert [found["column"] for found in other] == [found["column"] for found in once[0]] == ["count", "id", "score", "zz"]
    assert capfd.readouterr() == ("", "")


def test_a_reference_that_is_not_known_is_an_error_before_anything_is_evaluated():
    with pytest.raises(PolicyError, match="unknown parameter 'parent_x'"):
        outcome("expect_column_max_to_be_between", {"column": "count", "max_value": {"$PARAMETER": "parent_x"}})
