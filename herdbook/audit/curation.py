"""Whether a curated set is what its recipe made of the offspring: every row kept, rejected, surplus or remade, and counted as such."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from herdbook.amounts import rows_at
from herdbook.artefacts import Artefact
from herdbook.audit.evidence import Evidence
from herdbook.audit.finding import Finding, finding
from herdbook.audit.tables import Table
from herdbook.files import digest_bytes
from herdbook.layout import HUMAN_TRAIN
from herdbook.params import Params
from herdbook.recipe import Steps, parse_steps, reason_of
from herdbook.teacher.record import read_record

TEACHER = "teacher/"  # what the name of one begins with
_COLUMNS = ["id", "depth", "text", "model"]


def steps_of(artefact: Artefact, params: Params) -> Steps:
    """The steps of the recipe of a curated set; none of what has no recipe."""
    if artefact.kind != "curated" or artefact.place is None:
        return []
    return parse_steps(params.regimes[artefact.place.regime].recipe.steps, "recipe")


def teachers(hands: Path) -> dict[str, str]:
    """Who wrote rows and is no model of the book: its digest in rows, by which it is also named in hands."""
    names = set(pq.read_table(hands, columns=["by"])["by"].to_pylist())
    return {digest_bytes(name.encode()): name for name in names if name.startswith(TEACHER)}


@dataclass(frozen=True)
class Hands:
    """The hands of a curated set, and the ids of its offspring where there are any."""

    path: Path
    told: Sequence[Mapping[str, Any]]
    writers: frozenset[str]  # the steps that write
    offspring: frozenset[str]

    @cached_property
    def written(self) -> dict[str, set[str]]:
        """The parents of each row that a step wrote."""
        found: dict[str, set[str]] = {}
        for hand in self.told:
            if hand["step"] in self.writers:
                found.setdefault(hand["id"], set()).update(hand["parents"])
        return found


def curated_findings(
    artefact: Artefact, own: Mapping[Path, Table], given: Table, offspring: Path, params: Params, evidence: Evidence
) -> Iterator[Finding]:
    """What is wrong with a curated set: `own` are its tables, `given` that of its offspring, which lies at `offspring`."""
    assert artefact.place
    steps, path = steps_of(artefact, params), artefact.path / "hands.parquet"
    told = pq.read_table(evidence.local(path)).to_pylist()
    ids = frozenset(pq.read_table(evidence.local(offspring), columns=["id"])["id"].to_pylist()) if told else frozenset()
    hands = Hands(path, told, frozenset(name for name, step in steps if step.writes), ids)
    if strange := sorted({hand["step"] for hand in told} - {name for name, _ in steps}):
        yield finding(path, f"tells of step {strange[0]!r}, which the recipe does not have")
    yield from _origins(own, given, hands, evidence)
    if hands.written:
        yield from _writing(artefact, own, hands, offspring, params, evidence)
    yield from _counts(artefact, own, given, hands, steps, params, evidence)


def _origins(own: Mapping[Path, Table], given: Table, hands: Hands, evidence: Evidence) -> Iterator[Finding]:
    """Rows of the offspring, or rows that a step wrote."""
    for path, table in own.items():
        strays = table.num_rows - (pc.sum(pc.is_in(table.marks, value_set=given.marks)).as_py() or 0)
        if strays and hands.written:
            ids = pq.read_table(evidence.local(path), columns=["id"])["id"]
            strays -= pc.sum(pc.is_in(ids, value_set=pa.array(sorted(hands.written)))).as_py() or 0
        if strays:
            yield finding(path, f"{strays} rows are no rows of its offspring, and no step of its recipe wrote them")


def _writing(
    artefact: Artefact, own: Mapping[Path, Table], hands: Hands, offspring: Path, params: Params, evidence: Evidence
) -> Iterator[Finding]:
    """Rows that steps wrote: of parents that there are, a model pass deeper, and in the words of the teacher where it was one."""
    compares = ("compared", "human/train") in artefact.parents
    human = pq.read_table(evidence.local(HUMAN_TRAIN), columns=["id"])["id"].to_pylist() if compares else []
    unknown = {parent for parents in hands.written.values() for parent in parents} - hands.offspring - hands.written.keys() - set(human)
    if unknown or not all(hands.written.values()):
        yield finding(hands.path, f"{len(unknown) or 'some'} rows that steps wrote are of parents that are none of the book")
    by = {hand["by"] for hand in hands.told if hand["by"].startswith(TEACHER)}
    named = (params.teacher or {}).get("model")
    if by and (params.teacher is None or (named and by != {f"{TEACHER}{named}"})):
        yield finding(hands.path, f"tells of {sorted(by)[0][:80]}, the parameters name another teacher")
    tables = [pq.read_table(evidence.local(path), columns=_COLUMNS) for path in own]
    rows = {row["id"]: row for table in tables for row in table.to_pylist() if row["id"] in hands.written}
    depths = {row["id"]: row["depth"] for row in pq.read_table(evidence.local(offspring), columns=["id", "depth"]).to_pylist()}
    depths |= dict.fromkeys(human, 0.0)
    shallow = [
        name
        for name, row in rows.items()
        for parent in hands.written[name]
        if parent in depths and abs(row["depth"] - depths[parent] - 1) > 1e-9 * max(1.0, row["depth"])
    ]
    if shallow:
        yield finding(artefact.rows, f"{len(shallow)} rows that steps wrote are not one model pass deeper than what they were made of")
    yield from _words(artefact, rows, hands, evidence)


def _words(artefact: Artefact, rows: Mapping[str, Mapping[str, Any]], hands: Hands, evidence: Evidence) -> Iterator[Finding]:
    """A row of a teacher begins one of the answers on record: it may have been cut, but says nothing else."""
    teacher_models = {digest_bytes(hand["by"].encode()) for hand in hands.told if hand["by"].startswith(TEACHER)}
    taught = [row["text"] for row in rows.values() if row["model"] in teacher_models]
    if not taught:
        return
    assert artefact.place
    answers = sorted(answer.response.text.strip() for answer in read_record(evidence.local(artefact.place.taught)).values())
    whole = [text.rstrip("\ufffd") for text in taught]  # a character may have been cut
    places = [bisect_left(answers, text) for text in whole]
    num = sum(not (place < len(answers) and answers[place].startswith(text)) for place, text in zip(places, whole, strict=True))
    if num:
        yield finding(artefact.rows, f"{num} rows of a teacher are no answers of {artefact.place.taught.name}")


def _counts(
    artefact: Artefact, own: Mapping[Path, Table], given: Table, hands: Hands, steps: Steps, params: Params, evidence: Evidence
) -> Iterator[Finding]:
    assert artefact.place
    rejected_path, counts_path = artefact.path / "rejected.parquet", artefact.place.counts
    rows, rejected = own[artefact.rows], own[rejected_path]
    if num_both := pc.sum(pc.is_in(rejected.marks, value_set=rows.marks)).as_py():
        yield finding(rejected_path, f"{num_both} rows are both rejected and kept", "counts")
    parents = {parent for made_of in hands.written.values() for parent in made_of}
    num_remade = len(parents & (hands.offspring | hands.written.keys()))
    surplus = given.num_rows + len(hands.written) - num_remade - rows.num_rows - rejected.num_rows
    reasons = [reason_of(name, fault) for name, step in steps for fault in step.reasons()]
    is_full = rows.num_rows == rows_at(params.regimes[artefact.place.regime].recipe.num_rows, artefact.place.number)
    wanted = {
        "num_in": given.num_rows, "num_added": len(hands.written), "num_remade": num_remade, "num_out": rows.num_rows,
        "num_surplus": surplus, "is_full": is_full,
        "rejected": {reason: rejected.reasons.get(reason, 0) for reason in reasons} | dict(rejected.reasons),
    }  # fmt: skip
    counts = evidence.json(counts_path)
    for name, number in wanted.items():
        if counts[name] != number:
            yield finding(counts_path, f"{name} is {counts[name]}, the rows give {number}", "counts")
    if surplus < 0 or (surplus and not is_full):
        yield finding(artefact.path, f"{surplus} of its offspring are neither kept, rejected nor surplus of a full set", "counts")
