"""Forks of one process that has imported the heavy libraries, for tests in which a start is not the point: replays run python in
them, and the preloaded process of a checkout is one.

The code that runs is that of the folder it runs in, as it is in a fresh interpreter there."""

import fcntl
import importlib
import os
import sys
import time
from multiprocessing import get_context
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from subprocess import CompletedProcess

from herdbook.numeric import pinned
from stages.__main__ import PRELOADED

_forkserver = get_context("forkserver")


def preload() -> None:
    """Start the process, which then imports the libraries."""
    _forkserver.set_forkserver_preload(list(PRELOADED))
    ensure_running()


def python(folder: Path, *words: str) -> "CompletedProcess[str]":
    """What rerun._python does with `-m stages NAME ARG...` or `-c CODE`."""
    said = [folder.with_name(f"{folder.name}.{name}") for name in ("out", "err")]
    process = _forkserver.Process(target=_run, args=(str(folder), words, pinned(dict(os.environ)), list(map(str, said))))
    process.start()
    process.join()
    return CompletedProcess(words, process.exitcode or 0, *(path.read_text() for path in said))


def serve(root: Path) -> None:
    """Start the preloaded process that the next stage at `root` would start, if none listens there."""
    preload()
    process = _forkserver.Process(target=_serve, args=(str(root),))
    process.start()
    process.join()
    assert process.exitcode == 0


def _serve(root: str) -> None:
    _enter(root)
    warm, main = (importlib.import_module(name) for name in ("herdbook.warm", "stages.__main__"))
    path = warm.socket_path(Path(root))
    with path.with_suffix(".lock").open("w") as lock:  # as a stage that starts one
        fcntl.flock(lock, fcntl.LOCK_EX)
        if warm._try_connect(path):
            return
        path.unlink(missing_ok=True)
        if not (server := os.fork()):  # nobody waits for it, and it ends when idle or when a run does
            lock.close()
            os.setsid()
            for descriptor in range(3):
                os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
            os._exit(warm.serve(path, main.prepared))
        while not warm._try_connect(path):
            assert os.waitpid(server, os.WNOHANG) == (0, 0), "it ended"
            time.sleep(0.01)


def _run(folder: str, words: tuple[str, ...], environment: dict[str, str], said: list[str]) -> None:
    for descriptor, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    _enter(folder)
    option, what, *more = words
    if option == "-c":
        exec(what, {})
    else:
        sys.exit(importlib.import_module(f"{what}.__main__").run_stage(more))


def _enter(folder: str) -> None:
    """Make a folder the working directory, and its code the code that is imported."""
    os.chdir(folder)
    sys.path.insert(0, folder)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("herdbook", "stages")]:
        del sys.modules[name]
