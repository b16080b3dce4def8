"""Run a stage's commands so that they can always be ended: by an interrupt, and by the death of this process."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.guard import end_group
from flows.pipeline import Command
from herdbook.errors import HerdbookError
from herdbook.warm import socket_path


class StageError(HerdbookError):
    """A stage failed on its own: running it again would fail again."""


class MachineError(HerdbookError):
    """The machine failed a stage, as by a signal: running it again may help."""


class Commands:
    """The commands that run now, each in its own process group, and the guard that ends them when this process dies.

    Made by `guarded`."""

    def __init__(self, guard: subprocess.Popen[bytes]) -> None:
        self._guard = guard
        self._groups: set[int] = set()
        self._mutex = threading.Lock()
        self._is_interrupted = False

    def run(self, name: str, command: Command, log: Callable[[str], object]) -> None:
        """Run the lines one after another; each line that they print goes to `log`.

        Raises StageError where one exits with a status of its own, MachineError where a signal ended it."""
        last = ""
        for line in command.lines:
            with self._started(line, command) as process:
                assert process.stdout
                for said in process.stdout:
                    if text := said.decode(errors="replace").rstrip():
                        last = text
                        log(text)
                status = process.wait()
            if status and self._is_interrupted:
                raise StageError(f"{name}: interrupted")
            number = -status if status < 0 else status - 128  # a shell reports its child's signal n as 128 + n
            if number in signal.valid_signals():
                raise MachineError(f"{name}: ended by signal {number}{_hint(number)}{': ' + last if last else ''}")
            if status:
                raise StageError(f"{name}: {last or f'{line[-1]} exited with {status}'}")

    def interrupt(self) -> None:
        """End what runs, at once, and let nothing start any more."""
        with self._mutex:
            self._is_interrupted = True
            for group in self._groups:
                end_group(group)

    @contextmanager
    def _started(self, line: list[str], command: Command) -> Iterator[subprocess.Popen[bytes]]:
        with self._mutex:
            if self._is_interrupted:
                raise StageError(f"{line[-1]}: not started, the run was interrupted")
            process = subprocess.Popen(
                line, cwd=command.directory, env=command.environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            self._groups.add(process.pid)
            self.tell(f"+{process.pid}")
        try:
            yield process
        finally:
            if process.poll() is None:
                end_group(process.pid)
            with process:
                process.wait()
            with self._mutex:
                self._groups.discard(process.pid)
                self.tell(f"-{process.pid}")

    def tell(self, word: str) -> None:
        """Say a word to the guard."""
        assert self._guard.stdin
        self._guard.stdin.write(word.encode() + b"\n")
        self._guard.stdin.flush()


def _hint(number: int) -> str:
    return " (SIGKILL, as when memory runs out; use fewer --jobs or smaller sizes)" if number == signal.SIGKILL else ""


@contextmanager
def guarded() -> Iterator[Commands]:
    """Commands that end with this block, or with this process if it is killed, as does the preloaded process of their stages."""
    command = [sys.executable, "-I", str(Path(__file__).with_name("guard.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as guard:
        commands = Commands(guard)
        commands.tell(f"={socket_path(Path.cwd())}")
        yield commands  # then the pipe closes
