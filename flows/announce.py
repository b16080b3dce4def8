"""What a run shows of itself in Prefect: progress, verdicts, receipts, events. Text is escaped: it may be hostile."""

import html
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.events import emit_event
from prefect.exceptions import PrefectException

from flows.server import REPORT_PATH
from flows.walk import Outcome
from herdbook.layout import METRICS, Place
from herdbook.lineage import NOT_BRED
from herdbook.params import Params
from herdbook.receipt import waived_rules
from herdbook.records import read_object
from herdbook.summary import HEADER, table

GATE_FAILED, BRED = "herdbook.gate.failed", "herdbook.generation.bred"
_UPDATE_SECONDS = 1.0
P = ParamSpec("P")
_VALIDATED = re.compile(r"validate-(?P<kind>training|offspring)@(?P<regime>\w+)-(?P<seed>s\d+)-(?P<generation>g\d+)")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~>])")


def shown(value: object) -> str:
    """A value as inert Markdown: markup, HTML and control characters (bidirectional ones too) appear as what they are."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))
    return _MARKDOWN.sub(r"\\\1", html.escape(text, quote=True))


def receipt_page(place: Place, receipt: Mapping[str, Any], verdict: str) -> str:
    """A receipt for people: each rule that did not pass, what was observed and what is allowed."""
    broken = [rule for rule in receipt["rules"] if rule["status"] != "passed"]
    lines = [
        f"# {shown(receipt['kind'])} of {shown(place)}: {shown(verdict)}",
        "",
        f"{len(broken)} of {len(receipt['rules'])} rules did not pass.",
        "",
        "| column | rule | severity | status | observed | allowed | why the rule is there |",
        "|---|---|---|---|---|---|---|",
    ]
    for rule in broken:
        observed = rule["error"] or rule["observed"]
        cells = (rule["column"] or "the table", rule["rule"], rule["severity"], rule["status"], observed, rule["allowed"], rule["notes"])
        lines.append("| " + " | ".join(map(shown, cells)) + " |")
    return "\n".join(lines) + "\n"


def _best_effort(tell: Callable[P, None]) -> Callable[P, None]:
    """What cannot be shown is logged: Prefect records, and must not decide what becomes of a stage."""

    @wraps(tell)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            tell(*args, **kwargs)
        except (httpx.HTTPError, PrefectException, RuntimeError) as error:
            get_run_logger().warning("not shown in Prefect: %s", error)

    return attempt


class Announcer:
    """Tells Prefect how far a run is, and what its gates said; a server that does not answer stops nothing."""

    def __init__(self, params: Params, stages: Sequence[str]) -> None:
        self._params, self._stages = params, stages
        self._told = 0.0
        self._progress: UUID = create_progress_artifact(progress=0.0, key="progress", description=f"of {len(stages)} stages")  # type: ignore[assignment]

    @_best_effort
    def stage_ended(self, name: str) -> None:
        """Report what an inspection that ran just now found."""
        if not (found := _VALIDATED.fullmatch(name)):
            return
        place, kind = Place(found["regime"], found["seed"], found["generation"]), found["kind"]
        receipt = read_object(place.receipt(kind))
        if receipt["status"] == NOT_BRED:
            return
        gate = self._params.regimes[place.regime].gate
        is_waived = receipt["status"] != "passed" and gate == "waive"
        if receipt["status"] != "passed":
            verdict = f"{receipt['status']}, {'waived by its regime' if is_waived else 'so the lineage ends here'}"
            create_markdown_artifact(
                receipt_page(place, receipt, verdict), key=f"receipt-{place}-{kind}".replace("_", "-"), description=verdict
            )
            payload = {"dataset": kind, "status": receipt["status"], "is_waived": is_waived, "rules": waived_rules(receipt)}
            _emit(GATE_FAILED, place, payload)
        if kind == "offspring":
            _emit(BRED, place, {"offspring": receipt["status"]})

    @_best_effort
    def progressed(self, outcome: Outcome[str], is_last: bool = False) -> None:
        """Move the bar; at most once a second, for each move is a call to the server."""
        if is_last or time.monotonic() - self._told > _UPDATE_SECONDS:
            num_done = sum(name in outcome.done for name in self._stages)
            update_progress_artifact(self._progress, progress=round(100 * num_done / len(self._stages), 1))
            self._told = time.monotonic()

    @_best_effort
    def failed(self, outcome: Outcome[str], plan: list[str]) -> None:
        """Publish a line for each stage that did not end well."""
        create_table_artifact(outcome_table(outcome, plan), key="failed", description="what failed, and what descends from it")

    @_best_effort
    def finished(self) -> None:
        """Publish the table of generations, and where the report is."""
        header = [name.replace("\n", " ") for name in vars(HEADER).values()]
        rows = [dict(zip(header, vars(row).values(), strict=True)) for row in table(read_object(METRICS))]
        create_table_artifact(
            rows, key="generations", description="held-out loss, diversity, depth and the gate's verdicts, over the seeds"
        )
        create_link_artifact(REPORT_PATH, link_text="the report", key="report", description="served beside this UI (make serve)")


def outcome_table(outcome: Outcome[str], plan: list[str]) -> list[dict[str, str]]:
    """What stands after a run that failed: a line for each stage that did not end well."""
    lines = []
    for name in plan:
        if name in outcome.failed:
            lines.append({"stage": name, "state": "failed", "why": str(outcome.failed[name])})
        elif name in outcome.skipped:
            lines.append({"stage": name, "state": "skipped", "why": f"descends from {outcome.skipped[name]}"})
    return lines


def _emit(event: str, place: Place, payload: dict[str, Any]) -> None:
    resource = {"prefect.resource.id": f"herdbook.lineage.{place.regime}-{place.seed}", "prefect.resource.name": str(place)}
    emit_event(event=event, resource=resource, payload={"generation": place.generation, **payload})
