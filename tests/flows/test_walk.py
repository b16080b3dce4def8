import subprocess
import sys
import threading

import pytest

from flows.walk import chain_lengths, walk
from tests import miniature

#  a -> b -> d      a is needed by b and c; d by nobody; e stands alone
#  a -> c
NEEDS = {name: frozenset(needs) for name, needs in {"a": "", "e": "", "c": "a", "b": "a", "d": "b"}.items()}
PLAN = list(NEEDS)


def test_a_chain_counts_the_stages_to_the_end_of_the_graph():
    assert chain_lengths(PLAN, NEEDS) == {"a": 3, "b": 2, "c": 1, "d": 1, "e": 1}


def test_one_job_takes_the_longest_chain_first_and_ties_by_the_plan():
    started: list[str] = []
    outcome = walk(PLAN, NEEDS, lambda name: started.append(name) or name.upper(), 1)
    assert started == ["a", "b", "e", "c", "d"]
    assert outcome.done == {name: name.upper() for name in PLAN}


def test_two_jobs_run_side_by_side_and_never_more():
    both = threading.Barrier(2, timeout=30)  # nobody passes alone
    count = {"now": 0, "most": 0}
    mutex = threading.Lock()

    def run(name: str) -> None:
        with mutex:
            count["now"] += 1
            count["most"] = max(count["most"], count["now"])
        if name in ("b", "c"):
            both.wait()
        with mutex:
            count["now"] -= 1

    needs = {"a": frozenset(), "b": frozenset("a"), "c": frozenset("a"), "d": frozenset("a"), "e": frozenset("bcd")}
    walk(list(needs), needs, run, 2)
    assert count["most"] == 2


def test_a_stage_starts_only_when_all_that_it_needs_has_ended():
    ended: set[str] = set()

    def run(name: str) -> None:
        assert NEEDS[name] <= ended
        ended.add(name)

    assert set(walk(PLAN, NEEDS, run, 4).done) == set(PLAN)


def test_a_failed_stage_stops_its_descendants_and_not_the_others():
    def run(name: str) -> str:
        if name == "b":
            raise ValueError("broken")
        return name

    outcome = walk(PLAN, NEEDS, run, 2)
    assert set(outcome.done) == {"a", "c", "e"}
    assert str(outcome.failed["b"]) == "broken"
    assert outcome.skipped == {"d": "b"}


def test_a_stage_that_descends_from_two_failures_is_skipped_once():
    needs = {"a": frozenset(), "b": frozenset(), "c": frozenset("ab"), "d": frozenset("c")}

    def run(name: str) -> None:
        raise ValueError(name)

    outcome = walk(list(needs), needs, run, 1)
    assert (set(outcome.failed), outcome.skipped) == ({"a", "b"}, {"c": "a", "d": "a"})


def test_an_interrupt_starts_nothing_more_and_waits_for_what_runs():
    released = threading.Event()
    started: list[str] = []

    def run(name: str) -> None:
        started.append(name)
        if name == "b":
            released.wait(30)

    def ended(outcome) -> None:
        if "c" in outcome.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        walk(
            ["a", "b", "c", "d"],
            {"a": frozenset(), "b": frozenset("a"), "c": frozenset("a"), "d": frozenset("bc")},
            run,
            2,
            released.set,
            ended,
        )
    assert released.is_set()
    assert "d" not in started


def test_a_machine_without_threads_ends_the_walk(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start"):
        walk(PLAN, NEEDS, lambda name: None, 2)


INTERRUPTED = """
import random, signal
from flows.walk import walk

def interrupt(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
plan = [f"s{number}" for number in range(300)]
moments = random.Random(0)
struck = 0
for _ in range(400):
    signal.setitimer(signal.ITIMER_REAL, moments.uniform(0.0002, 0.004))
    try:
        walk(plan, dict.fromkeys(plan, frozenset()), lambda name: None, 2)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        struck += 1
print(struck)
"""


def test_an_interrupt_at_any_moment_ends_the_walk_and_never_hangs_it():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], cwd=miniature.ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 200
