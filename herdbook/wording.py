"""Verdicts and controls as a sentence each: what was found with its interval first, p-values second."""

from collections.abc import Mapping
from typing import Any

_UNITS = ("nats", "bits", "bytes", "tokens", "seconds")

Record = Mapping[str, Any]  # of reports/verdicts.json, but for its in_words


def control_in_words(control: Record) -> str:
    """Whether a control held, and what it showed."""
    document = control["document"]
    if control["holds"] is None:
        return f"could not be checked: {_listed(control['because'])}"
    must = " and ".join(f"{name} {_bound(bound)}" for name, bound in document["must"].items())
    found = f"{_difference(document, control['mean'], None)} on the mean of {len(control['pairs'])} seeds"
    return f"{'held' if control['holds'] else 'failed'}: {found} ({document['metric']}; must be {must})"


def claim_in_words(claim: Record) -> str:
    """The verdict on a claim, marked where it is exploratory or void, and what it rests on."""
    head = f"{claim['verdict']}{', exploratory' if claim['exploratory'] else ''}"
    found = _found(claim) if claim["effect"] else ""
    if claim["void_because"]:
        return f"{head}: void, {_listed(claim['void_because'])}" + (f"; as measured, {found}" if found else "")
    if claim["because"]:
        return f"{head}: {_listed(claim['because'])}" + (f"; so far, {found}" if found else "")
    if claim["verdict"] == "inconclusive":
        return f"{head}: {found}; {_could_see(claim)}"
    return f"{head}: {found}"


def _found(claim: Record) -> str:
    document, effect, p = claim["document"], claim["effect"], claim["p"]
    low, high = document["equivalence"]
    difference = _difference(document, effect["mean"], effect["interval_95"])
    adjusted = "" if p["adjusted"] is None else f"; adjusted p {_p(p['adjusted'])}"
    return f"{difference} over {effect['num_pairs']} seeds ({document['metric']}; bounds {low:g} and {high:g}{adjusted})"


def _difference(document: Record, mean: float, interval: list[float] | None) -> str:
    """Such as "replace g3 is 2.23 [2.01, 2.45] nats above accumulate g3"; a difference downwards is told as a size, too."""
    contrast, side = document["contrast"], "above" if mean >= 0 else "below"
    if interval is not None:
        interval = interval if mean >= 0 else [-interval[1], -interval[0]]
    shown = f"{abs(mean):.3g}" + ("" if interval is None else f" [{interval[0]:.3g}, {interval[1]:.3g}]")
    unit = next((f" {unit}" for unit in _UNITS if document["metric"].endswith(f"_{unit}")), "")
    return f"{contrast['treatment']} is {shown}{unit} {side} {contrast['control']}"


def _could_see(claim: Record) -> str:
    power, wanted = claim["power"], claim["document"]["smallest_effect"]
    chance = f"{power['power']:.0%}"
    if power["detectable"] is None:
        seen = "this design could have shown no effect"
    else:
        seen = f"this design shows effects from {power['detectable']:.3g} on in {chance} of cases"
    if power["seeds_needed"] is None:
        return f"{seen}, and no number of seeds can be given for {wanted:g}"
    return f"{seen}, and {wanted:g} needs {power['seeds_needed']} seeds"


def _p(value: float) -> str:
    return "below 0.0001" if value < 0.0001 else f"{value:.2g}"


def _bound(bound: Any) -> str:
    return f"{bound[0]:g} and {bound[1]:g}" if isinstance(bound, list) else f"{bound:g}"


def _listed(reasons: list[str]) -> str:
    return reasons[0] if len(reasons) == 1 else f"{reasons[0]}, and {len(reasons) - 1} more"
