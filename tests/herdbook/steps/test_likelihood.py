from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from herdbook.errors import CorpusError
from herdbook.rows import rows_table
from herdbook.steps.likelihood import LikelihoodBand


def scored(*values):
    return rows_table([{"nll_nats": value} for value in values])


HUMAN = SimpleNamespace(human=scored(*map(float, range(101))))  # 0 to 100, so that quantile q is 100 q


def test_rows_outside_the_band_and_rows_without_a_score_are_rejected():
    step = LikelihoodBand(low_quantile=0.05, high_quantile=0.75)
    rows = scored(4.99, 5.0, 40.0, 75.0, 75.01, None, float("nan"), float("inf"))
    assert step.faults(rows, HUMAN) == ["low", None, None, None, "high", "unscored", "unscored", "high"]
    assert step.reasons() == ("low", "high", "unscored")


def test_human_rows_without_a_score_do_not_move_the_band():
    step = LikelihoodBand(low_quantile=0.25, high_quantile=0.75)
    assert step.faults(scored(1.0, 3.0, 3.1), SimpleNamespace(human=scored(0.0, None, 1.0, 2.0, 3.0, 4.0))) == [None, None, "high"]


def test_no_rows_have_no_faults():
    assert list(LikelihoodBand(low_quantile=0.05, high_quantile=0.95).faults(scored(), HUMAN)) == []


def test_human_rows_that_nobody_scored_are_refused():
    with pytest.raises(CorpusError, match="none of 2 has a value to compare with; prepare and score them first"):
        LikelihoodBand(low_quantile=0.05, high_quantile=0.95).faults(scored(1.0), SimpleNamespace(human=scored(None, None)))


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (0.0, 0.9, "greater than 0"),
        (0.1, 1.0, "less than 1"),
        (0.6, 0.5, "low_quantile must be below high_quantile, which is 0.5"),
        ("0.1", 0.5, "valid number"),
    ],
)
def test_a_band_that_cuts_one_side_alone_is_refused(low, high, message):
    with pytest.raises(ValidationError, match=message):
        LikelihoodBand(low_quantile=low, high_quantile=high)
