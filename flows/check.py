"""The flow `check`: hash every output and every inspected dataset, and compare them with their records."""

from pathlib import Path

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.states import Completed, Failed

from flows.breed import in_turn
from flows.turn import WhenBusy
from herdbook.check import findings
from herdbook.layout import PARAMS
from herdbook.params import read_params

CHECK_FAILED = "herdbook.check.failed"


@flow(name="check", persist_result=False)
def check(when_busy: WhenBusy = "wait") -> State:
    """Fail, with a table and an event, where anything is not what the records say."""
    return in_turn(when_busy, _checked)


def _checked() -> State:
    found = findings(Path("dvc.lock"), read_params(PARAMS))
    if not found:
        return Completed(message="every output and every receipt is as recorded")
    create_table_artifact([vars(finding) for finding in found], key="findings", description="what is not as recorded")
    emit_event(
        CHECK_FAILED, resource={"prefect.resource.id": "herdbook.records"}, payload={"findings": [finding.path for finding in found]}
    )
    return Failed(message=f"{len(found)} findings; first: {found[0].path}: {found[0].what}")
