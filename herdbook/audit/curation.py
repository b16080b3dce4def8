"""Whether a curated set is what its recipe made of the offspring: every row kept, rejected, surplus or remade, and counted as such."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from herdbook.artefacts import Artefact
from herdbook.audit.evidence import Evidence
from herdbook.audit.finding import Finding, finding
from herdbook.audit.tables import Table
from herdbook.files import digest_bytes
from herdbook.layout import HUMAN_TRAIN
from herdbook.params import Recipe
from herdbook.recipe import parse_steps, reason_of


@dataclass(frozen=True)
class Hands:
    """The ids of what steps wrote, of what they made it from, and of what they may have made it from."""

    written: frozenset[str]
    parents: frozenset[str]  # of what was written
    offspring: frozenset[str]


def read_hands(hands: Path, offspring: Path) -> Hands:
    """What a recipe's steps wrote, by hands.parquet; nothing where they only chose."""
    told = pq.read_table(hands, columns=["id", "parents"]).to_pylist()
    if not told:
        return Hands(frozenset(), frozenset(), frozenset())
    given = frozenset(pq.read_table(offspring, columns=["id"])["id"].to_pylist())
    new = [hand for hand in told if hand["id"] not in given]
    return Hands(frozenset(hand["id"] for hand in new), frozenset(parent for hand in new for parent in hand["parents"]), given)


def teachers(hands: Path) -> dict[str, str]:
    """Who wrote rows and is no model of the book: its digest in rows, by which it is also named in hands."""
    names = set(pq.read_table(hands, columns=["by"])["by"].to_pylist())
    return {digest_bytes(name.encode()): name for name in names if name.startswith("teacher/")}


def curated_findings(
    artefact: Artefact, own: Mapping[Path, Table], parents: Mapping[str, list[Table]], offspring: Path, recipe: Recipe, evidence: Evidence
) -> Iterator[Finding]:
    """What is wrong with a curated set; `own` are its tables and `parents` those that rows may come from, by role."""
    assert artefact.place
    rejected_path, counts_path = artefact.path / "rejected.parquet", artefact.place.counts
    hands_path = artefact.path / "hands.parquet"
    hands = read_hands(evidence.local(hands_path), evidence.local(offspring))
    (given,) = parents["offspring"]
    yield from _origins(own, given, hands, evidence)
    yield from _parents(hands_path, hands, artefact, evidence)
    rows, rejected = own[artefact.rows], own[rejected_path]
    if num_both := pc.sum(pc.is_in(rejected.marks, value_set=rows.marks)).as_py():
        yield finding(rejected_path, f"{num_both} rows are both rejected and kept", "counts")
    steps = parse_steps(recipe.steps, "recipe")
    num_remade = len(hands.parents & (hands.offspring | hands.written))
    surplus = given.num_rows + len(hands.written) - num_remade - rows.num_rows - rejected.num_rows
    wanted = {
        "num_in": given.num_rows, "num_added": len(hands.written), "num_remade": num_remade, "num_out": rows.num_rows,
        "num_surplus": surplus, "is_full": rows.num_rows == recipe.num_rows,
        "rejected": {reason: rejected.reasons.get(reason, 0) for name, step in steps for reason in _reasons(name, step.reasons())}
        | dict(rejected.reasons),
    }  # fmt: skip
    counts = evidence.json(counts_path)
    for name, number in wanted.items():
        if counts[name] != number:
            yield finding(counts_path, f"{name} is {counts[name]}, the rows give {number}", "counts")
    if surplus < 0 or (surplus and not wanted["is_full"]):
        yield finding(artefact.path, f"{surplus} of its offspring are neither kept, rejected nor surplus of a full set", "counts")


def _reasons(name: str, faults: tuple[str, ...]) -> list[str]:
    return [reason_of(name, fault) for fault in faults]


def _origins(own: Mapping[Path, Table], given: Table, hands: Hands, evidence: Evidence) -> Iterator[Finding]:
    """Rows of the offspring, or rows that a hand wrote."""
    for path, table in own.items():
        strays = table.num_rows - (pc.sum(pc.is_in(table.marks, value_set=given.marks)).as_py() or 0)
        if strays and hands.written:
            ids = pq.read_table(evidence.local(path), columns=["id"])["id"]
            strays -= pc.sum(pc.is_in(ids, value_set=pa.array(sorted(hands.written)))).as_py() or 0
        if strays:
            yield finding(path, f"{strays} rows are no rows of its offspring, and no hand wrote them")


def _parents(path: Path, hands: Hands, artefact: Artefact, evidence: Evidence) -> Iterator[Finding]:
    """What a hand wrote was made of rows that there are."""
    unknown = hands.parents - hands.offspring - hands.written
    if unknown and ("compared", "human/train") in artefact.parents:
        unknown -= frozenset(pq.read_table(evidence.local(HUMAN_TRAIN), columns=["id"])["id"].to_pylist())
    if unknown:
        yield finding(path, f"{len(unknown)} rows that hands wrote from, such as {min(unknown)[:12]}, are none of its parents'")
