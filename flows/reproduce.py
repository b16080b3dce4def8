"""Bring one stage up to date, as `dvc repro` would."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dvc.exceptions import CacheLinkError, DvcException

from flows.command import Commands, MachineError, StageError, Usage
from flows.pipeline import Pipeline, refusal
from herdbook.errors import HerdbookError

UNCHANGED, RESTORED, RAN = "unchanged", "restored", "ran"


@contextmanager
def told(name: str, cache: Path) -> Iterator[None]:
    """Whatever a person can mend about a stage is raised as one line that names it: StageError, or MachineError as it is.

    An error that names no file is one of DVC's `cache`."""
    try:
        yield
    except (StageError, MachineError):
        raise
    except CacheLinkError as error:  # its own words, with colours, are of other file systems
        files = ", ".join(error.fs_paths)
        raise StageError(
            f"{name}: {files}: can be neither linked nor copied from {cache}, as on a full disk; make room or allow it, then run again"
        ) from error
    except (HerdbookError, DvcException) as error:
        raise StageError(f"{name}: {' '.join(str(error).split())}") from error
    except (OSError, sqlite3.Error) as error:
        raise StageError(f"{name}: {refusal(error, cache)}") from error
    except MemoryError as error:
        raise StageError(f"{name}: out of memory while its files were recorded; use fewer --jobs") from error


@dataclass(frozen=True, kw_only=True)
class Reproduced:
    """How a stage was brought up to date, and what that took; of a restored stage nothing is known of memory."""

    name: str
    how: str  # RAN or RESTORED
    started: datetime
    seconds: float
    usage: Usage


def reproduce(pipeline: Pipeline, commands: Commands, name: str, log: Callable[[str], object]) -> Reproduced:
    """Run a changed stage or take its result from the run-cache, and record it."""
    started, begun = datetime.now(UTC), time.monotonic()
    with told(name, pipeline.cache):
        command = pipeline.take(name)
        usage = commands.run(name, command, log) if command else Usage()
        pipeline.record(name)
    return Reproduced(name=name, how=RAN if command else RESTORED, started=started, seconds=round(time.monotonic() - begun, 3), usage=usage)
