"""The flow `next-generation`: add one generation to the parameters, breed it, and propose the change as a branch."""

from pathlib import Path

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State

from flows.breed import breed_here, in_turn
from flows.propose import propose
from flows.turn import WhenBusy
from herdbook.files import write_text
from herdbook.grow import with_one_more_generation
from herdbook.layout import GENERATIONS, METRICS, PARAMS


@flow(name="next-generation", persist_result=False)
def next_generation(jobs: int | None = None, when_busy: WhenBusy = "wait") -> State:
    """Breed the generation after the last; the branch `herdbook/gN` holds the parameters, the lock and the metrics.

    When the run fails, params.yaml is as it was, and what is finished is kept for the next try."""
    return in_turn(when_busy, lambda: _grow(jobs))


def _grow(jobs: int | None) -> State:
    before = PARAMS.read_text(encoding="utf-8")
    grown, child = with_one_more_generation(before)
    write_text(PARAMS, grown)
    state = breed_here(jobs)
    if not state.is_completed():
        write_text(PARAMS, before)
        return state
    parent = f"g{int(child.removeprefix('g')) - 1}"
    files = [str(PARAMS), "dvc.lock", str(METRICS), str(GENERATIONS)]
    commit = propose(Path.cwd(), f"herdbook/{child}", f"herdbook/{parent}", files, f"Breed {child}")
    get_run_logger().info("proposed as branch herdbook/%s (%s)", child, commit[:12])
    return state
