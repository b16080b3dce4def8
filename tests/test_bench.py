"""What bench/README.md tells is what the files beside it hold."""

import json
import subprocess
from pathlib import Path

import pytest

from bench import bars, growth, rounds, smollm2
from bench.bars import BARS, Bar, page

ROOT = Path(__file__).parents[1]


def test_the_page_is_that_of_the_committed_files(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert (ROOT / bars.FOUND).read_text() == page(), "write it anew: python -m bench.bars"


def test_the_picture_of_growth_is_that_of_the_committed_files(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert (ROOT / growth.FOUND).read_text() == growth.svg(), "draw it anew: python -m bench.growth"


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


class _Machine:
    """A machine that gets slower from call to call of each way."""

    def __init__(self, seconds):
        self.seconds, self.spent, self.calls = seconds, 0.0, 0

    def work(self):
        self.calls += 1
        self.spent += self.seconds * self.calls
        return 60


def test_two_ways_are_compared_round_by_round_and_the_first_does_not_count(monkeypatch):
    monkeypatch.setattr(smollm2, "ROUNDS", 3)
    machines = {"ours": _Machine(1.0), "theirs": _Machine(2.0)}
    ways = {name: smollm2.Way(one.work, lambda one=one: one.spent) for name, one in machines.items()}
    found = smollm2.measured(ways, [("ours", "theirs")])
    assert found["ours"]["tokens_per_cpu_second"] == {"median": 20, "least": 15, "most": 30}
    assert found["ours_over_theirs"] == {"median": 2, "least": 2, "most": 2}


def test_a_model_that_is_not_given_is_passed_over_in_a_line(monkeypatch, capsys):
    monkeypatch.delenv("SMOLLM2", raising=False)
    smollm2.main()
    assert capsys.readouterr().err == "bench.smollm2: no weights are given (SMOLLM2=PATH), so bench/smollm2.json stays as it is\n"


def test_ways_take_turns_and_ours_is_held_against_each_other_in_the_same_round(monkeypatch):
    monkeypatch.setattr(rounds, "ROUNDS", 3)
    order, costs = [], {"ours": iter([2, 4, 9]), "pandas": iter([1, 4, 3])}

    def way(name):
        order.append(name)
        took = next(costs[name])
        return {"seconds": took, "cpu_seconds": 2 * took, "peak_memory_mib": 100.4 + took}

    found = rounds.taken_turns({name: lambda name=name: way(name) for name in costs})
    assert order == ["ours", "pandas", "pandas", "ours", "ours", "pandas"]
    assert found["rounds"] == 3
    assert found["ours"] == {
        "seconds": {"median": 4, "least": 2, "most": 9}, "cpu_seconds": {"median": 8, "least": 4, "most": 18}, "peak_memory_mib": 109,
    }  # fmt: skip
    assert found["times_pandas"]["seconds"] == {"median": 2, "least": 1, "most": 3}


def test_an_exponent_is_the_slope_of_the_logarithms_of_large_sets():
    def took(seconds):
        return {"ours": {"cpu_seconds": {"median": seconds}}}

    sets = {"1000": took(5.0), "10000": took(1.0), "100000": took(10.0), "1000000": took(100.0)}
    assert rounds.growth(sets, ["ours"]) == {"ours": 1.0}
    assert rounds.growth({"1000": took(5.0), "10000": took(1.0)}, ["ours"]) == {}
