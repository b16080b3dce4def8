"""Bring one stage up to date, as `dvc repro` would."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dvc.exceptions import DvcException

from flows.command import Commands, MachineError, StageError
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


def reproduce(pipeline: Pipeline, commands: Commands, name: str, log: Callable[[str], object]) -> str:
    """Run a changed stage or take its result from the run-cache, and record it; which of the two it was."""
    with told(name):
        command = pipeline.take(name)
        if command:
            commands.run(name, command, log)
        pipeline.record(name)
    return RAN if command else RESTORED
