"""One preloaded process whose forks run stages, so that start-up does not dominate.

Importing torch, transformers and Great Expectations costs 6 to 9 s of CPU, a fork of a process that has hundredths of one. It belongs
to one user, one checkout and one set of installed packages, starts on demand, and ends when idle. A fork ends when its caller does."""

import contextlib
import ctypes
import fcntl
import gc
import hashlib
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from herdbook.errors import HerdbookError

IDLE_SECONDS = 60
_START_SECONDS = 120  # a loaded machine takes a while to import everything; connecting needs only the bind
_REQUEST_BYTES = 1 << 20
_ANSWER = struct.Struct("!iqd")  # exit status, peak resident bytes, CPU seconds
DIED = "the preloaded process died; run again, or set HERDBOOK_COLD=1 to do without it"
USAGE = "HERDBOOK_USAGE"  # names a file that is to be told what a stage used
_LAUNCHER = (
    "herdbook/__init__.py", "herdbook/errors.py", "herdbook/layout.py", "herdbook/numeric.py", "herdbook/warm.py",
    "stages/__init__.py", "stages/__main__.py",
)  # fmt: skip
_SOCKET_PATH_BYTES = 107  # sun_path of unix(7), less its final NUL


def socket_path(root: Path) -> Path:
    """Where the process of this user, this checkout and these packages listens; its folder is private."""
    folder = _runtime_folder() / f"herdbook-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077 or folder.is_symlink():
        raise HerdbookError(f"{folder}: must be a folder of yours with mode 0700; remove it, or set HERDBOOK_COLD=1")
    # The launcher and what it imports live on in every fork, so the process serves these bytes of them only.
    launcher = [path.read_bytes().hex() for path in map(Path, _LAUNCHER) if path.is_file()]
    packages = sorted(path.name for path in Path(sysconfig.get_path("purelib")).glob("*.dist-info"))
    key = hashlib.sha256("\0".join([str(root.resolve()), sys.prefix, sys.version, *packages, *launcher]).encode())
    path = folder / f"{key.hexdigest()[:16]}.sock"
    if len(os.fsencode(path)) > _SOCKET_PATH_BYTES:
        raise HerdbookError(f"{path}: too long for a socket (at most {_SOCKET_PATH_BYTES} bytes); set XDG_RUNTIME_DIR to a shorter folder")
    return path


def _runtime_folder() -> Path:
    """XDG_RUNTIME_DIR where it is a folder (under su and in containers it may not be), or that of temporary files."""
    named = os.environ.get("XDG_RUNTIME_DIR")
    return Path(named) if named and Path(named).is_dir() else Path(tempfile.gettempdir())


# The caller.


@dataclass(frozen=True)
class Answer:
    """How a fork ended: its exit status, -n where signal n ended it, and what it used."""

    status: int
    peak_memory_bytes: int
    cpu_seconds: float


def call(argv: Sequence[str], server: Sequence[str], environment: dict[str, str]) -> int:
    """Run `argv` in a fork of the preloaded process that has this process's stdout and stderr.

    Returns its exit status, 128 + n where signal n ended it."""
    with ask(argv, server, environment) as connection:
        try:
            answer = answered(connection)
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
    if answer is None:
        print(f"{' '.join(argv)}: {DIED}", file=sys.stderr)
        return 128 + signal.SIGKILL
    tell_usage(environment, answer.peak_memory_bytes, answer.cpu_seconds)
    if answer.status == -signal.SIGKILL:
        print(
            f"{' '.join(argv)}: killed (signal 9), as when memory runs out; free memory or use smaller sizes, then run again",
            file=sys.stderr,
        )
    return answer.status if answer.status >= 0 else 128 - answer.status


def ask(argv: Sequence[str], server: Sequence[str], environment: dict[str, str], outputs: tuple[int, int] = (1, 2)) -> socket.socket:
    """Have `argv` run in a fork of the preloaded process, started with `server` + its socket where none runs.

    The fork has `outputs` for its stdout and stderr, this process's working directory, and `environment`. It ends when the connection
    that is returned does. Raises HerdbookError where the preloaded process does not start."""
    request = json.dumps({"argv": list(argv), "cwd": str(Path.cwd()), "environment": environment}).encode()
    for _ in range(2):  # one that is idle may end between the two
        connection = _connect(socket_path(Path.cwd()), server, environment)
        try:
            socket.send_fds(connection, [len(request).to_bytes(4, "big") + request], outputs)
            return connection
        except (BrokenPipeError, ConnectionResetError):
            connection.close()
    raise HerdbookError(DIED)


def answered(connection: socket.socket) -> Answer | None:
    """Wait until the fork has ended; None where the preloaded process did, or the connection was shut down."""
    try:
        answer = connection.recv(_ANSWER.size, socket.MSG_WAITALL)
    except ConnectionResetError:
        answer = b""
    return Answer(*_ANSWER.unpack(answer)) if len(answer) == _ANSWER.size else None


def start(server: Sequence[str], environment: dict[str, str]) -> None:
    """Start the preloaded process where none runs, and do not wait for its imports."""
    _connect(socket_path(Path.cwd()), server, environment).close()


def tell_usage(environment: Mapping[str, str], peak_memory_bytes: int, cpu_seconds: float) -> None:
    """Write what a stage used to the file that the environment names, if it names one."""
    if path := environment.get(USAGE):
        Path(path).write_text(json.dumps({"peak_memory_bytes": peak_memory_bytes, "cpu_seconds": round(cpu_seconds, 3)}), encoding="utf-8")


def _connect(path: Path, server: Sequence[str], environment: dict[str, str]) -> socket.socket:
    if connection := _try_connect(path):
        return connection
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one caller starts it, the others wait
        if connection := _try_connect(path):
            return connection
        path.unlink(missing_ok=True)
        with path.with_suffix(".log").open("w") as log:
            process = subprocess.Popen(
                [*server, str(path)], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if connection := _try_connect(path):
                threading.Thread(target=process.wait, daemon=True).start()  # it may outlive this process, or end before it
                return connection
            time.sleep(0.02)
    raise HerdbookError(f"the preloaded process did not start; see {path.with_suffix('.log')}, or set HERDBOOK_COLD=1 to do without it")


def _try_connect(path: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


# The preloaded process.


def serve(path: Path, prepare: Callable[[], Callable[[list[str]], int]]) -> int:
    """Listen at `path`, call `prepare`, then fork what it returned, `run(argv)`, for each caller until idle.

    Raises HerdbookError where the launcher was edited meanwhile, for then nobody knows which bytes of it were imported."""
    listener = socket.socket(socket.AF_UNIX)
    os.umask(0o177)
    listener.bind(str(path))
    listener.listen(256)
    os.umask(0o022)
    run = prepare()
    if socket_path(Path.cwd()) != path:
        raise HerdbookError("the launcher was edited while the preloaded process started; run again")
    gc.collect()
    gc.freeze()  # the forks share these pages as long as nobody counts references in them
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _serve_until_idle(listener, path, run)
    return 0


def _serve_until_idle(listener: socket.socket, path: Path, run: Callable[[list[str]], int]) -> None:
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    forks: dict[int, tuple[socket.socket, int]] = {}  # pid -> its caller, its pidfd
    inode = path.stat().st_ino
    while _is_at(path, inode) or forks:
        events = selector.select(timeout=None if forks else IDLE_SECONDS)
        if not events:
            path.unlink(missing_ok=True)
            if not (events := selector.select(timeout=0)):  # a caller may have come just before the unlink
                return
        for key, _ in events:
            if key.fileobj is listener:
                caller, _address = listener.accept()
                if (request := _receive(caller)) is None:
                    caller.close()
                    continue
                pid = _fork(*request, caller, listener, run)
                pidfd = os.pidfd_open(pid)
                forks[pid] = caller, pidfd
                selector.register(caller, selectors.EVENT_READ, pid)
                selector.register(pidfd, selectors.EVENT_READ, pid)
            elif key.data not in forks:  # it has ended in this very round
                continue
            elif isinstance(key.fileobj, socket.socket):  # the caller went away
                selector.unregister(key.fileobj)
                _kill(key.data)
            else:
                _finish(selector, forks, key.data)


def _is_at(path: Path, inode: int) -> bool:
    return path.exists() and path.stat().st_ino == inode


def _kill(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(pid, signal.SIGKILL)  # it has not made its group yet


def _finish(selector: selectors.BaseSelector, forks: dict[int, tuple[socket.socket, int]], pid: int) -> None:
    caller, pidfd = forks.pop(pid)
    _, status, used = os.wait4(pid, 0)
    selector.unregister(pidfd)
    os.close(pidfd)
    if caller in (key.fileobj for key in selector.get_map().values()):
        selector.unregister(caller)
        with contextlib.suppress(OSError):  # it went away at this very moment, and needs no answer
            caller.sendall(_ANSWER.pack(os.waitstatus_to_exitcode(status), used.ru_maxrss * 1024, used.ru_utime + used.ru_stime))
    caller.close()


def _fork(
    request: dict[str, Any], descriptors: list[int], caller: socket.socket, listener: socket.socket, run: Callable[[list[str]], int]
) -> int:
    pid = os.fork()
    if pid == 0:
        caller.close()
        listener.close()
        _be_the_fork(request, descriptors, run)
    for descriptor in descriptors:
        os.close(descriptor)
    return pid


def _receive(caller: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """A request and its stdout and stderr; None where the caller went away before it had said all.

    From then on a readable caller is one that went away."""
    data, descriptors, _flags, _address = socket.recv_fds(caller, _REQUEST_BYTES, 2)
    while len(data) < 4 or len(data) < int.from_bytes(data[:4], "big") + 4:
        more = caller.recv(_REQUEST_BYTES)
        if not more:
            for descriptor in descriptors:
                os.close(descriptor)
            return None
        data += more
    return json.loads(data[4:]), descriptors


def _be_the_fork(request: dict[str, Any], descriptors: list[int], run: Callable[[list[str]], int]) -> NoReturn:
    status = 1
    try:
        os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: never outlive the preloaded process
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        for target, descriptor in zip((1, 2), descriptors, strict=True):
            os.dup2(descriptor, target)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"])
        status = run(request["argv"])
    except BaseException:  # the process ends here whatever happened, and must not fall into the server's loop
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
