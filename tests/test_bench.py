"""What bench/README.md tells is what the files beside it hold."""

import json
import subprocess
from pathlib import Path

import pytest

from bench import bars
from bench.bars import BARS, Bar, page

ROOT = Path(__file__).parents[1]


def test_the_page_is_that_of_the_committed_files(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert (ROOT / bars.FOUND).read_text() == page(), "write it anew: python -m bench.bars"


@pytest.mark.parametrize(
    ("bar", "value", "is_met"),
    [
        (Bar("", "", at_most=2), 2, True),
        (Bar("", "", at_most=2), 2.1, False),
        (Bar("", "", at_least=3), 3, True),
        (Bar("", "", at_least=3), 2.99, False),
    ],
)
def test_a_bar_is_met_at_its_bound_and_missed_beyond(bar, value, is_met):
    assert bar.is_met(value) == is_met


def test_each_figure_is_told_as_a_ratio_to_that_of_a_commit(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    bar = Bar("speed", "some:list/1/figure", at_least=1)
    monkeypatch.setattr(bars, "BARS", [bar])
    (tmp_path / "bench").mkdir()
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "then", "--allow-empty"]):
        if command == ["add", "."]:
            bar.path.write_text(json.dumps({"list": [0, {"figure": 4.0}]}))
        subprocess.run(["git", *command], check=True)
    bar.path.write_text(json.dumps({"list": [0, {"figure": 6.0}]}))
    bars.compare("HEAD")
    bars.compare("HEAD~1")
    assert capsys.readouterr().out == "speed: 6, 1.50 times that of HEAD\nspeed: 6, which HEAD~1 does not have\n"


def test_every_bar_is_one_bound():
    assert all((bar.at_most is None) != (bar.at_least is None) for bar in BARS)
