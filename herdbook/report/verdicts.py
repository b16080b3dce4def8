"""What was claimed, and what is shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from herdbook.report.run import Run
from herdbook.report.section import Section

_MARGIN = 0.05  # of what is drawn, on either side


@dataclass(frozen=True, kw_only=True)
class Strip:
    """An effect on a line: where its 95 % interval, its mean, nothing, and what would be negligible lie, in percent of the width."""

    interval: tuple[float, float]
    mean: float
    zero: float
    negligible: tuple[float, float]
    in_words: str


def section(run: Run) -> Section:
    """The section of the verdicts."""
    strips = {claim["id"]: strip(claim["effect"], claim["document"]["equivalence"]) for claim in run.judged["claims"]}
    return Section(name="verdicts", link="Verdicts", context={"judged": run.judged, "strips": strips})


def strip(effect: Mapping[str, Any] | None, equivalence: tuple[float, float]) -> Strip | None:
    """The picture of an effect between bounds of equivalence; None where there is no interval."""
    if effect is None or effect["interval_95"] is None:
        return None
    (low, high), mean = effect["interval_95"], effect["mean"]
    least, most = min(low, equivalence[0], 0), max(high, equivalence[1], 0)
    margin = _MARGIN * (most - least)

    def at(value: float) -> float:
        return round(100 * (value - least + margin) / (most - least + 2 * margin), 2)

    return Strip(
        interval=(at(low), at(high)),
        mean=at(mean),
        zero=at(0),
        negligible=(at(equivalence[0]), at(equivalence[1])),
        in_words=f"mean {mean:.3g}, 95 % interval {low:.3g} to {high:.3g}; negligible between {equivalence[0]:g} and {equivalence[1]:g}",
    )
