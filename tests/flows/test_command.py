import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import flows.command
from flows.command import Commands, MachineError, StageError, Usage, guarded
from flows.pipeline import Command
from herdbook.errors import HerdbookError
from tests.flows.synthetic import is_alive, wait_for
from tests.herdbook.test_warm import SERVER


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


def test_a_stage_s_own_word_of_a_full_disk_is_told_with_where_and_what_to_do(commands, tmp_path):
    with pytest.raises(StageError) as caught:
        run(commands, f'{sys.executable} -c \'open("/dev/full", "wb", 0).write(b"x")\'')
    assert (
        str(caught.value) == f"stage: {tmp_path}: the disk is full (OSError: [Errno 28] No space left on device); make room, then run again"
    )
    mended = "x: cannot be written (No space left on device); nothing was left behind: make room or allow it"
    with pytest.raises(StageError) as caught:
        run(commands, f"echo '{mended}'; exit 1")
    assert str(caught.value) == f"stage: {mended}"


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


@pytest.fixture
def forking(commands, tmp_path, monkeypatch):
    """Commands in a project of the stages `say`, `die` and `wait`, which a preloaded process of our own runs."""
    (tmp_path / "stages").mkdir()
    for name in ("say", "die", "wait"):
        (tmp_path / f"stages/{name}.py").touch()
    (tmp_path / "server.py").write_text(SERVER)
    monkeypatch.setattr(flows.command, "SERVER", (sys.executable, str(tmp_path / "server.py")))
    yield commands
    for line in subprocess.run(["pgrep", "-f", f"{tmp_path}/server.py"], capture_output=True, text=True).stdout.split():
        os.kill(int(line), signal.SIGKILL)


def stage(commands: Commands, words: str, **environment: str) -> tuple[list[str], Usage]:
    said: list[str] = []
    line = ["/bin/sh", "-c", f"python -m stages {words}"]
    usage = commands.run("stage", Command([line], Path.cwd(), {**os.environ, **environment}), said.append)
    return said, usage


def test_a_stage_is_a_fork_that_this_process_waits_for(forking):
    (line,), usage = stage(forking, "say 0", WORD="hello")
    assert json.loads(line)["word"] == "hello"
    assert usage.cpu_seconds is not None
    assert usage.peak_memory_bytes > 1 << 20
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    assert str(json.loads(line)["server"]) in children  # it was started by this process, and no launcher came between


def test_a_stage_s_own_status_and_words_are_its_error(forking):
    with pytest.raises(StageError, match=r'^stage: \{"pid"'):
        stage(forking, "say 3")


def test_a_killed_stage_is_the_machine_s_error(forking):
    with pytest.raises(MachineError, match=r"ended by signal 9 .*as when memory runs out"):
        stage(forking, "die")


def test_the_death_of_the_preloaded_process_is_the_machine_s_error_and_says_so(forking):
    server = json.loads(stage(forking, "say 0")[0][0])["server"]
    threading.Thread(target=lambda: (wait_for(lambda: Path("pid").exists()), os.kill(server, signal.SIGKILL))).start()
    with pytest.raises(MachineError, match="the preloaded process died"):
        stage(forking, "wait pid")
    assert stage(forking, "say 0")[0]


def test_an_interrupt_ends_a_fork(forking):
    threading.Thread(target=lambda: (wait_for(lambda: Path("pid").exists() and Path("pid").read_text()), forking.interrupt())).start()
    said: list[str] = []
    line = ["/bin/sh", "-c", "python -m stages wait pid"]
    with pytest.raises(StageError, match="stage: interrupted"):
        forking.run("stage", Command([line], Path.cwd(), dict(os.environ)), said.append)
    time.sleep(0.1)  # it has closed its files, and may still be ending
    assert not is_alive(int(Path("pid").read_text()))
    assert said == []


def test_an_interrupt_does_not_wait_for_a_preloaded_process_that_is_not_ready(forking, tmp_path):
    (tmp_path / "server.py").write_text(SERVER.replace('importlib.import_module("decimal")', 'Path("importing").touch(); time.sleep(300)'))
    threading.Thread(target=lambda: (wait_for(Path("importing").exists), forking.interrupt())).start()
    with pytest.raises(StageError, match="stage: interrupted"):  # which would not come for five minutes
        stage(forking, "say 0")


def test_what_a_stage_leaves_running_is_not_waited_for(forking, tmp_path):
    (tmp_path / "server.py").write_text(
        SERVER.replace('if argv[0] == "die":', 'if argv[0] == "die":\n        os.system("sleep 301 &"); return 0')
    )
    assert stage(forking, "die")[1].cpu_seconds is not None
    subprocess.run(["pkill", "-f", "^sleep 301$"], check=True)


@pytest.mark.parametrize(
    ("words", "environment"),
    [("say $((0))", {}), ("say 0 || false", {}), ("say 0", {"HERDBOOK_COLD": "1"}), ("unknown 0", {}), ("say 0\nfalse", {})],
)
def test_what_is_more_than_a_stage_or_shall_start_cold_is_left_to_a_shell(forking, words, environment):
    with pytest.raises(StageError):  # there the launcher is that of this checkout, and knows no such stage here
        stage(forking, words, **environment)


def test_a_cold_run_needs_no_folder_for_a_socket(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / f"herdbook-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(HerdbookError, match="HERDBOOK_COLD=1"), guarded():
        pass
    monkeypatch.setenv("HERDBOOK_COLD", "1")
    with guarded() as commands:
        assert run(commands, "echo cold") == ["cold"]
