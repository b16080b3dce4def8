import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herdbook.errors import FileError
from herdbook.files import write_table
from herdbook.layout import HUMAN_TRAIN, Place
from herdbook.report import tail
from tests import records as made
from tests.page import Page, rendered, run_here
from tests.rows import rows_of

# Human text: the 100 times, cat 10 times, sat twice, mat and rug once.
HUMAN = [*["the cat"] * 10, *["the"] * 90, "Sat, sat! mat_RUG 12"]


def lives_of(root, *lineages):
    """A life of each lineage, whose generations keep these texts; the working directory is `root`."""
    human = tail.vocabulary(HUMAN)
    lives = []
    for seed, texts in enumerate(lineages):
        places = [Place("replace", f"s{seed}", f"g{number}") for number in range(len(texts))]
        for place, text in zip(places, texts, strict=True):
            made.write_rows(root, place, text)
        lives.append(tail.life(places, human))
    return lives, human


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_words_are_runs_of_letters_whatever_their_case():
    assert tail.words_of("The don't_7x Straße\nשלום ΣΊΣΥΦΟΣ ΣΊΣΥΦΟς") == ["the", "don", "t", "x", "strasse", "שלום", "σίσυφοσ", "σίσυφοσ"]


@given(st.text())
def test_distinct_words_are_the_words_each_once(text):
    assert tail.distinct_words(text) == set(tail.words_of(text))


@given(st.text())
def test_what_is_within_touches_no_edge(text):
    assert tail.within(text) == re.sub(r"\A[^\W\d_]+|[^\W\d_]+\Z", "", text)


def test_the_commonest_words_come_first_and_stand_in_the_band_of_their_count():
    human = tail.vocabulary(HUMAN)
    assert human.words == ["the", "cat", "sat", "mat", "rug"]
    assert human.counts.tolist() == [100, 10, 2, 1, 1]
    assert human.bands.tolist() == [3, 2, 1, 0, 0]
    assert [tail.figure_of(band, human).title for band in range(4)] == [
        "Words used once", "Words used 2 to 9 times", "Words used 10 to 99 times", "Words used 100 times or more",
    ]  # fmt: skip


def test_the_share_of_a_band_that_is_alive_by_hand(tmp_path):
    # g0 keeps one of the two words used once, and all others; g1 keeps neither, nor `sat`; a dog is no human word
    (life,), _ = lives_of(tmp_path, ["The cat sat: mat!", "the cat dog"])
    assert life.shares.tolist() == [[0.5, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]


def test_what_touches_the_edge_of_a_row_may_be_cut_and_is_no_word(tmp_path):
    place = Place("replace", "s0", "g0")
    write_table(tmp_path / place.curated / "rows.parquet", rows_of("d", 1, text="the cat sat"))
    life = tail.life([place], tail.vocabulary(HUMAN))
    assert (life.last >= 0).tolist() == [False, True, False, False, False]  # of the, cat, sat, mat, rug


def test_a_word_dies_when_no_seed_uses_it_ever_again(tmp_path):
    lives, human = lives_of(tmp_path, ["the cat sat mat", "the", "the sat", "the"], ["the cat", "the cat rug", "the", "the"])
    found = tail.deaths(lives, human, 4)
    # mat is last seen in g0; cat in g1, by the other seed; sat comes back in g2; rug was no founder's
    named = [[each["word"] for each in line["named"]] for line in found]
    assert named == [["mat"], ["cat"], ["sat"]]
    assert [(line["generation"], line["num_gone"], line["num_founders"]) for line in found] == [("g1", 1, 4), ("g2", 2, 4), ("g3", 3, 4)]
    assert found[1]["named"] == [{"word": "cat", "count": 10}]


def test_a_generation_is_judged_on_the_seeds_that_were_bred_for_it(tmp_path):
    # cat lives in the seed that ends with g1: that it is gone from g2 on cannot be said, as it never was the other's
    lives, human = lives_of(tmp_path, ["the sat", "the sat", "the"], ["the cat", "the cat"])
    found = tail.deaths(lives, human, 4)
    assert [line["num_seeds_bred"] for line in found] == [2, 1, 0]
    assert [each["word"] for each in found[1]["named"]] == ["sat"]


def test_no_more_words_are_named_than_can_be_read(tmp_path):
    words = ["w" + chr(ord("a") + number) for number in range(tail.NUM_NAMED + 3)]
    human = tail.vocabulary(words)
    life = tail.Life(np.zeros((2, 4)), np.zeros(len(words), np.int16), np.zeros(len(words), np.int16))
    (line,) = tail.deaths([life], human, 2)
    assert (line["num_died"], [each["word"] for each in line["named"]]) == (tail.NUM_NAMED + 3, words[: tail.NUM_NAMED])


def test_the_section_charts_each_band_and_names_the_dead(project):
    made.write_rows(project, Place("replace", "s1", "g1"), "one two three four")  # the other seed lost `four` here
    section = tail.section(run_here())
    points = section.data["tail-data"]["tail-0"]["spec"]["data"]["values"]
    assert {"regime": "replace", "g": 1, "mean": 0.5, "low": 0.0, "high": 1.0, "bred": "2 of 2"} in points
    assert [each["figure"].column for each in section.context["bands"]] == ["tail-0", "tail-1"]
    died = {regime: [[each["word"] for each in line["named"]] for line in lines] for regime, lines in section.context["deaths"].items()}
    assert died == {"replace": [[], ["three", "four"]], "curated": [["four"], ["three"]]}


def test_rows_of_what_was_not_bred_are_not_asked_for(project):
    for number in (1, 2):
        made.write_not_bred(project / f"records/curated/s0/g{number}")
        (project / f"runs/curated/s0/g{number}/curated/rows.parquet").unlink()
    lines = tail.section(run_here()).context["deaths"]["curated"]
    assert [line["num_seeds_bred"] for line in lines] == [1, 1]


def test_a_human_text_without_letters_has_no_tail(project):
    write_table(HUMAN_TRAIN, rows_of("d", 2, text="3 1 2 = 1 2 3"))
    assert tail.section(run_here()).context["bands"] == []
    assert "hold no words of letters" in Page(rendered()).text


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_rows_that_cannot_be_read_are_refused(project, damage):
    path = project / "runs/replace/s1/g2/curated/rows.parquet"
    path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(FileError, match=r"runs/replace/s1/g2/curated/rows.parquet: not .*dvc repro"):
        tail.section(run_here())
