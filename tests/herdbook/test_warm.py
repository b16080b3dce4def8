import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from herdbook import warm
from herdbook.code import closure
from herdbook.errors import HerdbookError
from tests.pipeline import ROOT

# A preloaded process of our own, that preloads nothing heavy and runs a few words.
SERVER = """
import importlib, os, sys, time, json
from pathlib import Path
from herdbook import warm
def run(argv):
    if argv[0] == "say":
        told = {"pid": os.getpid(), "server": os.getppid(), "cwd": os.getcwd(), "word": os.environ.get("WORD")}
        print(json.dumps({**told, "loaded": "decimal" in sys.modules}))
        return int(argv[1])
    if argv[0] == "die":
        os.kill(os.getpid(), 9)
    if argv[0] == "wait":
        Path(argv[1]).write_text(str(os.getpid()))
        time.sleep(60)
    raise ValueError("a bug")
def prepare():
    importlib.import_module("decimal")
    return run
sys.exit(warm.serve(Path(sys.argv[1]), prepare))
"""
CALLER = """
import os, sys
from herdbook import warm
server = [sys.executable, sys.argv[1]]
if sys.argv[2:] == ["ahead"]:
    warm.start(server, dict(os.environ))
else:
    sys.exit(warm.call(sys.argv[2:], server, dict(os.environ)))
"""


@pytest.fixture
def run_dir():
    """A folder with a name short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="hb-") as name:
        yield Path(name)


@pytest.fixture
def caller(tmp_path, run_dir):
    """A function that runs words as a caller would, in a fresh interpreter; the preloaded process ends with the test."""
    root = Path(__file__).parents[2]
    server = tmp_path / "server.py"
    server.write_text(SERVER)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(run_dir), "PYTHONPATH": str(root), "WORD": "hello"}

    def start(*words: str) -> subprocess.Popen:
        command = [sys.executable, "-c", CALLER, str(server), *words]
        return subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    yield start
    for line in subprocess.run(["pgrep", "-f", str(server)], capture_output=True, text=True).stdout.split():
        os.kill(int(line), signal.SIGKILL)


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def wait_for(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "did not happen within 30 s"
        time.sleep(0.02)


def test_a_fork_has_the_libraries_and_the_caller_s_output_folder_and_environment(caller, tmp_path):
    status, out, _ = finish(caller("say", "7"))
    said = json.loads(out)
    assert status == 7
    assert (said["loaded"], said["cwd"], said["word"]) == (True, str(tmp_path), "hello")


def test_two_calls_are_forks_of_one_process(caller):
    first, second = (json.loads(finish(caller("say", "0"))[1]) for _ in range(2))
    assert first["server"] == second["server"]
    assert first["pid"] != second["pid"]


def test_calls_at_the_same_time_start_one_process(caller):
    started = [caller("say", "0") for _ in range(4)]
    assert len({json.loads(finish(process)[1])["server"] for process in started}) == 1


def test_the_socket_is_private(caller, run_dir):
    finish(caller("say", "0"))
    (socket,) = run_dir.rglob("*.sock")
    assert (socket.stat().st_mode & 0o777, socket.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_killed_fork_is_told_in_one_line(caller):
    status, _, err = finish(caller("die"))
    assert status == 128 + 9
    assert err.startswith("die: killed (signal 9)")


def test_a_bug_in_a_stage_fails_and_shows_where(caller):
    status, _, err = finish(caller("bug"))
    assert status == 1
    assert "ValueError: a bug" in err


def test_a_fork_ends_when_its_caller_is_killed(caller, tmp_path):
    process = caller("wait", "pid")
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    process.kill()
    process.communicate()
    wait_for(lambda: not is_alive(int((tmp_path / "pid").read_text())))


def test_forks_end_when_the_preloaded_process_is_killed_and_the_next_call_starts_another(caller, tmp_path):
    server = json.loads(finish(caller("say", "0"))[1])["server"]
    process = caller("wait", "pid")
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    os.kill(server, signal.SIGKILL)
    status, _, err = finish(process)
    assert status == 128 + 9
    assert "the preloaded process died" in err
    wait_for(lambda: not is_alive(int((tmp_path / "pid").read_text())))
    assert finish(caller("say", "0"))[0] == 0


def test_a_caller_that_goes_away_without_a_word_or_in_the_middle_of_one_disturbs_nobody(caller, run_dir):
    first = json.loads(finish(caller("say", "0"))[1])
    (path,) = run_dir.rglob("*.sock")
    for said in (b"", b"\x00", b"\x00\x00\x00\x09{"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(said)
    assert json.loads(finish(caller("say", "0"))[1])["server"] == first["server"]


def test_a_folder_that_others_can_enter_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / f"herdbook-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(HerdbookError, match="mode 0700"):
        warm.socket_path(tmp_path)


def test_a_path_too_long_for_a_socket_is_refused(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with pytest.raises(HerdbookError, match="too long for a socket"):
        warm.socket_path(tmp_path)


def test_checkouts_do_not_share_a_process(tmp_path, run_dir, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(run_dir))
    assert warm.socket_path(tmp_path / "a") != warm.socket_path(tmp_path / "b")


def test_an_edit_to_the_launcher_s_own_modules_is_served_by_another_process(tmp_path, run_dir, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(run_dir))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "herdbook").mkdir()
    (tmp_path / "herdbook/numeric.py").write_text("SEED = 1")
    before = warm.socket_path(tmp_path)
    (tmp_path / "herdbook/numeric.py").write_text("SEED = 2")
    assert warm.socket_path(tmp_path) != before


def test_a_launcher_that_is_edited_while_it_is_imported_is_not_served(caller, tmp_path, run_dir):
    (tmp_path / "herdbook").mkdir()
    server = tmp_path / "server.py"
    edited = SERVER.replace('importlib.import_module("decimal")', 'Path("herdbook/warm.py").write_text(str(time.time()))')
    server.write_text(edited)
    status, out, err = finish(caller("say", "0"))
    assert (status != 0, out) == (True, "")
    assert re.search("the preloaded process (died; run again|did not start)", err)  # as far as the caller came meanwhile
    logs = list(run_dir.rglob("*.log"))  # more than one where the caller tried again after the edit
    assert any("the launcher was edited while the preloaded process started" in log.read_text() for log in logs)


def test_a_fork_and_its_caller_that_end_in_one_moment_take_no_other_along(caller, tmp_path):
    server = json.loads(finish(caller("say", "0"))[1])["server"]
    both, other = caller("wait", "pid"), caller("wait", "other")
    wait_for(lambda: all((tmp_path / name).exists() and (tmp_path / name).read_text() for name in ("pid", "other")))
    os.kill(server, signal.SIGSTOP)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    both.kill()
    both.communicate()
    os.kill(server, signal.SIGCONT)
    assert json.loads(finish(caller("say", "0"))[1])["server"] == server
    assert is_alive(int((tmp_path / "other").read_text()))
    other.kill()
    other.communicate()


def test_a_process_that_ends_before_it_is_told_anything_is_replaced(tmp_path, run_dir, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(run_dir))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "server.py").write_text(SERVER)
    server, connect, ended = [sys.executable, str(tmp_path / "server.py")], warm._connect, []

    def connected(*given):
        connection = connect(*given)
        if not ended:
            (pid,) = subprocess.run(["pgrep", "-f", f"{tmp_path}/server.py .*sock"], capture_output=True, text=True).stdout.split()
            os.kill(int(pid), signal.SIGKILL)
            wait_for(lambda: not is_alive(int(pid)))
            ended.append(pid)
        return connection

    monkeypatch.setattr(warm, "_connect", connected)
    with warm.ask(["say", "5"], server, dict(os.environ)) as connection:
        assert warm.answered(connection).status == 5
    subprocess.run(["pkill", "-f", f"{tmp_path}/server.py"], check=True)


def test_a_process_that_is_started_ahead_serves_the_first_call(caller, tmp_path):
    assert finish(caller("ahead")) == (0, "", "")
    (server,) = subprocess.run(["pgrep", "-f", f"{tmp_path}/server.py .*sock"], capture_output=True, text=True).stdout.split()
    assert json.loads(finish(caller("say", "0"))[1])["server"] == int(server)


def test_a_runtime_folder_that_does_not_exist_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "gone"))
    assert not warm.socket_path(tmp_path).is_relative_to(tmp_path)


def test_what_the_launcher_keeps_is_all_it_imports():
    """What stages/__main__.py imports of this project lives on in every fork."""
    imported = {path.relative_to(ROOT).as_posix() for path in closure(ROOT / "stages/__main__.py", ROOT)}
    kept = imported | {"herdbook/__init__.py", "stages/__init__.py"}
    assert set(warm._LAUNCHER) == kept
