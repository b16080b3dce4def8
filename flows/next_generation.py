"""The flow `next-generation`: add one generation to the parameters, breed it, and propose the change as a branch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from pydantic import PositiveInt

from flows.breed import breed_here, in_turn
from flows.propose import demand_proposable, propose
from flows.turn import WhenBusy
from herdbook.files import write_text
from herdbook.grow import with_one_more_generation
from herdbook.layout import BOOK_ROOT, CALIBRATION, GENERATIONS, LOCK, METRICS, PARAMS, VERDICT_RECORD


@flow(name="next-generation", persist_result=False)
def next_generation(jobs: PositiveInt | None = None, when_busy: WhenBusy = "wait") -> State:
    """Breed the generation after the last; the branch `herdbook/gN` holds the parameters, the lock, the root and the metrics.

    When the run fails, params.yaml is as it was, and what is finished is kept for the next try."""
    return in_turn(when_busy, lambda: _grow(jobs))


def _grow(jobs: int | None) -> State:
    grown, child = with_one_more_generation(PARAMS.read_text(encoding="utf-8"))
    branch, parent = f"herdbook/{child}", f"herdbook/g{int(child.removeprefix('g')) - 1}"
    demand_proposable(Path.cwd(), branch)  # now, and not after hours of breeding
    with _params(grown) as keep:
        state = breed_here(jobs)
        if state.is_completed():
            files = list(map(str, (PARAMS, LOCK, BOOK_ROOT, METRICS, GENERATIONS, VERDICT_RECORD, CALIBRATION)))
            commit = propose(Path.cwd(), branch, parent, files, f"Breed {child}")
            get_run_logger().info("proposed as branch %s (%s)", branch, commit[:12])
            keep()
    return state


@contextmanager
def _params(grown: str) -> Iterator[Callable[[], None]]:
    """Put `grown` into params.yaml, and take it out again at the end unless the yielded function was called."""
    before, kept = PARAMS.read_text(encoding="utf-8"), []
    write_text(PARAMS, grown)
    try:
        yield lambda: kept.append(True)
    finally:
        if not kept and PARAMS.read_text(encoding="utf-8") == grown:  # else a person has edited it meanwhile
            write_text(PARAMS, before)
