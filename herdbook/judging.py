"""The verdicts on a family of claims, from the lines of reports/generations.csv.

Claims that were registered before their results form one family, adjusted by Holm; its size is at least the number of claims
that were ever registered, so that dropping one helps no other. The rest is judged alone and marked exploratory. What cannot be
judged is inconclusive and says why; nothing here raises because results are missing."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from herdbook.claims import Claim, Hypotheses, Standing
from herdbook.control import Contrast, Control
from herdbook.files import rounded
from herdbook.judgement import POWER, Judged, Verdict, holm, judge
from herdbook.wording import claim_in_words, control_in_words

Line = Mapping[str, Any]
Lines = Mapping[tuple[str, str, int], Line]  # by regime, seed and generation

_UNKNOWN = Standing(registered=False, reasons=("nothing is known of its registration",))


@dataclass(frozen=True)
class Pair:
    """One seed's two figures."""

    seed: str
    treatment: float
    control: float

    @property
    def difference(self) -> float:
        """Treatment minus control."""
        return self.treatment - self.control


@dataclass(frozen=True)
class Paired:
    """The pairs of some seeds, and what became of the others."""

    pairs: tuple[Pair, ...]
    excluded: tuple[str, ...]  # not bred, and dropped as declared
    faults: tuple[str, ...]  # what is missing, in plain words

    @property
    def differences(self) -> list[float]:
        """In the order of the seeds."""
        return [pair.difference for pair in self.pairs]


@dataclass(frozen=True)
class Look:
    """What the first so many seeds of a claim show."""

    num_seeds: int
    paired: Paired
    judged: Judged | None  # None where something is missing


@dataclass(frozen=True)
class Weighed:
    """A claim with its looks, before the family is known."""

    claim: Claim
    standing: Standing
    void_because: tuple[str, ...]
    looks: tuple[Look, ...]

    def p(self, judged: Judged) -> float:
        """A look's p at the price of all looks (Bonferroni)."""
        return min(1.0, judged.p * len(self.looks))

    @property
    def completed(self) -> list[tuple[Look, Judged]]:
        """The looks that something can be said of."""
        return [(look, look.judged) for look in self.looks if look.judged is not None]

    @property
    def family_p(self) -> float:
        """What the claim brings to its family: 1 where nothing can be said of it, which helps no other."""
        return min([1.0, *([] if self.void_because else [self.p(judged) for _, judged in self.completed])])


def judge_family(
    hypotheses: Hypotheses,
    lines: Iterable[Line],
    standings: Mapping[str, Standing],
    num_ever_registered: int,
    calibration_failed: Sequence[str] = (),
) -> dict[str, Any]:
    """The document of reports/verdicts.json: what became of each control, and exactly one verdict on each claim.

    lines: as reports/generations.csv has them, numbers as numbers, None where nothing was recorded.
    standings: by id of a claim; a claim without one is exploratory.
    calibration_failed: names of the calibrations that lie outside their intervals."""
    rows = {(line.get("regime", ""), line.get("seed", ""), line.get("generation", -1)): line for line in lines}
    controls = {control.id: _control_record(control, rows) for control in hypotheses.controls}
    claims = sorted(hypotheses.claims, key=lambda claim: claim.id)
    size = max(num_ever_registered, sum(standings.get(claim.id, _UNKNOWN).registered for claim in claims))
    weighed = []
    for claim in claims:
        standing = standings.get(claim.id, _UNKNOWN)
        void = [f"calibration {name} failed" for name in sorted(calibration_failed)]
        void += [f"control {one.id} {controls[one.id]['in_words']}" for one in claim.controls if controls[one.id]["holds"] is not True]
        looks = tuple(_look(claim, num_seeds, rows, size if standing.registered else 1) for num_seeds in claim.looks)
        weighed.append(Weighed(claim, standing, tuple(void), looks))
    family = [one for one in weighed if one.standing.registered]
    return {
        "analysis": hypotheses.analysis,
        "alpha": hypotheses.alpha,
        "family": {"size": size, "num_ever_registered": num_ever_registered, "registered": [one.claim.id for one in family]},
        "calibration_failed": sorted(calibration_failed),
        "controls": [controls[name] for name in sorted(controls)],
        "claims": [_claim_record(one, family, size) for one in weighed],
    }


def pairs_of(contrast: Contrast, metric: str, seeds: Sequence[str], rows: Lines, *, drop_not_bred: bool) -> Paired:
    """The figures of a contrast, paired by seed; a seed without both is a fault, or excluded where it was not bred and may be dropped."""
    pairs: list[Pair] = []
    excluded: list[str] = []
    faults: list[str] = []
    for seed in seeds:
        figures = []
        for cell in (contrast.treatment, contrast.control):
            line = rows.get((cell.regime, seed, cell.generation))
            value = line.get(metric) if line is not None else None
            if line is None:
                faults.append(f"there is no line of {cell} for seed {seed}")
            elif line.get("status") != "bred":
                (excluded if drop_not_bred else faults).append(f"{cell} of seed {seed} was not bred")
            elif not isinstance(value, int | float) or not math.isfinite(value):
                faults.append(f"{metric} of {cell} for seed {seed} is no number")
            else:
                figures.append(float(value))
        if len(figures) == 2:
            pairs.append(Pair(seed, *figures))
    return Paired(tuple(pairs), tuple(excluded), tuple(faults))


def _control_record(control: Control, rows: Lines) -> dict[str, Any]:
    paired = pairs_of(control.contrast, control.metric, control.seeds, rows, drop_not_bred=False)
    mean = None if paired.faults else math.fsum(paired.differences) / len(paired.pairs)
    record = {
        "id": control.id,
        "digest": control.digest,
        "document": control.document,
        "mean": None if mean is None else rounded(mean),
        "holds": None if mean is None else control.must.holds(mean),  # None: could not be checked
        "because": list(paired.faults),
        "pairs": _pairs(paired),
    }
    return {**record, "in_words": control_in_words(record)}


def _look(claim: Claim, num_seeds: int, rows: Lines, family_size: int) -> Look:
    drop = claim.exclusions == "not_bred"
    paired = pairs_of(claim.contrast, claim.metric, claim.seeds[:num_seeds], rows, drop_not_bred=drop)
    if paired.excluded and len(paired.pairs) < 2 and not paired.faults:
        paired = replace(paired, faults=(*paired.excluded, "fewer than 2 pairs are left"))
    if paired.faults:
        return Look(num_seeds, paired, None)
    judged = judge(
        paired.differences,
        direction=claim.direction,
        equivalence=claim.equivalence,
        estimator=claim.estimator,
        smallest_effect=claim.smallest_effect,
        alpha=claim.level / family_size,
    )
    return Look(num_seeds, paired, judged)


def _decided(weighed: Weighed, family: Sequence[Weighed], size: int) -> tuple[Verdict, float | None, Look]:
    """The verdict, the adjusted p and the look that they are of: the first that reaches a verdict, else the last that can be judged.

    In the family each other claim counts with its smallest p over looks. A look before the smallest has a larger p, so whatever it
    is given would be given at the smallest, and the looks' shares of alpha add up to alpha."""
    decided: tuple[Verdict, float | None, Look] = ("inconclusive", None, weighed.looks[0])
    for look in weighed.looks:
        if look.judged is None:
            continue
        p = weighed.p(look.judged)
        others = [one.family_p for one in family if one is not weighed]
        adjusted = float(holm([p, *others], size)[0]) if weighed.standing.registered else p
        decided = (look.judged.verdict(adjusted, weighed.claim.alpha), adjusted, look)
        if decided[0] != "inconclusive":
            break
    return decided


def _claim_record(weighed: Weighed, family: Sequence[Weighed], size: int) -> dict[str, Any]:
    claim, standing = weighed.claim, weighed.standing
    verdict, adjusted, look = _decided(weighed, family, size)
    if weighed.void_because:
        verdict, adjusted = "inconclusive", None
    judged = look.judged
    record = {
        "id": claim.id,
        "digest": claim.digest,
        "document": claim.document,
        "verdict": verdict,
        "exploratory": not standing.registered,
        "exploratory_because": list(standing.reasons),
        "void_because": list(weighed.void_because),
        "because": [] if verdict != "inconclusive" else [fault for one in weighed.looks[-1:] for fault in one.paired.faults],
        "num_seeds": look.num_seeds,
        "looks": [
            {"num_seeds": one.num_seeds, "num_pairs": len(one.paired.pairs), "p": None if one.judged is None else rounded(one.judged.p)}
            for one in weighed.looks
        ],
        "pairs": _pairs(look.paired),
        "excluded": list(look.paired.excluded),
        "notes": [*(judged.notes if judged else ()), *_stopped_early(weighed, look, verdict)],
        "effect": judged and _effect(judged),
        "p": judged and _p(judged, adjusted),
        "power": judged and _power(judged, claim.level / (size if standing.registered else 1)),
    }
    return {**record, "in_words": claim_in_words(record)}


def _stopped_early(weighed: Weighed, look: Look, verdict: Verdict) -> list[str]:
    if verdict == "inconclusive" or look is weighed.looks[-1]:
        return []
    return [
        f"decided at the look at {look.num_seeds} of {len(weighed.claim.seeds)} seeds; intervals are of that look, unadjusted for looking"
    ]


def _pairs(paired: Paired) -> list[dict[str, Any]]:
    return [
        {
            "seed": pair.seed,
            "treatment": rounded(pair.treatment),
            "control": rounded(pair.control),
            "difference": rounded(pair.difference),
        }
        for pair in paired.pairs
    ]


def _effect(judged: Judged) -> dict[str, Any]:
    """Intervals first: of the mean difference, by Student's t, unadjusted for the family."""
    return {
        "interval_95": judged.interval_95 and [rounded(bound) for bound in judged.interval_95],
        "interval_90": judged.interval_90 and [rounded(bound) for bound in judged.interval_90],
        "mean": rounded(judged.mean),
        "median": rounded(judged.median),
        "sd": rounded(judged.sd),
        "mean_in_sd": _rounded(judged.effect_in_sd),
        "num_pairs": judged.num_pairs,
    }


def _p(judged: Judged, adjusted: float | None) -> dict[str, Any]:
    return {
        "supported": rounded(judged.p_supported),
        "refuted": rounded(judged.p_refuted),
        "equivalent": rounded(judged.p_equivalent),
        "claim": rounded(judged.p),
        "adjusted": _rounded(adjusted),  # for looks and family; None where the claim is void
        "against_zero": _rounded(judged.p_zero),
        "against_zero_by_flips": _rounded(judged.p_zero_flip),
        "smallest_by_flips": rounded(judged.smallest_p_flip),
    }


def _power(judged: Judged, level: float) -> dict[str, Any]:
    """What the design could see, at the strictest level that looks and family may ask for."""
    return {"power": POWER, "level": rounded(level), "detectable": _rounded(judged.detectable), "seeds_needed": judged.seeds_needed}


def _rounded(value: float | None) -> float | None:
    return None if value is None else rounded(value)
