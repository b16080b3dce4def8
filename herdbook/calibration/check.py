"""One thing that is known, beside what was found, and whether the two agree."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from herdbook.files import read_json, rounded
from herdbook.layout import CALIBRATION

NAMES = ("gaussian", "mixture", "discrete", "digits", "regression")
# How often a check fails by chance where the instrument is sound: all of them together, about a hundred, once in a thousand seeds.
FALSE_ALARM = 1e-5

Figure = dict[str, Any]


@dataclass(frozen=True)
class Check:
    """What a calibration must find: `found` lies in [low, high], where None leaves a side open."""

    what: str
    source: str
    expected: float | None  # None where the source gives a direction and no number
    found: float
    low: float | None
    high: float | None

    @property
    def passed(self) -> bool:
        """A figure that is not finite lies nowhere."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return math.isfinite(self.found) and bool(low <= self.found <= high)

    @property
    def in_words(self) -> str:
        """One sentence."""
        known = "" if self.expected is None else f", known {_short(self.expected)}"
        verdict = "as it should be" if self.passed else "which is outside"
        return f"{self.what}: found {_short(self.found)}{known}, allowed {allowed(self.low, self.high)}, {verdict}."

    @property
    def record(self) -> dict[str, Any]:
        """As result.json holds it."""
        return {
            "what": self.what,
            "source": self.source,
            "expected": None if self.expected is None else rounded(self.expected),
            "found": rounded(self.found),
            "interval": [None if side is None else rounded(side) for side in (self.low, self.high)],
            "passed": self.passed,
            "in_words": self.in_words,
        }


def near(what: str, source: str, expected: float, found: float, margin: float) -> Check:
    """A check that `found` is `expected`, give or take `margin`."""
    return Check(what, source, expected, found, expected - margin, expected + margin)


def allowed(low: float | None, high: float | None) -> str:
    """An interval in words."""
    if low is None or high is None:
        return f"at least {_short(low)}" if low is not None else "anything" if high is None else f"at most {_short(high)}"
    return f"{_short(low)} to {_short(high)}"


def _short(value: float) -> str:
    return f"{value:.4g}"


@dataclass(frozen=True)
class Outcome:
    """What a calibration found: its checks, curves for the report, and pictures as PNG by file name, less the ending."""

    checks: Sequence[Check]
    figures: Sequence[Figure]
    sheets: Mapping[str, bytes] = field(default_factory=dict)


def result(name: str, settings: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    """What result.json holds: passed where every check is. Raises ValueError on no checks, which would pass."""
    if not outcome.checks:
        raise ValueError(f"calibration {name} checks nothing")
    return {
        "name": name,
        "passed": all(check.passed for check in outcome.checks),
        "settings": dict(settings),
        "checks": [check.record for check in outcome.checks],
        "figures": list(outcome.figures),
    }


def results(folder: Path = CALIBRATION) -> list[dict[str, Any]]:
    """The result of every calibration; FileError where one is missing, for then nothing says that the instrument is sound."""
    return [read_json(folder / name / "result.json") for name in NAMES]


def figure(title: str, lines: Mapping[str, tuple[Sequence[float], Sequence[float] | None]]) -> Figure:
    """A curve over the iterations for each regime: what was found, and what is known where anything is. Both start at fit 1."""
    return {
        "title": title,
        "lines": {
            regime: {"found": [rounded(float(y)) for y in found], "expected": known and [rounded(float(y)) for y in known]}
            for regime, (found, known) in lines.items()
        },
    }


def mean_and_margin(batches: np.ndarray) -> tuple[float, float]:
    """The mean over labs, and how far from the truth it may lie.

    batches: shape (num_batches, labs). Batches are independent, labs of one need not be; so the margin is that of a t interval
    over the means of batches, false in FALSE_ALARM of the cases."""
    from scipy import stats

    means = batches.mean(axis=1)
    error = means.std(ddof=1) / math.sqrt(len(means))
    return float(means.mean()), float(error * stats.t.isf(FALSE_ALARM / 2, len(means) - 1))


def margin_of(deviation: float, num_labs: int) -> float:
    """How far from the truth the mean of independent labs may lie, whose standard deviation is known."""
    from scipy import stats

    return float(deviation / math.sqrt(num_labs) * stats.norm.isf(FALSE_ALARM / 2))


def share(what: str, source: str, expected: float, labs: np.ndarray) -> Check:
    """A check of the share of independent labs that are true, within a binomial interval about the expected one."""
    from scipy import stats

    low, high = stats.binom.interval(1 - FALSE_ALARM, labs.size, expected)
    return Check(what, source, expected, float(labs.mean()), low / labs.size, high / labs.size)


def apart(what: str, source: str, greater: np.ndarray, smaller: np.ndarray) -> Check:
    """A check that one regime's figure is above another's, by more than chance; both of shape (num_batches, labs)."""
    (high, high_margin), (low, low_margin) = mean_and_margin(greater), mean_and_margin(smaller)
    return Check(what, source, None, high - low, math.hypot(high_margin, low_margin), None)
