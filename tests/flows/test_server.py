import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from flows import server
from herdbook.errors import HerdbookError
from tests.flows.synthetic import is_alive, wait_for
from tests.pipeline import ROOT

OWNER = """
import sys, time
from pathlib import Path
from flows.server import started
with started(Path(sys.argv[1]), ui=False) as api:
    api.wait()
    Path(sys.argv[1], "url").write_text(api.url)
    time.sleep(300)
"""


@pytest.fixture(autouse=True)
def no_api(monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


def test_a_server_answers_on_loopback_alone_and_ends_with_its_killed_owner(tmp_path, bred):
    shutil.copytree(bred / ".prefect", tmp_path / ".prefect")  # as a first run left it: making a database takes long
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        wait_for(lambda: (tmp_path / "url").exists() and (tmp_path / "url").read_text(), 300)
        url = (tmp_path / "url").read_text()
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{url}/health", timeout=30) as answer:
            assert answer.headers["content-security-policy"].startswith("default-src 'self'")
        (child,) = [p for p in psutil.Process(owner.pid).children() if "flows.api" in p.cmdline()]
        assert {c.laddr.ip for c in child.net_connections("inet") if c.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
        assert (tmp_path / ".prefect").stat().st_mode & 0o777 == 0o700
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    wait_for(lambda: not is_alive(child.pid))


def test_a_server_that_nobody_waited_for_is_not_waited_for_at_the_end(tmp_path, monkeypatch):
    with server.started(tmp_path, ui=False):
        (child,) = [p for p in psutil.Process().children() if "flows.api" in p.cmdline()]
        stopped = []
        stop = server._stop
        monkeypatch.setattr(server, "_stop", lambda process: (stop(process), stopped.append(process)))
    assert [process.returncode for process in stopped] == [-signal.SIGKILL]
    assert not is_alive(child.pid)


def test_a_server_that_ends_while_it_starts_is_told_with_what_it_said_last(tmp_path):
    (tmp_path / ".prefect").mkdir()
    (tmp_path / ".prefect/prefect.db").write_text("no database at all")
    with pytest.raises(HerdbookError) as caught, server.started(tmp_path, ui=False) as api:
        api.wait()
    said = str(caught.value)
    assert said.startswith("Prefect's server ended with status 3 while it started: sqlalchemy.exc.DatabaseError: ")
    assert said.endswith(f"file is not a database; see {tmp_path}/.prefect/server.log, mend what it says, then run again")


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("Traceback\nsqlalchemy.exc.OperationalError: database or disk is full\n(Background)\n\nstartup failed\n", "the disk is full, so"),
        ("OSError: [Errno 28] No space left on device\n", "the disk is full, so"),
        ("begun\nnever \x1b[31mdone\n", "by signal 9 while it started: never \\x1b[31mdone; see"),
        ("", "by signal 9 while it started: it said nothing; see"),
    ],
)
def test_why_a_server_ended_is_one_line_that_says_where_the_disk_is_full(tmp_path, log, told):
    path = tmp_path / "server.log"
    path.write_text(log)
    said = server._ended(-9, path)
    assert told in said
    assert str(path) in said
    assert said.isprintable()
    if "disk" in told:
        assert said.startswith(f"{tmp_path}: the disk is full")
        assert said.endswith("make room there, then run again")


def test_a_server_that_does_not_start_in_time_is_told_as_such(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "_START_SECONDS", 0)
    with pytest.raises(HerdbookError, match="did not start within 0 s; see"), server.started(tmp_path, ui=False) as api:
        api.wait()


def test_a_log_that_cannot_be_opened_is_told(tmp_path):
    (tmp_path / ".prefect").touch()
    with pytest.raises(HerdbookError, match=r"server\.log: File exists; make room or allow it"), server.started(tmp_path, ui=False):
        pass


def test_a_port_that_is_taken_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(HerdbookError, match=rf"127\.0\.0\.1:{port}: Address already in use; choose another port"),
            server.started(tmp_path, True, port),
        ):
            pass


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"url": "http://elsewhere.example/api"}', '{"url": "http://127.0.0.1:9/api"}'])
def test_a_note_of_a_server_that_is_gone_or_elsewhere_is_not_believed(tmp_path, text):
    (tmp_path / ".prefect").mkdir()
    (tmp_path / ".prefect/serving.json").write_text(text)
    assert server._served(tmp_path) is None


def test_a_server_is_announced_only_while_it_serves(tmp_path):
    with server.announced(tmp_path, "http://127.0.0.1:1/api"):
        assert json.loads((tmp_path / ".prefect/serving.json").read_text())["url"] == "http://127.0.0.1:1/api"
    assert not (tmp_path / ".prefect/serving.json").exists()


def test_an_api_that_does_not_answer_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    with pytest.raises(HerdbookError, match="no Prefect server answers there"), server.reporting(tmp_path):
        pass


def test_this_machine_is_never_asked_by_way_of_a_proxy(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "example.org")
    assert server.settings(tmp_path)["no_proxy"] == "example.org,127.0.0.1"


def test_an_api_that_the_user_names_is_used_with_the_user_s_own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setenv("PREFECT_HOME", "theirs")
    monkeypatch.setattr(server, "_is_healthy", lambda url: True)
    for name in set(server.settings(tmp_path)) - {"PREFECT_HOME"}:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "")  # so that it is put back
    with server.reporting(tmp_path) as api:
        api.wait()
        assert api.url == "http://127.0.0.1:1/api"
        assert os.environ["PREFECT_HOME"] == "theirs"
        assert os.environ["DO_NOT_TRACK"] == "1"
    assert not Path(tmp_path, ".prefect").exists()
