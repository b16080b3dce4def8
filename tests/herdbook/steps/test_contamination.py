import re
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from herdbook.rows import rows_table
from herdbook.steps import heuristics
from herdbook.steps.contamination import Decontaminate, HeldOutOverlap, Shelf, uncommon_ngrams


def words(first, count):
    """`count` different words: w1 w2 ..."""
    return " ".join(f"w{number}" for number in range(first, first + count))


def table(texts, documents=None):
    documents = documents or [None] * len(texts)
    return rows_table([{"text": text, "document": document} for text, document in zip(texts, documents, strict=True)])


def faults(step, texts, held_out=(), benchmarks=(), human=(), documents=None):
    material = SimpleNamespace(held_out=held_out, benchmarks=benchmarks, human=table(human, documents))
    return list(step.faults(table(texts), material))


def test_rows_that_share_a_run_of_words_with_held_out_text_are_rejected():
    assert faults(HeldOutOverlap(ngram=2), ["x a b y", "a x b", "b a", None, ""], held_out=["A, B"]) == ["", None, None, None, None]
    assert faults(HeldOutOverlap(ngram=2), ["a b"]) == [None]
    assert faults(HeldOutOverlap(ngram=2), [], held_out=["a b"]) == []


@pytest.mark.parametrize("where", ["held_out", "benchmarks"])
def test_thirteen_words_of_a_tested_text_contaminate_a_row_and_twelve_do_not(where):
    step = Decontaminate(contaminated_ratio=1.0, partial_ratio=1.0)
    rows = [f"x {words(0, 13)} y", f"x {words(0, 12)} y", f"x {words(1, 13).upper()}!"]
    assert faults(step, rows, **{where: [words(0, 40)]}) == ["ngram_13", None, "ngram_13"]


def test_thirteen_words_that_are_common_in_human_text_do_not_contaminate():
    step, common = Decontaminate(common_documents=2, contaminated_ratio=1.0, partial_ratio=1.0), words(0, 13)
    rows, tested = [f"x {common}", f"x {common} w13"], [words(0, 40)]
    # the second row has w1 ... w13 too, which is not common
    assert faults(step, rows, tested, human=[common, f"y {common}"], documents=["a", "b"]) == [None, "ngram_13"]
    # two rows of one document are not two documents
    assert faults(step, rows, tested, human=[common, f"y {common}"], documents=["a", "a"]) == ["ngram_13", "ngram_13"]


def test_common_ngrams_are_counted_over_all_human_rows_however_many_are_looked_at_at_a_time(monkeypatch):
    monkeypatch.setattr(heuristics, "_CHUNK_ROWS", 2)
    human = table([words(0, 13), "", words(5, 13), words(0, 13), words(0, 14)], ["a", "a", "b", "c", "c"])
    # of the tested 13-grams from w0, w1 and w5 on, that from w0 stands in a and c, from w1 in c, from w5 in b
    assert len(uncommon_ngrams([words(0, 14), words(5, 13)], human, 1)) == 0
    assert len(uncommon_ngrams([words(0, 14), words(5, 13)], human, 2)) == 2
    assert len(uncommon_ngrams([words(0, 14), words(5, 13)], human, 3)) == 3


def test_the_ratio_is_of_the_shorter_text():
    # row of 10 words: 4 runs of 7, of which w0-w6 and w1-w7 are tested
    row = f"{words(0, 8)} x y"
    shelf = Shelf.of([words(0, 8), f"{words(0, 7)} a b c d e f", f"{words(0, 8)} a b c d e f", "w0 w1"])
    # of 2 runs of the first text both; of 7 of the second 1 and of 8 of the third 2, where the row's 4 are fewer
    assert shelf.highest_ratios([row]) == [1.0]
    assert Shelf.of([f"{words(0, 7)} a b c d e f"]).highest_ratios([row]) == [1 / 4]
    assert Shelf.of([f"{words(0, 8)} a b c d e f"]).highest_ratios([row]) == [2 / 4]
    assert Shelf.of(["w0 w1"]).highest_ratios([row, ""]).tolist() == [0, 0]


def test_ratios_of_several_texts_are_not_added_up():
    row = f"{words(0, 7)} {words(20, 7)}"  # 8 runs of 7
    assert Shelf.of([words(0, 14), words(20, 14)]).highest_ratios([row]) == [1 / 8]


def test_a_row_of_many_short_loans_is_contaminated_or_partly_so():
    # against a long document the ratio is the row's own share: 2 of 10 runs, and 4 of 10
    rows = [f"{words(0, 8)} a b c d e f g h", f"{words(0, 10)} a b c d e f", f"{words(0, 7)} a b c d e f g h i", "a b", None]
    tested = [words(0, 60)]
    bounds = {"contaminated_ratio": 0.4, "partial_ratio": 0.2}
    assert faults(Decontaminate(**bounds), rows, tested) == [None, "ngram_7", None, None, None]
    assert faults(Decontaminate(**bounds, drop_partial=True), rows, tested) == ["partial", "ngram_7", None, None, None]


def test_a_copy_with_every_thirteenth_word_changed_is_found_by_default():
    copy = " ".join("x" if number % 13 == 12 else f"w{number}" for number in range(52))
    assert faults(Decontaminate(), [copy], [words(0, 52)]) == ["ngram_7"]


def test_only_reasons_that_can_be_given_are_named():
    assert Decontaminate().reasons() == ("ngram_13", "ngram_7")
    assert Decontaminate(drop_partial=True).reasons() == ("ngram_13", "ngram_7", "partial")


def test_nothing_tested_and_no_rows_are_no_faults():
    assert faults(Decontaminate(), [words(0, 20), ""]) == [None, None]
    assert faults(Decontaminate(), [], [words(0, 20)]) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"contaminated_ratio": 0.2, "partial_ratio": 0.3}, "partial_ratio must be at most contaminated_ratio, which is 0.2"),
        ({"partial_ratio": 0.0}, "greater than 0"),
        ({"common_documents": 0}, "greater than or equal to 1"),
        ({"drop_partial": "yes"}, "valid boolean"),
    ],
)
def test_settings_without_sense_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        Decontaminate(**settings)


TEXTS = st.lists(st.lists(st.sampled_from("ab"), max_size=14).map(" ".join), max_size=6)


@given(TEXTS, TEXTS)
@settings(deadline=None, max_examples=150)
def test_ratios_agree_with_comparing_all_pairs(rows, tested):
    def runs(text: str) -> set[tuple[str, ...]]:
        found = re.findall(r"\w+", text.lower())
        return {tuple(found[start : start + 7]) for start in range(len(found) - 6)}

    def ratio(row: str, text: str) -> float:
        one, other = runs(row), runs(text)
        return len(one & other) / min(len(one), len(other)) if one and other else 0.0

    expected = [max((ratio(row, text) for text in tested), default=0.0) for row in rows]
    assert Shelf.of(tested).highest_ratios(rows).tolist() == expected
