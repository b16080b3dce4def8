import pytest
from hypothesis import given
from hypothesis import strategies as st

from herdbook import numeric
from herdbook.errors import HerdbookError
from tests.tiny import pin

PART = st.text("abc", min_size=1) | st.integers(0, 9)


def test_a_seed_is_the_first_63_bits_of_the_digest_of_its_parts():
    # printf 'sample\0s0\0g1' | sha256sum
    assert numeric.seed_of("sample", "s0", "g1") == 0xF70B092382F301D0 >> 1


@given(st.lists(PART, max_size=4), st.lists(PART, max_size=4))
def test_other_parts_give_another_seed(one, other):
    assert (numeric.seed_of(*one) == numeric.seed_of(*other)) == ([str(x) for x in one] == [str(x) for x in other])


def test_pinning_replaces_what_decides_the_bits_and_keeps_the_rest():
    before = {"PATH": "/bin", "OMP_NUM_THREADS": "64"}
    assert numeric.pinned(before) == {"PATH": "/bin", **numeric.PINS}
    assert before["OMP_NUM_THREADS"] == "64"


def test_an_environment_that_leaves_the_bits_to_the_machine_is_refused(monkeypatch):
    pin(monkeypatch)
    monkeypatch.setenv("MKL_CBWR", "AUTO")
    with pytest.raises(HerdbookError, match=r"MKL_CBWR at 'AUTO', must be 'AVX2,STRICT'.*python -m stages"):
        numeric.pin_torch()


def test_a_pinned_environment_gets_one_thread_and_deterministic_algorithms(monkeypatch):
    import torch

    pin(monkeypatch)
    numeric.pin_torch()
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
