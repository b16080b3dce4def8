import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.turn import BusyError, turn
from tests.flows.synthetic import wait_for

HOLDER = """
import sys, time
from pathlib import Path
from flows.turn import turn
with turn(Path(sys.argv[1])):
    Path(sys.argv[1], "held").touch()
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def hold(tmp_path):
    """A function that lets another process hold the turn for some seconds."""
    processes = []

    def start(seconds: float) -> subprocess.Popen:
        processes.append(subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path), str(seconds)], cwd=Path(__file__).parents[2]))
        wait_for((tmp_path / "held").exists)
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_a_second_run_is_refused_with_the_pid_and_start_of_the_first(tmp_path, hold):
    first = hold(60)
    with pytest.raises(BusyError, match=rf"\(pid {first.pid}, since 20\d\d-\d\d-\d\dT[\d:]+\+00:00\); wait for it"), turn(tmp_path):
        pass


def test_a_second_run_that_waits_gets_its_turn(tmp_path, hold):
    hold(0.3)
    with turn(tmp_path, "wait"):
        pass


def test_the_turn_of_a_killed_run_is_free(tmp_path, hold):
    first = hold(60)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    with turn(tmp_path):
        pass


def test_a_child_of_a_run_does_not_hold_its_turn(tmp_path):
    with turn(tmp_path):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with turn(tmp_path):
        child.kill()
        child.wait()
