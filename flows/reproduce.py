"""Bring one stage up to date, as `dvc repro` would."""

import os
from collections.abc import Callable

from dvc.exceptions import DvcException

from flows.command import Commands, MachineError, StageError
from flows.pipeline import Pipeline
from herdbook.errors import HerdbookError

UNCHANGED, RESTORED, RAN = "unchanged", "restored", "ran"


def reproduce(pipeline: Pipeline, commands: Commands, name: str, log: Callable[[str], object]) -> str:
    """Run a changed stage or take its result from the run-cache, and record it; which of the two it was.

    Raises StageError and MachineError in one line that names the stage."""
    try:
        command = pipeline.take(name)
        if command:
            commands.run(name, command, log)
        pipeline.record(name)
    except (StageError, MachineError):
        raise
    except HerdbookError as error:
        raise StageError(f"{name}: {error}") from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise StageError(
            f"{name}: {where}{error.strerror or os.strerror(error.errno or 0)}; make room or allow it, then run again"
        ) from error
    except MemoryError as error:
        raise StageError(f"{name}: out of memory while its files were recorded; use fewer --jobs") from error
    except DvcException as error:
        raise StageError(f"{name}: {' '.join(str(error).split())}") from error
    return RAN if command else RESTORED
