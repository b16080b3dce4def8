import re
from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook import words
from herdbook.words import Lookup, hashed_ngrams, hashed_words, words_of

TEXTS = st.lists(st.text(max_size=12) | st.text("aΣσİß_٣²½é\u0301𝒜 \n-", max_size=12), max_size=12)


def hashes_by_hand(text: str, n: int) -> list[int]:
    digests = [int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little") for word in re.findall(r"\w+", text.lower())]
    runs = [digests[start : start + n] for start in range(len(digests) - n + 1)]
    return [sum(digest * 0x9E3779B97F4A7C15 ** (n - 1 - place) for place, digest in enumerate(run)) % 2**64 for run in runs]


@given(TEXTS, st.integers(1, 4), st.integers(1, 5))
@settings(deadline=None, max_examples=300)
def test_runs_of_words_are_as_computed_by_hand_however_many_texts_are_in_memory_at_once(texts, n, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "BLOCK_TEXTS", size)
        hashes, owners = hashed_ngrams(hashed_words(texts), n)
    expected = [(found, owner) for owner, text in enumerate(texts) for found in hashes_by_hand(text, n)]
    assert list(zip(hashes.tolist(), owners.tolist(), strict=True)) == expected


def test_every_character_is_of_a_word_or_between_words_as_python_has_it():
    text = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    assert hashed_words([text])[0].tolist() == hashes_by_hand(text, 1)


def test_half_a_surrogate_pair_is_between_words():
    assert words_of("a\ud800b") == ["a", "b"]
    assert hashed_words(["a\ud800b"])[0].tolist() == hashed_words(["a b"])[0].tolist()


@given(st.lists(st.integers(0, 2**64 - 1)), st.lists(st.integers(0, 2**64 - 1)))
def test_a_lookup_has_what_is_in_it(known, others):
    near = [number ^ 1 for number in known]  # of the same first bits
    asked = [*known, *near, *others]
    found = Lookup(np.array(sorted(known), dtype=np.uint64)).has(np.array(asked, dtype=np.uint64))
    assert found.tolist() == [number in known for number in asked]
