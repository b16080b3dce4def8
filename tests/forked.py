"""Replays run python in forks of a process that has imported the heavy libraries: for tests in which a cold start is not the point.

The code that runs is that of the folder it runs in, as it is in a fresh interpreter there."""

import importlib
import os
import sys
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


def _run(folder: str, words: tuple[str, ...], environment: dict[str, str], said: list[str]) -> None:
    for descriptor, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, folder)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("herdbook", "stages")]:
        del sys.modules[name]
    option, what, *more = words
    if option == "-c":
        exec(what, {})
    else:
        sys.exit(importlib.import_module(f"{what}.__main__").run_stage(more))
