"""The flow `breed`: bring the whole pipeline up to date, stages side by side, seen in Prefect."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import copy_context
from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed
from prefect.tasks import Task
from pydantic import PositiveInt

from flows.announce import Announcer
from flows.attest import attest
from flows.command import Commands, MachineError, StageError, guarded
from flows.pipeline import Pipeline, opened
from flows.reproduce import UNCHANGED, Reproduced, reproduce, told
from flows.turn import BusyError, WhenBusy, turn
from flows.walk import Outcome, num_cores, walk
from herdbook.attest import demand_key
from herdbook.errors import HerdbookError
from herdbook.files import read_json
from herdbook.layout import BOOK, METRICS, PARAMS
from herdbook.params import Params, read_params
from herdbook.run import demand_ready, sweep
from herdbook.summary import num_stopped

RETRIES = 2  # of the machine's faults
SKIPPED = "Skipped"  # the name of the final state of a run that found another one under way
STOPPED_BY_GATE = "StoppedByGate"  # the name of the final state of a run that completed without all its lineages

Watch = Callable[[Outcome[str]], object]


def run_name() -> str:
    """Such as `breed: 4 regimes x 3 seeds, g0-g3`; of the parameters in the working directory."""
    try:
        params = read_params(PARAMS)
    except HerdbookError:
        return "breed"  # the run itself says what is wrong
    return f"breed: {len(params.regimes)} regimes x {len(params.seeds)} seeds, {params.generations[0]}-{params.generations[-1]}"


@flow(name="breed", flow_run_name=run_name, persist_result=False, retries=0)
def breed(jobs: PositiveInt | None = None, when_busy: WhenBusy = "wait") -> State:
    """Breed what `params.yaml` asks for and has not been bred. When a run is under way here: wait, skip or refuse."""
    return in_turn(when_busy, lambda: breed_here(jobs))


def in_turn(when_busy: WhenBusy, work: Callable[[], State]) -> State:
    """Do `work` when no other run is under way here; what stops it becomes the final state, in one line."""
    try:
        with turn(Path.cwd(), when_busy):
            return work()
    except BusyError as error:
        return Completed(message=str(error), name=SKIPPED) if when_busy == "skip" else Failed(message=str(error))
    except HerdbookError as error:
        return Failed(message=str(error))


def breed_here(jobs: int | None) -> State:
    """Walk the pipeline in the working directory, whose turn the caller holds, inside a flow run; its final state."""
    sweep()
    params = demand_ready()
    demand_key()
    with opened(Path.cwd()) as pipeline:
        return breed_over(pipeline, params, jobs or num_cores())


def breed_over(pipeline: Pipeline, params: Params, jobs: int, watch: Watch = lambda outcome: None) -> State:
    """Walk an open pipeline inside a flow run; its final state. `watch` is told of each end of a stage."""
    announcer = Announcer(params, pipeline.stages)
    made: list[Reproduced] = []
    context = copy_context()  # threads of the walk report to this flow run
    with guarded() as commands:
        stage = _stage_task(pipeline, commands, announcer, made)

        def ended(outcome: Outcome[str]) -> None:
            announcer.progressed(outcome)
            watch(outcome)

        try:
            outcome = walk(
                pipeline.plan, pipeline.needs, lambda name: context.copy().run(_run, stage, pipeline, name), jobs, commands.interrupt, ended
            )
        except (KeyboardInterrupt, TerminationSignal):
            return Cancelled(message="stopped by a person; what is finished is recorded")
    announcer.progressed(outcome, is_last=True)
    try:
        pipeline.flush()
    except HerdbookError as error:
        if not outcome.failed:  # else that is told
            return Failed(message=str(error))
    return _final_state(outcome, pipeline, announcer, made)


def counted(outcome: Outcome[str], stages: Sequence[str]) -> str:
    """How many of `stages` ended how, such as `226 ran, 55 unchanged`."""
    hows = Counter(outcome.done[name] for name in stages if name in outcome.done)
    return ", ".join(f"{count} {how}" for how, count in sorted(hows.items()))


def _final_state(outcome: Outcome[str], pipeline: Pipeline, announcer: Announcer, made: Sequence[Reproduced]) -> State:
    counts = counted(outcome, pipeline.stages)
    if outcome.failed:
        announcer.failed(outcome, pipeline.plan)
        first = next(iter(outcome.failed.values()))
        ended = ", ".join(filter(None, [f"{len(outcome.failed)} failed", f"{len(outcome.skipped)} skipped", counts]))
        return Failed(message=f"{ended}; first: {first}")
    announcer.finished()
    if BOOK.name in outcome.done:
        try:
            attest(made, {each.name: pipeline.command_of(each.name) for each in made}, str(flow_run.id))
        except HerdbookError as error:
            return Failed(message=f"all stages stand, but this run is not attested: {error}")
    if stopped := num_stopped(read_json(METRICS)):
        return Completed(message=f"{stopped} generations were not bred: a gate ended their lineage; {counts}", name=STOPPED_BY_GATE)
    return Completed(message=counts)


def _run(stage: "Task[[str], str]", pipeline: Pipeline, name: str) -> str:
    """One stage of the walk; a task run only for what has to be done."""
    with told(name, pipeline.cache):
        if not pipeline.is_changed(name):
            return UNCHANGED
    state: State[str] = stage.with_options(task_run_name=name)(name, return_state=True)
    if state.is_completed():
        return state.message or ""
    raise StageError(state.message or f"{name}: {state.name}")


def _stage_task(pipeline: Pipeline, commands: Commands, announcer: Announcer, made: list[Reproduced]) -> "Task[[str], str]":
    """The task that brings one stage up to date. DVC caches, so Prefect must not; only the machine's faults are tried again."""

    @task(name="stage", retries=RETRIES, retry_condition_fn=_is_machine_fault, cache_policy=NO_CACHE, persist_result=False)
    def stage(name: str) -> State:
        logger = get_run_logger()
        try:
            done = reproduce(pipeline, commands, name, lambda line: logger.info("%s", line))
            made.append(done)
            announcer.stage_ended(name)
        except MachineError:
            raise  # so that it is tried again
        except HerdbookError as error:
            return Failed(message=str(error))
        return Completed(message=done.how)

    return stage  # type: ignore[return-value]


def _is_machine_fault(task: object, run: TaskRun, state: State) -> bool:
    try:
        state.result(raise_on_failure=True)
    except MachineError:
        return True
    except BaseException:  # whatever else it was would fail again
        return False
    return False
