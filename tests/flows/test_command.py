import os
import sys
import threading
from pathlib import Path

import pytest

from flows.command import Commands, MachineError, StageError, guarded
from flows.pipeline import Command
from tests.flows.synthetic import is_alive, wait_for


@pytest.fixture
def commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with guarded() as found:
        yield found


def run(commands: Commands, *lines: str) -> list[str]:
    said: list[str] = []
    commands.run("stage", Command([["/bin/sh", "-c", line] for line in lines], Path.cwd(), dict(os.environ)), said.append)
    return said


def test_what_the_lines_print_on_either_stream_is_passed_on_in_order(commands):
    assert run(commands, "echo one; echo two >&2", "echo three") == ["one", "two", "three"]


def test_bytes_that_are_no_text_are_passed_on_as_replacements(commands):
    assert run(commands, r"printf '\377ok\n'") == ["\ufffdok"]


def test_a_status_of_its_own_is_the_stage_s_error_in_its_last_words(commands):
    with pytest.raises(StageError, match=r"^stage: broken$"):
        run(commands, "echo fine; echo broken; exit 3", "echo never")


def test_a_status_that_no_signal_has_is_the_stage_s_own(commands):
    with pytest.raises(StageError, match="exit 255"):
        run(commands, "exit 255")


def test_a_silent_failure_names_the_command(commands):
    with pytest.raises(StageError, match="exit 3 exited with 3"):
        run(commands, "exit 3")


@pytest.mark.parametrize("line", ["kill -9 $$", f"{sys.executable} -c 'import os; os.kill(os.getpid(), 9)'; exit $?"])
def test_a_signal_is_the_machine_s_error(commands, line):
    with pytest.raises(MachineError, match=r"ended by signal 9 .*as when memory runs out"):
        run(commands, line)


def test_an_interrupt_ends_what_runs_with_its_children_and_starts_nothing_more(commands):
    def wait_long() -> None:
        with pytest.raises(StageError, match="stage: interrupted"):
            run(commands, "sleep 300 & echo $! > pid; wait")

    thread = threading.Thread(target=wait_long)
    thread.start()
    wait_for(lambda: Path("pid").exists() and Path("pid").read_text().strip())
    commands.interrupt()
    thread.join(30)
    assert not thread.is_alive()
    wait_for(lambda: not is_alive(int(Path("pid").read_text())))
    with pytest.raises(StageError, match="not started"):
        run(commands, "echo never")
