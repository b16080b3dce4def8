"""Gaussians fitted to draws from Gaussians, against closed forms and the runs that Kazdan et al. published.

Kazdan et al. 2024 (arXiv 2410.16713, code RylanSchaeffer/KoyejoLab-Collapse-or-Thrive, src/fit_gaussians) start from a standard
normal, fit mean and covariance by np.cov(bias=True), draw as many rows as there were, and compose the next training set."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from herdbook.calibration.check import Check, Figure, Outcome, apart, figure, margin_of, mean_and_margin, near
from herdbook.calibration.labs import REGIMES, breed
from herdbook.calibration.laws import expected_variance, log_determinant, trace_deviation
from herdbook.calibration.settings import GaussianSetting, GaussianSettings
from herdbook.numeric import seed_of

NUM_ROWS = 100  # of a generation: that of the published runs below
ESTIMATORS = {"biased": True, "unbiased": False}  # biased divides by the rows, and is the maximum likelihood
# Trace of the fitted covariance over that of the true one, 1 dimension, biased: mean and median of 100 seeds at each fit.
# Computed from the parquet that the repository named above holds (commit 369132e).
PUBLISHED = {
    "replace": {5: (0.942, 0.916), 10: (0.891, 0.766), 20: (0.782, 0.633), 50: (0.579, 0.354), 100: (0.309, 0.141)},
    "accumulate": {5: (0.996, 0.986), 10: (0.994, 0.973), 20: (0.993, 0.971), 50: (0.996, 0.967), 100: (0.997, 0.975)},
}
_PUBLISHED_SEEDS = 100
_PUBLISHED_SHARE = 0.999  # of all such sets of seeds, that must hold the published one: it was drawn once, by others
_NUM_RESAMPLES = 20_000
# Under replace the mean of few labs says little later on: it is that of rare large ones.
_LAST_MEAN = 30
# Added to a covariance as a share of its mean variance: with fewer rows than dimensions it is singular, and so has no Cholesky factor.
_JITTER = 1e-9

_CLOSED = "closed form, herdbook/calibration/laws.py"
_KAZDAN = "Kazdan et al. 2024, arXiv 2410.16713"


@dataclass(frozen=True)
class Gaussian:
    """A fit of each lab. mean: shape (labs, 1, d); factor: the covariance's Cholesky factor, (labs, d, d); trace: (labs,)."""

    mean: np.ndarray
    factor: np.ndarray
    trace: np.ndarray

    @property
    def log_determinant(self) -> np.ndarray:
        """Of the covariance, shape (labs,)."""
        return 2 * np.log(np.diagonal(self.factor, axis1=1, axis2=2)).sum(axis=1)


def fit(rows: np.ndarray, less: np.ndarray) -> Gaussian:
    """The Gaussian of each lab. rows: shape (labs, n, d); less: what each lab subtracts from n to divide by, shape (labs,)."""
    num_rows, d = rows.shape[1:]
    mean = rows.mean(axis=1, keepdims=True)
    centred = rows - mean
    covariance = centred.transpose(0, 2, 1) @ centred / (num_rows - less)[:, None, None]
    trace = np.trace(covariance, axis1=1, axis2=2)
    factor = np.linalg.cholesky(covariance + _JITTER * trace[:, None, None] / d * np.eye(d))
    return Gaussian(mean, factor, trace)


def sample(model: Gaussian, num_rows: int, generator: np.random.Generator) -> np.ndarray:
    """Rows of each lab, shape (labs, num_rows, d)."""
    labs, d = model.factor.shape[:2]
    return model.mean + generator.standard_normal((labs, num_rows, d)) @ model.factor.transpose(0, 2, 1)


@dataclass(frozen=True)
class Course:
    """What a setting found under one regime and estimator; arrays of shape (num_iterations, num_batches, labs)."""

    variance: np.ndarray  # trace over the true one
    log_determinant: np.ndarray
    excess_loss: np.ndarray  # nats, of the model on rows of the true distribution, above what that itself has

    @property
    def num_labs(self) -> int:
        """In all batches."""
        return self.variance[0].size


def courses(regime: str, setting: GaussianSetting, num_batches: int, seed: int) -> dict[str, Course]:
    """Breed all labs of a setting; the course of each estimator, which take turns in a batch and share its training sets' ids."""
    batches = []
    for batch in range(num_batches):
        generator = np.random.Generator(np.random.PCG64(seed_of("gaussian", seed, regime, setting.num_dimensions, batch)))
        batches.append([_figures(model) for model in _models(regime, setting, generator)])
    found = np.array(batches).transpose(2, 1, 0, 3)  # figures, iterations, batches, labs
    labs = np.split(found, len(ESTIMATORS), axis=3)
    return {estimator: Course(*of_estimator) for estimator, of_estimator in zip(ESTIMATORS, labs, strict=True)}


def _models(regime: str, setting: GaussianSetting, generator: np.random.Generator) -> Iterator[Gaussian]:
    less = np.repeat([0 if is_biased else 1 for is_biased in ESTIMATORS.values()], setting.labs_per_batch)
    human = generator.standard_normal((len(less), NUM_ROWS, setting.num_dimensions))
    return breed(
        human, regime, setting.num_iterations,
        lambda rows: fit(rows, less), lambda model, count: sample(model, count, generator), generator,
    )  # fmt: skip


def _figures(model: Gaussian) -> np.ndarray:
    """The three figures of a Course, shape (3, labs)."""
    d = model.factor.shape[1]
    # KL(N(0, 1) || N(m, v)), in one dimension, where it is needed: (1/v - 1 + log v + m^2 / v) / 2
    loss = (model.log_determinant + (1 + model.mean[:, 0, 0] ** 2) / model.trace - 1) / 2 if d == 1 else np.zeros(len(model.trace))
    return np.stack([model.trace / d, model.log_determinant, loss])


def calibrate(settings: GaussianSettings) -> Outcome:
    """Checks of every number of dimensions, regime and estimator, and the means in one dimension."""
    checks: list[Check] = []
    figures: list[Figure] = []
    for setting in settings.settings:
        found = {regime: courses(regime, setting, settings.num_batches, settings.seed) for regime in REGIMES}
        for estimator, is_biased in ESTIMATORS.items():
            name = f"{setting.num_dimensions}-D, {estimator}"
            of_regime = {regime: found[regime][estimator] for regime in REGIMES}
            checks += [_mean_check(name, regime, is_biased, setting, course) for regime, course in of_regime.items()]
            checks += _law_checks(name, is_biased, setting, of_regime["replace"])
            if setting.num_dimensions == 1:
                checks += _order_checks(name, of_regime)
                figures.append(_figure(name, is_biased, setting, of_regime))
            if setting.num_dimensions == 1 and is_biased:
                generator = np.random.Generator(np.random.PCG64(seed_of("gaussian", settings.seed, "published")))
                checks += published_checks({regime: of_regime[regime].variance for regime in PUBLISHED}, generator)
    return Outcome(checks, figures)


def _mean_check(name: str, regime: str, is_biased: bool, setting: GaussianSetting, found: Course) -> Check:
    at = min(setting.num_iterations, _LAST_MEAN) if regime == "replace" else setting.num_iterations
    expected = expected_variance(regime, NUM_ROWS, setting.num_iterations, is_biased)[at - 1]
    mean, margin = mean_and_margin(found.variance[at - 1])
    if regime == "replace":
        deviation = trace_deviation(setting.num_dimensions, NUM_ROWS, at, is_biased)[-1]
        margin = margin_of(deviation, found.num_labs)
    what = f"{regime}, {name}: mean share of the variance that is left at fit {at}"
    return near(what, _CLOSED, expected, mean, margin)


def _law_checks(name: str, is_biased: bool, setting: GaussianSetting, found: Course) -> list[Check]:
    """Replace at the last fit: the log determinant, whose law is exact, and in one dimension the median of the variance."""
    d, last = setting.num_dimensions, setting.num_iterations
    if d >= NUM_ROWS:
        return []  # singular
    mean, deviation = log_determinant(d, NUM_ROWS, last, is_biased)
    margin = margin_of(deviation, found.num_labs)
    what = f"replace, {name}: mean log determinant at fit {last}"
    checks = [near(what, _CLOSED, mean, float(found.log_determinant[-1].mean()), margin)]
    if d == 1:
        margin *= math.sqrt(math.pi / 2)  # how much further the median of a normal sample scatters than its mean
        median = float(np.median(found.variance[-1]))
        what = f"replace, {name}: median share of the variance that is left at fit {last}"
        checks.append(Check(what, _CLOSED, math.exp(mean), median, math.exp(mean - margin), math.exp(mean + margin)))
    return checks


def _order_checks(name: str, of_regime: dict[str, Course]) -> list[Check]:
    """The regimes are told apart at the last fit, by the loss on rows of the true distribution."""
    loss = {regime: found.excess_loss[-1] for regime, found in of_regime.items()}
    source = f"{_KAZDAN}: the loss of subsample lies between the two"
    return [
        apart(f"{name}: excess loss of replace over subsample at the last fit, nats", source, loss["replace"], loss["subsample"]),
        apart(f"{name}: excess loss of subsample over accumulate at the last fit, nats", source, loss["subsample"], loss["accumulate"]),
    ]


def published_checks(variance: dict[str, np.ndarray], generator: np.random.Generator) -> list[Check]:
    """Mean and median at each published fit that was reached, against those of 100 seeds of others.

    variance: each regime's, shape (num_iterations, num_batches, labs). The interval is the published figure and how far such a figure
    of 100 of our own labs lies from that of all of them, drawn anew _NUM_RESAMPLES times: their Monte-Carlo error."""
    checks = []
    for regime, published in PUBLISHED.items():
        for iteration, figures in published.items():
            if iteration > len(variance[regime]):
                continue
            labs = variance[regime][iteration - 1].ravel()
            seeds = labs[generator.integers(len(labs), size=(_NUM_RESAMPLES, _PUBLISHED_SEEDS))]
            for statistic, expected in zip(("mean", "median"), figures, strict=True):
                take = np.mean if statistic == "mean" else np.median
                found = float(take(labs))
                low, high = np.quantile(take(seeds, axis=1) - found, [(1 - _PUBLISHED_SHARE) / 2, (1 + _PUBLISHED_SHARE) / 2])
                what = (
                    f"{regime}, 1-D, biased: {statistic} share of the variance at fit {iteration}, published for {_PUBLISHED_SEEDS} seeds"
                )
                checks.append(Check(what, f"{_KAZDAN}, released runs", expected, found, expected - high, expected - low))
    return checks


def _figure(name: str, is_biased: bool, setting: GaussianSetting, of_regime: dict[str, Course]) -> Figure:
    lines = {}
    for regime, found in of_regime.items():
        expected = expected_variance(regime, NUM_ROWS, setting.num_iterations, is_biased)
        lines[regime] = (found.variance.mean(axis=(1, 2)).tolist(), expected.tolist())
    return figure(f"mean share of the variance that is left, {name}", lines)
