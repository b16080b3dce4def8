import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herdbook.calibration.laws import copies, error_growth, expected_variance, log_determinant, trace_deviation

ROWS, FITS = st.integers(2, 200), st.integers(1, 50)


def test_replace_loses_a_share_of_one_row_with_each_biased_fit_and_nothing_with_an_unbiased_one():
    assert expected_variance("replace", 4, 3, True) == pytest.approx([3 / 4, 9 / 16, 27 / 64])
    assert expected_variance("replace", 4, 3, False) == pytest.approx([1, 1, 1])


@given(ROWS, FITS)
def test_accumulate_keeps_a_product_that_is_bounded(num_rows, num_fits):
    k = np.arange(1, num_fits + 1)
    found = expected_variance("accumulate", num_rows, num_fits, True)
    assert found == pytest.approx(np.cumprod(1 - 1 / (k**2 * num_rows)))
    root = math.pi / math.sqrt(num_rows)
    assert found[-1] > math.sin(root) / root


@given(ROWS, FITS)
def test_unbiased_on_a_pool_is_not_quite_unbiased(num_rows, num_fits):
    # the first pool is human, and so unbiased; each later one has factor 1 - 1/(k (kM - 1))
    k = np.arange(2, num_fits + 1)
    expected = np.cumprod([1.0, *(1 - 1 / (k * (k * num_rows - 1)))])
    assert expected_variance("accumulate", num_rows, num_fits, False) == pytest.approx(expected)


def test_subsample_of_two_rows_by_hand():
    # two rows of variance 1: sum of squares 1, fitted 1/2. Offspring add 1/2, and their mean, 1/4 of variance about the pool's,
    # adds 2*2/4 * 1/4: the pool of 4 has 1.75, a variance of 1.75/3, of which a fit to two rows finds half.
    assert expected_variance("subsample", 2, 2, True) == pytest.approx([0.5, 1.75 / 6])


@pytest.mark.parametrize("regime", ["accumulate", "subsample"])
def test_every_first_fit_is_that_of_the_human_rows(regime):
    for is_biased in (True, False):
        assert expected_variance(regime, 10, 1, is_biased) == expected_variance("replace", 10, 1, is_biased)


def test_the_trace_of_one_fit_in_one_dimension_scatters_as_a_chi_square():
    # a chi-square of 9 degrees of freedom has variance 18; it is divided by 10 or 9
    assert trace_deviation(1, 10, 1, True) == pytest.approx([math.sqrt(18) / 10])
    assert trace_deviation(1, 10, 1, False) == pytest.approx([math.sqrt(18) / 9])


def test_the_trace_of_one_fit_in_d_dimensions_is_a_mean_of_d_chi_squares():
    assert trace_deviation(4, 10, 1, False) == pytest.approx(trace_deviation(1, 10, 1, False) / 2)


def test_in_one_dimension_the_deviation_has_a_closed_form():
    # E (chi2_9/10)^2 = 99/100 each time, and the mean is .9^5
    assert trace_deviation(1, 10, 5, True)[-1] == pytest.approx(math.sqrt(0.99**5 - 0.9**10))


def test_the_log_of_an_exponential_has_euler_s_constant_as_its_mean():
    # three rows: chi-square of 2 degrees of freedom over 2, which is exponential
    mean, deviation = log_determinant(1, 3, 4, False)
    assert mean == pytest.approx(4 * -np.euler_gamma)
    assert deviation == pytest.approx(math.sqrt(4) * math.pi / math.sqrt(6))


@pytest.mark.parametrize(
    ("num_rows", "num_fits", "is_biased", "median"),
    [(10, 10, False, 0.316), (100, 50, False, 0.602), (100, 100, False, 0.363), (10, 10, True, 0.110), (100, 100, True, 0.133)],
)
def test_the_median_of_the_variance_falls_under_either_estimator(num_rows, num_fits, is_biased, median):
    assert math.exp(log_determinant(1, num_rows, num_fits, is_biased)[0]) == pytest.approx(median, abs=0.001)


def test_a_determinant_adds_up_over_its_dimensions():
    # M - 1 = 3 and 2 degrees of freedom: det of one fit is their product, over 4^2
    one, other = log_determinant(1, 4, 1, False)[0] + math.log(3), log_determinant(1, 3, 1, False)[0] + math.log(2)
    assert log_determinant(2, 4, 1, True)[0] == pytest.approx(one + other - 2 * math.log(4))


def test_the_determinant_of_fewer_rows_than_dimensions_is_refused():
    with pytest.raises(ValueError, match="singular"):
        log_determinant(10, 10, 1, True)


def test_errors_grow_linearly_or_are_bounded():
    assert error_growth("replace", 3) == pytest.approx([1, 2, 3])
    assert error_growth("accumulate", 3) == pytest.approx([1, 1 + 1 / 4, 1 + 1 / 4 + 1 / 9])
    assert error_growth("accumulate", 10_000)[-1] < math.pi**2 / 6
    # pool 2 has 1 + 1/4 of a first error, and fit 2 reads half of it: 1/2 more
    assert error_growth("subsample", 2) == pytest.approx([1, 1.75])


@given(st.integers(2, 60))
def test_subsample_lies_between(num_fits):
    assert error_growth("accumulate", num_fits)[-1] < error_growth("subsample", num_fits)[-1] < error_growth("replace", num_fits)[-1]


def test_a_state_of_half_is_lost_by_two_rows_as_two_coins_fall():
    # first: both tails, 1/4. Then, of the half that has one of each, a quarter more
    assert copies(2, 0.5, 2) == pytest.approx(np.array([[0.25, 0.25], [0.375, 0.375]]))


def test_a_rare_state_is_unseen_with_the_chance_of_all_rows_missing_it():
    assert copies(30, 0.01, 1)[0, 0] == pytest.approx(0.99**30)


def test_in_the_end_a_state_is_alone_as_often_as_its_share():
    assert copies(5, 0.3, 200)[-1] == pytest.approx([0.7, 0.3])
