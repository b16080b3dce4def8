"""Phases as a terminal shows them."""

import pytest

from herdbook.phases import phases
from tests.terminal import lines_of


@pytest.fixture
def terminal(monkeypatch, capsys):
    """A function that gives the lines drawn on stderr, which rich takes for a terminal of 80 columns."""
    for name, value in (("TTY_COMPATIBLE", "1"), ("TTY_INTERACTIVE", "1"), ("TERM", "xterm"), ("COLUMNS", "80")):
        monkeypatch.setenv(name, value)
    return lambda: lines_of(capsys.readouterr().err)


def test_of_a_known_total_percentage_and_time_left_are_shown(terminal):
    with phases("looking") as begin:
        advance = begin("stones", 4)
        advance(1)
        advance(2)
        begin("trees")
    lines = terminal()
    assert any(line.startswith("looking: stones ") and "0%" in line and line.endswith(" left") for line in lines)
    (unknown,) = {line[2:].split(" 0:")[0].rstrip() for line in lines if "trees" in line}
    assert unknown == "looking: trees"
    assert not any("%" in line for line in lines if "trees" in line)


def test_a_phase_that_is_over_may_still_be_told_of(terminal):
    with phases("looking") as begin:
        before = begin("stones", 4)
        begin("trees", 3)
        before(2)
    assert "trees" in terminal()[-1]


def test_a_narrow_terminal_shows_all_but_the_whole_name(terminal):
    with phases(f"tracing {'f' * 64}") as begin:
        begin("runs/human/train.parquet", 7)
    line = terminal()[-1]
    assert len(line) <= 80
    assert "0%" in line
    assert line.endswith(" left")
    assert "…: runs/" in line


def test_nothing_to_do_is_shown_as_such(terminal):
    with phases("looking") as begin:
        begin("stones", 0)
    assert "0%" in terminal()[-1]


def test_names_have_no_power_over_the_terminal(terminal, capsys):
    with phases("[red]\x1b[2J") as begin:
        begin("[bold]\x07\u202e", 2)
    drawn = capsys.readouterr().err
    assert "\x1b[2J" not in drawn
    assert "\x07" not in drawn
    assert any(r"[red]\x1b[2J: [bold]\x07\u202e" in line for line in lines_of(drawn))
