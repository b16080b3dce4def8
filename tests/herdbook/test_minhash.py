import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook import duplicates, minhash
from herdbook.minhash import LEAST_FOUND, bands, found_share, matches, near_duplicates
from tests.herdbook.test_duplicates import TEXTS, THRESHOLDS, similarity_by_hand


def written(generator: np.random.Generator, num_texts: int) -> list[str]:
    """Texts of 40 words that have nothing in common."""
    return [" ".join(f"w{word}" for word in words) for words in generator.integers(10**9, size=(num_texts, 40))]


def altered(generator: np.random.Generator, text: str, num_words: int) -> str:
    """The text with other words at its end: of 38 shingles `num_words` are others."""
    return " ".join([*text.split()[:-num_words], *(f"x{word}" for word in generator.integers(10**9, size=num_words))])


def test_the_share_found_is_that_of_pairs_which_agree_in_some_band():
    # a band of 2 agrees with 1/2 * 1/2; that none of 3 does has the probability (3/4)**3 = 27/64
    assert found_share(0.5, num_bands=3, band_permutations=2) == 1 - 27 / 64
    assert found_share(1.0, num_bands=1, band_permutations=99) == 1


def test_bands_are_the_longest_that_find_enough():
    # 0.8**7 = 0.2097, 1 - 0.7903**18 = 0.986; bands of 8 would find 1 - (1 - 0.1678)**16 = 0.947
    assert bands(0.8, 128) == (18, 7)
    assert found_share(0.8, 18, 7) == pytest.approx(0.9855, abs=1e-4)
    assert found_share(0.8, 16, 8) == pytest.approx(0.9471, abs=1e-4)
    assert bands(1.0, 128) == (1, 128)


def test_too_few_permutations_are_refused():
    # single permutations find 1 - 0.5**4 = 0.9375 of the pairs of 0.5, five 0.96875
    assert bands(0.5, 5) == (5, 1)
    with pytest.raises(ValueError, match=r"4 permutations find less than 95% of the pairs of Jaccard 0\.5; give more"):
        bands(0.5, 4)


@given(st.floats(0.05, 1), st.integers(60, 300))
def test_bands_fit_in_the_permutations_and_find_enough(jaccard, num_permutations):
    num_bands, length = bands(jaccard, num_permutations)
    assert num_bands * length <= num_permutations
    assert found_share(jaccard, num_bands, length) >= LEAST_FOUND


@pytest.mark.parametrize("num_words", [1, 2, 4])  # of 38 shingles: Jaccard 37/39 = 0.95, 36/40 = 0.9, 34/42 = 0.81
def test_enough_near_duplicates_are_found(num_words):
    generator = np.random.default_rng(num_words)
    originals = written(generator, 400)
    copies = [altered(generator, text, num_words) for text in originals]
    similarity = (38 - num_words) / (38 + num_words)
    assert similarity_by_hand(originals[0], copies[0]) == pytest.approx(similarity)
    found = near_duplicates([*originals, *copies], 0.8, 128)
    assert found[:400] == [None] * 400
    assert set(found[400:]) <= {None, *range(400)}
    num_found = sum(first == number for number, first in enumerate(found[400:]))
    assert num_found >= LEAST_FOUND * 400
    assert matches(copies, originals, 0.8, 128) == [first is not None for first in found[400:]]


def test_texts_below_the_threshold_are_never_near_duplicates():
    generator = np.random.default_rng(0)
    originals = written(generator, 400)
    copies = [altered(generator, text, 5) for text in originals]  # 33/43 = 0.77
    assert near_duplicates([*originals, *copies], 0.8, 128) == [None] * 800
    assert matches(copies, originals, 0.8, 128) == [False] * 400


@given(TEXTS, THRESHOLDS)
@settings(deadline=None, max_examples=200)
def test_what_is_found_nearly_repeats_an_earlier_kept_text(texts, jaccard):
    found = near_duplicates(texts, jaccard, 128)
    for number, first in enumerate(found):
        if first is not None:
            assert first < number
            assert found[first] is None
            assert similarity_by_hand(texts[first], texts[number]) >= jaccard


@given(TEXTS, TEXTS, THRESHOLDS, st.integers(1, 4))
@settings(deadline=None, max_examples=200)
def test_results_do_not_depend_on_how_many_texts_are_in_memory_at_once(texts, others, jaccard, size):
    whole = near_duplicates(texts, jaccard, 128), matches(texts, others, jaccard, 128)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minhash, "_SKETCHED_TEXTS", size)
        patch.setattr(minhash, "_COMPARED_TEXTS", size)
        assert (near_duplicates(texts, jaccard, 128), matches(texts, others, jaccard, 128)) == whole


@given(TEXTS)
@settings(deadline=None, max_examples=100)
def test_copies_and_short_texts_are_always_found(texts):
    assert near_duplicates([*texts, *texts], 1.0, 16)[len(texts) :] == [
        first if first is not None else number for number, first in enumerate(duplicates.near_duplicates(texts, 1.0))
    ]
    assert matches(texts, texts, 1.0, 16) == [True] * len(texts)


def test_no_texts_have_no_near_duplicates():
    assert near_duplicates([], 0.8, 128) == []
    assert matches([], ["a b c"], 0.8, 128) == []
    assert matches(["a b c"], [], 0.8, 128) == [False]


PROGRAM = """
import json
import numpy as np
from herdbook.minhash import near_duplicates
from tests.herdbook.test_minhash import altered, written
generator = np.random.default_rng(7)
originals = written(generator, 300)
found = near_duplicates([*originals, *(altered(generator, text, 4) for text in originals)], 0.8, 9)
print([number - 300 for number, first in enumerate(found) if number >= 300 and first is None])
"""


def test_what_is_missed_is_the_same_in_every_process_and_on_every_processor():
    # 34/42 = 0.81; 9 permutations in 4 bands of 2 find but 0.986 of such pairs
    scalar = {"PYTHONHASHSEED": "1", "RAYON_NUM_THREADS": "1", "RENSA_FORCE_KERNEL": "scalar"}
    told = [
        subprocess.run([sys.executable, "-c", PROGRAM], env={**os.environ, **also}, check=True, capture_output=True, text=True).stdout
        for also in (scalar, {"PYTHONHASHSEED": "2", "RAYON_NUM_THREADS": "3"})
    ]
    assert told[0] == told[1] == "[263, 277]\n"
