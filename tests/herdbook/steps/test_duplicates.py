from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from herdbook import duplicates
from herdbook.rows import rows_table
from herdbook.schema import REJECTED
from herdbook.steps.duplicates import ExactDuplicate, Memorised, NearDuplicate, Repeated

EXACT = {"method": "exact", "num_permutations": None}
MINHASH = {"method": "minhash", "num_permutations": 128}
METHODS = pytest.mark.parametrize("how", [EXACT, MINHASH], ids=["exact", "minhash"])


def table(texts):
    return rows_table([{"id": str(number), "text": text} for number, text in enumerate(texts)])


def rejected(step, texts, **material):
    """The ids that a step rejects, and a look at what it makes of the rows."""
    outcome = step.apply(table(texts), SimpleNamespace(**{name: table(known) for name, known in material.items()}))
    assert outcome.rejected.schema == REJECTED
    assert set(outcome.rejected["reason"].to_pylist()) <= set(step.reasons())
    assert outcome.kept.num_rows + outcome.rejected.num_rows == len(texts)
    assert outcome.hands.num_rows == 0
    return outcome.rejected["id"].to_pylist()


def test_exact_duplicates_are_rejected_but_not_the_first():
    assert rejected(ExactDuplicate(), ["a", "b", "a", "a", "A"]) == ["2", "3"]


@METHODS
def test_near_duplicates_are_rejected_but_not_the_first(how):
    # abc bcd cde and abc bcd cdx share 2 of 4 shingles
    texts = ["a b c d e", "a b c d x", "x y z", "y", "y!"]
    assert rejected(NearDuplicate(jaccard=0.5, **how), texts) == ["1", "4"]
    assert rejected(NearDuplicate(jaccard=0.6, **how), texts) == ["4"]


def test_near_duplicates_are_found_exactly_unless_said_otherwise():
    texts = ["a b c d e f", "b c d e f g", "c d e f g h"]
    found = [first is not None for first in duplicates.near_duplicates(texts, 0.6)]
    assert [fault is not None for fault in NearDuplicate(jaccard=0.6).faults(table(texts), None)] == found == [False, True, False]


@METHODS
@pytest.mark.parametrize(("step", "name"), [(Memorised, "human"), (Repeated, "previous")])
def test_rows_that_nearly_repeat_known_rows_are_rejected(how, step, name):
    # the first shares 2 of 4 shingles with the known row; the third only repeats the second, which is not known
    texts = ["a b c d x", "k l m n o", "k l m n o", "A B C D E"]
    assert rejected(step(jaccard=0.5, **how), texts, **{name: ["a b c d e", "q r s"]}) == ["0", "3"]
    assert rejected(step(jaccard=0.6, **how), texts, **{name: ["a b c d e", "q r s"]}) == ["3"]
    assert rejected(step(jaccard=0.6, **how), texts, **{name: []}) == []


@METHODS
def test_no_rows_pass_as_no_rows(how):
    assert rejected(ExactDuplicate(), []) == rejected(NearDuplicate(jaccard=0.8, **how), []) == []
    assert rejected(Memorised(jaccard=0.8, **how), [], human=["a b c"]) == []


def test_steps_need_the_rows_that_they_compare_with_and_nothing_else():
    needs = {step: set(step.needs) for step in (ExactDuplicate, NearDuplicate, Memorised, Repeated)}
    assert needs == {ExactDuplicate: set(), NearDuplicate: set(), Memorised: {"human"}, Repeated: {"previous"}}


@pytest.mark.parametrize("step", [NearDuplicate, Memorised, Repeated])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"jaccard": 0.8, "method": "minhash", "num_permutations": None}, "must be a number with method minhash, and null with"),
        ({"jaccard": 0.8, "method": "exact", "num_permutations": 128}, "must be a number with method minhash, and null with"),
        ({"jaccard": 0.5, "method": "minhash", "num_permutations": 4}, "4 permutations find less than 95% of the pairs of Jaccard 0.5"),
        ({"jaccard": 0.8, "method": "minhash", "num_permutations": 0}, "greater than or equal to 1"),
        ({"jaccard": 0.8, "method": "simhash", "num_permutations": None}, "Input should be 'exact' or 'minhash'"),
        ({"jaccard": 0.0, "method": "minhash", "num_permutations": 4}, "greater than 0"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(step, settings, message):
    with pytest.raises(ValidationError) as error:
        step(**settings)
    first = error.value.errors(include_url=False)[0]
    assert message in first["msg"]
    assert len(first["loc"]) == 1


def test_near_duplicates_by_minhash_need_the_number_of_permutations():
    with pytest.raises(ValidationError, match="num_permutations"):
        NearDuplicate(jaccard=0.8, method="minhash")
