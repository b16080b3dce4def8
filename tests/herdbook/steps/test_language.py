import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from herdbook.errors import ParamsError
from herdbook.rows import rows_table
from herdbook.steps.language import Language

ENGLISH = "The settlement was founded in the twelfth century, and grew with the trade along the river."
GERMAN = "Die Siedlung wurde im zwölften Jahrhundert gegründet und wuchs mit dem Handel am Fluss."


def faults(texts, **settings):
    return Language(**settings).faults(rows_table([{"text": text} for text in texts]), SimpleNamespace())


def test_rows_of_another_language_are_rejected():
    assert faults([ENGLISH, GERMAN], min_probability=0.5) == [None, ""]
    assert faults([ENGLISH, GERMAN], language="de", min_probability=0.5) == ["", None]


def test_the_bound_is_on_the_probability():
    halves = f"{ENGLISH[:40]} {GERMAN[:40]}"
    assert faults([ENGLISH, halves], min_probability=0.01) == [None, None]
    assert faults([ENGLISH, halves], min_probability=0.99) == [None, ""]


@pytest.mark.parametrize("text", [None, "", "\n", "\0", " \r\n\t", "12 - 34 ...", "\ufffd\ufffd", "\x1b[2J", "\u202e"])
def test_text_without_letters_is_of_no_language(text):
    assert faults([text], min_probability=0.5) == [""]


def test_line_breaks_and_control_characters_do_not_hide_a_language():
    assert faults([ENGLISH.replace(" ", "\n"), f"\0{ENGLISH}\0", f"\ufffd{ENGLISH}"], min_probability=0.5) == [None] * 3


def test_no_rows_have_no_faults():
    assert faults([], min_probability=0.5) == []


def test_a_language_that_it_does_not_know_is_refused_with_those_that_it_knows():
    with pytest.raises(ParamsError, match=r"step language: language is 'xx', must be one of .*de, .*en, .*; correct it in params.yaml"):
        faults([], language="xx", min_probability=0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_probability": 0.0}, "greater than 0"),
        ({"min_probability": 1.1}, "less than or equal to 1"),
        ({"language": "English", "min_probability": 0.5}, "match pattern"),
    ],
)
def test_settings_without_sense_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        Language(**settings)


def test_probabilities_are_the_same_in_every_process_and_ask_no_network():
    code = (
        "import socket; socket.socket.connect = socket.getaddrinfo = None\n"
        "from herdbook.steps.language import _identifier\n"
        f"print(_identifier().rank({ENGLISH!r})[:3])"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert found.pop().startswith("[('en', 0.9")
