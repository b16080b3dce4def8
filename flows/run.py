"""Run the pipeline as a flow.

Where nothing has changed, nothing is started. Else the run is a Prefect flow, reported to a server on this
machine: the one of `make serve`, or one that lives as long as the run."""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.pipeline import Pipeline, demand_plain, opened, refusal
from flows.progress import followed
from flows.server import Api, lost, reporting, sent, settled
from flows.turn import turn
from flows.walk import Outcome, num_cores
from herdbook.attest import demand_key
from herdbook.calibration.check import results
from herdbook.errors import HerdbookError, one_line
from herdbook.files import read_json
from herdbook.interrupt import INTERRUPTED
from herdbook.layout import BOOK_ROOT, METRICS, REPORT, VERDICT_RECORD
from herdbook.params import Params
from herdbook.phases import phases
from herdbook.run import CALIBRATION_FAILED, LINEAGES_STOPPED, demand_ready, sweep
from herdbook.staleness import stage_states
from herdbook.summary import calibration_table, closing_table, num_stopped, verdict_lines
from stages.__main__ import start_preloaded

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

messages = Console(stderr=True, highlight=False)


def run(jobs: int) -> int:
    """Bring the pipeline in the working directory up to date and tell what came out; the exit status."""
    demand_plain(Path.cwd())
    with turn(Path.cwd()):
        sweep()
        demand_key()
        return _run(demand_ready(), jobs)


def _run(params: Params, jobs: int) -> int:
    with phases("comparing files with dvc.lock") as begin:
        is_stale = any(state.is_stale for state in stage_states(Path.cwd(), begin))
    if is_stale:
        with reporting(Path.cwd()) as api:  # its server takes longest to start, then the preloaded process; the pipeline is read meanwhile
            start_preloaded()
            with opened(Path.cwd()) as pipeline:
                if status := _flow(pipeline, params, jobs, api):
                    return status
    else:
        messages.print("nothing to do: every stage is as dvc.lock records it")
    return tell()


def tell() -> int:
    """Print what the run came to, as it stands in reports/; the exit status that this calls for."""
    metrics, judged = read_json(METRICS), read_json(VERDICT_RECORD)
    out = Console(highlight=False)
    out.print(calibration_table(results()))
    out.print(closing_table(metrics))
    for line in verdict_lines(judged):
        out.print(line, soft_wrap=True)
    book = read_json(BOOK_ROOT)
    print(f"book: {book['num_entries']} entries, root {book['root']} (herdbook audit checks it, herdbook trace NAME reads it)")
    print(f"report: {REPORT.resolve()}")
    if failed := judged["calibration_failed"]:
        print(f"calibration failed: {one_line(', '.join(failed))}; no verdict stands until it passes (see the report)")
        return CALIBRATION_FAILED
    if stopped := num_stopped(metrics):
        print(f"{stopped} generations were not bred: a gate ended their lineage (see the report)")
        return LINEAGES_STOPPED
    return 0


def _flow(pipeline: Pipeline, params: Params, jobs: int, api: Api) -> int:
    """Breed as a flow run that is reported to `api`; the exit status."""
    for logs in ("HANDLERS_CONSOLE", "INTERNAL"):  # people get the bar, Prefect gets the logs
        os.environ.setdefault(f"PREFECT_LOGGING_{logs}_LEVEL", "CRITICAL")
    logging.raiseExceptions = False  # where its server does not take them, the end of the run tells it
    outcome: Outcome[str] = Outcome()
    with messages.status("starting Prefect"):
        with _unbroken():
            import httpx
            from prefect import flow
            from prefect.exceptions import PrefectException

            from flows.breed import breed_over, run_name

        api.wait()
    with followed(messages, pipeline.stages) as follow:

        def watch(now: Outcome[str]) -> None:
            nonlocal outcome
            outcome = now
            follow(now)

        @flow(name="breed", flow_run_name=run_name, persist_result=False)
        def breed() -> "State":
            return breed_over(pipeline, params, jobs, watch)

        try:
            state = breed(return_state=True)
        except (httpx.HTTPError, PrefectException) as error:
            raise HerdbookError(lost(Path.cwd(), api, error)) from error
        finally:
            sent()  # of a run that is broken off too, as long as its server is there
    settled(state)
    return _said(state, outcome, pipeline)


def _said(state: "State", outcome: Outcome[str], pipeline: Pipeline) -> int:
    """Say how a flow run ended; the exit status."""
    from flows.breed import counted

    if state.is_cancelled():
        messages.print(state.message, markup=False)
        return INTERRUPTED
    if not state.is_completed():
        if outcome.failed:
            messages.print(_what_stands(outcome, pipeline.plan))
        why = one_line(state.message or state.name or "")
        messages.print(f"breed: {why}; mend it and run again, what is finished is kept", markup=False, soft_wrap=True)
        return 1
    messages.print(f"stages: {counted(outcome, pipeline.stages)}")
    return 0


@contextmanager
def _unbroken() -> Iterator[None]:
    """Hear Ctrl-C only at the end of the block: what is raised within an import may end as another error, or by the signal."""
    heard: list[int] = []
    answered = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is signal.default_int_handler]
    for each in answered:
        signal.signal(each, lambda number, _: heard.append(number))
    try:
        yield
    finally:
        for each in answered:
            signal.signal(each, signal.default_int_handler)
    if heard:
        raise KeyboardInterrupt


def _what_stands(outcome: Outcome[str], plan: list[str]) -> Table:
    drawn = Table("stage", "state", "why")
    for name in plan:
        if name in outcome.failed:
            drawn.add_row(name, "failed", escape(str(outcome.failed[name])))
        elif name in outcome.skipped:
            drawn.add_row(name, "skipped", f"descends from {outcome.skipped[name]}")
    return drawn


def main() -> int:
    """Parse the command line; a user's mistake is one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m flows", description="Bring the pipeline up to date, stages side by side.")
    parser.add_argument(
        "--jobs", type=int, default=num_cores(), help="stages at a time, one thread each (default: the cores of this machine)"
    )
    jobs = parser.parse_args().jobs
    if jobs < 1:
        parser.error(f"--jobs is {jobs}, must be at least 1")
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C; within the flow Prefect sees to it
        return run(jobs)
    except HerdbookError as error:
        print(f"herdbook: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(one_line(f"herdbook: {refusal(error, Path.cwd())}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("herdbook: interrupted; what is finished is recorded", file=sys.stderr)
        return INTERRUPTED
