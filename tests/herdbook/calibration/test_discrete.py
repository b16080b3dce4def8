import numpy as np
import pytest

from herdbook.calibration import discrete, labs
from herdbook.calibration.discrete import calibrate, diversity, fit, human_shares, sample
from herdbook.calibration.settings import DiscreteSettings

SMALL = DiscreteSettings(seed=0, num_states=8, num_rows=10, num_batches=10, labs_per_batch=40, num_iterations=30)


def failed():
    return [check.what for check in calibrate(SMALL).checks if not check.passed]


def test_shares_follow_zipf_s_law():
    assert human_shares(3) == pytest.approx(np.array([6, 3, 2]) / 11)


def test_a_fit_counts_the_states_of_each_lab():
    assert fit(np.array([[0, 0, 2, 2], [1, 1, 1, 0]]), 3) == pytest.approx(np.array([[0.5, 0, 0.5], [0.25, 0.75, 0]]))


def test_draws_have_only_states_that_have_a_share():
    rows = sample(np.array([[0.5, 0, 0.5], [0, 1, 0]]), 1000, np.random.Generator(np.random.PCG64(0)))
    assert rows.shape == (2, 1000)
    assert set(rows[0]) == {0, 2}
    assert np.mean(rows[0] == 0) == pytest.approx(0.5, abs=0.06)
    assert set(rows[1]) == {1}


def test_diversity_is_the_chance_that_two_draws_differ():
    assert diversity(np.array([[0.5, 0.5], [1.0, 0.0]])) == pytest.approx([0.5, 0])


def test_small_labs_reproduce_what_is_known():
    assert failed() == []


def test_shares_that_are_smoothed_fail(monkeypatch):
    monkeypatch.setattr(discrete, "fit", lambda rows, num_states: 0.98 * fit(rows, num_states) + 0.02 / num_states)
    found = failed()
    assert any("states left" in what for what in found)
    assert any("left with one state" in what for what in found)


def test_an_accumulate_that_forgets_fails(monkeypatch):
    monkeypatch.setitem(labs.REGIMES, "accumulate", labs.REGIMES["replace"])
    assert "accumulate: most states of the human rows that any lab lost" in failed()


def test_a_replace_that_keeps_its_pool_fails(monkeypatch):
    monkeypatch.setitem(labs.REGIMES, "replace", labs.REGIMES["accumulate"])
    assert "replace: mean chance that two draws differ at fit 7" in failed()
