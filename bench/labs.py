"""Simulated labs whose truth is known: how often each verdict is given, and what comes of hacking for one.

`python -m bench.labs` writes bench/labs.json: 1000 labs for each truth, number of seeds and kind of family, 1000 of other noise and
declared looks, and 150 for each way of hacking. All sizes are in standard deviations of the differences over seeds; the bounds of
equivalence are -1 and 1, alpha is 0.05. About a minute on one core; nothing here is timed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from herdbook.claims import Claim, Hypotheses, Standing, parse_hypotheses
from herdbook.files import canonical_json, write_json
from herdbook.judgement import ANALYSIS, VERDICTS, Estimator, claim_p, holm, p_values
from herdbook.judging import judge_family

ROOT = Path(__file__).parents[1]
FOUND = ROOT / "bench/labs.json"
ALPHA = 0.05
BOUNDS = (-1.0, 1.0)
NUM_LABS, NUM_HACKERS = 1000, 150
NUMS_SEEDS = (3, 5, 10)
CORRELATION = 0.5  # of the claims of a family, which share their seeds
CLEAR = 8.0  # an effect that any lab sees

# Truths: the effect, and the verdicts that are false of it.
TRUTHS: dict[str, tuple[float, tuple[str, ...]]] = {
    "a true effect": (6.0, ("refuted", "equivalent")),
    "an underpowered effect": (1.5, ("refuted", "equivalent")),
    "an effect just at the bound": (1.0, ("supported", "refuted")),
    "a null that is not zero": (0.5, ("supported", "refuted")),
    "an exact null": (0.0, ("supported", "refuted")),
    "an opposite effect": (-6.0, ("supported", "equivalent")),
}
FAMILIES = {"alone": 1, "five alike": 5, "four clear effects beside it": 5}

Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
NOISES: dict[str, Noise] = {
    "normal": lambda generator, shape: generator.normal(0.0, 1.0, shape),
    "heavy tails (t, 3 degrees)": lambda generator, shape: generator.standard_t(3, shape) / np.sqrt(3.0),
    "skewed (exponential)": lambda generator, shape: generator.exponential(1.0, shape) - 1.0,
    "skewed (exponential, other side)": lambda generator, shape: 1.0 - generator.exponential(1.0, shape),
}


def rates(truth: str, family: str, num_seeds: int, estimator: Estimator, num_labs: int, generator: np.random.Generator) -> dict[str, float]:
    """Shares of labs with each verdict on the claim of this truth, and with any false verdict in its family."""
    effect, false = TRUTHS[truth]
    size = FAMILIES[family]
    effects = np.full(size, CLEAR if family.startswith("four") else effect)
    effects[0] = effect
    shared, own = generator.normal(size=(num_labs, 1, num_seeds)), generator.normal(size=(num_labs, size, num_seeds))
    differences = effects[:, None] + np.sqrt(CORRELATION) * shared + np.sqrt(1 - CORRELATION) * own
    p, leanings = claim_p(*p_values(differences, BOUNDS, estimator))
    shown = holm(p, size) <= ALPHA
    given = np.where(shown, leanings, VERDICTS.index("inconclusive"))
    is_false = [np.isin(given[:, n], [VERDICTS.index(name) for name in _false_of(effects[n], effect, false)]) for n in range(size)]
    found: dict[str, float] = {name: float((given[:, 0] == number).mean()) for number, name in enumerate(VERDICTS)}
    return {**found, "any_false_in_family": float(np.any(is_false, axis=0).mean())}


def _false_of(effect: float, of_truth: float, false: tuple[str, ...]) -> tuple[str, ...]:
    return false if effect == of_truth else ("refuted", "equivalent")


def rate_under(noise: str, num_seeds: int, estimator: Estimator, num_labs: int, generator: np.random.Generator) -> float:
    """The share of labs that call an effect just at the bound supported, where the noise is this; nominal is alpha / 2."""
    differences = BOUNDS[1] + NOISES[noise](generator, (num_labs, num_seeds))
    return float((2 * p_values(differences, BOUNDS, estimator)[0] <= ALPHA).mean())


def rate_of_looking(looks: tuple[int, ...], num_labs: int, generator: np.random.Generator, *, declared: bool) -> float:
    """The share of labs in which an effect just at the bound is supported at any look; each look at alpha, or at its declared share."""
    differences = BOUNDS[1] + generator.normal(size=(num_labs, looks[-1]))
    level = ALPHA / len(looks) if declared else ALPHA
    return float(np.any([2 * p_values(differences[:, :num], BOUNDS, "mean_t")[0] <= level for num in looks], axis=0).mean())


METRICS = tuple(f"figure_{letter}" for letter in "abcdefgh")


@dataclass(frozen=True)
class Lab:
    """What a hacker has: a claim that was registered, and results in which nothing goes beyond the bound."""

    hypotheses: Hypotheses
    lines: list[dict[str, Any]]

    @property
    def differences(self) -> dict[str, np.ndarray]:
        """By metric: treatment minus control of every seed."""
        figures = {(line["regime"], line["seed"], line["generation"]): line for line in self.lines}
        seeds = sorted({line["seed"] for line in self.lines}, key=lambda seed: int(seed[1:]))
        return {metric: np.array([figures["a", seed, 3][metric] - figures["b", seed, 3][metric] for seed in seeds]) for metric in METRICS}


def document(num_claims: int = 1, num_seeds: int = 3) -> dict[str, Any]:
    """A hypotheses.yaml of claims on figure_a, figure_b and so on, each with its controls."""
    seeds = [f"s{n}" for n in range(num_seeds)]
    part = {"sentence": "Simulated.", "metric": "known", "seeds": seeds}
    contrast = {"treatment": "a g3", "control": "b g3"}
    claim = {
        "sentence": "Simulated.", "collapse": "population_risk", "source": None, "use_case": "None.", "proposed": "None.",
        "contrast": contrast, "estimator": "mean_t", "direction": "greater", "smallest_effect": 6.0, "equivalence": list(BOUNDS),
        "seeds": seeds, "stopping": "fixed", "exclusions": "none", "positive_control": "shows", "negative_control": "shows-not",
    }  # fmt: skip
    return {
        "analysis": ANALYSIS,
        "alpha": ALPHA,
        "controls": [
            {**part, "id": "shows", "kind": "positive", "contrast": contrast, "must": {"above": 5.0}},
            {
                **part,
                "id": "shows-not",
                "kind": "negative",
                "contrast": {"treatment": "a g0", "control": "b g0"},
                "must": {"within": [-1, 1]},
            },
        ],
        "claims": [{**claim, "id": f"claim-{n}", "metric": METRICS[n]} for n in range(num_claims)],
    }


@cache
def _parsed(text: str) -> Hypotheses:
    return parse_hypotheses(text, "hypotheses.yaml")


def parsed(content: dict[str, Any]) -> Hypotheses:
    """The hypotheses of a document."""
    return _parsed(canonical_json(content))  # JSON is YAML


def new_lab(generator: np.random.Generator, num_claims: int = 1) -> Lab:
    """A lab of 10 seeds in which every effect lies just at the bound, where false support is likeliest."""
    lines = []
    for seed in range(10):
        for regime, generation in (("a", 0), ("b", 0), ("a", 3), ("b", 3)):
            line: dict[str, Any] = {"regime": regime, "seed": f"s{seed}", "generation": generation, "status": "bred"}
            effect = BOUNDS[1] if (regime, generation) == ("a", 3) else 0.0
            line["known"] = 10.0 * effect
            noise = generator.normal(size=len(METRICS)) if effect else np.zeros(len(METRICS))
            lines.append({**line, **dict(zip(METRICS, (effect + noise).tolist(), strict=True))})
    return Lab(parsed(document(num_claims)), lines)


def _p(differences: np.ndarray) -> float:
    return float(2 * p_values(differences, BOUNDS, "mean_t")[0])


def add_seeds(lab: Lab) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One seed more, until it works."""
    values = lab.differences[METRICS[0]]
    num = next((num for num in range(3, len(values) + 1) if _p(values[:num]) <= ALPHA), 3)
    return document(1, num), lab.lines


def change_metric(lab: Lab) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The figure that works best."""
    content = document()
    content["claims"][0]["metric"] = min(METRICS, key=lambda metric: _p(lab.differences[metric][:3]))
    return content, lab.lines


def choose_seeds(lab: Lab) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The three seeds that work best."""
    content, values = document(), lab.differences[METRICS[0]]
    content["claims"][0]["seeds"] = [f"s{n}" for n in sorted(np.argsort(values)[-3:].tolist())]
    return content, lab.lines


def hide_seeds(lab: Lab) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The lines of the worst seed are gone, the claim stands."""
    worst = f"s{int(np.argmin(lab.differences[METRICS[0]][:3]))}"
    return document(), [line for line in lab.lines if line["seed"] != worst]


def move_bound(lab: Lab) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Bounds so near zero that what was found lies beyond them."""
    content = document()
    content["claims"][0]["equivalence"] = [-0.01, 0.01]
    return content, lab.lines


def raise_alpha(lab: Lab) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A level twice as high."""
    return {**document(), "alpha": 2 * ALPHA}, lab.lines


def look_twice(lab: Lab) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Looks that are declared when they have been taken."""
    content = document(1, 10)
    content["claims"][0]["stopping"] = {"looks": [3, 5, 10]}
    return content, lab.lines


def drop_claims(lab: Lab) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Of five registered claims only the one that works best."""
    content = document(5)
    content["claims"] = [min(content["claims"], key=lambda claim: _p(lab.differences[claim["metric"]][:3]))]
    return content, lab.lines


HACKS: dict[str, Callable[[Lab], tuple[dict[str, Any], list[dict[str, Any]]]]] = {
    "adding seeds until it works": add_seeds,
    "changing the metric": change_metric,
    "choosing the seeds": choose_seeds,
    "dropping the lines of a seed": hide_seeds,
    "moving the bounds": move_bound,
    "raising alpha": raise_alpha,
    "declaring looks after looking": look_twice,
    "dropping four of five claims": drop_claims,
}


def standings(claims: tuple[Claim, ...], registered: dict[str, str], late: dict[str, str]) -> dict[str, Standing]:
    """Who was registered before the results, by digest: what a register of claims says, whose own tests are elsewhere."""
    found = {}
    for claim in claims:
        if registered.get(claim.id) == claim.digest:
            found[claim.id] = Standing(registered=True)
        elif late.get(claim.id) == claim.digest:
            found[claim.id] = Standing(registered=False, reasons=("its results existed when it was registered",))
        else:
            found[claim.id] = Standing(registered=False, reasons=("it is not what was registered",))
    return found


def hacked(hack: str, num_labs: int, generator: np.random.Generator, *, registers_again: bool = False) -> dict[str, float]:
    """Shares of labs that end with `supported`: without a mark, of these by the hack, and marked exploratory.

    Every effect lies just at the bound, so honest labs end with it in alpha / 2 of cases; gained is what they would not have ended with."""
    unmarked = marked = gained = 0
    for _ in range(num_labs):
        lab = new_lab(generator, num_claims=5 if hack.startswith("dropping four") else 1)
        content, lines = HACKS[hack](lab)
        now = parsed(content)
        registered = {claim.id: claim.digest for claim in lab.hypotheses.claims}
        late = {claim.id: claim.digest for claim in now.claims} if registers_again else {}
        num = len({*registered.values(), *late.values()})
        (end,) = judge_family(now, lines, standings(now.claims, registered, late), num)["claims"]
        if end["verdict"] == "supported" and end["exploratory"] and end["in_words"].startswith("supported, exploratory"):
            marked += 1
        elif end["verdict"] == "supported":
            honest = judge_family(lab.hypotheses, lab.lines, standings(lab.hypotheses.claims, registered, {}), len(registered))["claims"]
            unmarked += 1
            gained += all((claim["digest"], claim["verdict"]) != (end["digest"], "supported") for claim in honest)
    return {
        "supported_unmarked": unmarked / num_labs,
        "supported_unmarked_gained": gained / num_labs,
        "supported_marked": marked / num_labs,
    }


def measured(num_labs: int = NUM_LABS, num_hackers: int = NUM_HACKERS, seed: int = 0) -> dict[str, Any]:
    """All of bench/labs.json."""
    generator = np.random.default_rng(seed)
    verdicts: dict[str, Any] = {}
    for family in FAMILIES:
        for truth in TRUTHS:
            for num in NUMS_SEEDS:
                cell = rates(truth, family, num, "mean_t", num_labs, generator)
                verdicts.setdefault(family, {}).setdefault(truth, {})[f"{num} seeds"] = cell
    estimators: tuple[Estimator, ...] = ("sign_flip", "median_signed")
    return {
        "alpha": ALPHA,
        "num_labs": num_labs,
        "num_hackers": num_hackers,
        "verdicts": verdicts,
        "verdicts_of_exact_tests_10_seeds": {
            estimator: {truth: rates(truth, "alone", 10, estimator, num_labs, generator) for truth in TRUTHS} for estimator in estimators
        },
        "supported_at_the_bound_by_noise": {
            noise: {f"{num} seeds": rate_under(noise, num, "mean_t", num_labs, generator) for num in NUMS_SEEDS} for noise in NOISES
        },
        "supported_at_the_bound_by_looking": {
            "once, at 10 seeds": rate_of_looking((10,), num_labs, generator, declared=True),
            "at 3, 6 and 10, declared": rate_of_looking((3, 6, 10), num_labs, generator, declared=True),
            "at 3, 4, ... 10, each at alpha": rate_of_looking(tuple(range(3, 11)), num_labs, generator, declared=False),
        },
        "hacking": {
            **{hack: hacked(hack, num_hackers, generator) for hack in HACKS},
            "changing the metric and registering again": hacked("changing the metric", num_hackers, generator, registers_again=True),
        },
    }


def main() -> None:
    """Simulate and write bench/labs.json."""
    write_json(FOUND, measured())


if __name__ == "__main__":
    main()
