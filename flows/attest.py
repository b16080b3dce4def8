"""Attest what a run did: who ran it, where, when, and what each stage took. None of it is an input of any stage."""

import getpass
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from flows.reproduce import Reproduced
from herdbook.attest import RunFacts, StageFacts, attestation, write
from herdbook.layout import ATTESTATIONS
from herdbook.snapshot import book_of, snapshot


def attest(made: Sequence[Reproduced], commands: Mapping[str, str], run_id: str) -> Path:
    """Write the attestation of a run that completed; `commands` gives each stage's. The file's path.

    Raises HerdbookError where it cannot be written, or signed with the key that is configured."""
    stages = tuple(
        StageFacts(
            name=each.name,
            command=commands[each.name],
            started=each.started.isoformat(timespec="seconds"),
            seconds=each.seconds,
            peak_memory_bytes=each.usage.peak_memory_bytes,
            how=each.how,
        )
        for each in sorted(made, key=lambda each: each.started)
    )
    run = RunFacts(
        run_id=run_id,
        started=stages[0].started if stages else datetime.now(UTC).isoformat(timespec="seconds"),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        host=socket.gethostname(),
        user=_user(),
        stages=stages,
    )
    with snapshot(Path.cwd()) as now:
        return write(attestation(book_of(now), run), ATTESTATIONS)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        return "unknown"
