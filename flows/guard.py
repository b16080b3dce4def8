"""Outlive a runner by a moment: when its end of the pipe closes, end what it left running.

Reads a line each from stdin: `+GROUP` and `-GROUP` (a process group began and ended), `=SOCKET` (where the
preloaded process of its stages listens)."""

import contextlib
import os
import signal
import socket
import struct
import sys
from pathlib import Path


def end_group(group: int) -> None:
    """Kill a process group, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def end_server(path: str) -> None:
    """End the process that listens at a socket, if one does; its forks end with it."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        Path(path).unlink()
        os.kill(struct.unpack("3i", credentials)[0], signal.SIGTERM)


def main() -> None:
    """Follow the runner until it ends."""
    groups: set[int] = set()
    path = None
    for line in sys.stdin:
        word, rest = line[0], line[1:].rstrip("\n")
        if word == "=":
            path = rest
        else:
            groups.add(int(rest)) if word == "+" else groups.discard(int(rest))
    for group in groups:
        end_group(group)
    if path:
        end_server(path)


if __name__ == "__main__":
    main()
