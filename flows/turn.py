"""One run at a time in a checkout."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from herdbook.errors import HerdbookError

WhenBusy = Literal["refuse", "wait", "skip"]


class BusyError(HerdbookError):
    """Another run is under way in this checkout."""


@contextmanager
def turn(root: Path, when_busy: WhenBusy = "refuse") -> Iterator[None]:
    """Hold the right to run at `root`; it ends with this process, however that ends.

    Raises BusyError with the pid and the start of the run that holds it, unless `when_busy` is wait."""
    path = root / ".dvc" / "tmp" / "herdbook-run.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise HerdbookError(f"{path}: {error.strerror}; allow writing there, then run again") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if when_busy == "wait" else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise BusyError(f"{root}: a run is under way here ({_told(file.read())}); wait for it, or end it with kill PID") from error
        file.seek(0)
        file.truncate()
        json.dump({"pid": os.getpid(), "started": datetime.now(UTC).isoformat(timespec="seconds")}, file)
        file.flush()
        yield


def _told(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"pid {holder['pid']}, since {holder['started']}"
    except (ValueError, KeyError, TypeError):
        return "it has only just begun"
