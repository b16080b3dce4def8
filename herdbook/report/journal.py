"""Every claim that was ever registered, and what this run says of it."""

from collections.abc import Mapping
from typing import Any

from herdbook.registration import Registration, last_of
from herdbook.report.run import Run
from herdbook.report.section import Section


def section(run: Run) -> Section:
    """The section of the register, oldest registration first; what `herdbook publish` writes comes after a run and is not in it."""
    return Section(name="journal", link="Journal", context={"registrations": [fate(one, run) for one in run.registrations]})


def fate(one: Registration, run: Run) -> dict[str, Any]:
    """One registration with the verdict that this run gives it, or why it gives none."""
    judged = next((claim for claim in run.judged["claims"] if claim["id"] == one.id), None)
    return {
        "number": one.number,
        "id": one.id,
        "sentence": one.claim["sentence"],
        "digest": one.claim_digest,
        "existed": list(one.results_existed),
        **_verdict(one, run, judged),
    }


def _verdict(one: Registration, run: Run, judged: Mapping[str, Any] | None) -> dict[str, Any]:
    """The verdict and whether it is exploratory, both None where this run judges no such claim; `why` is a sentence part."""
    last = last_of(one.id, run.registrations)
    if last is not None and last.number != one.number:
        return {"verdict": None, "exploratory": None, "why": f"superseded by number {last.number}"}
    if judged is None:
        return {"verdict": None, "exploratory": None, "why": "not claimed by hypotheses.yaml as this run read it"}
    if judged["digest"] != one.claim_digest:
        return {"verdict": None, "exploratory": None, "why": "judged in another form than this one"}
    return {"verdict": judged["verdict"], "exploratory": judged["exploratory"], "why": "; ".join(judged["exploratory_because"])}
