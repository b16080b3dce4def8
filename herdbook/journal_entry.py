"""What the journal says of a judged claim, as plain values: the same parts whatever the verdict is.

The four parts are those that the workshop "I Can't Believe It's Not Better" asks of a negative result: use case, proposed
solution and its source, outcome, and why. Titles and `metadata` are those of ReScience C (its metadata.yaml), as far as a
program can know them: authors, abstract and the addresses of code and article are for people to add."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from herdbook.collapse import COLLAPSE
from herdbook.control import Contrast
from herdbook.errors import one_line
from herdbook.layout import FOUNDER, Place
from herdbook.registration import Registration, amended, ever_registered

SCHEMA = 1
_REPLICATION = {"supported": "[Re]", "refuted": "[¬Re]", "equivalent": "[¬Re]", "inconclusive": "[Re, inconclusive]"}
_ARXIV = re.compile(r"\d{4}\.\d{4,5}")
_HEADING = re.compile(r"(#{1,6}) +(.*?)[ #]*")
_DEVIATIONS = "deviations"

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Notes:
    """What people wrote about a claim in journal/notes/: why it came out so, and what was done otherwise than registered."""

    why: str = ""
    deviations: str = ""


def parse_notes(text: str) -> Notes:
    """The section under a heading Deviations, and all the rest; lines without what could steer a terminal or reorder text."""
    why: list[str] = []
    deviations: list[str] = []
    part, depth = why, 0
    for line in text.splitlines():
        found = _HEADING.fullmatch(line.strip())
        is_theirs = found is not None and found[2].lower() == _DEVIATIONS
        if found and (is_theirs or part is why or len(found[1]) <= depth):
            part, depth = (deviations if is_theirs else why), len(found[1])
        if not is_theirs:
            part.append(one_line(line.rstrip().expandtabs(4)))
    return Notes("\n".join(why).strip("\n"), "\n".join(deviations).strip("\n"))


def entry_of(result: Record, judged: Record, registrations: Sequence[Registration], root: str, notes: Notes) -> dict[str, Any]:
    """The entry of a claim: `result` is its part of `judged`, the document of reports/verdicts.json; `root` the book's digest."""
    document = result["document"]
    own = [document["positive_control"]["id"], document["negative_control"]["id"]]
    same = [one.number for one in registrations if one.id == result["id"] and one.claim_digest == result["digest"]]
    return {
        "schema": SCHEMA,
        "id": result["id"],
        "title": title(result),
        "verdict": result["verdict"],
        "exploratory": result["exploratory"],
        "exploratory_because": result["exploratory_because"],
        "registration": same[-1] if same else None,
        "amends": amended(result["id"], registrations),
        "use_case": document["use_case"],
        "proposed": document["proposed"],
        "source": document["source"],
        "collapse": {"name": document["collapse"], **asdict(COLLAPSE[document["collapse"]])},
        "outcome": result["in_words"],
        "why": notes.why or None,
        "deviations": notes.deviations or None,
        "result": result,
        "controls": [control for control in judged["controls"] if control["id"] in own],
        "calibration_failed": judged["calibration_failed"],
        "family": {"alpha": judged["alpha"], "size": judged["family"]["size"], "num_ever_registered": len(ever_registered(registrations))},
        "root": root,
        "replay": replays(document),
        "metadata": metadata(result),
    }


def title(result: Record) -> str:
    """The claim's sentence: in ReScience's way where it is of a replication, and marked where it is exploratory."""
    document = result["document"]
    kind = f"{_REPLICATION[result['verdict']]} " if replicates(document) else ""
    return f"{kind}{document['sentence'].rstrip('.')}{' (exploratory)' if result['exploratory'] else ''}"


def replicates(document: Record) -> bool:
    """Whether the claim is of what its source says."""
    return bool(document["source"] and document["source"]["replicates"])


def replays(document: Record) -> list[str]:
    """The commands that rebuild, from recorded inputs, the last model of each side and seed."""
    contrast = Contrast.model_validate(document["contrast"])
    models = [
        Place(side.regime if side.generation else FOUNDER, seed, f"g{side.generation}")
        for side in (contrast.treatment, contrast.control)
        for seed in document["seeds"]
    ]
    return [f"herdbook replay {place.regime}/{place.seed}/{place.generation}/model" for place in dict.fromkeys(models)]


def metadata(result: Record) -> dict[str, Any]:
    """Fields of ReScience C's metadata.yaml."""
    document = result["document"]
    found: dict[str, Any] = {
        "title": title(result),
        "keywords": ["model collapse", document["collapse"].replace("_", " "), "synthetic data", "language models", "Python"],
        "domain": "Machine Learning",
        "language": "Python",
    }
    if replicates(document):
        cite = document["source"]["cite"]
        found |= {"type": "Replication", "replication": [{"cite": cite, "url": _address(cite)}]}
    return found


def _address(cite: str) -> str | None:
    """Where arXiv has what is cited."""
    found = _ARXIV.search(cite)
    return f"https://arxiv.org/abs/{found[0]}" if found else None
