import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

from herdbook.judgement import MOST_FLIPS, POWER, detectable_in_sd, flip_p, holm, judge, p_values, seeds_needed


def judged(differences, **changes):
    given = {"direction": "greater", "equivalence": (-0.2, 0.2), "estimator": "mean_t", "smallest_effect": 0.5, "alpha": 0.05}
    return judge(differences, **{**given, **changes})


# mean 2, sd 1, se 1/sqrt(3); t with 2 degrees of freedom has the distribution 1/2 + t / (2 sqrt(2 + t^2))
ONE_TWO_THREE = [1.0, 2.0, 3.0]


def above(t):
    return 0.5 - t / (2 * math.sqrt(2 + t * t))


def test_the_estimates_of_three_differences():
    found = judged(ONE_TWO_THREE)
    assert (found.num_pairs, found.mean, found.median, found.sd, found.effect_in_sd) == (3, 2.0, 2.0, 1.0, 2.0)
    # the 97.5 % point of t with 2 degrees of freedom is 4.302653, the 95 % point 2.919986
    assert found.interval_95 == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)), abs=1e-6)
    assert found.interval_90 == pytest.approx((2 - 2.919986 / math.sqrt(3), 2 + 2.919986 / math.sqrt(3)), abs=1e-6)


def test_the_p_values_of_three_differences():
    found = judged(ONE_TWO_THREE)
    assert found.p_supported == pytest.approx(above(1.8 * math.sqrt(3)))  # mean 2 against the bound 0.2
    assert found.p_refuted == pytest.approx(1 - above(2.2 * math.sqrt(3)))  # against -0.2, from the other side
    assert found.p_equivalent == pytest.approx(1 - above(1.8 * math.sqrt(3)))  # the worse of the two sides
    assert found.p_zero == pytest.approx(2 * above(2 * math.sqrt(3)))
    assert found.p == 2 * found.p_supported
    assert found.leaning == "supported"


def test_the_other_direction_swaps_supported_and_refuted():
    up, down = judged(ONE_TWO_THREE), judged(ONE_TWO_THREE, direction="less")
    assert (up.p_supported, up.p_refuted, up.p_equivalent) == pytest.approx((down.p_refuted, down.p_supported, down.p_equivalent))
    assert (down.leaning, down.mean, down.interval_95) == ("refuted", up.mean, up.interval_95)


def test_each_direction_has_its_own_bound():
    # 1, 2, 3 against a bound of 2 above: t is 0, so p is one half; against 1 below, from -1, -2, -3: t is -1 * sqrt(3)
    assert judged(ONE_TWO_THREE, equivalence=(-1.0, 2.0)).p_supported == pytest.approx(0.5)
    assert judged([-1.0, -2.0, -3.0], equivalence=(-1.0, 2.0), direction="less").p_supported == pytest.approx(above(math.sqrt(3)))


def test_equivalence_is_that_of_statsmodels():
    values = np.array([0.02, -0.05, 0.04, 0.01])
    found = judged(values)
    assert found.p_equivalent == pytest.approx(ttost_paired(values, np.zeros(4), -0.2, 0.2)[0])
    assert found.p_supported == pytest.approx(DescrStatsW(values).ttest_mean(0.2, alternative="larger")[1])
    assert (found.leaning, found.p) == ("equivalent", found.p_equivalent)


def test_sign_flips_of_three_differences():
    # of the 8 sums of +-1, +-2 and +-3 one reaches 6; 6, 4, 2 and twice 0 reach 0
    assert flip_p(np.array(ONE_TWO_THREE)) == 1 / 8
    assert flip_p(np.array([-1.0, -2.0, 3.0])) == 5 / 8
    found = judged(ONE_TWO_THREE, estimator="sign_flip")
    assert (found.p_supported, found.p_refuted, found.p_equivalent, found.p) == (1 / 8, 1.0, 1.0, 1 / 4)
    assert (found.p_zero_flip, found.smallest_p_flip) == (2 / 8, 2 / 8)


def test_signed_ranks_of_five_differences():
    # against the bound 0 the ranks of 1, -2, 3, 4, 5 are themselves, with a positive sum of 13 of 15; 15, 14 and 13 come from
    # none, {1} or {2} negative: 3 of 32 flips
    values = np.array([1.0, -2.0, 3.0, 4.0, 5.0])
    supported, _, _ = p_values(values, (0.0, 0.0), "median_signed")
    assert supported == 3 / 32
    # only ranks count, so an outlier changes nothing
    assert p_values(np.array([1.0, -2.0, 3.0, 4.0, 500.0]), (0.0, 0.0), "median_signed")[0] == 3 / 32
    assert supported == stats.wilcoxon(values, alternative="greater", method="exact").pvalue


def test_a_difference_on_the_bound_has_a_rank_and_no_sign():
    # ranks 1 (of the zero), 2 and 3: of 4 flips of the other two, one reaches 5
    assert p_values(np.array([0.0, 1.0, 2.0]), (0.0, 0.0), "median_signed")[0] == 1 / 4


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=7))
@settings(deadline=None, max_examples=25)
def test_sign_flips_are_all_counted(values):
    sums = [sum(s * v for s, v in zip(signs, values, strict=True)) for signs in itertools.product((1, -1), repeat=len(values))]
    assert flip_p(np.array(values, dtype=float)) == pytest.approx(sum(total >= sum(values) for total in sums) / len(sums))


def test_p_values_are_computed_for_many_labs_at_once():
    labs = np.random.default_rng(0).normal(0.3, 1.0, (4, 5))
    for estimator in ("mean_t", "sign_flip", "median_signed"):
        together = p_values(labs, (-0.2, 0.2), estimator)
        for number, lab in enumerate(labs):
            assert [p[number] for p in together] == pytest.approx([float(p) for p in p_values(lab, (-0.2, 0.2), estimator)])


DIFFERENCES = st.lists(st.floats(-3, 3).map(lambda x: round(x, 3)), min_size=2, max_size=6).filter(lambda d: max(d) - min(d) > 0.01)


@given(DIFFERENCES, st.sampled_from(["mean_t", "sign_flip", "median_signed"]), st.sampled_from(["greater", "less"]))
@settings(deadline=None, max_examples=30)
def test_no_differences_show_two_things(differences, estimator, direction):
    found = judged(differences, estimator=estimator, direction=direction)
    ps = {"supported": 2 * found.p_supported, "refuted": 2 * found.p_refuted, "equivalent": found.p_equivalent}
    assert sum(p <= 0.05 for p in ps.values()) <= 1
    assert found.p == min(1.0, *ps.values())
    assert found.p == 1.0 or ps[found.leaning] == found.p


@given(DIFFERENCES)
@settings(deadline=None, max_examples=25)
def test_equivalence_is_shown_exactly_where_the_interval_lies_inside_the_bounds(differences):
    found = judged(differences)
    low, high = found.interval_90
    inside = low > -0.2 and high < 0.2
    assert inside == (found.p_equivalent < 0.05)


def test_a_verdict_needs_the_adjusted_p():
    found = judged([1.9, 2.0, 2.1])
    assert found.p < 0.01
    assert (found.verdict(0.05, 0.05), found.verdict(0.051, 0.05)) == ("supported", "inconclusive")


def test_equal_differences_are_judged_by_flips():
    three = judged([0.7, 0.7, 0.7])
    assert (three.p, three.leaning, three.interval_95, three.p_zero, three.sd, three.detectable) == (
        0.25,
        "supported",
        None,
        None,
        0.0,
        None,
    )
    assert "all differences are equal" in three.notes[0]
    assert judged([0.7] * 6).p == 2 / 64
    assert (judged([0.0] * 5).p, judged([0.0] * 5).leaning) == (1 / 32, "equivalent")
    assert judged([0.7] * 30).p == 2 / 2**MOST_FLIPS  # no more flips are counted
    assert judged([2.1 - 1.1, 3.2 - 2.2]).interval_95 is None  # equal but for the last bits


def test_flips_are_not_counted_beyond_what_can_be_enumerated():
    assert judged([1.0 + n for n in range(MOST_FLIPS + 1)]).p_zero_flip is None


def test_what_a_design_can_see_is_what_it_would_see():
    # simulated at the effect that is told, a one-sided t test against the bound shows it in 80 % of 20,000 labs
    found = judged(ONE_TWO_THREE)
    level = 0.05 / 2
    assert found.detectable == pytest.approx(0.2 + detectable_in_sd(3, level) * 1.0)
    labs = np.random.default_rng(0).normal(found.detectable, 1.0, (20_000, 3))
    shown = 2 * p_values(labs, (-0.2, 0.2), "mean_t")[0] <= 0.05
    assert shown.mean() == pytest.approx(POWER, abs=0.01)  # the standard error is 0.003


def test_the_seeds_needed_are_the_fewest_with_enough_power():
    # effect 0.5 against the bound 0.2 at sd 1 is 0.3 sd; the normal approximation is ((1.96 + 0.8416) / 0.3)^2 = 87.2, t needs two more
    assert judged(ONE_TWO_THREE).seeds_needed == seeds_needed(0.3, 0.025) == 90
    assert stats.nct.sf(stats.t.isf(0.025, 89), 89, 0.3 * math.sqrt(90)) >= POWER
    assert stats.nct.sf(stats.t.isf(0.025, 88), 88, 0.3 * math.sqrt(89)) < POWER
    assert seeds_needed(1000.0, 0.025) == 2
    assert seeds_needed(0.0, 0.025) is None
    assert seeds_needed(1000.0, 0.025, by_flips=True) == 6


def test_too_few_flips_for_the_family_are_told():
    found = judged(ONE_TWO_THREE * 2, estimator="sign_flip", alpha=0.01)
    assert found.detectable is None
    assert "6 pairs give no sign-flip p below 2/2^6" in found.notes[0]


def test_holm_adjusts_step_by_step():
    # sorted .01, .02, .04 in a family of 4: 4 * .01, max(3 * .02, .04), max(2 * .04, .06)
    assert holm([0.04, 0.01, 0.02], 4) == pytest.approx([0.08, 0.04, 0.06])
    assert holm([0.03], 1) == [0.03]
    assert list(holm([], 3)) == []
    assert holm([[0.04, 0.01], [0.6, 0.5]], 2) == pytest.approx(np.array([[0.04, 0.02], [1.0, 1.0]]))


def test_holm_is_that_of_statsmodels():
    ps = [0.03, 0.2, 0.011, 0.012, 0.9]
    assert holm(ps, 8) == pytest.approx(multipletests([*ps, 1.0, 1.0, 1.0], method="holm")[1][:5])


def test_importing_it_imports_no_numbers():
    code = "import sys, herdbook.judgement; assert not {'numpy', 'scipy', 'statsmodels'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
