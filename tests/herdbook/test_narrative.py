import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook.narrative import MAX_CHARACTERS, figure_text, listed, outcome, policy, printable
from herdbook.params import Regime
from tests.records import DECODING


def regime(weights=(1.0, 0.0, 0.0), **changes):
    names = ("offspring", "previous", "human")
    whole = {
        "weights": dict(zip(names, weights, strict=True)), "budget_rows": None, "decoding": DECODING, "gate": "block",
        "recipe": {"num_rows": 2, "steps": []}, "start": "fresh", "compute": "steps", "mixture": None,
    }  # fmt: skip
    return Regime.model_validate({**whole, **changes})


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ((1.0, 0.0, 0.0), "on all of the offspring of the generation before."),
        ((0.9, 0.0, 0.1), "on 90 % of the offspring of the generation before and 10 % of the human rows."),
        (
            (1.0, 1.0, 0.5),
            "on all of the offspring of the generation before, "
            "all of the pool that generation was trained from and 50 % of the human rows.",
        ),
    ],
)
def test_a_regime_says_what_it_trains_on(weights, words):
    assert words in policy(regime(weights))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "sampled at temperature 1 within top-k 50 and taken"),
        ({"prompts": "training"}, "sampled at temperature 1 within top-k 50, prompted by the model's own training set and taken"),
        ({"top_k": 0}, "sampled at temperature 1 among all tokens and taken"),
        ({"top_p": 0.95}, "within top-k 50 and top-p 0.95"),
        ({"temperature": 0.0}, "are the likeliest token each time"),
        ({"num_beams": 4}, "found by a search with 4 beams"),
        ({"repetition_penalty": 1.2}, "(repetition penalty 1.2)"),
    ],
)
def test_a_regime_says_how_it_samples(change, words):
    assert words in policy(regime(decoding={**DECODING, **change}))


def test_a_regime_says_how_it_curates_gates_and_draws_down():
    text = policy(regime(budget_rows=500, gate="waive", recipe={"num_rows": 2, "steps": [{"name": "exact_duplicate"}, {"name": "length"}]}))
    assert "drawn down to 500 rows" in text
    assert "curated by exact duplicate, length." in text
    assert text.endswith("under a recorded waiver.")
    assert policy(regime()).endswith("ends the lineage.")


def test_a_mixture_stands_in_place_of_weights():
    sources = [{"source": "offspring", "fraction": 0.75, "epochs": 1.0}, {"source": "human", "fraction": 0.25, "epochs": 2.5}]
    text = policy(regime(mixture={"num_tokens": 5000, "sources": sources}))
    assert "on 5000 tokens, 75 % from the offspring of the generation before and 25 % from the human rows (read 2.5 times)." in text


def entry(num_bred, loss, distinct):
    figures = {"held_out_loss_nats": {"mean": loss}, "offspring_distinct_2": {"mean": distinct}}
    return {"num_seeds": 3, "num_seeds_bred": num_bred, **figures}


def test_the_outcome_ends_at_the_last_generation_that_was_bred():
    entries = {"g0": entry(3, 5.02, 0.117), "g1": entry(1, 6.0, 0.1), "g2": entry(0, None, None)}
    assert outcome(entries, 0.275) == (
        "From g0 to g1, which 1 of 3 seeds reached, held-out loss went from 5.02 to 6.00 nats per token, "
        "distinct-2 of its text from 0.117 to 0.100 (human text 0.275)."
    )
    assert outcome({"g0": entries["g0"], "g2": entries["g2"]}, None) == "No generation after the founder was bred."


@pytest.mark.parametrize(("parts", "text"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")])
def test_a_list_reads_as_a_sentence_part(parts, text):
    assert listed(parts) == text


def test_a_figure_has_four_digits_or_a_dash():
    assert (figure_text(0.123456), figure_text(3227.6), figure_text(None)) == ("0.1235", "3228", "–")


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\0b", "a␀b"), ("a\x1b[31mb", "a␛[31mb"), ("\u202eabc", "⟨U+202E⟩abc"), ("\ud800", "⟨U+D800⟩"), ("a\nb\tc", "a\nb\tc")],
)
def test_controls_and_reordering_marks_are_made_visible(text, shown):
    assert printable(text) == shown


@settings(deadline=None, max_examples=100)
@given(st.text(st.characters(), max_size=40))
def test_printable_text_can_be_written_and_holds_no_control(text):
    shown = printable(text)
    shown.encode("utf-8")
    assert all(character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") for character in shown)


def test_long_text_is_cut_and_says_so():
    shown = printable("x" * (MAX_CHARACTERS + 7))
    assert shown == "x" * MAX_CHARACTERS + " … (7 characters more)"
