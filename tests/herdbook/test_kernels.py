"""Each kernel beside what a hand or numpy finds."""

import math
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herdbook import kernels

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def f32(*values) -> np.ndarray:
    return np.array(values, np.float32)


def test_exp2_is_exact_at_whole_numbers_and_close_elsewhere():
    assert [kernels.exp2(np.float32(x)) for x in (-126, -1, 0, 3, 127)] == [2.0**-126, 0.5, 1.0, 8.0, 2.0**127]
    for x in np.linspace(-125.9, 126.9, 5001, dtype=np.float32):
        assert kernels.exp2(x) == pytest.approx(2.0 ** float(x), rel=2 * 2**-23)


def test_exp2_holds_what_is_too_small_or_large_to_the_ends_and_lets_what_is_no_number_through():
    assert [kernels.exp2(np.float32(x)) for x in (-1e30, -math.inf, 1e30, math.inf)] == [2.0**-126, 2.0**-126, 2.0**127, 2.0**127]
    assert math.isnan(kernels.exp2(np.float32(math.nan)))


@given(st.lists(FINITE, min_size=1, max_size=70))
def test_the_largest_is_that_of_numpy(values):
    assert kernels.largest(f32(*values)) == f32(*values).max()


def test_a_row_is_divided_by_its_root_mean_square_and_times_the_weight():
    normed, inverse = np.empty((1, 2), np.float32), np.empty(1, np.float32)
    kernels.norm(f32([3, 4]), f32(1, 2), 0.0, normed, inverse)  # the mean square is 12.5
    assert inverse[0] == pytest.approx(1 / math.sqrt(12.5))
    assert normed[0].tolist() == pytest.approx([3 / math.sqrt(12.5), 8 / math.sqrt(12.5)])
    kernels.norm(f32([3, 4]), f32(1, 2), 12.5, normed, inverse)
    assert normed[0].tolist() == pytest.approx([3 / 5, 8 / 5])


def test_the_left_half_times_its_sigmoid_gates_the_right():
    gated = np.empty((1, 2), np.float32)
    kernels.gate(f32([0, math.log(3), 5, 2]), gated)  # the sigmoid of ln 3 is 3/4
    assert gated[0].tolist() == pytest.approx([0, 1.5 * math.log(3)])


def test_a_quarter_turn_takes_the_first_half_to_the_second_and_back():
    heads, turned, back = f32([[1, 2], [3, 4]]), np.empty((1, 2, 2), np.float32), np.empty((1, 2, 2), np.float32)
    kernels.turn(heads, 1, f32([0, 0]), f32([1, 1]), 1.0, turned)
    assert turned.tolist() == [[[-2, 1], [3, 4]]]
    kernels.turn(turned, 1, f32([0, 0]), f32([1, 1]), -1.0, back)
    assert back.tolist() == heads.tolist()


def test_a_token_takes_of_those_before_it_by_the_softmax_of_products_over_the_root_of_their_size():
    memory = np.zeros((1, 1, 4, 2, 4), np.float32)
    memory[0, 0, 0] = [[0, 0, 0, 0], [8, 0, 4, 0]]
    memory[0, 0, 2:] = np.nan  # what stands behind is not looked at
    query, key, value = [2, 0, 0, 0], [math.log(3), 0, 0, 0], [0, 4, 0, 0]
    attended = np.empty((1, 1, 4), np.float32)
    kernels.attend(f32([query, key, value]), f32(1, 1, 1, 1), f32(0, 0, 0, 0), memory, 1, attended)
    assert attended[0, 0].tolist() == pytest.approx([8 / 4, 3, 4 / 4, 0])  # scores of 0 and ln 3: shares of 1/4 and 3/4
    assert memory[0, 0, 1].tolist() == [pytest.approx(key), value]


@pytest.mark.parametrize("with_gradient", [False, True])
def test_a_loss_is_the_logarithm_of_one_over_the_share_of_the_target(with_gradient):
    logits, targets, losses, slopes = (
        f32([0, math.log(3)], [5, 5], [1, 2]),
        np.array([1, 0, -100]),
        f32(9, 9, 9),
        np.full((3, 2), 9, np.float32),
    )
    if with_gradient:
        kernels.cross_entropy_gradient(logits, targets, losses, slopes)
        assert slopes.tolist() == [pytest.approx([1 / 4, -1 / 4]), pytest.approx([-1 / 2, 1 / 2]), [0, 0]]
    else:
        kernels.cross_entropy(logits, targets, losses)
    assert losses.tolist() == pytest.approx([math.log(4 / 3), math.log(2), 0])


def test_weights_are_powers_of_2_of_what_a_logit_is_below_the_largest_times_the_scale():
    weights = np.empty((1, 3), np.int32)
    kernels.weigh(f32([2, 1, -100]), 1.0, 2.0**30, weights)
    assert weights[0].tolist() == [2**30, 2**29, 0]
    kernels.weigh(f32([2, 1, -100]), 2.0, 2.0**30, weights)
    assert weights[0].tolist() == [2**30, 2**28, 0]


def test_weights_below_the_least_of_their_row_become_0():
    weights = np.array([[5, 3, 4], [1, 2, 3]], np.int32)
    kernels.cut(weights, np.array([4, 0], np.int32))
    assert weights.tolist() == [[5, 0, 4], [1, 2, 3]]


@given(st.lists(st.integers(0, 2**30), min_size=1, max_size=200).filter(any), st.floats(0, 1, exclude_max=True))
def test_the_place_picked_is_the_first_whose_sum_is_above_the_share(weights, uniform):
    picked = np.empty(1, np.int64)
    kernels.pick(np.array([weights], np.int32), np.array([uniform]), picked)
    sums = np.cumsum(np.array(weights, np.int64))
    assert picked[0] == np.searchsorted(sums, int(uniform * sums[-1]), side="right")
    assert weights[picked[0]] > 0


def test_the_search_ends_in_a_row_that_weighs_nothing():
    picked = np.empty(1, np.int64)
    kernels.pick(np.zeros((1, 70), np.int32), np.array([0.5]), picked)
    assert picked[0] == 69


@pytest.mark.parametrize("gap", [0, 1, 7])
@pytest.mark.parametrize("size", [1, 33, 70, 130])
def test_no_bit_depends_on_where_arrays_lie(size, gap):
    """The compiled code asks whether arrays overlap, and has another order of adding for those that might."""
    states, weight = np.random.default_rng(0).normal(size=(2, size)).astype(np.float32), np.linspace(1, 2, size, dtype=np.float32)
    apart = [np.empty((2, size), np.float32), np.empty(2, np.float32)]
    kernels.norm(states, weight, 1e-6, *apart)
    memory = np.zeros(5 * size + 2 + 3 * gap, np.float32)
    there, rest = memory[: 2 * size], memory[2 * size + gap :]
    here, rest = rest[:size], rest[size + gap :]
    normed, inverse = rest[: 2 * size].reshape(2, size), rest[2 * size + gap :]
    there[:], here[:] = states.ravel(), weight
    kernels.norm(there.reshape(2, size), here, 1e-6, normed, inverse)
    assert np.array_equal(normed, apart[0])
    assert np.array_equal(inverse, apart[1])


def test_the_name_of_what_is_kept_says_of_what_source_compiler_and_settings_it_is():
    program = "from herdbook import kernels; print(kernels.norm.__qualname__, kernels.gate.__qualname__)"
    names = [
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, **more}, capture_output=True, text=True, check=True
        ).stdout.split()
        for more in ({}, {"NUMBA_OPT": "2"})
    ]
    assert names[0] == [kernels.norm.__qualname__, kernels.gate.__qualname__]
    assert not set(names[0]) & set(names[1])


def test_with_nowhere_to_keep_code_it_is_compiled_anew(tmp_path):
    shutil.copy(kernels.__file__, tmp_path / "alone.py")
    (tmp_path / "__pycache__").touch()  # no folder can be made here, nor at home
    program = "import numpy as np, alone; print(alone.largest(np.array([1, 3, 2], np.float32)))"
    environment = {
        **os.environ,
        "HOME": str(tmp_path / "__pycache__"),
        "XDG_CACHE_HOME": str(tmp_path / "__pycache__"),
        "PYTHONPATH": str(tmp_path),
    }
    done = subprocess.run([sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "3.0\n"


def test_an_array_that_does_not_lie_whole_or_is_of_another_type_is_refused():
    for weights in (np.zeros((2, 4), np.int32)[:, ::2], np.zeros((2, 2), np.int64)):
        with pytest.raises(TypeError, match="No matching definition"):
            kernels.cut(weights, np.zeros(2, np.int32))
