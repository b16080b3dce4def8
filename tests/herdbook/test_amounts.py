from hypothesis import given
from hypothesis import strategies as st

from herdbook.amounts import Growing, rows_at


def test_a_growing_number_of_rows_has_its_first_at_the_founder_and_as_many_more_each_generation():
    growing = Growing(first=600, added=300)
    assert [rows_at(growing, generation) for generation in range(4)] == [600, 900, 1200, 1500]


@given(st.integers(1, 10**6), st.integers(0, 50))
def test_a_plain_number_of_rows_is_that_of_every_generation(number, generation):
    assert rows_at(number, generation) == number
