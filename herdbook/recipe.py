"""Curation recipes: the ordered steps that offspring must pass to be kept.

A recipe is a list of steps in params.yaml, each a name and its settings; herdbook/steps/ has what each does.
Every row is accounted for: it is kept, surplus of a full set, rejected with the step and the reason, or it
was made into another row by a step that tells so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from herdbook.errors import ParamsError
from herdbook.schema import HANDS, REJECTED
from herdbook.steps.answers import Plurality, Verify
from herdbook.steps.contamination import Decontaminate, HeldOutOverlap
from herdbook.steps.duplicates import ExactDuplicate, Memorised, NearDuplicate, Repeated
from herdbook.steps.editing import Edit
from herdbook.steps.heuristics import Compression, Gopher, Length, NgramOutlier, Repetition
from herdbook.steps.language import Language
from herdbook.steps.likelihood import LikelihoodBand
from herdbook.steps.matching import Match
from herdbook.steps.revision import Reverse, Revise
from herdbook.steps.step import Material, Need, Outcome, Step

STEPS: dict[str, type[Step]] = {
    "compression": Compression,
    "decontaminate": Decontaminate,
    "edit": Edit,
    "exact_duplicate": ExactDuplicate,
    "gopher": Gopher,
    "held_out_overlap": HeldOutOverlap,
    "language": Language,
    "length": Length,
    "likelihood_band": LikelihoodBand,
    "match": Match,
    "memorised": Memorised,
    "near_duplicate": NearDuplicate,
    "ngram_outlier": NgramOutlier,
    "plurality": Plurality,
    "repeated": Repeated,
    "repetition": Repetition,
    "reverse": Reverse,
    "revise": Revise,
    "verify": Verify,
}
Steps = Sequence[tuple[str, Step]]


def parse_steps(steps: Sequence[Mapping[str, Any]], where: str) -> list[tuple[str, Step]]:
    """The steps of a recipe, one named again as NAME_2.

    Raises ParamsError at `where`, which names an unknown step or setting and what is allowed."""
    parsed = [_parsed(dict(step), f"{where}.{number}") for number, step in enumerate(steps)]
    return list(zip(labels([name for name, _ in parsed]), (step for _, step in parsed), strict=True))


def labels(names: Sequence[str]) -> list[str]:
    """What records call the steps of these names: each by its name, from its second time on with a number."""
    times = [names[: number + 1].count(name) for number, name in enumerate(names)]
    return [name if time == 1 else f"{name}_{time}" for name, time in zip(names, times, strict=True)]


def _parsed(settings: dict[str, Any], where: str) -> tuple[str, Step]:
    name = settings.pop("name", None)
    if not isinstance(name, str) or name not in STEPS:
        raise ParamsError(f"{where}: unknown step {name!r}; allowed: {', '.join(STEPS)}; correct its name there")
    try:
        return name, STEPS[name].model_validate(settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        found = {"missing": "is missing", "extra_forbidden": "is unknown"}.get(first["type"], f"is {first['input']!r} ({first['msg']})")
        allowed = ", ".join(STEPS[name].model_fields) or "none"
        raise ParamsError(f"{where}: setting {key!r} of step {name} {found}; its settings are: {allowed}; correct it there") from error


def needs_of(steps: Steps) -> set[Need]:
    """What the steps of a recipe compare rows with, or ask."""
    return {need for _, step in steps for need in step.needs}


def writes(steps: Steps) -> bool:
    """Whether a recipe makes rows of its own, so that what it keeps is more than a choice of the offspring."""
    return any(step.writes for _, step in steps)


def reason_of(name: str, fault: str) -> str:
    """How a rejection is recorded: the step, and its reason where it has several."""
    return f"{name}.{fault}" if fault else name


@dataclass(frozen=True, kw_only=True)
class Curated:
    """What became of every row: num_in + num_added = kept + num_surplus + rejected + num_remade."""

    kept: pa.Table  # ROWS
    rejected: pa.Table  # REJECTED; the reason is reason_of the step
    hands: pa.Table  # HANDS: of the rows that steps wrote or chose
    num_in: int
    num_added: int  # rows that steps wrote, in place of others or beside them
    num_remade: int  # rows that others were written in place of
    num_surplus: int  # survivors that a full set has no place for
    is_full: bool
    num_rejected: dict[str, int]  # by reason, each of every step of the recipe


def curate(rows: pa.Table, steps: Steps, num_rows: int, material: Material) -> Curated:
    """Keep the first `num_rows` rows that pass every step, in their order.

    All rows are examined even when the set is full before the last: the rejection rate is a result, and
    so is one of the same number of draws in every generation."""
    survivors, all_rejected, all_hands = rows, [REJECTED.empty_table()], [HANDS.empty_table()]
    num_rejected = {reason_of(name, fault): 0 for name, step in steps for fault in step.reasons()}
    num_added = num_remade = 0
    for name, step in steps:
        outcome = step.apply(survivors, material)
        added, remade = _changes(name, survivors["id"], outcome)
        num_added, num_remade = num_added + added, num_remade + remade
        reasons = [reason_of(name, fault) for fault in outcome.rejected["reason"].to_pylist()]
        all_rejected.append(outcome.rejected.set_column(REJECTED.get_field_index("reason"), "reason", pa.array(reasons, pa.string())))
        all_hands.append(outcome.hands.set_column(1, "step", pa.array([name] * outcome.hands.num_rows, pa.string())))
        for reason in reasons:
            num_rejected[reason] += 1
        survivors = outcome.kept
    kept = survivors.slice(0, num_rows)
    return Curated(
        kept=kept,
        rejected=pa.concat_tables(all_rejected),
        hands=pa.concat_tables(all_hands),
        num_in=rows.num_rows,
        num_added=num_added,
        num_remade=num_remade,
        num_surplus=survivors.num_rows - kept.num_rows,
        is_full=kept.num_rows == num_rows,
        num_rejected=num_rejected,
    )


def _changes(name: str, given: pa.ChunkedArray, outcome: Outcome) -> tuple[int, int]:
    """How many rows a step added to those `given`, and how many it remade.

    A step that loses a row, or brings one from nowhere, is a bug of the step."""
    kept = outcome.kept["id"]
    left = pa.chunked_array([*kept.chunks, *outcome.rejected["id"].chunks], pa.string())
    places = pc.index_in(left, value_set=given.combine_chunks())
    num_left = np.bincount(places.drop_null().to_numpy(), minlength=len(given))
    gone = given.filter(pa.array(num_left == 0))
    gone = gone.filter(pc.invert(pc.is_in(gone, value_set=left.combine_chunks()))).to_pylist() if len(gone) else []
    added = kept.filter(pc.is_null(places.slice(0, len(kept)))).to_pylist()
    new = left.filter(pc.is_null(places)).to_pylist()
    told = {parent for parents in outcome.hands["parents"].to_pylist() for parent in parents}
    lost, strange = set(gone) - told, set(added) - set(outcome.hands["id"].to_pylist())
    assert not lost, f"step {name} loses rows: {sorted(lost)[:3]}"
    assert not strange, f"step {name} invents rows: {sorted(strange)[:3]}"
    is_repeated = num_left.max(initial=0) > 1 or len(set(new)) < len(new)
    assert not is_repeated, f"step {name} repeats rows"
    return len(added), len(gone)
