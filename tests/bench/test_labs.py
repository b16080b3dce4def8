import json
import math

import numpy as np
import pytest

from bench.labs import FAMILIES, FOUND, HACKS, NUMS_SEEDS, TRUTHS, hacked, rate_of_looking, rates

COMMITTED = json.loads(FOUND.read_text())


def most(nominal, num_labs):
    """The nominal rate and three standard errors of its estimate."""
    return nominal + 3 * math.sqrt(nominal * (1 - nominal) / num_labs)


def assert_rates_are_nominal(found, truth, num_labs, alpha=0.05):
    for verdict in TRUTHS[truth][1]:
        assert found[verdict] <= most(alpha, num_labs)
    assert found["any_false_in_family"] <= most(alpha, num_labs)
    if "supported" in TRUTHS[truth][1]:
        assert found["supported"] <= most(alpha / 2, num_labs)
    if "refuted" in TRUTHS[truth][1]:
        assert found["refuted"] <= most(alpha / 2, num_labs)
    assert sum(found[verdict] for verdict in ("supported", "refuted", "equivalent", "inconclusive")) == pytest.approx(1.0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("truth", TRUTHS)
def test_no_false_verdict_was_commoner_than_its_level_in_a_thousand_labs(truth, family):
    found = COMMITTED["verdicts"][family][truth]
    assert (COMMITTED["num_labs"], list(found)) == (1000, sorted(f"{num} seeds" for num in NUMS_SEEDS))
    for cell in found.values():
        assert_rates_are_nominal(cell, truth, 1000)


@pytest.mark.parametrize("estimator", ["sign_flip", "median_signed"])
def test_no_false_verdict_of_an_exact_test_was_commoner_than_its_level(estimator):
    for truth, found in COMMITTED["verdicts_of_exact_tests_10_seeds"][estimator].items():
        assert_rates_are_nominal(found, truth, 1000)


def test_true_effects_were_seen():
    alone = COMMITTED["verdicts"]["alone"]
    assert alone["a true effect"]["10 seeds"]["supported"] > 0.99
    assert alone["an opposite effect"]["10 seeds"]["refuted"] > 0.99
    assert alone["an exact null"]["10 seeds"]["equivalent"] > 0.7


def test_no_hack_gained_an_unmarked_supported():
    found = COMMITTED["hacking"]
    assert set(HACKS) < set(found)
    for rate in found.values():
        assert rate["supported_unmarked_gained"] == 0.0
        assert rate["supported_unmarked"] <= most(0.025, COMMITTED["num_hackers"])
    assert sum(rate["supported_marked"] for rate in found.values()) > 0.5  # they do find what they look for


def test_declared_looks_keep_the_level_and_undeclared_ones_would_not():
    found = COMMITTED["supported_at_the_bound_by_looking"]
    assert found["at 3, 6 and 10, declared"] <= most(0.025, 1000)
    assert found["at 3, 4, ... 10, each at alpha"] > most(0.025, 1000)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("truth", TRUTHS)
def test_no_false_verdict_is_commoner_than_its_level_in_labs_simulated_now(truth, family):
    for num in NUMS_SEEDS:
        assert_rates_are_nominal(rates(truth, family, num, "mean_t", 200, np.random.default_rng(1)), truth, 200)


@pytest.mark.parametrize("hack", HACKS)
def test_no_hack_gains_an_unmarked_supported_now(hack):
    found = hacked(hack, 5, np.random.default_rng(3), registers_again=hack == "changing the metric")
    assert found["supported_unmarked_gained"] == 0.0


def test_looking_again_and_again_is_simulated_with_the_same_labs():
    # at one look both ways are one test
    now = [rate_of_looking((5,), 50, np.random.default_rng(0), declared=declared) for declared in (True, False)]
    assert now[0] == now[1]
