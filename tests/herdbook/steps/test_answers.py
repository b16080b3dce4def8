import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook.rows import rows_table
from herdbook.schema import HANDS, REJECTED
from herdbook.steps.answers import Plurality, Verify, break_even
from herdbook.tasks import Family, parse_task

SORT = parse_task({"family": "sort_digits", "num_digits": 2})
RIGHT, WRONG, MALFORMED = "31>13", "31>31", "31"


@dataclass(frozen=True)
class Given:
    """The material that these steps need."""

    task: Family = SORT
    seed: int = 0

    def generator(self, step):
        return np.random.default_rng([self.seed, *step.encode()])


def table(texts):
    return rows_table([{"id": f"r{number}", "text": text, "tokens": [], "num_tokens": 0} for number, text in enumerate(texts)])


def ids(rows):
    return rows["id"].to_pylist()


def reasons(outcome):
    return dict(zip(ids(outcome.rejected), outcome.rejected["reason"].to_pylist(), strict=True))


def verified(texts, seed=0, **rates):
    return Verify(**rates).apply(table(texts), Given(seed=seed))


def voted(texts, min_samples=1, drop_unanimous=False, min_share=0.0):
    return Plurality(min_samples=min_samples, drop_unanimous=drop_unanimous, min_share=min_share).apply(table(texts), Given())


def test_a_right_answer_is_kept_and_others_are_rejected_as_wrong_or_malformed():
    outcome = verified([RIGHT, WRONG, MALFORMED, RIGHT + " ", "", "３１>13", "10>01"])
    assert ids(outcome.kept) == ["r0", "r6"]
    assert reasons(outcome) == {"r1": "wrong", "r2": "malformed", "r3": "wrong", "r4": "malformed", "r5": "malformed"}


def test_a_verifier_that_always_errs_keeps_what_is_wrong_and_rejects_what_is_right():
    outcome = verified([RIGHT, WRONG, MALFORMED], false_accept=1, false_reject=1)
    assert ids(outcome.kept) == ["r1"]
    assert reasons(outcome) == {"r0": "rejected_by_error", "r2": "malformed"}


def test_a_verifier_errs_at_the_rates_set():
    outcome = verified([RIGHT, WRONG] * 5000, false_accept=0.3, false_reject=0.1)
    kept = [int(row[1:]) % 2 for row in ids(outcome.kept)]
    assert kept.count(0) / 5000 == pytest.approx(0.9, abs=0.02)  # four standard deviations are 0.017
    assert kept.count(1) / 5000 == pytest.approx(0.3, abs=0.03)  # and 0.026
    assert set(reasons(outcome).values()) == {"rejected_by_error", "wrong"}


def test_a_row_is_erred_about_whatever_the_other_rows_say():
    texts = [RIGHT, WRONG, RIGHT, WRONG] * 25
    whole = verified(texts, false_accept=0.5, false_reject=0.5)
    others = verified([text if number % 5 == 0 else MALFORMED for number, text in enumerate(texts)], false_accept=0.5, false_reject=0.5)
    looked_at = {f"r{number}" for number in range(0, 100, 5)}
    assert set(ids(whole.kept)) & looked_at == set(ids(others.kept))
    assert ids(verified(texts[:60], false_accept=0.5, false_reject=0.5).kept) == [row for row in ids(whole.kept) if int(row[1:]) < 60]
    assert ids(verified(texts, seed=1, false_accept=0.5, false_reject=0.5).kept) != ids(whole.kept)


def test_what_a_verifier_keeps_breaks_even_at_a_share_of_wrong_answers():
    # of 100 answers 60 are wrong: it keeps 0.9 * 40 = 36 right and 0.6 * 60 = 36 wrong
    assert break_even(phi=0.9, psi=0.6) == pytest.approx(0.6)
    assert break_even(phi=0.9, psi=0.6) == pytest.approx(1 / (1 + 0.6 / 0.9))
    assert break_even(phi=0.5, psi=0.5) == 0.5  # it keeps at random


def test_a_perfect_verifier_bears_any_share_and_one_that_keeps_nothing_right_none():
    assert break_even(phi=1, psi=0) == 1
    assert break_even(phi=0, psi=0.1) == 0
    assert math.isnan(break_even(phi=0, psi=0))


def test_the_first_row_with_the_plurality_answer_is_kept_and_the_others_told_apart():
    outcome = voted(["31>31", "31>13", "20>02", "31>13", "rubbish", "31>9", "31>13"])
    assert ids(outcome.kept) == ["r1", "r2"]
    assert reasons(outcome) == {"r0": "minority", "r3": "same_answer", "r4": "malformed", "r5": "minority", "r6": "same_answer"}
    assert outcome.hands.schema == HANDS
    assert outcome.hands.to_pylist() == [
        {"id": "r1", "step": "plurality", "parents": ["r0", "r1", "r3", "r5", "r6"], "by": "plurality", "note": "3 of 5 answers"},
        {"id": "r2", "step": "plurality", "parents": ["r2"], "by": "plurality", "note": "1 of 1 answers"},
    ]


def test_hands_are_in_the_order_of_the_kept_rows():
    outcome = voted(["31>31", "20>02", "31>13", "31>13"])
    assert ids(outcome.kept) == ids(outcome.hands) == ["r1", "r2"]


def test_of_answers_given_equally_often_the_first_given_is_kept():
    assert ids(voted(["31>31", "31>13", "31>13", "31>31"]).kept) == ["r0"]
    assert ids(voted(["31>9", "31>13", "31>31", "31>31", "31>13"]).kept) == ["r1"]


def test_a_question_of_too_few_samples_is_left_out():
    texts = ["31>13", "20>02", "31>31", "31>13"]
    assert reasons(voted(texts, min_samples=3)) == {"r1": "too_few", "r2": "minority", "r3": "same_answer"}
    assert reasons(voted(texts, min_samples=4)) == dict.fromkeys(["r0", "r1", "r2", "r3"], "too_few")


def test_a_question_on_which_all_agree_is_left_out_on_demand():
    texts = ["31>13", "31>13", "20>02", "20>20", "20>02"]
    assert reasons(voted(texts, drop_unanimous=True)) == {"r0": "unanimous", "r1": "unanimous", "r3": "minority", "r4": "same_answer"}
    assert ids(voted(texts, drop_unanimous=False).kept) == ["r0", "r2"]


def test_a_question_on_which_too_few_agree_is_hopeless():
    texts = ["31>1", "31>2", "31>2", "31>3", "31>2"]  # 3 of 5
    assert ids(voted(texts, min_share=0.6).kept) == ["r1"]
    assert reasons(voted(texts, min_share=0.61)) == dict.fromkeys(["r0", "r1", "r2", "r3", "r4"], "hopeless")


def test_nothing_passes_either_step_as_nothing():
    for outcome in (verified([]), voted([])):
        assert (outcome.kept.num_rows, outcome.rejected.num_rows, outcome.hands.num_rows) == (0, 0, 0)
        assert outcome.rejected.schema == REJECTED


TEXTS = st.lists(
    st.one_of(
        st.sampled_from(["31>13", "31>31", "31>", "20>02", "20>2", "20>\0", "31>\u202e13", "31", "", "３１>13", "31>13" * 1000]),
        st.text(max_size=8),
    ),
    max_size=20,
)
STEPS = st.one_of(
    st.builds(Verify, false_accept=st.sampled_from([0.0, 0.4, 1.0]), false_reject=st.sampled_from([0.0, 0.4, 1.0])),
    st.builds(Plurality, min_samples=st.integers(1, 4), drop_unanimous=st.booleans(), min_share=st.sampled_from([0.0, 0.5, 1.0])),
)


@given(TEXTS, STEPS)
@settings(deadline=None, max_examples=200)
def test_every_row_given_is_kept_or_rejected_for_a_declared_reason(texts, step):
    rows = table(texts)
    outcome = step.apply(rows, Given())
    kept, lost = ([int(row[1:]) for row in ids(part)] for part in (outcome.kept, outcome.rejected))
    assert sorted(kept + lost) == list(range(len(texts)))
    assert kept == sorted(kept)
    assert lost == sorted(lost)
    assert outcome.kept.equals(rows.take(pa.array(kept, pa.int64())))
    assert outcome.rejected.drop_columns("reason").equals(rows.take(pa.array(lost, pa.int64())))
    assert set(reasons(outcome).values()) <= set(step.reasons())
    assert outcome.hands.num_rows == (len(kept) if isinstance(step, Plurality) else 0)


@given(TEXTS)
@settings(deadline=None, max_examples=100)
def test_plurality_keeps_one_row_of_each_question_that_it_keeps(texts):
    outcome = voted(texts)
    questions = [SORT.question_of(text) for text in outcome.kept["text"].to_pylist()]
    assert len(set(questions)) == len(questions)
    assert set(questions) == {SORT.question_of(text) for text in texts} - {None}
    parents = [parent for hand in outcome.hands.to_pylist() for parent in hand["parents"]]
    assert sorted(parents) == sorted(f"r{number}" for number, text in enumerate(texts) if SORT.question_of(text))


def test_the_steps_need_the_task_alone():
    assert Verify.needs == Plurality.needs == {"task"}
