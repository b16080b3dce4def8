"""Run a stage's commands so that they can always be ended: by an interrupt, and by the death of this process."""

import contextlib
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from flows.guard import end_group
from flows.pipeline import Command
from herdbook.errors import HerdbookError
from herdbook.files import read_json
from herdbook.layout import stage_names
from herdbook.warm import DIED, USAGE, Answer, answered, ask, socket_path
from stages.__main__ import SERVER, environment_of

_LAUNCHER = ["python", "-m", "stages"]
_DEATH_SECONDS = 2  # longer takes only what has not begun: the preloaded process, which has the pipe, is still importing
_WORD = re.compile(r"[\w.@/-]+")  # means itself to every shell


class StageError(HerdbookError):
    """A stage failed on its own: running it again would fail again."""


class MachineError(HerdbookError):
    """The machine failed a stage, as by a signal: running it again may help."""


@dataclass(frozen=True)
class Usage:
    """What a stage used of the machine, where it told."""

    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None


class _Process:
    """A line that runs in a process group of its own."""

    def __init__(self, line: list[str], command: Command, told: Path) -> None:
        self._told = told
        self._process = subprocess.Popen(
            line, cwd=command.directory, env={**command.environment, USAGE: str(told)}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self.group: int | None = self._process.pid

    def said(self) -> Iterator[bytes]:
        assert self._process.stdout
        yield from self._process.stdout

    def wait(self) -> tuple[int, Usage]:
        status = self._process.wait()
        return status, Usage(**read_json(self._told)) if self._told.exists() else Usage()

    def end(self) -> None:
        end_group(self._process.pid)

    def close(self) -> None:
        if self._process.poll() is None:
            self.end()
        with self._process:
            self._process.wait()


class _Fork:
    """A stage that runs as a fork of the preloaded process, which ends it with its connection."""

    group = None

    def __init__(self, argv: list[str], command: Command) -> None:
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(writing, True)
        self._pipe = os.fdopen(reading, "rb", buffering=0)
        try:
            self._connection = ask(argv, SERVER, environment_of(command.environment), (writing, writing))
        except BaseException:
            self._pipe.close()
            raise
        finally:
            os.close(writing)
        self._answer: Answer | None = None
        self._is_ended = False

    def said(self) -> Iterator[bytes]:
        """Until the connection tells the end: the pipe may be held for longer, by what the stage left, or by what has not begun yet."""
        rest = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            selector.register(self._connection, selectors.EVENT_READ)
            is_over = False
            while not is_over:
                ready = [key.fileobj for key, _ in selector.select()]
                is_over = self._connection in ready
                if (said := self._pipe.readall()) == b"" and not is_over:
                    selector.unregister(self._pipe)  # its other end is closed
                *lines, rest = (rest + (said or b"")).split(b"\n")
                yield from lines
        yield rest
        self._answer = answered(self._connection)
        if self._answer is None:
            self._wait_for_death()
            if not self._is_ended:
                yield DIED.encode()

    def _wait_for_death(self) -> None:
        """A killed fork dies a moment after its connection, and writes no more when it holds the pipe no more."""
        deadline = time.monotonic() + _DEATH_SECONDS
        while self._pipe.readall() != b"" and time.monotonic() < deadline:
            time.sleep(0.01)

    def wait(self) -> tuple[int, Usage]:
        if self._answer is None:
            return -signal.SIGKILL, Usage()
        return self._answer.status, Usage(self._answer.peak_memory_bytes, round(self._answer.cpu_seconds, 3))

    def end(self) -> None:
        self._is_ended = True
        with contextlib.suppress(OSError):  # it has ended
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()
        self._pipe.close()


class Commands:
    """The commands that run now, and the guard that ends their process groups when this process dies.

    A stage needs no process of its own that waits for its fork: this one does. Made by `guarded`."""

    def __init__(self, guard: subprocess.Popen[bytes], scratch: Path) -> None:
        self._guard, self._scratch = guard, scratch
        self._running: set[_Process | _Fork] = set()
        self._mutex = threading.Lock()
        self._is_interrupted = False

    def run(self, name: str, command: Command, log: Callable[[str], object]) -> Usage:
        """Run the lines one after another; each line that they print goes to `log`.

        Returns what the last line told of its use of the machine. Raises StageError where a line exits with a
        status of its own, MachineError where a signal ended it."""
        last, usage = "", Usage()
        for line in command.lines:
            with self._started(line, command) as running:
                for said in running.said():
                    if text := said.decode(errors="replace").rstrip():
                        last = text
                        log(text)
                status, usage = running.wait()
            if status and self._is_interrupted:
                raise StageError(f"{name}: interrupted")
            number = -status if status < 0 else status - 128  # a shell reports its child's signal n as 128 + n
            if number in signal.valid_signals():
                raise MachineError(f"{name}: ended by signal {number}{_hint(number)}{': ' + last if last else ''}")
            if status:
                raise StageError(f"{name}: {_mendable(last, command) or f'{line[-1]} exited with {status}'}")
        return usage

    def interrupt(self) -> None:
        """End what runs, at once, and let nothing start any more."""
        with self._mutex:
            self._is_interrupted = True
            for running in self._running:
                running.end()

    @contextmanager
    def _started(self, line: list[str], command: Command) -> Iterator[_Process | _Fork]:
        if self._is_interrupted:
            raise StageError(f"{line[-1]}: not started, the run was interrupted")
        argv = _stage_of(line, command)
        running = _Fork(argv, command) if argv else _Process(line, command, self._scratch / f"{uuid4()}.json")
        with self._mutex:
            self._running.add(running)
            if running.group:
                self.tell(f"+{running.group}")
            if self._is_interrupted:  # between the question above and here
                running.end()
        try:
            yield running
        finally:
            running.close()
            with self._mutex:
                self._running.discard(running)
                if running.group:
                    self.tell(f"-{running.group}")

    def tell(self, word: str) -> None:
        """Say a word to the guard."""
        assert self._guard.stdin
        self._guard.stdin.write(word.encode() + b"\n")
        self._guard.stdin.flush()


def _stage_of(line: list[str], command: Command) -> list[str] | None:
    """The words of a stage, where a line says nothing else and the stage is to be forked here."""
    words = line[-1].strip(" ").split(" ")
    is_stage = words[:3] == _LAUNCHER and all(map(_WORD.fullmatch, words)) and words[3:4] in [[name] for name in stage_names(Path())]
    return words[3:] if is_stage and command.directory == Path.cwd() and not command.environment.get("HERDBOOK_COLD") else None


def _mendable(last: str, command: Command) -> str:
    """The last line of a stage; where it is python's or a library's word of a full disk, with what to do."""
    if "No space left on device" not in last or "make room" in last:
        return last
    return f"{command.directory}: the disk is full ({last}); make room, then run again"


def _hint(number: int) -> str:
    return " (SIGKILL, as when memory runs out; use fewer --jobs or smaller sizes)" if number == signal.SIGKILL else ""


@contextmanager
def guarded() -> Iterator[Commands]:
    """Commands that end with this block, or with this process if it is killed, as does the preloaded process of their stages."""
    command = [sys.executable, "-I", str(Path(__file__).with_name("guard.py"))]
    with (
        tempfile.TemporaryDirectory(prefix="herdbook-") as scratch,
        subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as guard,
    ):
        commands = Commands(guard, Path(scratch))
        if not os.environ.get("HERDBOOK_COLD"):
            commands.tell(f"={socket_path(Path.cwd())}")
        yield commands  # then the pipe closes
