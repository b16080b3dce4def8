"""Outlive a runner by a moment: when its end of the pipe closes, kill the process groups that it has not taken back.

Reads `+GROUP` and `-GROUP`, a line each, from stdin."""

import contextlib
import os
import signal
import sys


def main() -> None:
    """Follow the runner until it ends."""
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        groups.add(group) if line[0] == "+" else groups.discard(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
