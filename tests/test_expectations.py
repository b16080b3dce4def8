"""The committed policies: each rule is broken by one damage, and by that damage alone."""

import math
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from herdbook.files import read_json
from herdbook.gate import evaluate
from herdbook.policy import read_policy, resolve
from herdbook.regimes import in_pass
from herdbook.rows import rows_table
from stages.validate import contract_frame, profile_frame, references
from tests.rows import rows_of

EXPECTATIONS = Path(__file__).parents[1] / "expectations"
KINDS = ("human", "training", "offspring")

# Measured on the default corpus and its founders.
MEASURED = read_json(Path(__file__).parents[1] / "bench" / "bounds.json")
HUMAN = MEASURED["human"] | {"target_rows": None}
TOP_K = MEASURED["top_k_50"] | {"num_rows": 2000, "target_rows": None}
PURE = MEASURED["pure"] | {"num_rows": 2000, "target_rows": None}
PROFILES = {"human": HUMAN, "training": HUMAN | {"mixture_gap": 0.0}, "offspring": TOP_K | {"target_rows": 2000}}

_BY_MODEL = rows_of("d", 40, model="m", generation=1, depth=1.5, nll=5.0)
ROWS = {
    "human": rows_of("d", 40, nll=None),
    "training": pa.concat_tables([_BY_MODEL, rows_of("d", 20, nll=5.0)]),
    "offspring": _BY_MODEL,
}
PARAMETERS = {
    "human": {},
    "training": references("human", HUMAN),
    "offspring": references("parent", HUMAN) | {"target_rows": 2000},
}


def frame_of(rows: pa.Table, kind: str):
    """What the row contract of a kind sees; training rows have a pass, here each its first."""
    return contract_frame(in_pass(rows, 0) if kind == "training" else rows)


def changed(**fields) -> Callable[[pa.Table], pa.Table]:
    """Damage to the first row."""
    return lambda rows: rows_table([rows.to_pylist()[0] | fields, *rows.to_pylist()[1:]])


def cut(rows: pa.Table) -> pa.Table:
    return rows.slice(0, 31)


COMPOUND = "expect_compound_columns_to_be_unique"
NULL, UNIQUE, BETWEEN = (f"expect_column_values_to_{what}" for what in ("not_be_null", "be_unique", "be_between"))
MIN, MAX, COUNT = "expect_column_min_to_be_between", "expect_column_max_to_be_between", "expect_table_row_count_to_be_between"
EQUAL, GREATER = "expect_column_pair_values_to_be_equal", "expect_column_pair_values_a_to_be_greater_than_b"

# What every kind of row can suffer, by (rule, columns); a rule that several damages break may stand with more of them.
ANY_ROWS = [
    (COUNT, "", cut),
    (NULL, "id", changed(id=None)),
    (UNIQUE, "id", lambda rows: pa.concat_tables([rows, rows.slice(1, 1)])),
    (NULL, "num_tokens", changed(num_tokens=None, tokens=None)),
    (BETWEEN, "num_tokens", changed(num_tokens=0, tokens=[])),
    (BETWEEN, "num_tokens", changed(num_tokens=4097, tokens=[1] * 4097)),
    (EQUAL, "num_tokens, num_tokens_listed", changed(num_tokens=5)),
    (EQUAL, "num_tokens, num_tokens_listed", changed(tokens=None)),
    (BETWEEN, "num_characters", changed(text="")),
]
SYNTHETIC_ROWS = [
    (NULL, "nll_nats", changed(nll_nats=None)),
    (BETWEEN, "nll_nats", changed(nll_nats=-0.1)),
    (BETWEEN, "nll_nats", changed(nll_nats=math.inf)),
    (GREATER, "depth, depth_floor", changed(depth=0.5)),
    (GREATER, "depth_limit, depth", changed(depth=2.1)),
]
DAMAGED_ROWS = {
    "human": [
        *ANY_ROWS,
        (MAX, "is_synthetic", changed(model="m")),
        (BETWEEN, "generation", changed(generation=1)),
        (BETWEEN, "depth", changed(depth=1.0)),
        (BETWEEN, "index", changed(index=-1)),
    ],
    "training": [*((COMPOUND, "id, pass", damage) if rule == UNIQUE else (rule, columns, damage) for rule, columns, damage in ANY_ROWS),
                 *SYNTHETIC_ROWS],
    "offspring": [*ANY_ROWS, *SYNTHETIC_ROWS, (MIN, "is_synthetic", changed(model=None, depth=0.0))],
}  # fmt: skip

DAMAGED_PROFILES = {
    "human": [
        (MIN, {"distinct_2": 0.04}), (MIN, {"entropy_2_bits": 7.9}), (MAX, {"repetition": 0.31}), (MAX, {"compression_ratio": 9.0}),
        (MAX, {"exact_duplicate_share": 0.03}), (MAX, {"near_duplicate_share": 0.06}), (MAX, {"contamination_share": 0.0025}),
        (MAX, {"broken_text_share": 0.06}),
    ],
    "training": [
        (MIN, {"distinct_2": 0.19}), (MAX, {"distinct_2": 0.4}), (MIN, {"entropy_2_bits": 13.2}), (MAX, {"entropy_2_bits": 14.7}),
        (MIN, {"tail_coverage": 0.192}), (MIN, {"tail_share": 0.0209}), (MAX, {"tail_share": 0.4}), (MAX, {"nll_distance_nats": 0.78}),
        (MAX, {"repetition": 0.2}), (MAX, {"compression_ratio": 3.6}), (MAX, {"exact_duplicate_share": 0.02}),
        (MAX, {"near_duplicate_share": 0.03}), (MAX, {"contamination_share": 0.002}), (MAX, {"memorisation_share": 0.02}),
        (MIN, {"human_token_share": 0.09}), (MAX, {"depth_mean": 2.1}), (MAX, {"mixture_gap": 0.011}),
    ],
    "offspring": [
        (MIN, {"num_rows": 1999}), (MIN, {"distinct_2": 0.09}), (MAX, {"distinct_2": 0.62}), (MIN, {"entropy_2_bits": 11.9}),
        (MAX, {"entropy_2_bits": 15.8}), (MIN, {"tail_share": 0.0006}), (MAX, {"tail_share": 0.5}), (MIN, {"nll_mean_nats": 3.7}),
        (MAX, {"nll_mean_nats": 6.9}), (MAX, {"repetition": 0.3}), (MAX, {"exact_duplicate_share": 0.03}),
        (MAX, {"near_duplicate_share": 0.06}), (MAX, {"contamination_share": 0.002}), (MAX, {"memorisation_share": 0.02}),
    ],
}  # fmt: skip


def broken(suite: str, frame, kind: str) -> list[tuple[str, str]]:
    """The (rule, columns) that do not pass, with what was errored marked."""
    outcomes, _ = evaluate(read_policy(EXPECTATIONS / f"{suite}.yaml"), frame, PARAMETERS[kind])
    return [
        (found["rule"] + (" errored" if found["status"] == "errored" else ""), found["column"] or "")
        for found in outcomes
        if found["status"] != "passed"
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_sound_data_pass(kind):
    assert broken(f"{kind}_rows", frame_of(ROWS[kind], kind), kind) == []
    assert broken(f"{kind}_profile", profile_frame(PROFILES[kind]), kind) == []


@pytest.mark.parametrize(("kind", "rule", "columns", "damage"), [(kind, *case) for kind in KINDS for case in DAMAGED_ROWS[kind]])
def test_each_rule_on_rows_is_broken_by_the_damage_it_names_and_no_other_is(kind, rule, columns, damage):
    assert broken(f"{kind}_rows", frame_of(damage(ROWS[kind]), kind), kind) == [(rule, columns)]


@pytest.mark.parametrize(("kind", "rule", "damage"), [(kind, *case) for kind in KINDS for case in DAMAGED_PROFILES[kind]])
def test_each_rule_on_a_profile_is_broken_by_the_damage_it_names_and_no_other_is(kind, rule, damage):
    assert broken(f"{kind}_profile", profile_frame(PROFILES[kind] | damage), kind) == [(rule, *damage)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_has_a_damage_that_breaks_it(kind):
    rows, figures = (read_policy(EXPECTATIONS / f"{kind}_{part}.yaml").rules for part in ("rows", "profile"))
    assert {(rule.type, ", ".join(rule.columns)) for rule in rows} == {(rule, columns) for rule, columns, _ in DAMAGED_ROWS[kind]}
    assert {(rule.type, *rule.columns) for rule in figures} == {(rule, *damage) for rule, damage in DAMAGED_PROFILES[kind]}


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_that_could_not_be_measured_is_errored(kind):
    policy = read_policy(EXPECTATIONS / f"{kind}_profile.yaml")
    unmeasured = dict.fromkeys(PROFILES[kind])
    assert broken(policy.name, profile_frame(unmeasured), kind) == sorted(
        ((f"{rule.type} errored", rule.columns[0]) for rule in policy.rules), key=lambda pair: (pair[1], pair[0])
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_table_breaks_every_rule_on_rows(kind):
    policy = read_policy(EXPECTATIONS / f"{kind}_rows.yaml")
    found = broken(policy.name, frame_of(ROWS[kind].slice(0, 0), kind), kind)
    assert len(found) == len(policy.rules)
    assert [rule for rule, _ in found if "errored" not in rule] == [COUNT]


def test_an_unknown_depth_breaks_both_rules_on_depth():
    damaged = frame_of(changed(depth=None)(ROWS["training"]), "training")
    assert broken("training_rows", damaged, "training") == [(GREATER, "depth, depth_floor"), (GREATER, "depth_limit, depth")]


def test_the_offspring_of_a_founder_alone_are_no_training_set_whichever_way_they_are_drawn():
    narrow = {column for _, column in broken("training_profile", profile_frame(TOP_K | {"mixture_gap": 0.0}), "training")}
    noisy = {column for _, column in broken("training_profile", profile_frame(PURE | {"mixture_gap": 0.0}), "training")}
    assert narrow == {"distinct_2", "entropy_2_bits", "tail_coverage", "tail_share", "nll_distance_nats", "human_token_share"}
    assert noisy == {"distinct_2", "entropy_2_bits", "human_token_share"}


def test_the_offspring_of_a_founder_pass_as_offspring():
    for figures in (TOP_K, PURE):
        assert broken("offspring_profile", profile_frame(figures | {"target_rows": 2000}), "offspring") == []


@pytest.mark.parametrize(
    ("column", "bound", "decoding"),
    [
        ("distinct_2", "min_value", "top_k_50"),
        ("distinct_2", "max_value", "pure"),
        ("entropy_2_bits", "min_value", "top_k_50"),
        ("entropy_2_bits", "max_value", "pure"),
        ("tail_coverage", "min_value", "top_k_50"),
        ("tail_share", "min_value", "top_k_50"),
        ("nll_distance_nats", "max_value", "top_k_50"),
    ],
)
def test_a_bound_on_training_sets_stands_half_way_from_human_text_to_the_founders(column, bound, decoding):
    rules = read_policy(EXPECTATIONS / "training_profile.yaml").rules
    (rule,) = [rule for rule in rules if rule.columns == (column,) and bound in rule.arguments]
    arguments, _ = resolve(rule, PARAMETERS["training"])
    half_way = (HUMAN[column] + MEASURED[decoding][column]) / 2
    assert arguments[bound] == pytest.approx(half_way, rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_every_profile_policy_notes_what_was_measured(kind):
    for rule in read_policy(EXPECTATIONS / f"{kind}_profile.yaml").rules:
        is_judged = rule.severity == "critical" and rule.columns != ("num_rows",)
        assert any(character.isdigit() for character in rule.notes) or not is_judged, rule.place
