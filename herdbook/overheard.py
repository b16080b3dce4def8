"""A stage run in a process of its own, whose bar, which it draws as it would for a terminal, is read and told on."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from herdbook.phases import Begin

_TERMINAL = {"TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1", "TERM": "xterm", "COLUMNS": "200"}  # what rich goes by
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_BAR = re.compile(r"(\d+)% +[\d-]+:[\d-]+:[\d-]+")  # what progress.steps draws ends with the percentage and the time left


def run(words: Sequence[str], folder: Path, environment: Mapping[str, str], phase: str, begin: Begin) -> "subprocess.CompletedProcess[str]":
    """Run a command there, and tell the percentage of each bar that it draws as one of `phase`; its stderr, bars left out.

    When this is interrupted the command is killed."""
    shown, advance, said = 100, begin(phase), list[str]()
    with subprocess.Popen(
        words, cwd=folder, env={**environment, **_TERMINAL}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, errors="replace",
    ) as child:  # fmt: skip
        try:
            for line in child.stderr or ():  # a bar is drawn over after a carriage return, which ends a line here
                if (found := _BAR.search(plain := _ESCAPES.sub("", line))) is None:
                    said.append(plain)
                    continue
                if (now := int(found[1])) < shown:
                    shown, advance = 0, begin(phase, 100)
                advance(now - shown)
                shown = now
        except BaseException:
            child.kill()
            raise
    return subprocess.CompletedProcess(words, child.returncode, "", "".join(said))
