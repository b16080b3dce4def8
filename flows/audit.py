"""The flow `audit`: check everything that the book says, and raise an event on any finding."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.states import Completed, Failed

from flows.announce import shown
from flows.breed import in_turn
from flows.turn import WhenBusy
from herdbook.audit import Report
from herdbook.audit import audit as core
from herdbook.audit.evidence import Level
from herdbook.errors import HerdbookError
from herdbook.snapshot import snapshot

AUDIT_FAILED = "herdbook.audit.failed"


@flow(name="audit", persist_result=False)
def audit(level: Level = "rows", when_busy: WhenBusy = "wait") -> State:
    """Fail, with a table and an event, where anything is not what the book says."""
    return in_turn(when_busy, lambda: _audited(level))


def _audited(level: Level) -> State:
    try:
        with snapshot(Path.cwd()) as now:
            report = core(now, level)
    except HerdbookError as error:  # no book or no lock is the worst of findings
        _emit({"num_findings": 1, "kinds": ["missing"], "paths": [], "what": str(error)})
        return Failed(message=str(error))
    num_checked = sum(check.num_checked for check in report.checks)
    create_table_artifact(
        [{"item": check.item, "checked": check.num_checked, "findings": len(check.findings)} for check in report.checks],
        key="audit", description=f"{num_checked} things checked at level {level}",
    )  # fmt: skip
    return _told(report) if report.findings else Completed(message=f"{num_checked} things checked, all as the book says")


def _told(report: Report) -> State:
    """The findings as a table and as an event; the final state names the first."""
    found = report.findings
    lines = [{name: shown(value) for name, value in vars(finding).items()} for finding in found]
    create_table_artifact(lines, key="findings", description="what is not as the book says")
    kinds, first = sorted({finding.kind for finding in found}), f"{found[0].path}: {found[0].what}"
    _emit({"num_findings": len(found), "kinds": kinds, "paths": [finding.path for finding in found], "what": first})
    return Failed(message=f"{len(found)} findings; first: {first}")


def _emit(payload: dict[str, Any]) -> None:
    emit_event(AUDIT_FAILED, resource={"prefect.resource.id": "herdbook.book"}, payload=payload)
