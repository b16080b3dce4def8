import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from herdbook.errors import CorpusError
from herdbook.measures import compression_ratio
from herdbook.rows import rows_table
from herdbook.schema import REJECTED, ROWS
from herdbook.steps import heuristics
from herdbook.steps.contamination import Decontaminate, HeldOutOverlap
from herdbook.steps.heuristics import Compression, Gopher, Length, NgramOutlier, Repetition
from herdbook.steps.language import Language
from herdbook.steps.likelihood import LikelihoodBand
from herdbook.steps.matching import Match


def table(texts, tokens=None):
    """Rows whose tokens are the places of their words in the alphabet, unless given."""
    tokens = tokens or [[ord(word[0]) for word in (text or "").split()] for text in texts]
    return rows_table(
        [{"id": str(n), "text": t, "tokens": k, "num_tokens": len(k)} for n, (t, k) in enumerate(zip(texts, tokens, strict=True))]
    )


def tokens_table(*tokens):
    return table([""] * len(tokens), list(tokens))


def faults(step, rows, human=None):
    return list(step.faults(rows, SimpleNamespace(human=human)))


def test_length_rejects_rows_of_fewer_tokens():
    assert faults(Length(min_tokens=2), table(["a b", "a b c", "a", ""])) == [None, None, "", ""]


def test_repetition_rejects_rows_above_the_bound():
    # a b a b: rep-2 is 1 - 2/3, no 3-gram or 4-gram repeats, so repetition is 1/3
    rows = table(["a b a b", "a b c d", None])
    assert faults(Repetition(max_repetition=0.33), rows) == ["", None, None]
    assert faults(Repetition(max_repetition=0.34), rows) == [None, None, None]


def test_rows_are_judged_alike_however_many_are_looked_at_at_a_time(monkeypatch):
    rows = table(["a b a b", "a b c d", "a a a", "b c b c b c", None])
    human = table(["a b c d", "b c d e", "a a b"])
    steps = Repetition(max_repetition=0.3), NgramOutlier(low_quantile=0.1, high_quantile=0.9)
    expected = [faults(step, rows, human) for step in steps]
    monkeypatch.setattr(heuristics, "_CHUNK_ROWS", 2)
    assert [faults(step, rows, human) for step in steps] == expected


FEW_WORDS = "the cat and the dog saw that bird with one"  # ten words, five of them different stop words
# for each reason a text that fails, one that just passes, and the setting under which the first passes
RULES = {
    "short_words": ("a to be of", "the and cat dog", {"min_mean_characters": 1.75}),  # 7 letters of 4 words
    "long_words": ("the and " + "x" * 25, "the and " + "x" * 24, {"max_mean_characters": 10.5}),  # 31 and 30 of 3 words
    "letters": ("the and cat 1999 2000", "the and cat dog 2000", {"min_letter_share": 0.6}),  # 3 and 4 of 5 words
    "hashes": (f"##{FEW_WORDS}", f"#{FEW_WORDS}", {"max_hashes_per_word": 0.2}),
    "ellipses": (f"...{FEW_WORDS}… one", f"....{FEW_WORDS}", {"max_ellipses_per_word": 0.2}),  # a longer run is one
    "bullets": (
        "• the cattle followed that river\n\n  - and other herds\n",
        "• the cattle followed that river\nand - other herds",
        {"max_bullet_share": 1.0},
    ),
    "ellipsis_lines": (f"{FEW_WORDS}… ", f"{FEW_WORDS}...\n\nthe dog\nthe cat\nthe end", {"max_ellipsis_share": 1.0}),
    "stop_words": ("the cat saw the dog", "The cat, AND dog", {"min_stop_words": 1}),
    "lorem_ipsum": ("the and Lorem IPSUM", "the and lorem, ipsum", {"max_lorem_ipsums": 1}),
    "curly_brackets": ("the and cat}", "the and cat)", {"max_curly_brackets": 1}),
}


@pytest.mark.parametrize("reason", RULES)
def test_a_row_that_breaks_a_rule_is_rejected_by_its_name_unless_a_setting_allows_it(reason):
    fails, passes, setting = RULES[reason]
    assert faults(Gopher(), table([fails, passes])) == [reason, None]
    assert faults(Gopher(**setting), table([fails])) == [None]


def test_all_rules_are_named_in_the_order_in_which_they_are_asked():
    assert Gopher().reasons() == tuple(RULES)


def test_rows_without_words_have_no_mean_length():
    assert faults(Gopher(), table([None, "", " \n\0"])) == ["short_words"] * 3


@pytest.mark.parametrize(
    ("step", "settings", "message"),
    [
        (Length, {"min_tokens": 0}, "greater than or equal to 1"),
        (Repetition, {"max_repetition": 1.5}, "less than or equal to 1"),
        (Gopher, {"min_stop_words": -1}, "greater than or equal to 0"),
        (Gopher, {"max_hashes_per_word": -0.1}, "greater than or equal to 0"),
        (Gopher, {"max_bullet_share": 1.1}, "less than or equal to 1"),
        (Gopher, {"min_words": 50}, "Extra inputs are not permitted"),
    ],
)
def test_settings_without_sense_are_refused(step, settings, message):
    with pytest.raises(ValidationError, match=message):
        step(**settings)


def test_bands_keep_what_lies_on_their_bounds():
    # 0 1 2 3 4 are the quantiles 0, 1/4, 1/2, 3/4, 1 of themselves
    low, high = heuristics.human_quantiles(np.array([4.0, 1, np.nan, 3, 0, 2]), [0.25, 0.75])
    assert (low, high) == (1, 3)
    human = table(["", "a" * 50, "b" * 100])
    assert faults(Compression(low_quantile=0.0, high_quantile=1.0), human, human) == [None] * 3


def test_text_that_compresses_unlike_human_text_is_rejected():
    human = table([f"The {word} went to the town and the {word} came back." for word in ("man", "woman", "child", "dog", "king")])
    rows = table(["The queen went to the town and the queen came back.", "ha " * 40, "qZ7!xK#0vB$w", "", None])
    assert faults(Compression(low_quantile=0.0, high_quantile=1.0), rows, human) == [None, "high", "low", "low", "low"]
    assert compression_ratio(["ha " * 40]) > compression_ratio([human["text"][0].as_py()]) > compression_ratio(["qZ7!xK#0vB$w"])


def test_bigram_scores_are_mean_logarithms_of_one_more_than_their_number():
    # human bigrams: 12 twice, 23 once, 24 once
    human, step = tokens_table([1, 2, 3], [1, 2, 4]), NgramOutlier(low_quantile=0.1, high_quantile=0.9)
    rows = tokens_table([1, 2, 3], [1, 2, 9], [3, 1], [2], [])
    expected = [(math.log(3) + math.log(2)) / 2, math.log(3) / 2, 0, 0, 0]
    assert step.scores(rows, human).tolist() == pytest.approx(expected)


def test_a_human_row_is_scored_by_the_others():
    # 12 stands in one other row, 23, 24, 21 in no other; without leaving them out none would be below ln 2
    human, step = tokens_table([1, 2, 3], [1, 2, 4], [2, 1, 2, 1], [5]), NgramOutlier(low_quantile=0.1, high_quantile=0.9)
    # 12 stands three times in all: less its own, twice, twice and, of bigrams 21 12 21, twice
    assert step.human_scores(human).tolist() == pytest.approx([math.log(3) / 2, math.log(3) / 2, math.log(3) / 3, 0])


def test_text_of_unheard_and_of_common_bigrams_alone_is_rejected():
    # of others 12 stands three times and 23, in the first two, once: scores (ln 4 + ln 2) / 2 = 1.04 and ln 4 / 2 = 0.69
    human = tokens_table([1, 2, 3], [1, 2, 3], [1, 2, 4], [1, 2, 5])
    # (ln 5 + ln 3) / 2 = 1.35; 12 24 43 33: (ln 5 + ln 2) / 4 = 0.58; ln 5 / 2 = 0.80; nothing known; ln 5 = 1.61
    rows = tokens_table([1, 2, 3], [1, 2, 4, 3, 3], [1, 2, 9], [7, 8, 9], [1, 2])
    assert faults(NgramOutlier(low_quantile=0.0, high_quantile=1.0), rows, human) == ["high", "low", None, "low", "high"]


@pytest.mark.parametrize("step", [Compression, NgramOutlier])
@pytest.mark.parametrize(
    ("quantiles", "message"),
    [
        ((0.5, 0.5), "low_quantile must be below high_quantile, which is 0.5"),
        ((-0.1, 0.5), "greater than or equal to 0"),
        ((0.5, 1.1), "less than or equal to 1"),
    ],
)
def test_a_band_without_room_is_refused(step, quantiles, message):
    with pytest.raises(ValidationError, match=message):
        step(low_quantile=quantiles[0], high_quantile=quantiles[1])


def test_a_band_of_no_human_rows_is_refused():
    with pytest.raises(CorpusError, match="human training rows: none of 0 has a value to compare with; prepare and score them first"):
        faults(Compression(low_quantile=0.1, high_quantile=0.9), table(["a"]), ROWS.empty_table())


STEPS = [
    Length(min_tokens=3),
    Repetition(max_repetition=0.2),
    Gopher(min_stop_words=0, min_mean_characters=1.0),
    Compression(low_quantile=0.1, high_quantile=0.9),
    NgramOutlier(low_quantile=0.1, high_quantile=0.9),
    Language(min_probability=0.5),
    HeldOutOverlap(ngram=2),
    Decontaminate(common_documents=1, drop_partial=True),
    LikelihoodBand(low_quantile=0.1, high_quantile=0.9),
    Match(keep_share=0.4, num_bins=3),
]
WORDS = st.lists(st.sampled_from("abcd"), max_size=20).map(" ".join)
ROWS_OF_ANY_KIND = st.lists(
    st.fixed_dictionaries(
        {
            "text": WORDS | st.text(max_size=20) | st.none(),
            "tokens": st.lists(st.integers(0, 5), max_size=8),
            "nll_nats": st.floats(0, 9) | st.none(),
        }
    ),
    max_size=12,
)


def numbered(rows):
    return rows_table([{**row, "id": str(number), "num_tokens": len(row["tokens"])} for number, row in enumerate(rows)])


@given(ROWS_OF_ANY_KIND, st.sampled_from(STEPS))
@settings(deadline=None, max_examples=150)
def test_every_row_is_kept_or_rejected_for_a_named_reason_in_the_order_given(rows, step):
    human = rows_table(
        [{"document": str(n), "text": "a b c d" * n, "tokens": list(range(n)), "num_tokens": n, "nll_nats": float(n)} for n in range(1, 6)]
    )
    given_rows, material = (
        numbered(rows),
        SimpleNamespace(
            human=human, held_out=["a b c d a b c d", "b"], benchmarks=["d d d d d d d a"], generator=lambda name: np.random.default_rng(1)
        ),
    )
    outcome = step.apply(given_rows, material)
    kept, rejected = outcome.kept["id"].to_pylist(), outcome.rejected["id"].to_pylist()
    assert sorted([*kept, *rejected], key=int) == given_rows["id"].to_pylist()
    assert (kept, rejected) == (sorted(kept, key=int), sorted(rejected, key=int))
    assert (outcome.kept.schema, outcome.rejected.schema, outcome.hands.num_rows) == (ROWS, REJECTED, 0)
    assert set(outcome.rejected["reason"].to_pylist()) <= set(step.reasons())
    assert outcome.kept.equals(given_rows.take([int(row) for row in kept])) if kept else outcome.kept.num_rows == 0
    assert step.apply(given_rows, material).kept.equals(outcome.kept)
