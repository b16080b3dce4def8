from hypothesis import given
from hypothesis import strategies as st

from herdbook.files import digest_bytes
from herdbook.rows import num_tokens, row_id, rows_table
from herdbook.schema import ROWS
from tests.rows import rows_of

PARTS = st.tuples(
    st.none() | st.text("ab", min_size=1), st.none() | st.text("ab", min_size=1), st.integers(0, 99), st.lists(st.integers(0, 9))
)


def test_a_row_s_id_is_the_digest_of_its_parts():
    assert row_id("m", "d", 3, [1, 2]) == digest_bytes(b"m\0d\x003\x001,2")
    assert row_id(None, None, 0, []) == digest_bytes(b"human\0\x000\0")


@given(PARTS, PARTS)
def test_rows_have_one_id_only_if_they_are_one_row(one, other):
    assert (row_id(*one) == row_id(*other)) == (one == other)


def test_a_table_of_no_rows_has_all_columns():
    assert rows_table([]).schema == ROWS
    assert num_tokens(rows_table([])) == 0


def test_tokens_are_counted_over_all_rows():
    assert num_tokens(rows_of("d", 3)) == 3 * 4
