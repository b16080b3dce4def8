import math

import numpy as np
import pytest
from scipy.stats import norm

from herdbook.calibration.mixture import HUMAN, Mixture, calibrate, fit, growth_check, inner_product, late_checks, sample, squared_distance
from herdbook.calibration.settings import MixtureSettings

SMALL = MixtureSettings(seed=0, num_rows=100, num_lineages=2, num_iterations=4, num_late_iterations=5)


def one(mean, deviation=1.0):
    """A mixture of one Gaussian on the line."""
    return Mixture(np.array([1.0]), np.array([[mean]]), np.array([[[deviation**2]]]))


def generator(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def test_the_square_of_a_standard_normal_density_integrates_to_one_over_two_root_pi():
    assert inner_product(one(0.0), one(0.0)) == pytest.approx(1 / (2 * math.sqrt(math.pi)))


@pytest.mark.parametrize("distance", [0.0, 1.0, 3.0])
def test_two_unit_gaussians_differ_by_their_distance(distance):
    # 1 + 1 - 2 exp(-d^2/4), each in units of 1/(2 sqrt(pi))
    assert squared_distance(one(0.0), one(distance)) == pytest.approx(2 - 2 * math.exp(-(distance**2) / 4))


def test_the_distance_of_mixtures_is_that_of_numerical_integration():
    p = Mixture(np.array([0.3, 0.7]), np.array([[-1.0], [2.0]]), np.array([[[0.5]], [[2.0]]]))
    q = Mixture(np.array([0.6, 0.4]), np.array([[0.0], [1.0]]), np.array([[[1.0]], [[0.1]]]))
    x = np.linspace(-15, 15, 60_001)

    def density(m):
        return sum(w * norm.pdf(x, a[0], math.sqrt(c[0, 0])) for w, a, c in zip(m.weights, m.means, m.covariances, strict=True))

    expected = np.trapezoid((density(p) - density(q)) ** 2, x) / np.trapezoid(density(p) ** 2, x)
    assert squared_distance(p, q) == pytest.approx(expected, rel=1e-6)


def test_half_of_the_human_mixture_is_as_far_from_it_as_nothing():
    # of p = (a + b)/2 far apart: |a|^2 - 2 <p, a> + |p|^2 = |a|^2 (1 - 1 + 1/2), and |p|^2 = |a|^2 / 2
    half = Mixture(np.array([1.0]), HUMAN.means[:1], HUMAN.covariances[:1])
    assert squared_distance(HUMAN, half) == pytest.approx(1.0, abs=0.05)


def test_a_fit_finds_the_mixture_and_keeps_mean_and_covariance_of_the_rows():
    rows = sample(HUMAN, 4000, generator())
    model = fit(rows, 0)
    assert squared_distance(HUMAN, model) < 0.01
    mean = model.weights @ model.means
    between = model.means - mean
    whole = np.tensordot(model.weights, model.covariances + between[:, :, None] * between[:, None, :], axes=1)
    assert mean == pytest.approx(rows.mean(axis=0), abs=1e-6)
    assert whole == pytest.approx(np.cov(rows, rowvar=False, bias=True), abs=1e-4)


def test_draws_come_from_each_component_as_its_weight_says():
    rows = sample(Mixture(np.array([0.25, 0.75]), HUMAN.means, HUMAN.covariances), 20_000, generator())
    assert np.mean(rows[:, 0] < 0) == pytest.approx(0.25 * 0.977 + 0.75 * 0.023, abs=0.02)


def test_growth_is_checked_against_the_law_of_its_regime():
    linear = np.arange(1, 51.0)
    assert growth_check("replace", 7 * linear).passed
    assert not growth_check("accumulate", 7 * linear).passed
    assert not growth_check("subsample", 7 * linear).passed
    assert not growth_check("replace", np.full(50, 7.0)).passed
    assert growth_check("accumulate", np.linspace(7, 11, 50)).passed


def test_the_human_mixture_has_not_collapsed_and_a_point_has():
    assert [check.passed for check in late_checks(HUMAN, 10)] == [False, False]
    point = Mixture(HUMAN.weights, HUMAN.means, 1e-4 * HUMAN.covariances)
    assert [check.passed for check in late_checks(point, 10)] == [True, True]
    assert late_checks(point, 10)[1].found == pytest.approx(0.01)


def test_the_curves_are_of_all_regimes_and_the_founder_is_shared():
    outcome = calibrate(SMALL)
    lines = outcome.figures[0]["lines"]
    assert {regime: len(line["found"]) for regime, line in lines.items()} == {"replace": 4, "accumulate": 4, "subsample": 4}
    assert len(outcome.figures[1]["lines"]["replace"]["found"]) == 5
    assert len(outcome.checks) == 5
