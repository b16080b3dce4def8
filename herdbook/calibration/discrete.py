"""Tables of frequencies fitted to draws from tables of frequencies: rare states are lost, and in the end all but one.

Shumailov et al. 2024 (Nature 631:755, section "Discrete distributions with exact approximation"): a state of share q <= 1/M has
less than one expected row, and the chain is absorbed in one state with probability 1. Under replace it is the chain of Wright
and Fisher, whose every figure below is known exactly; under accumulate nothing that the human rows hold is ever lost."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from herdbook.calibration.check import Check, Outcome, figure, mean_and_margin, near, share
from herdbook.calibration.labs import REGIMES, breed
from herdbook.calibration.laws import copies, expected_variance
from herdbook.calibration.settings import DiscreteSettings
from herdbook.numeric import seed_of

_SHUMAILOV = "Shumailov et al. 2024, Nature 631:755, discrete distributions"
_CHAIN = f"{_SHUMAILOV}; chain of Wright and Fisher, herdbook/calibration/laws.py"
_CLOSED = "closed form, herdbook/calibration/laws.py"


def human_shares(num_states: int) -> np.ndarray:
    """Zipf's law: the share of state k is as 1/k, from 1 on."""
    weights = 1 / np.arange(1, num_states + 1)
    return weights / weights.sum()


def fit(rows: np.ndarray, num_states: int) -> np.ndarray:
    """The share of each state in each lab, shape (labs, num_states). rows: states, shape (labs, n)."""
    labs, num_rows = rows.shape
    places = rows + num_states * np.arange(labs)[:, None]
    return np.bincount(places.ravel(), minlength=labs * num_states).reshape(labs, num_states) / num_rows


def sample(shares: np.ndarray, num_rows: int, generator: np.random.Generator) -> np.ndarray:
    """Rows of each lab, shape (labs, num_rows), state by state."""
    labs, num_states = shares.shape
    counts = generator.multinomial(num_rows, shares)
    return np.repeat(np.tile(np.arange(num_states), labs), counts.ravel()).reshape(labs, num_rows)


def diversity(shares: np.ndarray) -> np.ndarray:
    """The chance that two draws differ, 1 - sum of squared shares (heterozygosity), of each lab."""
    return 1 - np.square(shares).sum(axis=-1)


@dataclass(frozen=True)
class Course:
    """What one regime found; arrays of shape (num_iterations, num_batches, labs)."""

    diversity: np.ndarray
    num_left: np.ndarray  # states that have a row


def course(regime: str, settings: DiscreteSettings) -> Course:
    """Breed all labs."""
    batches = []
    for batch in range(settings.num_batches):
        generator = np.random.Generator(np.random.PCG64(seed_of("discrete", settings.seed, regime, batch)))
        batches.append([[diversity(shares), (shares > 0).sum(axis=1)] for shares in _models(regime, settings, generator)])
    return Course(*np.array(batches).transpose(2, 1, 0, 3))


def _models(regime: str, settings: DiscreteSettings, generator: np.random.Generator) -> Iterator[np.ndarray]:
    shares = np.tile(human_shares(settings.num_states), (settings.labs_per_batch, 1))
    return breed(
        sample(shares, settings.num_rows, generator), regime, settings.num_iterations,
        lambda rows: fit(rows, settings.num_states), lambda model, count: sample(model, count, generator), generator,
    )  # fmt: skip


def calibrate(settings: DiscreteSettings) -> Outcome:
    """Checks of diversity, of states left and of absorption."""
    found = {regime: course(regime, settings) for regime in REGIMES}
    at_first = float(diversity(human_shares(settings.num_states)))
    left, alone = _chances(settings)
    checks = [check for regime in REGIMES for check in _diversity_checks(regime, at_first, settings, found[regime])]
    checks += _loss_checks(settings, found["replace"], left, alone)
    checks += _keeping_checks(found["accumulate"])
    diversities = {
        regime: (
            found[regime].diversity.mean(axis=(1, 2)).tolist(),
            (at_first * expected_variance(regime, settings.num_rows, settings.num_iterations, True)).tolist(),
        )
        for regime in REGIMES
    }
    states = {regime: (found[regime].num_left.mean(axis=(1, 2)).tolist(), None) for regime in REGIMES}
    states["replace"] = (states["replace"][0], left.tolist())
    return Outcome(checks, [figure("mean chance that two draws differ", diversities), figure("mean number of states left", states)])


def _chances(settings: DiscreteSettings) -> tuple[np.ndarray, np.ndarray]:
    """Under replace, by fit: the expected number of states left, and the chance that it is one."""
    chances = np.sum([copies(settings.num_rows, share, settings.num_iterations) for share in human_shares(settings.num_states)], axis=0)
    return settings.num_states - chances[:, 0], chances[:, 1]


def _diversity_checks(regime: str, at_first: float, settings: DiscreteSettings, found: Course) -> list[Check]:
    """At the fit where half of it is gone under replace, about .7 M, and at the last; under replace few labs have any by then."""
    expected = at_first * expected_variance(regime, settings.num_rows, settings.num_iterations, True)
    half = min(round(math.log(2) * settings.num_rows), settings.num_iterations)
    fits = {half} if regime == "replace" else {half, settings.num_iterations}
    return [
        near(f"{regime}: mean chance that two draws differ at fit {n}", _CLOSED, expected[n - 1], *mean_and_margin(found.diversity[n - 1]))
        for n in sorted(fits)
    ]


def _loss_checks(settings: DiscreteSettings, found: Course, left: np.ndarray, alone: np.ndarray) -> list[Check]:
    """Replace: states unseen in the human rows, states left later, and labs that are left with one."""
    last, half = settings.num_iterations, settings.num_iterations // 2
    unseen = float(np.sum((1 - human_shares(settings.num_states)) ** settings.num_rows))
    first = settings.num_states - found.num_left[0]
    return [
        near("replace: mean number of states unseen in the human rows", _SHUMAILOV, unseen, *mean_and_margin(first)),
        near(f"replace: mean number of states left at fit {half}", _CHAIN, left[half - 1], *mean_and_margin(found.num_left[half - 1])),
        share(f"replace: share of labs left with one state at fit {half}", _CHAIN, alone[half - 1], found.num_left[half - 1] == 1),
        share(f"replace: share of labs left with one state at fit {last}", _CHAIN, alone[last - 1], found.num_left[last - 1] == 1),
    ]


def _keeping_checks(found: Course) -> list[Check]:
    lost = float(np.max(found.num_left[0] - found.num_left[-1]))
    what = "accumulate: most states of the human rows that any lab lost"
    return [Check(what, "follows from the regime: the pool keeps the human rows", 0.0, lost, 0.0, 0.0)]
