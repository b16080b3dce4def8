"""Mixtures of two Gaussians, as Shumailov et al. breed them: early collapse in every regime, late collapse under replace.

Shumailov et al. 2024 (Nature 631:755; code Zakahler/curse_recurse, commit b48c90a) fit scikit-learn's GaussianMixture(n_components=2,
tol=1e-5, full covariances, max_iter=2000) to 1000 rows of the last one, 2050 times, and measure the L2 distance to the first. They
see the original misperceived within 50 fits and near point estimates by 2000."""

import math
from dataclasses import dataclass

import numpy as np

from herdbook.calibration.check import Check, Outcome, figure
from herdbook.calibration.labs import REGIMES, breed
from herdbook.calibration.laws import error_growth
from herdbook.calibration.settings import MixtureSettings
from herdbook.numeric import seed_of

_SHUMAILOV = "Shumailov et al. 2024, Nature 631:755, definition 2.1 and supplementary figure 6"
# The squared distance of a fit is a quadratic form of about five effective parameters, so over six lineages its mean scatters by a
# quarter and the ratio of two such means by .37; three of those are a factor of three. Chosen before any run.
_GROWTH_FACTOR = 3.0


@dataclass(frozen=True)
class Mixture:
    """weights: shape (k,), sum 1; means: (k, d); covariances: (k, d, d)."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


# Two round Gaussians, four standard deviations apart. (The published code and text disagree on where theirs lie.)
HUMAN = Mixture(np.array([0.5, 0.5]), np.array([[-2.0, 0.0], [2.0, 0.0]]), np.stack([np.eye(2)] * 2))


def inner_product(p: Mixture, q: Mixture) -> float:
    """The integral of p times q, by that of two Gaussians: of N(a, A) and N(b, B) it is the density of N(0, A + B) at a - b."""
    sums = p.covariances[:, None] + q.covariances[None]
    between = (p.means[:, None] - q.means[None])[..., None]
    exponents = -(between * np.linalg.solve(sums, between)).sum(axis=(2, 3)) / 2
    densities = np.exp(exponents) / np.sqrt(np.linalg.det(2 * math.pi * sums))
    return float(p.weights @ densities @ q.weights)


def squared_distance(p: Mixture, q: Mixture) -> float:
    """The integral of (p - q)^2, in closed form, as a share of that of p^2: 1 is as far from p as no density at all."""
    return max((inner_product(p, p) - 2 * inner_product(p, q) + inner_product(q, q)) / inner_product(p, p), 0.0)


def fit(rows: np.ndarray, seed: int) -> Mixture:
    """The mixture that scikit-learn finds from k-means. rows: shape (n, d)."""
    from sklearn.mixture import GaussianMixture

    found = GaussianMixture(n_components=len(HUMAN.weights), tol=1e-5, max_iter=2000, random_state=seed).fit(rows)
    return Mixture(found.weights_ / found.weights_.sum(), found.means_, found.covariances_)


def sample(model: Mixture, num_rows: int, generator: np.random.Generator) -> np.ndarray:
    """Rows, shape (num_rows, d), component by component."""
    counts = generator.multinomial(num_rows, model.weights)
    parts = zip(model.means, model.covariances, counts, strict=True)
    return np.concatenate([generator.multivariate_normal(mean, cov, size=count, method="cholesky") for mean, cov, count in parts])


def lineage(regime: str, number: int, num_iterations: int, settings: MixtureSettings) -> list[Mixture]:
    """The mixture of each fit; the human rows of a number are the same in every regime."""
    generator = np.random.Generator(np.random.PCG64(seed_of("mixture", settings.seed, regime, number)))
    human = sample(HUMAN, settings.num_rows, np.random.Generator(np.random.PCG64(seed_of("mixture", settings.seed, "human", number))))
    models = breed(
        human[None], regime, num_iterations,
        lambda rows: fit(rows[0], int(generator.integers(2**31))), lambda model, count: sample(model, count, generator)[None], generator,
    )  # fmt: skip
    return list(models)


def calibrate(settings: MixtureSettings) -> Outcome:
    """Checks of how the distance grows in each regime, and that one long lineage collapses."""
    distances = {
        regime: np.array(
            [
                [squared_distance(HUMAN, model) for model in lineage(regime, number, settings.num_iterations, settings)]
                for number in range(settings.num_lineages)
            ]
        ).mean(axis=0)
        for regime in REGIMES
    }
    late = lineage("replace", settings.num_lineages, settings.num_late_iterations, settings)
    checks = [growth_check(regime, found) for regime, found in distances.items()]
    checks += late_checks(late[-1], settings.num_late_iterations)
    known = {regime: found[0] * error_growth(regime, len(found)) for regime, found in distances.items()}
    lines = {regime: (found.tolist(), known[regime].tolist()) for regime, found in distances.items()}
    title = "squared L2 distance to the human mixture, as a share of its norm"
    figures = [
        figure(f"{title}, mean of lineages", lines),
        figure(f"{title}, one long lineage", {"replace": ([squared_distance(HUMAN, model) for model in late], None)}),
    ]
    return Outcome(checks, figures)


def growth_check(regime: str, distances: np.ndarray) -> Check:
    """Early collapse: how often the squared distance of the first fit that of the last is. distances: means over lineages, by fit.

    To first order in 1/M it is a quadratic form of the parameters' errors, and so grows as their mean square does."""
    expected = float(error_growth(regime, len(distances))[-1])
    what = f"{regime}: squared L2 distance at fit {len(distances)}, in units of that at fit 1"
    found = float(distances[-1] / distances[0])
    return Check(what, f"{_SHUMAILOV}; first order in 1/M", expected, found, expected / _GROWTH_FACTOR, expected * _GROWTH_FACTOR)


def late_checks(model: Mixture, num_iterations: int) -> list[Check]:
    """Late collapse: little resemblance to the original, and substantially reduced variance.

    A component of 500 rows loses .004 of the log of its variance with each fit, in the median: at 1000 fits e^-4 is left of it, with
    a standard deviation of 1.4 in the exponent. Chosen before any run: further from the original than no density at all, and
    components of at most half the original spread (the root of their variance in each direction, in the geometric mean)."""
    spread = float(np.sum(model.weights * [math.sqrt(math.sqrt(np.linalg.det(covariance))) for covariance in model.covariances]))
    distance = squared_distance(HUMAN, model)
    return [
        Check(f"replace: squared L2 distance at fit {num_iterations}, as a share of the norm", _SHUMAILOV, None, distance, 1.0, None),
        Check(f"replace: spread of the components at fit {num_iterations}, 1 at first", _SHUMAILOV, None, spread, None, 0.5),
    ]
