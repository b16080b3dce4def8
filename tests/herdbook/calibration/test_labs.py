import numpy as np
import pytest

from herdbook.calibration import labs
from herdbook.calibration.labs import REGIMES, breed, training_sets


def generator():
    return np.random.Generator(np.random.PCG64(0))


def ids(regime, num_fits=3):
    return [sorted(each.tolist()) for each in training_sets(regime, 2, num_fits, generator())]


def test_replace_reads_what_the_last_fit_wrote():
    assert ids("replace") == [[0, 1], [2, 3], [4, 5]]


def test_accumulate_reads_everything():
    assert ids("accumulate") == [[0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5]]


def test_subsample_reads_as_many_of_everything_as_a_generation_has():
    found = ids("subsample", num_fits=6)
    assert found[0] == [0, 1]
    assert all(len(each) == 2 and max(each) < 2 * n for n, each in enumerate(found, start=1))
    assert any(min(each) < 2 * (n - 1) for n, each in enumerate(found, start=1))


@pytest.mark.parametrize("regime", REGIMES)
def test_the_regimes_are_those_of_language_models(regime, monkeypatch):
    calls = []

    def recorded(offspring, previous, human, weights, budget, generator):
        calls.append((weights, budget))
        return labs_mix(offspring, previous, human, weights, budget, generator)

    labs_mix = labs.mix
    monkeypatch.setattr(labs, "mix", recorded)
    list(training_sets(regime, 2, 3, generator()))
    assert calls == [(REGIMES[regime], 2 if regime == "subsample" else None)] * 2
    assert labs_mix.__module__ == "herdbook.regimes"


def test_each_lab_breeds_its_own_rows():
    human = np.array([[1.0, 3.0], [10.0, 30.0]])  # two labs of two rows
    models = breed(
        human,
        "accumulate",
        3,
        lambda rows: rows.mean(axis=1),
        lambda model, count: np.repeat(model[:, None] + 2, count, axis=1),
        generator(),
    )
    # lab 0: mean 2, then (1 + 3 + 4 + 4) / 4 = 3, then (1 + 3 + 4 + 4 + 5 + 5) / 6
    assert np.array(list(models)) == pytest.approx(np.array([[2, 20], [3, 21], [22 / 6, 130 / 6]]))
