"""Bring one stage up to date, as `dvc repro` would."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from dvc.exceptions import DvcException

from flows.command import Commands, MachineError, StageError, Usage
from flows.pipeline import Pipeline
from herdbook.errors import HerdbookError

UNCHANGED, RESTORED, RAN = "unchanged", "restored", "ran"


@contextmanager
def told(name: str) -> Iterator[None]:
    """Whatever a person can mend about a stage is raised as one line that names it: StageError, or MachineError as it is."""
    try:
        yield
    except (StageError, MachineError):
        raise
    except (HerdbookError, DvcException) as error:
        raise StageError(f"{name}: {' '.join(str(error).split())}") from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise StageError(
            f"{name}: {where}{error.strerror or os.strerror(error.errno or 0)}; make room or allow it, then run again"
        ) from error
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
    with told(name):
        command = pipeline.take(name)
        usage = commands.run(name, command, log) if command else Usage()
        pipeline.record(name)
    return Reproduced(name=name, how=RAN if command else RESTORED, started=started, seconds=round(time.monotonic() - begun, 3), usage=usage)
