import gzip
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook import measures

ROWS = st.lists(st.lists(st.integers(0, 4), max_size=8), max_size=6)


def flat(rows: list[list[int]]) -> tuple[measures.Ids, measures.Ids]:
    return measures.flattened(pa.chunked_array([pa.array(rows, pa.list_(pa.int32()))]))


def grams_by_hand(row: list[int], n: int) -> list[tuple[int, ...]]:
    return [tuple(row[start : start + n]) for start in range(len(row) - n + 1)]


def test_flattened_tokens_know_their_rows():
    column = pa.chunked_array([pa.array([[7, 8], None, []], pa.list_(pa.int32())), pa.array([[9]], pa.list_(pa.int32()))])
    tokens, rows = measures.flattened(column)
    assert (tokens.tolist(), rows.tolist()) == ([7, 8, 9], [0, 0, 3])
    assert measures.flattened(column.slice(1))[1].tolist() == [2]


def test_distinct_n_counts_ngrams_within_rows():
    # rows 5 6 5 6 and 6 5. n = 1: {5, 6} of 6 tokens. n = 2: 56 65 56 and 65 are {56, 65} of 4.
    # n = 3: 565 and 656 are 2 of 2. Across the rows' border there would be 66 as well.
    one, two, three = (ids for ids, _ in measures.row_ngrams(*flat([[5, 6, 5, 6], [6, 5]]), 3))
    assert measures.distinct_share(one) == 2 / 6
    assert measures.distinct_share(two) == 2 / 4
    assert measures.distinct_share(three) == 1


@given(ROWS, st.integers(1, 4))
@settings(deadline=None, max_examples=100)
def test_ngrams_are_equal_where_their_tokens_are(rows, longest):
    for n, (ids, owners) in enumerate(measures.row_ngrams(*flat(rows), longest), start=1):
        expected = [(number, gram) for number, row in enumerate(rows) for gram in grams_by_hand(row, n)]
        assert owners.tolist() == [number for number, _ in expected]
        pairs = set(zip(ids.tolist(), (gram for _, gram in expected), strict=True))
        assert len(pairs) == len({gram for _, gram in expected}) == len(set(ids.tolist()))


def test_entropy_of_two_quarters_and_a_half_is_one_and_a_half_bits():
    # 1/2 log2 2 + 1/4 log2 4 + 1/4 log2 4 = 0.5 + 0.5 + 0.5
    assert measures.entropy_bits(np.array([3, 3, 8, 9])) == 1.5
    assert measures.entropy_bits(np.zeros(5, dtype=int)) == 0


def test_the_rare_half_is_the_lower_half_of_types_by_count_then_id():
    # counts: 4 once, 7 once, 2 twice, 9 twice, 1 three times: (1,4) (1,7) (2,2) (2,9) (3,1); half of 5 types is 2
    assert measures.rare_half(np.array([1, 1, 1, 2, 2, 9, 9, 7, 4])).tolist() == [4, 7]
    # ties are broken by id: (1,3) (1,5) (1,6) (1,8) gives 3 and 5
    assert measures.rare_half(np.array([8, 6, 5, 3])).tolist() == [3, 5]


def test_tail_says_how_many_rare_types_occur_and_how_often():
    # of the rare 4, 7 and 8 the tokens hold 4 and 8: 2/3 of the types; 4, 4 and 8 are 3 of 6 tokens
    assert measures.tail(np.array([4, 4, 8, 1, 2, 2]), np.array([4, 7, 8])) == (2 / 3, 3 / 6)
    assert measures.tail(np.array([], dtype=int), np.array([4])) == (0, None)
    assert measures.tail(np.array([4]), np.array([], dtype=int)) == (None, 0)


def test_repetition_is_one_less_the_product_of_distinct_shares():
    # 1 2 1 2 1 2: 2-grams 12 21 12 21 12, 2 of 5; 3-grams 121 212 121 212, 2 of 4; 4-grams 1212 2121 1212, 2 of 3.
    # 1 - 2/5 * 1/2 * 2/3 = 1 - 2/15. A row of distinct tokens repeats nothing, nor does one of a single token.
    found = measures.repetition(*flat([[1, 2, 1, 2, 1, 2], [1, 2, 3, 4, 5], [1], []]), 4)
    assert found.tolist() == pytest.approx([1 - 2 / 15, 0, 0, 0])


@given(ROWS)
@settings(deadline=None, max_examples=100)
def test_repetition_of_a_row_is_its_own_whatever_stands_beside_it(rows):
    def by_hand(row: list[int]) -> float:
        grams = [grams_by_hand(row, n) for n in (2, 3, 4)]
        return 1 - math.prod(len(set(found)) / len(found) for found in grams if found)

    assert measures.repetition(*flat(rows), len(rows)).tolist() == pytest.approx([by_hand(row) for row in rows])


def test_compression_ratio_is_bytes_over_gzip_bytes():
    texts = ["überall"] * 50
    data = "\n".join(texts).encode()  # 50 * 8 bytes and 49 newlines
    packed = pa.Codec("gzip", compression_level=9).compress(data, asbytes=True)
    assert gzip.decompress(packed) == data
    assert measures.compression_ratio(texts) == (50 * 8 + 49) / len(packed)
    assert measures.compression_ratio(["a"]) == 1 / 21  # 10 bytes of head, 3 of deflated "a", 8 of tail
    assert measures.compression_ratio([]) is None


def test_exact_duplicates_are_all_but_the_first_of_equal_texts():
    assert measures.exact_duplicate_share(["a", "b", "a", "a"]) == 0.5  # 2 distinct of 4


def test_mean_weighs_values():
    assert measures.mean(np.array([1.0, 4.0])) == 2.5
    assert measures.mean(np.array([1.0, 4.0]), np.array([2, 1])) == 2  # (2 + 4) / 3
    assert measures.mean(np.array([1.0]), np.array([0])) is None


def test_quantile_interpolates_between_neighbours():
    # 1 2 3 4 5: the 5 % point lies 0.05 * 4 = 0.2 of the way from 1 to 2
    assert measures.quantile(np.array([5.0, 1, 4, 2, 3]), 0.05) == pytest.approx(1.2)
    assert measures.quantile(np.array([5.0, 1, 4, 2, 3]), 0.5) == 3


def test_wasserstein_distance_is_the_area_between_cumulative_distributions():
    # {0, 1} and {5, 6}: every point moves by 5
    assert measures.wasserstein_1(np.array([0.0, 1]), np.array([5.0, 6])) == 5
    # {0, 2} and {1}: the distributions differ by 1/2 on 0..1 and on 1..2
    assert measures.wasserstein_1(np.array([2.0, 0]), np.array([1.0])) == 1


@given(st.lists(st.floats(-9, 9), min_size=1, max_size=9), st.lists(st.floats(-9, 9), min_size=1, max_size=9))
@settings(deadline=None, max_examples=50)
def test_wasserstein_distance_agrees_with_scipy(one, other):
    from scipy.stats import wasserstein_distance

    assert measures.wasserstein_1(np.array(one), np.array(other)) == pytest.approx(wasserstein_distance(one, other), abs=1e-12)


@pytest.mark.parametrize(
    "measure", [measures.distinct_share, measures.entropy_bits, measures.mean, lambda none: measures.quantile(none, 0.5)]
)
def test_a_measure_of_nothing_is_none(measure):
    assert measure(np.array([], dtype=int)) is None


def test_a_measure_of_no_texts_or_samples_is_none():
    assert measures.exact_duplicate_share([]) is None
    assert measures.wasserstein_1(np.array([]), np.array([1.0])) is None
