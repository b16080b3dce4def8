import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herdbook.measures import repetition
from herdbook.report import watch
from tests import records as made
from tests.page import HOSTILE, Page, rendered, run_here

WORDY = st.lists(st.sampled_from(["a", "A", "b", "c", ",", ".", " ", "\n", "x1"]), max_size=30).map("".join)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [""]),
        ("one two three", ["one two three"]),
        ("the end, the start", ["the end, the start"]),  # a single word that recurs is no run
        ("so it was so it is", ["", "so it", " was ", "so it", " is"]),
        ("So it was. so  it\nis", ["", "So it", " was. ", "so  it", "\nis"]),  # neither case nor what is between counts
        ("no no no", ["", "no no no", ""]),  # no no twice, once each from the first and the second word
        ("a b c a b c d", ["", "a b c a b c", " d"]),
        ("x = 1; y = 1; z", ["x ", "= 1;", " y ", "= 1;", " z"]),
        ("he,he,he", ["", "he,he,he", ""]),
        ("🙂 so it 🙂 so it", ["", "🙂 so it 🙂 so it", ""]),
    ],
)
def test_runs_of_two_or_more_words_that_recur_are_cut_out(text, found):
    assert watch.pieces(text) == found


@given(WORDY | st.text())
def test_pieces_joined_are_the_text_and_none_but_the_first_and_the_last_is_empty(text):
    pieces = watch.pieces(text)
    assert "".join(pieces) == text
    assert all(pieces[1:-1])


@given(WORDY)
def test_something_is_marked_where_the_measure_of_repetition_finds_any(text):
    words = [word.casefold() for word in watch.WORD.findall(text)]
    ids = np.array([sorted(set(words)).index(word) for word in words], dtype=np.int64)
    assert (len(watch.pieces(text)) > 1) == (repetition(ids, np.zeros(len(ids), dtype=np.int64), 1)[0] > 0)


def test_a_prompt_stands_once_with_what_each_generation_of_each_regime_wrote(project):
    twice = [{"prompt": "Once", "text": "one"}, {"prompt": "Once", "text": "so it so it"}, {"prompt": "Then", "text": ""}]
    for number, examples in enumerate((twice, twice[1:], [])):
        made.write(project / f"records/replace/s0/g{number}/examples.json", examples)
    data = watch.section(run_here()).data["watch-data"]
    assert data["seeds"]["s0"]["prompts"] == ["Once", "Once", "Then"]
    assert data["seeds"]["s0"]["texts"] == {
        "replace": [[["one"], ["", "so it so it", ""], [""]], [["", "so it so it", ""], None, [""]], [None, None, None]],
        "curated": [[["upon a time"], None, None]] * 3,
    }
    assert data["seeds"]["s1"] == {"prompts": ["Once"], "texts": {regime: [[["upon a time"]]] * 3 for regime in ("replace", "curated")}}


def test_what_was_not_bred_is_told_from_what_is_not_among_the_examples(project):
    made.write_not_bred(project / "records/curated/s1/g2")
    data = watch.section(run_here()).data["watch-data"]
    assert data["bred"].keys() == {"replace/s0", "replace/s1", "curated/s0", "curated/s1"}
    assert [lineage for lineage, bred in data["bred"].items() if bred != [True, True, True]] == ["curated/s1"]
    assert data["bred"]["curated/s1"] == [True, True, False]
    assert data["seeds"]["s1"]["texts"]["curated"][2] == [None]


def test_later_prompts_are_left_out_where_the_page_would_grow_too_large(project, monkeypatch):
    examples = [{"prompt": str(number), "text": "x" * 100} for number in range(3)]
    for path in (project / "records").glob("*/*/g?/examples.json"):
        if "founder" not in path.parts:
            made.write(path, examples)
    monkeypatch.setattr(watch, "MAX_BYTES", 2 * 2 * 2 * 3 * 100)  # two prompts, seeds and regimes, three generations
    section = watch.section(run_here())
    assert section.context == {"num_prompts": 3, "num_left_out": 1}
    assert {seed: told["prompts"] for seed, told in section.data["watch-data"]["seeds"].items()} == {"s0": ["0", "1"], "s1": ["0", "1"]}


def test_a_run_without_examples_says_so(project):
    for path in (project / "records").glob("*/*/g?/examples.json"):
        made.write(path, [])
    assert "No examples: sample.num_examples is 0." in Page(rendered()).text


def test_generated_text_stands_in_its_block_alone_and_is_inert_there(project):
    for path in (project / "records").glob("replace/s0/g1/examples.json"):
        made.write(path, [{"prompt": HOSTILE, "text": f"{HOSTILE} \0 \u202e"}])
    page = Page(rendered())
    assert HOSTILE not in page.text
    block = page.block("watch-data")
    assert not {"<", ">", "&"} & set(block)
    assert "\u2400" in block
    assert "\u202e" not in block
