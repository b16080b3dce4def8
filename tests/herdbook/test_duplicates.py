import os
import re
import subprocess
import sys
from hashlib import blake2b

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook.duplicates import matches, near_duplicates, ngrams_of, overlaps

# Few words, so that texts overlap; some texts of any characters at all.
TEXTS = st.lists(st.lists(st.sampled_from("abcde"), max_size=9).map(" ".join) | st.text(max_size=12), max_size=12)
THRESHOLDS = st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 0.7, 0.9, 1.0])


def shingles_by_hand(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    if len(words) < 3:
        return {tuple(words) or (text,)}
    return set(zip(words, words[1:], words[2:], strict=False))


def similarity_by_hand(one: str, other: str) -> float:
    a, b = shingles_by_hand(one), shingles_by_hand(other)
    return len(a & b) / len(a | b)


def test_texts_of_the_threshold_s_similarity_are_near_duplicates():
    # abc bcd cde def against abc bcd cde dex: 3 shingles of 5 are shared, Jaccard 0.6
    texts = ["a b c d e f", "A b, c d; e x"]
    assert near_duplicates(texts, 0.6) == [None, 0]
    assert near_duplicates(texts, 0.61) == [None, None]


def test_a_text_is_compared_with_kept_texts_only():
    # 1 repeats 0 (3 of 5); 2 repeats 1 (3 of 5) but is only 2 of 6 = 1/3 like 0, and 1 was not kept
    texts = ["a b c d e f", "b c d e f g", "c d e f g h"]
    assert near_duplicates(texts, 0.6) == [None, 0, None]


def test_copies_of_texts_without_three_words_are_found():
    assert near_duplicates(["", "one", "two words", "!?", "", "One!", "two  words", "!?", "?!"], 1.0) == [None] * 4 + [0, 1, 2, 3, None]


@given(TEXTS, THRESHOLDS)
@settings(deadline=None, max_examples=200)
def test_near_duplicates_agree_with_comparing_all_pairs(texts, jaccard):
    expected: list[int | None] = []
    for number, text in enumerate(texts):
        kept = [other for other in range(number) if expected[other] is None]
        expected.append(next((other for other in kept if similarity_by_hand(texts[other], text) >= jaccard), None))
    assert near_duplicates(texts, jaccard) == expected


@given(TEXTS, TEXTS, THRESHOLDS)
@settings(deadline=None, max_examples=100)
def test_matches_agree_with_comparing_all_pairs(texts, others, jaccard):
    assert matches(texts, others, jaccard) == [any(similarity_by_hand(text, other) >= jaccard for other in others) for text in texts]


@given(TEXTS, THRESHOLDS)
@settings(deadline=None, max_examples=100)
def test_first_occurrences_are_never_flagged_by_themselves_and_copies_always(texts, jaccard):
    found = near_duplicates(texts + texts, jaccard)
    assert all(earlier is None or (earlier < number and found[earlier] is None) for number, earlier in enumerate(found))
    assert all(earlier is not None for earlier in found[len(texts) :])
    if texts:
        assert found[0] is None


def test_ngrams_are_the_distinct_runs_of_words_of_one_text():
    assert len(ngrams_of(["a b a b a"], 2)) == 2  # ab, ba
    assert len(ngrams_of(["a b"], 3)) == 0
    assert ngrams_of(["The CAT, sat"], 3).tolist() == ngrams_of(["the cat sat!"], 3).tolist()
    assert ngrams_of(["the cat sat"], 3).tolist() != ngrams_of(["sat cat the"], 3).tolist()


def test_no_ngram_spans_two_texts():
    assert ngrams_of(["a b", "c d"], 2).tolist() == sorted([*ngrams_of(["a b"], 2), *ngrams_of(["c d"], 2)])


@given(TEXTS, TEXTS, st.integers(1, 4))
@settings(deadline=None, max_examples=100)
def test_a_text_overlaps_where_it_shares_a_run_of_words(texts, others, n):
    def runs(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"\w+", text.lower())
        return {tuple(words[start : start + n]) for start in range(len(words) - n + 1)}

    known = set().union(*map(runs, others))
    assert overlaps(texts, ngrams_of(others, n), n) == [bool(runs(text) & known) for text in texts]


@pytest.mark.parametrize("seed", ["1", "2"])
def test_ngrams_are_the_same_whatever_python_s_hash_seed(seed):
    code = "from herdbook.duplicates import ngrams_of; print(ngrams_of(['one two three four'], 2).tolist())"
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == str(ngrams_of(["one two three four"], 2).tolist())


def test_ngrams_keep_their_values():
    # blake2b, 8 bytes, little-endian, of "a": a change here changes every recorded share
    assert ngrams_of(["a"], 1).tolist() == [int.from_bytes(blake2b(b"a", digest_size=8).digest(), "little")]
