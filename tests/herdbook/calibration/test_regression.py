import math

import numpy as np
import pytest

from herdbook.calibration import labs, regression
from herdbook.calibration.regression import BOUND, calibrate, first_error, fit, label
from herdbook.calibration.settings import RegressionSettings
from herdbook.errors import ParamsError

SMALL = RegressionSettings(seed=0, num_features=3, num_rows=20, num_batches=10, labs_per_batch=40, num_iterations=8)


def failed():
    return [check.what for check in calibrate(SMALL).checks if not check.passed]


def test_the_first_error_is_that_of_least_squares():
    assert first_error(50, 10) == pytest.approx(10 / 39)


def test_too_few_rows_for_an_expected_error_are_refused():
    with pytest.raises(ParamsError, match=r"calibrate\.regression\.num_rows is 11, must be above num_features \+ 1 = 11"):
        first_error(11, 10)


def test_a_fit_is_numpy_s_least_squares():
    rows = np.random.default_rng(0).normal(size=(2, 9, 4))
    for lab in range(2):
        assert fit(rows)[lab] == pytest.approx(np.linalg.lstsq(rows[lab, :, :-1], rows[lab, :, -1])[0])


def test_labels_are_predictions_with_noise_of_variance_one():
    generator = np.random.Generator(np.random.PCG64(0))
    features = generator.standard_normal((1, 50_000, 2))
    rows = label(features, np.array([[3.0, -1.0]]), generator)
    noise = rows[0, :, 2] - (3 * features[0, :, 0] - features[0, :, 1])
    assert (noise.mean(), noise.var()) == pytest.approx((0, 1), abs=0.02)


def test_small_labs_reproduce_what_is_known():
    assert failed() == []


def test_the_bound_is_pi_squared_over_six():
    assert pytest.approx(math.pi**2 / 6) == BOUND


def test_labels_that_are_noisier_fail(monkeypatch):
    def noisier(features, weights, generator):
        rows = label(features, weights, generator)
        return np.concatenate([features, rows[..., -1:] + generator.standard_normal(rows[..., -1:].shape)], axis=2)

    monkeypatch.setattr(regression, "label", noisier)
    assert "replace: slope of the test error on n, in units of the first fit's" in failed()
    assert any(what.startswith("accumulate") for what in failed())


def test_an_accumulate_that_forgets_is_above_the_bound(monkeypatch):
    monkeypatch.setitem(labs.REGIMES, "accumulate", labs.REGIMES["replace"])
    assert "accumulate: test error at fit 8, in units of the first, below pi^2/6" in failed()


def test_a_replace_that_keeps_its_pool_is_not_linear(monkeypatch):
    monkeypatch.setitem(labs.REGIMES, "replace", labs.REGIMES["accumulate"])
    assert {"replace: slope of the test error on n, in units of the first fit's"} < set(failed())
