"""Run a stage's commands so that they can always be ended: by an interrupt, and by the death of this process."""

import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from flows.guard import end_group
from flows.pipeline import Command
from herdbook.errors import HerdbookError
from herdbook.files import read_json
from herdbook.warm import USAGE, socket_path


class StageError(HerdbookError):
    """A stage failed on its own: running it again would fail again."""


class MachineError(HerdbookError):
    """The machine failed a stage, as by a signal: running it again may help."""


@dataclass(frozen=True)
class Usage:
    """What a stage used of the machine, where it told."""

    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None


class Commands:
    """The commands that run now, each in its own process group, and the guard that ends them when this process dies.

    Made by `guarded`."""

    def __init__(self, guard: subprocess.Popen[bytes], scratch: Path) -> None:
        self._guard, self._scratch = guard, scratch
        self._groups: set[int] = set()
        self._mutex = threading.Lock()
        self._is_interrupted = False

    def run(self, name: str, command: Command, log: Callable[[str], object]) -> Usage:
        """Run the lines one after another; each line that they print goes to `log`.

        Returns what the last line told of its use of the machine. Raises StageError where a line exits with a
        status of its own, MachineError where a signal ended it."""
        last = ""
        told = self._scratch / f"{uuid4()}.json"
        environment = {**command.environment, USAGE: str(told)}
        for line in command.lines:
            with self._started(line, command.directory, environment) as process:
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
        return Usage(**read_json(told)) if told.exists() else Usage()

    def interrupt(self) -> None:
        """End what runs, at once, and let nothing start any more."""
        with self._mutex:
            self._is_interrupted = True
            for group in self._groups:
                end_group(group)

    @contextmanager
    def _started(self, line: list[str], directory: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
        with self._mutex:
            if self._is_interrupted:
                raise StageError(f"{line[-1]}: not started, the run was interrupted")
            process = subprocess.Popen(
                line, cwd=directory, env=environment, stdin=subprocess.DEVNULL,
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
    with (
        tempfile.TemporaryDirectory(prefix="herdbook-") as scratch,
        subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as guard,
    ):
        commands = Commands(guard, Path(scratch))
        commands.tell(f"={socket_path(Path.cwd())}")
        yield commands  # then the pipe closes
