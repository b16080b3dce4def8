import math
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook.errors import PolicyError
from herdbook.policy import Rule, expectation, parse_policy, read_policy, resolve

HEAD = "name: p\nnotes: why\nexpectations:\n"
GOOD = "- expect_column_min_to_be_between: {column: distinct_2, min_value: 0.2}\n  notes: narrowing\n"


def entry(rule: str, arguments: str, rest: str = "notes: why") -> str:
    return f"{HEAD}- {rule}: {arguments}\n  {rest}\n"


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "p.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_policy_is_read_whole(tmp_path):
    text = HEAD + GOOD + "- expect_table_row_count_to_be_between: {min_value: 1}\n  notes: a floor\n  severity: warning\n"
    policy = read_policy(written(tmp_path, text))
    assert (policy.name, policy.notes) == ("p", "why")
    assert [(rule.type, rule.arguments, rule.notes, rule.severity, rule.columns) for rule in policy.rules] == [
        ("expect_column_min_to_be_between", {"column": "distinct_2", "min_value": 0.2}, "narrowing", "critical", ("distinct_2",)),
        ("expect_table_row_count_to_be_between", {"min_value": 1}, "a floor", "warning", ()),
    ]


MIN = "expect_column_min_to_be_between"
BETWEEN = "expect_column_values_to_be_between"
QUANTILE = "expect_column_quantile_values_to_be_between"
REFUSED = {
    "an empty file": ("", "empty"),
    "a list": ("- a", "must be a mapping"),
    "a text": ("hello", "must be a mapping"),
    "no YAML": ("name: [", "not YAML"),
    "a tag that would build an object": ("name: !!python/object/apply:os.getcwd []", "not YAML"),
    "deep nesting": ("[" * 5000, "not YAML"),
    "a date that is none": (HEAD + "- expect_x: {column: 2026-13-45}\n", "not YAML"),
    "bytes that are not UTF-8": (b"name: \xff", "not YAML"),
    "a control character": ("name: \x00", "not YAML"),
    "an unknown top-level key": ("nmae: p\n" + HEAD + GOOD, "unknown key 'nmae'"),
    "a duplicate top-level key": ("name: p\n" + HEAD + GOOD, "key 'name' stands twice"),
    "a duplicate argument": (entry(MIN, "{column: a, min_value: 0, min_value: 1}"), "key 'min_value' stands twice"),
    "another name than the file's": (HEAD.replace("name: p", "name: q") + GOOD, "name is 'q', must be 'p'"),
    "no notes on the policy": ("name: p\nexpectations:\n" + GOOD, "notes is None"),
    "no expectations": ("name: p\nnotes: why\n", "no expectations"),
    "an empty list of expectations": ("name: p\nnotes: why\nexpectations: []\n", "no expectations"),
    "an entry that is a text": (HEAD + "- hello\n", "entry 1: is 'hello'"),
    "an entry without a rule": (HEAD + "- notes: why\n", "entry 1: has 0 rules"),
    "two rules in an entry": (HEAD + f"- {MIN}: {{}}\n  {BETWEEN}: {{}}\n  notes: why\n", "entry 1: has 2 rules"),
    "a misspelt key in an entry": (entry(MIN, "{column: a, min_value: 1}", "notes: why\n  severty: info"), "unknown key 'severty'"),
    "an unknown rule": (entry("expect_column_min_to_be_betwen", "{column: a, min_value: 1}"), f"unknown rule; did you mean {MIN}"),
    "a misspelt argument": (entry(MIN, "{column: a, min_valu: 1, max_value: 2}"), "unknown argument 'min_valu'; did you mean min_value"),
    "a missing argument": (entry(MIN, "{min_value: 1}"), "argument 'column' is missing"),
    "no arguments": (entry("expect_column_values_to_be_unique", ""), "argument 'column' is missing"),
    "arguments that are a list": (entry(MIN, "[a, 1]"), "must be a mapping such as"),
    "arguments that are false": (entry(MIN, "false"), "must be a mapping such as"),
    "a bad severity": (entry(MIN, "{column: a, min_value: 1}", "notes: why\n  severity: fatal"), "severity is 'fatal', must be one of"),
    "an entry without notes": (entry(MIN, "{column: a, min_value: 1}", "severity: info"), "no notes"),
    "notes of blanks": (entry(MIN, "{column: a, min_value: 1}", 'notes: " "'), "no notes"),
    "no bound": (entry(MIN, "{column: a}"), "no bound"),
    "a null bound": (entry(MIN, "{column: a, min_value: null}"), "asks for nothing"),
    "a quantile without a bound": (
        entry(QUANTILE, "{column: a, quantile_ranges: {quantiles: [0.5], value_ranges: [[null, null]]}}"),
        "no bound",
    ),
    "a divergence without a threshold": (entry("expect_column_kl_divergence_to_be_less_than", "{column: a}"), "no bound"),
    "bounds in the wrong order": (entry(MIN, "{column: a, min_value: 2, max_value: 1}"), "min_value 2 is above max_value 1"),
    "a NaN bound": (entry(MIN, "{column: a, min_value: .nan}"), "must be finite"),
    "an infinite bound": (entry(MIN, "{column: a, max_value: .inf}"), "must be finite"),
    "a bound beyond any float": (entry(MIN, f"{{column: a, max_value: {10**400}}}"), "must be finite"),
    "a number that YAML reads as text": (entry(MIN, "{column: a, min_value: 1e-3}"), "YAML reads 1e-3 as text"),
    "a truth value as a bound": (entry(MIN, "{column: a, min_value: yes}"), "is True, must be a number"),
    "a bound that would be cut": (entry("expect_table_row_count_to_be_between", "{min_value: 1.5}"), "would be taken as 1"),
    "a column that is a number": (entry(MIN, "{column: 3, min_value: 1}"), "must name columns as text"),
    "an empty value set": (entry("expect_column_values_to_not_be_in_set", "{column: a, value_set: []}"), "asks for nothing"),
    "mostly none": (entry(BETWEEN, "{column: a, min_value: 1, mostly: 0}"), "every dataset meets"),
    "more than all": (entry(BETWEEN, "{column: a, min_value: 1, mostly: 1.5}"), "mostly"),
    "NaN in a list": (entry("expect_column_values_to_be_in_set", "{column: a, value_set: [1, .nan]}"), "must be finite"),
    "a condition": (entry(BETWEEN, "{column: a, min_value: 1, row_condition: b > 1}"), "not an argument a policy may give"),
    "a silenced rule": (entry(BETWEEN, "{column: a, min_value: 1, severity: info}"), "not an argument a policy may give"),
    "a misspelt reference": (entry(MIN, "{column: a, min_value: {$PARAM: x}}"), "a reference is"),
    "a reference and more": (entry(MIN, "{column: a, min_value: {$PARAMETER: x, or: 1}}"), "a reference is"),
    "a reference in a list": (entry("expect_column_values_to_be_in_set", "{column: a, value_set: [{$PARAMETER: x}]}"), "a reference is"),
    "a call in a reference": (entry(MIN, "{column: a, min_value: {$PARAMETER: 'exit()'}}"), "is not arithmetic"),
    "a reference to nothing": (entry(MIN, "{column: a, min_value: {$PARAMETER: 3}}"), "must be text such as"),
    "the same rule twice": (HEAD + GOOD + GOOD, "entry 2 .* is a duplicate"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_fault_is_refused_in_one_line_that_names_the_file(case, tmp_path):
    text, message = REFUSED[case]
    with pytest.raises(PolicyError, match=message) as refusal:
        read_policy(written(tmp_path, text))
    assert str(tmp_path / "p.yaml") in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("case", [case for case, (_, message) in REFUSED.items() if "entr" in message or "argument" in message])
def test_a_fault_in_an_entry_names_the_entry(case, tmp_path):
    with pytest.raises(PolicyError, match=r"p\.yaml: entry \d"):
        read_policy(written(tmp_path, REFUSED[case][0]))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(PolicyError, match="cannot be read"):
        read_policy(tmp_path / "none.yaml")


def test_equal_rules_with_other_bounds_are_no_duplicates(tmp_path):
    assert len(read_policy(written(tmp_path, HEAD + GOOD + GOOD.replace("0.2", "0.1") + "  severity: warning\n")).rules) == 2


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(["a", "why", "info", "human_x * 0.8"])
)
KEYS = st.sampled_from(["column", "min_value", "max_value", "mostly", "value_set", "$PARAMETER", "strict_min", "quantile_ranges", "x"])
VALUES = st.recursive(LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(KEYS, inner, max_size=2)), max_leaves=4)
ENTRIES = st.dictionaries(
    st.sampled_from([MIN, BETWEEN, "expect_column_values_to_be_in_set", QUANTILE, "severity"]),
    st.one_of(VALUES, st.dictionaries(KEYS, VALUES, max_size=4)),
    max_size=3,
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(st.lists(ENTRIES.map(lambda given: {"notes": "why", **given}), min_size=1, max_size=2))
def test_any_document_is_a_policy_or_is_refused(entries):
    num_rules, message = len(entries), "p.yaml: "
    try:
        num_rules = len(parse_policy({"name": "p", "notes": "why", "expectations": entries}, Path("p.yaml")).rules)
    except PolicyError as error:
        message = str(error)
    assert num_rules == len(entries)
    assert message.startswith("p.yaml: ")
    assert "\n" not in message


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_policy_or_are_refused(tmp_path_factory, data):
    with pytest.raises(PolicyError):
        read_policy(written(tmp_path_factory.mktemp("policy"), data))


def rule(**arguments) -> Rule:
    return Rule("p.yaml: entry 1", MIN, {"column": "a", **arguments}, "why", "critical")


def test_references_become_numbers_and_say_what_they_used():
    bounds = {"min_value": {"$PARAMETER": "human_a * 0.5"}, "max_value": 9}
    assert resolve(rule(**bounds), {"human_a": 3.0, "human_b": 1.0}) == (
        {"column": "a", "min_value": 1.5, "max_value": 9},
        {"human_a": 3.0},
    )


@pytest.mark.parametrize("parameters", [{}, {"human_a": None}, {"human_a": math.nan}, {"human_a": "3"}])
def test_a_reference_never_loses_its_bound(parameters):
    with pytest.raises(PolicyError, match=r"entry 1: min_value: .*human_a"):
        resolve(rule(min_value={"$PARAMETER": "human_a"}), parameters)


def test_a_resolved_bound_is_checked_again():
    fault = Rule("here", BETWEEN, {"column": "a", "min_value": 0, "mostly": {"$PARAMETER": "x"}}, "why", "critical")
    with pytest.raises(PolicyError, match="mostly"):
        expectation(fault, resolve(fault, {"x": 1.5})[0])


def test_every_committed_policy_is_plain_yaml():
    for path in Path("expectations").glob("*.yaml"):
        assert yaml.safe_load(path.read_text())["name"] == path.stem
