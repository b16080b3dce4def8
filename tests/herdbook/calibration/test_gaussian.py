import numpy as np
import pytest

from herdbook.calibration import gaussian, labs
from herdbook.calibration.gaussian import ESTIMATORS, NUM_ROWS, PUBLISHED, calibrate, fit, published_checks, sample
from herdbook.calibration.settings import GaussianSettings

SMALL = GaussianSettings.model_validate(
    {
        "seed": 0,
        "num_batches": 10,
        "settings": [
            {"num_dimensions": 1, "labs_per_batch": 60, "num_iterations": 12},
            {"num_dimensions": 3, "labs_per_batch": 20, "num_iterations": 8},
        ],
    }
)
LARGE = GaussianSettings.model_validate(
    {"seed": 0, "num_batches": 5, "settings": [{"num_dimensions": 100, "labs_per_batch": 1, "num_iterations": 3}]}
)


def generator(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def failed(settings=SMALL):
    return [check.what for check in calibrate(settings).checks if not check.passed]


@pytest.mark.parametrize(("less", "bias"), [(0, True), (1, False)])
def test_a_fit_is_numpy_s_mean_and_covariance(less, bias):
    rows = generator().normal(2, 3, size=(2, 7, 3))
    model = fit(rows, np.array([less, less]))
    for lab in range(2):
        assert model.mean[lab, 0] == pytest.approx(rows[lab].mean(axis=0))
        covariance = np.cov(rows[lab], rowvar=False, bias=bias)
        assert model.factor[lab] @ model.factor[lab].T == pytest.approx(covariance, rel=1e-6)
        assert model.trace[lab] == pytest.approx(np.trace(covariance))
        assert model.log_determinant[lab] == pytest.approx(np.log(np.linalg.det(covariance)), abs=1e-6)


def test_three_rows_by_hand():
    # 1, 2 and 6: mean 3, squares 4 + 1 + 9 = 14
    rows = np.array([[[1.0], [2.0], [6.0]]] * 2)
    assert fit(rows, np.array([0, 1])).trace == pytest.approx([14 / 3, 14 / 2])


def test_draws_have_the_mean_and_the_covariance_of_the_model():
    model = fit(generator().normal(size=(1, 20, 2)) @ np.array([[2.0, 1.0], [0.0, 0.5]]) + 3, np.array([0]))
    rows = sample(model, 200_000, generator(1))[0]
    assert rows.mean(axis=0) == pytest.approx(model.mean[0, 0], abs=0.02)
    assert np.cov(rows, rowvar=False) == pytest.approx(model.factor[0] @ model.factor[0].T, abs=0.05)


def test_fewer_rows_than_dimensions_can_be_fitted_and_drawn_from():
    rows = generator().normal(size=(1, 5, 8))
    model = fit(rows, np.array([0]))
    drawn = sample(model, 3, generator(1))[0] - rows[0].mean(axis=0)
    assert np.linalg.matrix_rank(np.vstack([rows[0] - rows[0].mean(axis=0), drawn]), tol=1e-3) == 4


def test_small_labs_reproduce_what_is_known_but_are_too_few_to_tell_subsample_from_accumulate():
    assert failed() == [f"1-D, {estimator}: excess loss of subsample over accumulate at the last fit, nats" for estimator in ESTIMATORS]


def test_there_are_as_many_fits_and_dimensions_as_asked_even_where_covariances_are_singular():
    outcome = calibrate(LARGE)
    assert [check.what for check in outcome.checks if not check.passed] == []
    assert len(outcome.checks) == 6  # three regimes, two estimators; nothing of determinants


def test_an_estimator_that_is_unbiased_where_biased_is_expected_fails(monkeypatch):
    monkeypatch.setattr(gaussian, "fit", lambda rows, less: fit(rows, 1 - less))
    assert [what for what in failed() if "determinant" in what] == [
        f"replace, {d}-D, {estimator}: mean log determinant at fit {n}"
        for d, n in ((1, 12), (3, 8))
        for estimator in ("biased", "unbiased")
    ]


def test_a_regime_that_is_another_fails(monkeypatch):
    monkeypatch.setitem(labs.REGIMES, "accumulate", labs.REGIMES["replace"])
    assert any(what.startswith("accumulate") or "over accumulate" in what for what in failed())


def test_draws_that_are_too_wide_fail(monkeypatch):
    monkeypatch.setattr(gaussian, "sample", lambda model, count, generator: 1.05 * sample(model, count, generator))
    assert len(failed()) > 10


def test_published_runs_are_compared_at_the_fits_that_were_reached():
    labs_of = {regime: np.full((20, 10, 50), 0.9) for regime in PUBLISHED}
    assert len(published_checks(labs_of, generator())) == 2 * 2 * 3


def test_labs_that_do_not_collapse_are_not_those_published():
    spread = {regime: 1 + 0.1 * generator().standard_normal((100, 10, 50)) for regime in PUBLISHED}
    checks = {check.what.split(", published")[0]: check.passed for check in published_checks(spread, generator())}
    assert not checks["replace, 1-D, biased: mean share of the variance at fit 100"]
    assert checks["accumulate, 1-D, biased: mean share of the variance at fit 100"]


def test_a_published_interval_is_wide_by_the_error_of_a_hundred_seeds():
    # labs of deviation .1 have means of a hundred seeds of deviation .01: 99.9 % of them lie within 3.29 of those
    labs_of = {regime: 1 + 0.1 * generator().standard_normal((5, 100, 100)) for regime in PUBLISHED}
    check = published_checks(labs_of, generator())[0]
    assert check.high - check.low == pytest.approx(2 * 3.29 * 0.01, rel=0.1)


def test_the_published_runs_had_the_rows_of_ours():
    assert NUM_ROWS == 100
