"""What paired differences over seeds show: supported, refuted, equivalent or inconclusive.

The true effect lies in one of three regions, told apart by the bounds of equivalence: beyond the bound on the claimed side
(supported), beyond the bound on the other side (refuted), between them (equivalent). A test against zero could not tell a
small effect from none nor a null that was shown from one that was not; tests against the bounds can (minimal-effect tests:
Murphy and Myors 1999, J. Appl. Psychol. 84:234; two one-sided tests: Schuirmann 1987; Lakens 2017, SPPS 8:355).

Three p-values, each of "the effect is not in this region":

    p_supported    one-sided, H0: effect <= upper bound
    p_refuted      one-sided, H0: effect >= lower bound
    p_equivalent   the larger of two one-sided, H0: effect <= lower bound, and H0: effect >= upper bound
    p              min(1, 2 p_supported, 2 p_refuted, p_equivalent)

The doubling makes every false verdict as rare as one test: where the effect lies between the bounds, two verdicts can be
false, each at alpha / 2; where it lies beyond one, both false verdicts need a mean that the test at alpha against that bound
would reject. Effects here are signed so that the claimed direction is positive; what is reported for people is not.

Nothing here knows of files, claims or regimes. docs/claims.md says the same in words."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

ANALYSIS = 1  # the version of all that claims.py, judgement.py and judging.py compute; a claim names the one it was made for
POWER = 0.8
MOST_FLIPS = 12  # seeds whose 2^n sign flips are enumerated
_MOST_SEEDS = 100_000  # that seeds_needed looks for
_ALIKE = 1e-9  # differences are equal when they vary by less than this share: figures are recorded to ten digits

Estimator = Literal["mean_t", "sign_flip", "median_signed"]
Direction = Literal["greater", "less"]
Bounds = tuple[float, float]
Verdict = Literal["supported", "refuted", "equivalent", "inconclusive"]
VERDICTS: tuple[Verdict, ...] = ("supported", "refuted", "equivalent", "inconclusive")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What one set of differences shows, before it is adjusted for others; estimates as measured, in the metric's unit."""

    num_pairs: int
    mean: float
    median: float
    sd: float  # of the sample, n - 1
    interval_95: Bounds | None  # of the mean, by Student's t; None where all differences are equal
    interval_90: Bounds | None  # inside the bounds exactly where the t tests show equivalence at 0.05
    effect_in_sd: float | None  # mean / sd; None where all differences are equal
    p_supported: float
    p_refuted: float
    p_equivalent: float
    p: float  # of the claim, 0 to 1
    leaning: Verdict  # the verdict that gives `p`
    p_zero: float | None  # two-sided t test against zero, for information
    p_zero_flip: float | None  # the same by all sign flips; None above MOST_FLIPS pairs
    smallest_p_flip: float  # 2 / 2^n: the smallest two-sided p that n pairs allow without assuming a distribution
    detectable: float | None  # smallest true effect, as a size, that would be shown as supported with POWER; None where none would
    seeds_needed: int | None  # to show the smallest effect of interest with POWER; None where none of up to 100,000 would do
    notes: tuple[str, ...]

    def verdict(self, adjusted: float, alpha: float) -> Verdict:
        """The verdict at level `alpha`, for the claim's p as adjusted for the family."""
        return self.leaning if adjusted <= alpha else "inconclusive"


def judge(
    differences: Sequence[float],
    *,
    direction: Direction,
    equivalence: Bounds,
    estimator: Estimator,
    smallest_effect: float,
    alpha: float,
) -> Judged:
    """Judge paired differences (treatment minus control, one a seed, at least 2) against bounds in their unit.

    `alpha` is the strictest level that the claim may have to meet, after looks and family; power is computed at it.
    Where all differences are equal no t test exists, and sign flips take its place."""
    import numpy as np
    from scipy import stats

    values = np.asarray(differences, dtype=float)
    num, sd = len(values), float(np.std(values, ddof=1))
    alike = float(np.ptp(values)) <= _ALIKE * float(np.max(np.abs(values)))
    flips = "sign_flip" if alike else estimator
    sign = 1.0 if direction == "greater" else -1.0
    low, high = sorted(sign * bound for bound in equivalence)
    tested = sign * (values[:MOST_FLIPS] if alike else values)  # of more equal ones the flips could not be enumerated
    ps = p_values(tested, (low, high), flips)
    p, leaning = claim_p(*ps)
    against_zero = None if alike else stats.ttest_1samp(values, 0.0)
    level = alpha / 2
    showable = flips == "mean_t" or 2.0**-num <= level
    margin = max(0.0, smallest_effect - high)
    return Judged(
        num_pairs=num,
        mean=float(np.mean(values)),
        median=float(np.median(values)),
        sd=0.0 if alike else sd,
        interval_95=against_zero and _interval(against_zero, 0.95),
        interval_90=against_zero and _interval(against_zero, 0.90),
        effect_in_sd=None if alike else float(np.mean(values)) / sd,
        p_supported=float(ps[0]),
        p_refuted=float(ps[1]),
        p_equivalent=float(ps[2]),
        p=float(p),
        leaning=VERDICTS[int(leaning)],
        p_zero=against_zero and float(against_zero.pvalue),
        p_zero_flip=min(1.0, 2 * min(float(flip_p(values)), float(flip_p(-values)))) if num <= MOST_FLIPS else None,
        smallest_p_flip=2.0 ** (1 - num),
        detectable=None if alike or not showable else high + detectable_in_sd(num, level) * sd,
        seeds_needed=None if alike else seeds_needed(margin / sd, level, by_flips=estimator != "mean_t"),
        notes=_notes(num, alike, showable),
    )


def _notes(num: int, alike: bool, showable: bool) -> tuple[str, ...]:
    notes = []
    if alike:
        notes.append("all differences are equal, so there is no interval and no t test; sign flips take its place")
    if not showable:
        notes.append(f"{num} pairs give no sign-flip p below 2/2^{num}, too coarse for this family and its looks to show an effect")
    return tuple(notes)


def p_values(values: "np.ndarray", bounds: Bounds, estimator: Estimator) -> tuple["np.ndarray", "np.ndarray", "np.ndarray"]:
    """p_supported, p_refuted and p_equivalent of differences signed as the claim is.

    values: float, shape (..., n); each p has shape (...). `bounds`: the lower and the upper one, signed likewise."""
    import numpy as np

    low, high = bounds
    above_low, below_low = _one_sided(values - low, estimator)
    above_high, below_high = _one_sided(values - high, estimator)
    return above_high, below_low, np.maximum(above_low, below_high)


def claim_p(supported: "np.ndarray", refuted: "np.ndarray", equivalent: "np.ndarray") -> tuple["np.ndarray", "np.ndarray"]:
    """The p of a claim, at most 1, and the place in VERDICTS of the verdict that gives it; all of one shape."""
    import numpy as np

    priced = np.stack([2 * np.asarray(supported), 2 * np.asarray(refuted), np.asarray(equivalent)])
    return np.minimum(1.0, priced.min(axis=0)), priced.argmin(axis=0)


def _one_sided(values: "np.ndarray", estimator: Estimator) -> tuple["np.ndarray", "np.ndarray"]:
    """p of H0 "centre <= 0" and of H0 "centre >= 0"; values of shape (..., n)."""
    import numpy as np
    from scipy import stats

    if estimator == "mean_t":
        above = stats.ttest_1samp(values, 0.0, axis=-1, alternative="greater").pvalue
        below = stats.ttest_1samp(values, 0.0, axis=-1, alternative="less").pvalue
        return above, below
    if estimator == "median_signed":  # Wilcoxon's signed ranks; a zero has a rank and no sign (Pratt 1959)
        values = np.sign(values) * stats.rankdata(np.abs(values), axis=-1)
    return flip_p(values), flip_p(-values)


def flip_p(values: "np.ndarray") -> "np.ndarray":
    """The share of all 2^n sign flips whose mean is at least that of `values`, shape (..., n): exact p of H0 "centre <= 0"."""
    import numpy as np
    from scipy import stats

    return stats.permutation_test(
        (values,), np.mean, permutation_type="samples", vectorized=True, n_resamples=np.inf, alternative="greater", axis=-1
    ).pvalue


def _interval(test: Any, confidence: float) -> Bounds:
    low, high = test.confidence_interval(confidence)
    return float(low), float(high)


def detectable_in_sd(num: int, level: float) -> float:
    """How far beyond a bound an effect must lie, in standard deviations of the differences, to be shown with POWER.

    By a one-sided t test of `num` pairs at `level` (noncentral t)."""
    from statsmodels.stats.power import TTestPower

    return float(TTestPower().solve_power(nobs=num, alpha=level, power=POWER, alternative="larger"))


def seeds_needed(margin_in_sd: float, level: float, *, by_flips: bool = False) -> int | None:
    """The fewest pairs that show an effect this far beyond a bound with POWER; None where 100,000 do not.

    `by_flips`: at least as many as sign flips need to reach `level` at all."""
    from statsmodels.stats.power import TTestPower

    def power(num: int) -> float:
        return float(TTestPower().power(margin_in_sd, num, level, alternative="larger"))

    found = range(2, _MOST_SEEDS + 1)
    at = bisect_left(found, POWER, key=power)
    if at == len(found):
        return None
    return max(found[at], math.ceil(-math.log2(level))) if by_flips else found[at]


def holm(p: "np.ndarray | Sequence[float]", family_size: int) -> "np.ndarray":
    """p-values adjusted by Holm (1979) along the last axis; those of the family that are not given count as 1.

    That of statsmodels, which a test compares with this, collects Python's garbage at each call: 80 ms against 10 microseconds."""
    import numpy as np

    given = np.asarray(p, dtype=float)
    order = np.argsort(given, axis=-1)
    priced = np.take_along_axis(given, order, axis=-1) * (family_size - np.arange(given.shape[-1]))
    adjusted = np.empty_like(given)
    np.put_along_axis(adjusted, order, np.minimum(1.0, np.maximum.accumulate(priced, axis=-1)), axis=-1)
    return adjusted
