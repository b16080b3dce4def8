"""What each step of a recipe is worth: the same regime without it, at an equal budget of tokens."""

import copy
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from herdbook.errors import HerdbookError

WHOLE = "whole"  # the regime with all its steps
_COLUMNS = ("held_out_loss_nats", "offspring_distinct_2", "offspring_tail_coverage")
_SLACK = 0.95  # of the tokens of the whole recipe's training set: sets of other recipes may hold fewer


@dataclass(frozen=True)
class Effect:
    """What taking a step out changed at the last generation that all seeds bred: whole recipe less recipe without the step."""

    step: str
    num_seeds: int
    held_out_loss_nats: float  # below 0: the step helps
    loss_by_seed: tuple[float, ...]
    distinct_2: float  # above 0: the step keeps text more varied
    tail_coverage: float


def ablated(document: Mapping[str, Any], regime: str, composition: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """The parameters of an experiment: the regime whole, and once without each step of its recipe.

    All train on as many tokens, in the same fractions: those of `composition`, what the regime's first bred training
    set was made of (human, or the generation that wrote it). Raises HerdbookError for a regime without steps."""
    settings = document["regimes"][regime]
    steps = settings["recipe"]["steps"]
    if not steps:
        raise HerdbookError(f"regimes.{regime}.recipe has no steps, so there is nothing to take out; choose another regime")
    base = {**copy.deepcopy(settings), "mixture": _mixture(composition), "gate": "waive"}
    regimes = {WHOLE: base}
    for number, step in enumerate(steps):
        name = f"without_{step['name']}"
        variant = copy.deepcopy(base)
        variant["recipe"]["steps"] = [other for place, other in enumerate(steps) if place != number]
        regimes[name if name not in regimes else f"{name}_{number}"] = variant
    decodings = {name: decoding for name, decoding in document["decodings"].items() if decoding == settings["decoding"]}
    return {**copy.deepcopy(dict(document)), "decodings": decodings, "regimes": regimes}


def _mixture(composition: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    tokens = {"human": 0, "offspring": 0}
    for origin, count in composition.items():
        tokens["human" if origin == "human" else "offspring"] += count["tokens"]
    total = sum(tokens.values())
    human = round(tokens["human"] / total, 4)
    fractions = {"offspring": round(1 - human, 4), "human": human}
    sources = [{"source": source, "fraction": fraction, "epochs": 1.0} for source, fraction in fractions.items() if fraction]
    return {"num_tokens": int(total * _SLACK), "sources": sources}


def effects(lines: Iterable[Mapping[str, str]], steps: Sequence[str]) -> list[Effect]:
    """The effect of each regime named in `steps` (without_...), from the lines of reports/generations.csv; paired by seed.

    The generation is the last in which the whole regime and that one bred every seed, and left text to be measured; none is
    told where there is none."""
    told = {(line["regime"], line["seed"], int(line["generation"])): line for line in lines}
    bred = {key: line for key, line in told.items() if line["status"] == "bred" and all(line[column] for column in _COLUMNS)}
    seeds = sorted({seed for _, seed, _ in told})
    found = []
    for regime in steps:
        shared = [number for number in sorted({number for _, _, number in bred}, reverse=True) if number
                  and all((name, seed, number) in bred for name in (WHOLE, regime) for seed in seeds)]  # fmt: skip
        if not shared:
            continue
        pairs = [(bred[WHOLE, seed, shared[0]], bred[regime, seed, shared[0]]) for seed in seeds]
        differences = {column: [float(whole[column]) - float(without[column]) for whole, without in pairs] for column in _COLUMNS}
        found.append(Effect(
            step=regime.removeprefix("without_"), num_seeds=len(seeds), loss_by_seed=tuple(differences["held_out_loss_nats"]),
            held_out_loss_nats=statistics.fmean(differences["held_out_loss_nats"]),
            distinct_2=statistics.fmean(differences["offspring_distinct_2"]),
            tail_coverage=statistics.fmean(differences["offspring_tail_coverage"]),
        ))  # fmt: skip
    return found
