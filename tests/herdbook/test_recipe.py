from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook.errors import ParamsError
from herdbook.measures import flattened, repetition
from herdbook.recipe import STEPS, curate, needs_of, parse_steps, reason_of, writes
from herdbook.rows import rows_table
from herdbook.schema import HANDS, REJECTED, ROWS
from herdbook.steps.step import Outcome, Step


def table(texts, tokens=None):
    """Rows whose tokens are the places of their words in the alphabet, unless given."""
    tokens = tokens or [[ord(word[0]) for word in text.split()] for text in texts]
    return rows_table(
        [{"id": str(n), "text": t, "tokens": k, "num_tokens": len(k)} for n, (t, k) in enumerate(zip(texts, tokens, strict=True))]
    )


def ids(rows):
    return rows["id"].to_pylist()


@dataclass
class Given:
    """Material of held-out texts alone."""

    held_out: list[str] = field(default_factory=list)

    def generator(self, step):
        return np.random.default_rng(0)


def curated(rows, *steps, num_rows=100, held_out=()):
    return curate(rows, parse_steps(steps, "recipe"), num_rows, Given(list(held_out)))


def test_length_rejects_rows_of_fewer_tokens():
    found = curated(table(["a b", "a b c", "a"]), {"name": "length", "min_tokens": 2})
    assert (ids(found.kept), ids(found.rejected), found.num_rejected) == (["0", "1"], ["2"], {"length": 1})


def test_repetition_rejects_rows_above_the_bound():
    # a b a b: rep-2 is 1 - 2/3, no 3-gram or 4-gram repeats, so repetition is 1/3
    rows = table(["a b a b", "a b c d"])
    assert ids(curated(rows, {"name": "repetition", "max_repetition": 0.33}).kept) == ["1"]
    assert ids(curated(rows, {"name": "repetition", "max_repetition": 0.34}).kept) == ["0", "1"]


def test_exact_duplicates_are_rejected_but_not_the_first():
    found = curated(table(["a", "b", "a", "a"]), {"name": "exact_duplicate"})
    assert (ids(found.kept), ids(found.rejected)) == (["0", "1"], ["2", "3"])


def test_near_duplicates_are_rejected_but_not_the_first():
    # abc bcd cde and abc bcd cdx share 2 of 4 shingles
    rows = table(["a b c d e", "a b c d x", "x y z"])
    assert ids(curated(rows, {"name": "near_duplicate", "jaccard": 0.5}).rejected) == ["1"]
    assert ids(curated(rows, {"name": "near_duplicate", "jaccard": 0.6}).rejected) == []


def test_rows_that_share_a_run_of_words_with_held_out_text_are_rejected():
    rows = table(["x a b y", "a x b", "b a"])
    found = curated(rows, {"name": "held_out_overlap", "ngram": 2}, held_out=["A, B"])
    assert (ids(found.kept), found.rejected["reason"].to_pylist()) == (["1", "2"], ["held_out_overlap"])


def test_a_row_is_rejected_by_the_first_step_that_it_fails():
    steps = {"name": "length", "min_tokens": 2}, {"name": "exact_duplicate"}
    found = curated(table(["a", "a", "a b", "a b"]), *steps)
    assert list(zip(ids(found.rejected), found.rejected["reason"].to_pylist(), strict=True)) == [
        ("0", "length"),
        ("1", "length"),
        ("3", "exact_duplicate"),
    ]


def test_a_full_set_leaves_survivors_over():
    found = curated(table(["a", "b", "a", "c", "b"]), {"name": "exact_duplicate"}, num_rows=2)
    assert (ids(found.kept), found.num_surplus, found.num_rejected, found.is_full) == (["0", "1"], 1, {"exact_duplicate": 2}, True)


def test_too_few_survivors_are_kept_and_said_not_to_fill_the_set():
    found = curated(table(["a", "a"]), {"name": "exact_duplicate"}, num_rows=2)
    assert (ids(found.kept), found.num_surplus, found.is_full) == (["0"], 0, False)


def test_nothing_passes_a_recipe_as_an_empty_table():
    found = curated(table(["a", "b"]), {"name": "length", "min_tokens": 9}, {"name": "near_duplicate", "jaccard": 0.7})
    assert (found.kept.num_rows, found.kept.schema, found.num_rejected) == (0, ROWS, {"length": 2, "near_duplicate": 0})


def test_no_steps_keep_the_first_rows():
    found = curated(table(["a", "a", "a"]), num_rows=2)
    assert (ids(found.kept), found.num_surplus, found.rejected.schema) == (["0", "1"], 1, REJECTED)


TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=7).map(" ".join), max_size=15)
RECIPES = st.lists(
    st.one_of(
        st.builds(lambda n: {"name": "length", "min_tokens": n}, st.integers(1, 4)),
        st.builds(lambda x: {"name": "repetition", "max_repetition": x}, st.sampled_from([0.0, 0.3, 1.0])),
        st.just({"name": "exact_duplicate"}),
        st.builds(lambda x: {"name": "near_duplicate", "jaccard": x}, st.sampled_from([0.3, 0.7, 1.0])),
        st.builds(lambda n: {"name": "held_out_overlap", "ngram": n}, st.integers(1, 4)),
    ),
    max_size=5,
)


@given(TEXTS, RECIPES, st.integers(1, 8))
@settings(deadline=None, max_examples=200)
def test_every_row_is_kept_left_over_or_rejected(texts, recipe, num_rows):
    found = curated(table(texts), *recipe, num_rows=num_rows, held_out=["a b c a", "c c"])
    assert found.kept.num_rows + found.num_surplus + sum(found.num_rejected.values()) == len(texts)
    assert found.rejected.num_rows == sum(found.num_rejected.values())
    assert found.is_full == (found.kept.num_rows == num_rows)
    assert not set(ids(found.kept)) & set(ids(found.rejected))
    kept = [int(row) for row in ids(found.kept)]
    assert kept == sorted(kept)
    assert found.kept.equals(table(texts).take(kept)) if kept else found.kept.num_rows == 0


@given(TEXTS, RECIPES, st.integers(0, 15))
@settings(deadline=None, max_examples=100)
def test_what_becomes_of_a_row_does_not_depend_on_later_rows(texts, recipe, count):
    whole, beginning = (curated(table(some), *recipe, held_out=["a b c a"]) for some in (texts, texts[:count]))
    assert ids(beginning.kept) == [row for row in ids(whole.kept) if int(row) < count]


@given(TEXTS)
@settings(deadline=None, max_examples=50)
def test_curated_rows_meet_what_the_recipe_asks(texts):
    found = curated(table(texts), {"name": "repetition", "max_repetition": 0.2}, {"name": "exact_duplicate"}).kept
    assert len(set(found["text"].to_pylist())) == found.num_rows
    assert (repetition(*flattened(found["tokens"]), found.num_rows) <= 0.2).all()


def test_only_a_recipe_that_compares_with_held_out_text_reads_it():
    assert needs_of(parse_steps([{"name": "exact_duplicate"}], "recipe")) == set()
    assert needs_of(parse_steps([{"name": "held_out_overlap", "ngram": 13}], "recipe")) == {"held_out"}


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            {"name": "lenght", "min_tokens": 3},
            "recipe.1: unknown step 'lenght'; allowed: compression, decontaminate, edit, exact_duplicate, ",
        ),
        ({"min_tokens": 3}, "recipe.1: unknown step None; allowed: "),
        ({"name": ["length"]}, "recipe.1: unknown step ['length']; allowed: "),
        ({"name": "length"}, "recipe.1: setting 'min_tokens' of step length is missing; its settings are: min_tokens; "),
        (
            {"name": "length", "min_tokens": 3, "max_tokens": 4},
            "setting 'max_tokens' of step length is unknown; its settings are: min_tokens; ",
        ),
        ({"name": "length", "min_tokens": 0}, "setting 'min_tokens' of step length is 0 (Input should be greater than or equal to 1); "),
        ({"name": "length", "min_tokens": "3"}, "setting 'min_tokens' of step length is '3' ("),
        ({"name": "length", "min_tokens": True}, "setting 'min_tokens' of step length is True ("),
        ({"name": "repetition", "max_repetition": 1.5}, "setting 'max_repetition' of step repetition is 1.5 ("),
        ({"name": "exact_duplicate", "jaccard": 1.0}, "setting 'jaccard' of step exact_duplicate is unknown; its settings are: none; "),
        ({"name": "near_duplicate", "jaccard": 0.0}, "setting 'jaccard' of step near_duplicate is 0.0 ("),
        ({"name": "near_duplicate", "jaccard": float("nan")}, "setting 'jaccard' of step near_duplicate is nan ("),
        ({"name": "held_out_overlap", "ngram": 1.5}, "setting 'ngram' of step held_out_overlap is 1.5 ("),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused_with_what_is_allowed(step, message):
    with pytest.raises(ParamsError) as error:
        parse_steps([{"name": "exact_duplicate"}, step], "recipe")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_all_steps_are_in_the_table_by_the_order_of_their_names():
    assert list(STEPS) == sorted(STEPS)


class Rewrite(Step):
    """Writes the first row anew, in place of itself, and adds one of nothing."""

    writes = True

    def reasons(self):
        return ("first", "other")

    def apply(self, rows, material):
        new = rows_table([{**rows.to_pylist()[0], "id": "new", "text": "z"}])
        hands = [{"id": "new", "step": "anything", "parents": [rows["id"][0].as_py()], "by": "a test", "note": "z"}]
        return Outcome(kept=pa.concat_tables([new, rows.slice(1)]), hands=pa.Table.from_pylist(hands, schema=HANDS))


class Lose(Step):
    """Loses the first row."""

    def reasons(self):
        return ()

    def apply(self, rows, material):
        return Outcome(kept=rows.slice(1))


def test_a_row_that_a_step_wrote_anew_is_counted_as_added_and_its_draft_as_remade():
    found = curate(table(["a", "b"]), [("rewrite", Rewrite())], 10, Given())
    assert (ids(found.kept), found.num_in, found.num_added, found.num_remade) == (["new", "1"], 2, 1, 1)
    assert found.hands["step"].to_pylist() == ["rewrite"]
    assert found.num_rejected == {"rewrite.first": 0, "rewrite.other": 0}


def test_a_row_written_anew_meets_the_steps_that_follow():
    found = curate(table(["a", "b c"]), [("rewrite", Rewrite()), *parse_steps([{"name": "length", "min_tokens": 2}], "")], 10, Given())
    assert (ids(found.kept), ids(found.rejected)) == (["1"], ["new"])
    assert found.num_in + found.num_added == found.kept.num_rows + found.rejected.num_rows + found.num_remade


def test_a_step_that_loses_a_row_is_a_bug():
    with pytest.raises(AssertionError, match="step lose loses rows"):
        curate(table(["a", "b"]), [("lose", Lose())], 10, Given())


def test_a_reason_is_named_behind_its_step_where_there_are_several():
    assert (reason_of("length", ""), reason_of("verify", "wrong")) == ("length", "verify.wrong")


def test_only_steps_that_write_make_a_recipe_one_that_writes():
    assert not writes(parse_steps([{"name": "exact_duplicate"}], "recipe"))
    assert writes(parse_steps([{"name": "edit", "num_rows": 1, "min_probability": 0.99, "top_k": 8}], "recipe"))
    assert {name for name, step in STEPS.items() if step.writes} == {"edit", "revise"}


def test_a_step_that_stands_twice_is_told_apart():
    steps = {"name": "length", "min_tokens": 1}, {"name": "length", "min_tokens": 2}
    found = curated(table(["a", "a b"]), *steps)
    assert found.num_rejected == {"length": 0, "length_2": 1}
    assert found.rejected["reason"].to_pylist() == ["length_2"]
