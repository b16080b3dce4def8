"""A program whose stderr somebody watches on a terminal, and phases whose counts are kept."""

import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

from herdbook.phases import Advance

ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def watched(root: Path, *words: str) -> tuple[int, str, list[str]]:
    """Run `python -m words` at `root` with its stderr on a terminal: status, stdout, and the lines that were drawn there."""
    outer, inner = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE")}
    environment |= {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        [sys.executable, "-m", *words], cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=inner, text=True
    ) as process:
        os.close(inner)
        drawn: list[bytes] = []
        reader = threading.Thread(target=_read, args=(outer, drawn))
        reader.start()
        printed = process.stdout.read() if process.stdout else ""
    reader.join()
    os.close(outer)
    return process.returncode, printed, lines_of(b"".join(drawn).decode())


def _read(terminal: int, drawn: list[bytes]) -> None:
    while True:
        try:
            drawn.append(os.read(terminal, 1 << 16))
        except OSError:  # nobody holds the other end any more
            return


def lines_of(drawn: str) -> list[str]:
    """The lines of what was drawn, also those that were drawn over, as they read."""
    return [line.rstrip() for line in re.split(r"[\r\n]+", ESCAPES.sub("", drawn)) if line.strip()]


class Kept:
    """A Begin that keeps each phase with its total, and how much of it was told to be done."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, int | None]] = []
        self.done: list[int] = []
        self._lock = threading.Lock()

    def __call__(self, phase: str, total: int | None = None) -> Advance:
        place = len(self.phases)
        self.phases.append((phase, total))
        self.done.append(0)

        def advance(count: int) -> None:
            with self._lock:
                self.done[place] += count

        return advance

    @property
    def totals(self) -> dict[str, int]:
        """The phases that were counted beforehand."""
        return {phase: total for phase, total in self.phases if total is not None}

    @property
    def unlike(self) -> list[tuple[str, int, int]]:
        """The phases that ended before or behind their total."""
        return [(phase, total, done) for (phase, total), done in zip(self.phases, self.done, strict=True) if total not in (None, done)]
