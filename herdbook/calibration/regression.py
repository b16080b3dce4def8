"""Linear regressions on labels that the last one predicted: the test error grows with each fit, or is bounded.

Dohmatob et al. 2024 (arXiv 2402.07712) and Gerstgrasser et al. 2024 (arXiv 2404.01413, linear regression): with T rows of d standard
normal covariates, the same at every fit (as in the code of Kazdan et al., src/fit_linear_regressions), and noise of variance s^2, least
squares on labels that the last fit predicted, with new noise, has the expected test error s^2 d / (T - d - 1) times n under replace,
and times the sum of 1/k^2, below pi^2/6, under accumulate."""

import math
from collections.abc import Iterator

import numpy as np

from herdbook.calibration.check import Check, Outcome, apart, figure, mean_and_margin, near
from herdbook.calibration.labs import breed
from herdbook.calibration.laws import error_growth
from herdbook.calibration.settings import RegressionSettings
from herdbook.errors import ParamsError
from herdbook.numeric import seed_of

BOUND = math.pi**2 / 6
_REGIMES = ("replace", "accumulate")  # those of the theory
_GERSTGRASSER = "Gerstgrasser et al. 2024, arXiv 2404.01413, linear regression"
_DOHMATOB = "Dohmatob et al. 2024, arXiv 2402.07712"


def first_error(num_rows: int, num_features: int) -> float:
    """The expected squared error of the first fit, noise of variance 1: d / (T - d - 1), by the mean of an inverse Wishart matrix.

    Raises ParamsError where T <= d + 1, for then there is no such mean."""
    if num_rows <= num_features + 1:
        raise ParamsError(
            f"params.yaml: calibrate.regression.num_rows is {num_rows}, must be above num_features + 1 = {num_features + 1}; raise it"
        )
    return num_features / (num_rows - num_features - 1)


def fit(rows: np.ndarray) -> np.ndarray:
    """Least squares in each lab, shape (labs, d). rows: covariates and, last, the label, shape (labs, n, d + 1)."""
    features = rows[..., :-1]
    transposed = features.transpose(0, 2, 1)
    return np.linalg.solve(transposed @ features, transposed @ rows[..., -1:])[..., 0]


def label(features: np.ndarray, weights: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Rows of each lab: the covariates and what the weights predict, with noise. features: shape (labs, n, d), weights: (labs, d)."""
    labels = features @ weights[..., None] + generator.standard_normal((*features.shape[:2], 1))
    return np.concatenate([features, labels], axis=2)


def errors(regime: str, settings: RegressionSettings) -> np.ndarray:
    """The squared error of each fit's weights, which is its test error on standard normal covariates above the noise.

    Shape (num_iterations, num_batches, labs)."""
    batches = []
    for batch in range(settings.num_batches):
        generator = np.random.Generator(np.random.PCG64(seed_of("regression", settings.seed, regime, batch)))
        true = generator.standard_normal((settings.labs_per_batch, settings.num_features))
        batches.append([np.square(weights - true).sum(axis=1) for weights in _models(regime, true, settings, generator)])
    return np.array(batches).transpose(1, 0, 2)


def _models(regime: str, true: np.ndarray, settings: RegressionSettings, generator: np.random.Generator) -> Iterator[np.ndarray]:
    features = generator.standard_normal((settings.labs_per_batch, settings.num_rows, settings.num_features))
    return breed(
        label(features, true, generator), regime, settings.num_iterations,
        fit, lambda weights, _: label(features, weights, generator), generator,
    )  # fmt: skip


def calibrate(settings: RegressionSettings) -> Outcome:
    """Checks of slope, straightness and bound, all in units of the first fit's expected error."""
    unit = first_error(settings.num_rows, settings.num_features)
    found = {regime: errors(regime, settings) / unit for regime in _REGIMES}
    checks = [*replace_checks(found["replace"]), *accumulate_checks(found["accumulate"])]
    what = f"test error of replace over accumulate at fit {settings.num_iterations}, in units of the first"
    checks.append(apart(what, _GERSTGRASSER, found["replace"][-1], found["accumulate"][-1]))
    lines = {
        regime: (of_regime.mean(axis=(1, 2)).tolist(), error_growth(regime, len(of_regime)).tolist()) for regime, of_regime in found.items()
    }
    return Outcome(checks, [figure("mean test error, in units of the first fit's", lines)])


def replace_checks(found: np.ndarray) -> list[Check]:
    """The slope on n, by least squares through the origin, and that the second half of the fits adds what the first does."""
    n = np.arange(1, len(found) + 1)
    slopes = np.tensordot(n, found, axes=1) / np.sum(n**2)
    half = len(found) // 2
    bend = found[-1] - 2 * found[half - 1]
    what = f"replace: test error added by fits {half + 1} to {len(found)}, less that of the first {half}"
    return [
        near("replace: slope of the test error on n, in units of the first fit's", _DOHMATOB, 1.0, *mean_and_margin(slopes)),
        near(what, _DOHMATOB, 0.0, *mean_and_margin(bend)),
    ]


def accumulate_checks(found: np.ndarray) -> list[Check]:
    """The last error, and that it is below pi^2/6, give or take chance."""
    expected = float(error_growth("accumulate", len(found))[-1])
    mean, margin = mean_and_margin(found[-1])
    what = f"accumulate: test error at fit {len(found)}, in units of the first"
    return [
        near(what, _GERSTGRASSER, expected, mean, margin),
        Check(f"{what}, below pi^2/6", _GERSTGRASSER, BOUND, mean, None, BOUND + margin),
    ]
