"""What theory says of breeding, in closed form. M is the rows of a generation, fit 1 is that of the human rows.

The laws of variance need only first and second moments, so they hold for every model that keeps the mean and the
covariance of what it is fitted to: Gaussians, mixtures of them with free covariances, tables of frequencies."""

import math
from collections.abc import Iterator

import numpy as np


def expected_variance(regime: str, num_rows: int, num_iterations: int, is_biased: bool) -> np.ndarray:
    """The expected variance of fit 1, 2, ..., as a share of the human distribution's; in d dimensions that of the trace.

    Biased divides by the rows of the training set, unbiased by one less. Replace: ((M-1)/M)^n, and 1 where unbiased (Shumailov
    et al. 2024, theorem 3.1: of constant expectation, though its median falls). Accumulate, biased: the product of 1 - 1/(k^2 M)
    over k to n, whose limit is sin(pi/sqrt(M)) / (pi/sqrt(M)). Derived here: the expected sum of squares of the pool about its own
    mean grows by that of the offspring about theirs, and by that of the two means about each other."""
    return np.array(list(_variances(regime, num_rows, num_iterations, is_biased)))


def _variances(regime: str, num_rows: int, num_iterations: int, is_biased: bool) -> Iterator[float]:
    squares, pool = num_rows - 1.0, num_rows  # the pool's sum of squares about its mean, and its rows
    for _ in range(num_iterations):
        read = pool if regime == "accumulate" else num_rows
        fitted = squares / (pool - 1) * (read - 1) / (read if is_biased else read - 1)
        yield fitted
        if regime == "replace":
            squares = (num_rows - 1) * fitted
            continue
        of_fitted_mean = squares / (pool - 1) * (1 / read - 1 / pool)  # about the pool's; 0 where all of the pool is read
        between = pool * num_rows / (pool + num_rows) * (of_fitted_mean + fitted / num_rows)
        squares, pool = squares + (num_rows - 1) * fitted + between, pool + num_rows


def trace_deviation(num_dimensions: int, num_rows: int, num_iterations: int, is_biased: bool) -> np.ndarray:
    """The standard deviation of trace(fit n) / trace(human) under replace, of a human covariance that is the identity.

    By the moments of a Wishart matrix W of nu = M - 1 degrees of freedom and scale S (Muirhead 1982, chapter 3):
    E tr(W)^2 = nu^2 tr(S)^2 + 2 nu tr(S^2), and E tr(W^2) = nu (nu + 1) tr(S^2) + nu tr(S)^2."""
    nu, d = num_rows - 1, num_dimensions
    step = np.array([[nu * nu, 2 * nu], [nu, nu * (nu + 1)]]) / (num_rows if is_biased else nu) ** 2
    moments, found = np.array([d * d, d], dtype=float), []
    for mean in expected_variance("replace", num_rows, num_iterations, is_biased):
        moments = step @ moments
        found.append(math.sqrt(max(moments[0] / d**2 - mean**2, 0.0)))
    return np.array(found)


def log_determinant(num_dimensions: int, num_rows: int, num_iterations: int, is_biased: bool) -> tuple[float, float]:
    """The mean and the standard deviation of log(det(fit n) / det(human)) under replace; d below M.

    The determinant of a Wishart matrix is a product of independent chi-squares of M - 1, ..., M - d degrees of freedom (Muirhead
    1982, chapter 3). In one dimension this is log of the product of n chi-squares over their divisor, and since it is nearly
    normal the median of the variance is about exp(n (psi((M-1)/2) + log(2/divisor))). Raises ValueError where d >= M."""
    from scipy.special import polygamma, psi

    if num_dimensions >= num_rows:
        raise ValueError(f"a covariance of {num_rows} rows in {num_dimensions} dimensions is singular")
    halves = (num_rows - 1 - np.arange(num_dimensions)) / 2
    divisor = num_rows if is_biased else num_rows - 1
    mean = np.sum(psi(halves) + math.log(2 / divisor))
    return float(num_iterations * mean), math.sqrt(num_iterations * np.sum(polygamma(1, halves)))


def error_growth(regime: str, num_iterations: int) -> np.ndarray:
    """The mean squared error of an unbiased parameter at fit 1, 2, ..., in units of the first, to first order in 1/M.

    Replace: n. Accumulate: the sum of 1/k^2, below pi^2/6 (Gerstgrasser et al. 2024, arXiv 2404.01413, for linear regression, where
    both are exact). Subsample, derived here: the pool's own error grows by (2 - 1/(k-1)) / k^2 with pool k, for both what is read of
    it and what is written are samples; and fit n reads a sample of pool n, which adds 1 - 1/n."""
    n = np.arange(1, num_iterations + 1)
    if regime == "replace":
        return n.astype(float)
    if regime == "accumulate":
        return np.cumsum(1 / n**2)
    grown = (2 - 1 / np.maximum(n - 1, 1)) / n**2
    return np.cumsum(grown) + 1 - 1 / n


def copies(num_rows: int, share: float, num_iterations: int) -> np.ndarray:
    """The chances that a state of this share has 0 rows, and that it has all M, among the rows that fit 1, 2, ... reads under replace.

    Shape (num_iterations, 2). Each generation draws M rows by the frequencies of the last, which is the chain of Wright and Fisher:
    the human rows hold a binomial number of the state, and each later set one by that of the set before. So in the human rows 0 has
    chance (1 - share)^M."""
    from scipy.stats import binom

    counts = np.arange(num_rows + 1)
    chances = [binom.pmf(counts, num_rows, share)]
    chain = binom.pmf(counts[None, :], num_rows, counts[:, None] / num_rows)
    while len(chances) < num_iterations:
        chances.append(chances[-1] @ chain)
    return np.array(chances)[:, [0, -1]]
