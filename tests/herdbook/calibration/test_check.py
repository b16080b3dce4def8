import math

import numpy as np
import pytest
from scipy import stats

from herdbook.calibration.check import FALSE_ALARM, NAMES, Check, Outcome, apart, figure, mean_and_margin, near, result, results, share
from herdbook.calibration.settings import Calibrate
from herdbook.calibration.table import table
from herdbook.errors import FileError
from herdbook.files import write_json


def check(found, low=0.0, high=1.0):
    return Check("a figure", "a paper", 0.5, found, low, high)


def batches(*means):
    """Batches of two labs about each of the means."""
    return np.array([[mean - 0.5, mean + 0.5] for mean in means])


def test_a_figure_passes_inside_its_interval_and_at_its_ends():
    assert [check(found).passed for found in (-0.1, 0.0, 0.5, 1.0, 1.1)] == [False, True, True, True, False]


@pytest.mark.parametrize(("low", "high", "passed"), [(None, 0.4, False), (None, 0.6, True), (0.4, None, True), (0.6, None, False)])
def test_an_interval_may_be_open_on_a_side(low, high, passed):
    assert check(0.5, low, high).passed == passed


@pytest.mark.parametrize("found", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_not_finite_never_passes(found):
    assert not check(found, None, None).passed
    assert check(found, None, None).record["found"] is None


def test_a_check_says_in_words_what_was_found_known_and_allowed():
    assert check(0.25).in_words == "a figure: found 0.25, known 0.5, allowed 0 to 1, as it should be."
    assert check(2.0, None, 1.0).in_words == "a figure: found 2, known 0.5, allowed at most 1, which is outside."


def test_near_allows_the_margin_on_both_sides():
    assert near("a", "b", 2.0, 1.0, 0.5).record["interval"] == [1.5, 2.5]


def test_the_margin_is_that_of_a_t_interval_over_the_means_of_batches():
    # means 1 and 3: their mean is 2, its standard error sqrt(2)/sqrt(2) = 1, with one degree of freedom
    mean, margin = mean_and_margin(batches(1, 3))
    assert (mean, margin) == pytest.approx((2.0, stats.t.isf(FALSE_ALARM / 2, 1)))


def test_a_share_of_labs_may_be_whole_where_few_are_expected_to_be_missing():
    # of 100 labs .999 are expected: all of them, or a few less
    assert share("a", "b", 0.999, np.full((10, 10), True)).passed
    assert not share("a", "b", 0.999, np.arange(100) < 90).passed
    assert share("a", "b", 0.999, np.arange(100) < 90).found == 0.9


def test_figures_are_told_apart_only_by_more_than_chance():
    low, high = batches(*np.linspace(0, 1, 20)), batches(*np.linspace(5, 6, 20))
    assert apart("a", "b", high, low).passed
    assert not apart("a", "b", low, high).passed
    assert not apart("a", "b", low, low).passed


def test_a_result_passes_when_every_check_does():
    assert result("a", {}, Outcome([check(0.5), check(0.6)], []))["passed"]
    assert not result("a", {}, Outcome([check(0.5), check(1.6)], []))["passed"]


def test_a_calibration_that_checks_nothing_is_a_bug():
    with pytest.raises(ValueError, match="checks nothing"):
        result("a", {}, Outcome([], []))


def test_a_figure_holds_what_was_found_and_what_is_known_by_regime():
    found = figure("title", {"replace": ([1.0, math.nan], [1.0, 2.0]), "accumulate": ([1.0], None)})
    assert found["lines"]["replace"] == {"found": [1.0, None], "expected": [1.0, 2.0]}
    assert found["lines"]["accumulate"]["expected"] is None


def test_the_results_of_all_calibrations_are_read_and_a_missing_one_is_refused(tmp_path):
    for name in NAMES:
        write_json(tmp_path / name / "result.json", {"name": name})
    assert [one["name"] for one in results(tmp_path)] == list(NAMES)
    (tmp_path / "digits/result.json").unlink()
    with pytest.raises(FileError, match=r"digits/result\.json: not found"):
        results(tmp_path)


def test_every_calibration_has_settings():
    assert tuple(Calibrate.model_fields) == NAMES


def test_the_table_has_a_line_for_each_check():
    checks = [check(0.25).record, Check("a direction", "a paper", None, 2.0, None, 1.0).record]
    assert table([{"name": "gaussian", "checks": checks}]).splitlines()[2:] == [
        "| gaussian | a figure | 0.5 | 0.25 | 0 to 1 | passed |",
        "| gaussian | a direction |  | 2 | at most 1 | **failed** |",
    ]
