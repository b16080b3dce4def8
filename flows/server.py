"""Which Prefect API a run reports to, and the settings that keep it quiet and on this machine.

Everything here happens before Prefect is imported: it reads its settings from the environment once."""

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from herdbook.errors import HerdbookError, one_line
from herdbook.files import write_json

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

REPORT_PATH = "/herdbook/report"  # where the UI finds the report of the checkout that it was started in
HOME = Path(".prefect")  # of a checkout: Prefect's database, settings and logs
_SERVING = HOME / "serving.json"  # where `make serve` listens
_START_SECONDS = 300  # on a loaded machine the first start, which makes the database, takes a minute
_LOOPBACK = "127.0.0.1"
_SETTLE_SECONDS = 30
_ERROR = re.compile(r"[\w.]*(?:Error|Exception)\b.*")  # how the last line of a traceback begins
_FULL = ("database or disk is full", "No space left on device")
_FULL_BYTES = 8 << 20  # with less than this left no database can be made; on a full disk the log may hold no word of it


def settings(root: Path) -> dict[str, str]:
    """What makes Prefect write to the checkout alone, send nothing anywhere, and save task runs in batches."""
    home = str((root / HOME).resolve())
    direct = {name: ",".join(filter(None, [os.environ.get(name), _LOOPBACK])) for name in ("NO_PROXY", "no_proxy")}
    return {
        **direct,
        "PREFECT_HOME": home,
        "SQLITE_TMPDIR": home,
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": f"{home}/ui",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",  # a third of the server's time, measured at 300 tasks
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "50",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "50",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "HERDBOOK_ROOT": str(root.resolve()),  # prefect.yaml's pull step goes there
    }


@dataclass(frozen=True)
class Api:
    """An API of Prefect; one that was just started answers when `wait` returns, which may raise HerdbookError."""

    url: str
    wait: Callable[[], object] = lambda: None


@contextmanager
def reporting(root: Path) -> Iterator[Api]:
    """Point Prefect at an API, and yield it: the one that PREFECT_API_URL names, else that of
    `make serve` where it runs in this checkout, else one that lives as long as this block."""
    given = os.environ.get("PREFECT_API_URL")
    os.environ.update({name: value for name, value in settings(root).items() if not (given and name == "PREFECT_HOME")})
    if given and not _is_healthy(given):
        raise HerdbookError(f"{given}: no Prefect server answers there; start it, or unset PREFECT_API_URL to do without")
    if url := given or _served(root):
        os.environ["PREFECT_API_URL"] = url
        yield Api(url)
        return
    with started(root, ui=False) as api:
        yield api


@contextmanager
def started(root: Path, ui: bool, port: int = 0) -> Iterator[Api]:
    """Run an API on loopback, with UI and scheduler or without both. Port 0 is any free one.

    PREFECT_API_URL names it while it runs. Raises HerdbookError where the port is taken."""
    try:
        listener = socket.create_server((_LOOPBACK, port))
    except OSError as error:
        raise HerdbookError(f"{_LOOPBACK}:{port}: {os.strerror(error.errno or 0)}; choose another port (make serve PORT=4201)") from error
    base = f"http://{_LOOPBACK}:{listener.getsockname()[1]}"
    environment = {
        **os.environ, **settings(root), "PREFECT_SERVER_UI_ENABLED": str(ui).lower(), "PREFECT_UI_API_URL": f"{base}/api",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": base, "PREFECT__SERVER_FINAL": "1",
        **({} if ui else {"PREFECT__SERVER_EPHEMERAL": "1"}),
    }  # fmt: skip
    environment.pop("PREFECT_API_URL", None)
    log = root / HOME / "server.log"
    with listener, _opened(log) as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.api", str(listener.fileno())], pass_fds=[listener.fileno()], stdin=subprocess.PIPE,
            stdout=output, stderr=output, start_new_session=True, env=environment, cwd=root,
        )  # fmt: skip
    os.environ["PREFECT_API_URL"] = f"{base}/api"
    is_up = False

    def wait() -> None:
        nonlocal is_up
        _wait_until_healthy(f"{base}/api", process, log)
        is_up = True

    try:
        yield Api(f"{base}/api", wait)
    finally:
        os.environ.pop("PREFECT_API_URL", None)
        if not is_up:
            process.kill()  # it knows nothing yet, and would end only after it had started
        _stop(process)


@contextmanager
def announced(root: Path, url: str) -> Iterator[None]:
    """Let runs in this checkout find the API at `url`."""
    write_json(root / _SERVING, {"url": url})
    try:
        yield
    finally:
        (root / _SERVING).unlink(missing_ok=True)


def sent() -> None:
    """Have Prefect send now what it would send a server by and by."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all()
    APILogWorker.drain_all()


def lost(root: Path, api: Api, error: Exception) -> str:
    """Why the end of a run at `root` is not in Prefect, and what to do."""
    what = "Prefect's server could not record the end of the run"
    if shutil.disk_usage(root).free < _FULL_BYTES:
        return f"{root}: the disk is full, so {what}; make room, then run again: what is finished is kept"
    return f"{api.url}: {what} ({type(error).__name__}: {' '.join(str(error).split())}); run again: what is finished is kept"


def settled(state: "State") -> None:
    """Wait until a server that was sent all of a flow run knows it: it writes task runs and logs in batches, later.

    Stopped before, it would lose them. A server that does not answer any more is waited for no longer."""
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.exceptions import PrefectException

    run = state.state_details.flow_run_id
    if run is None:
        return
    deadline = time.monotonic() + _SETTLE_SECONDS
    with contextlib.suppress(httpx.HTTPError, PrefectException), get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            runs = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])))
            if all(task.state and task.state.is_final() for task in runs):
                return
            time.sleep(0.2)


def _opened(log: Path) -> BinaryIO:
    try:
        log.parent.mkdir(mode=0o700, exist_ok=True)
        return log.open("wb")
    except OSError as error:
        raise HerdbookError(f"{log}: {error.strerror}; make room or allow it, then run again") from error


def _served(root: Path) -> str | None:
    try:
        url = str(json.loads((root / _SERVING).read_text(encoding="utf-8"))["url"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return url if url.startswith(f"http://{_LOOPBACK}:") and _is_healthy(url) else None


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException, ValueError):
        return False


def _wait_until_healthy(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _is_healthy(url):
        if process.poll() is not None:
            raise HerdbookError(_ended(process.returncode, log))
        if time.monotonic() > deadline:
            raise HerdbookError(f"{url}: Prefect's server did not start within {_START_SECONDS} s; see {log}")
        time.sleep(0.1)


def _ended(status: int, log: Path) -> str:
    """Why a server ended while it started, as far as its log and the disk tell."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if _ERROR.match(line)), lines[-1] if lines else "it said nothing")
    if any(words in last for words in _FULL) or shutil.disk_usage(log.parent).free < _FULL_BYTES:
        return f"{log.parent}: the disk is full, so Prefect's server ended while it started (see {log}); make room there, then run again"
    how = f"by signal {-status}" if status < 0 else f"with status {status}"
    return f"Prefect's server ended {how} while it started: {one_line(last)}; see {log}, mend what it says, then run again"


def _stop(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin
    process.stdin.close()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
