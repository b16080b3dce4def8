"""Records of a run of any size, with receipts, profiles and texts as large as those of a real one; nothing was bred."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from herdbook.layout import Place
from herdbook.policy import Rule, read_policy
from herdbook.receipt import policy_paths
from stages import compare
from tests import miniature
from tests import records as made

_WORDS = [f"{first}{last}" for first in "bcdfghjklmnpqrst" for last in ("an", "ed", "ing", "o", "ul")]
_TEXT_WORDS, _NUM_EXAMPLES = 25, 6


def write(root: Path, num_regimes: int, num_seeds: int, num_generations: int) -> None:
    """Lay out a project whose every lineage was bred to its end. `compare` has run; call it with `root` as working directory."""
    generator = np.random.Generator(np.random.PCG64(0))
    regimes = {f"regime_{number}": "waive" if number % 2 else "block" for number in range(num_regimes)}
    seeds = [f"s{number}" for number in range(num_seeds)]
    made.write_project(root, regimes, seeds, num_generations)
    policies = {kind: [rule for path in policy_paths(kind) for rule in _rules(path)] for kind in ("human", "training", "offspring")}
    prompts = {seed: [_text(generator, 4) for _ in range(_NUM_EXAMPLES)] for seed in seeds}
    made.write(root / "records/human/receipt.json", _receipt("human", policies["human"], generator, "block"))
    for regime, gate in regimes.items():
        for seed in seeds:
            for number in range(num_generations):
                folder = root / Place(regime, seed, f"g{number}").records
                for kind in ("training", "offspring"):
                    made.write(folder / kind / "receipt.json", _receipt(kind, policies[kind], generator, gate))
                made.write(
                    folder / "examples.json", [{"prompt": prompt, "text": _text(generator, _TEXT_WORDS)} for prompt in prompts[seed]]
                )
    compare.main([])


def _rules(path: Path) -> Iterator[tuple[str, Rule]]:
    for rule in read_policy(miniature.ROOT / path).rules:
        yield path.stem, rule


def _receipt(kind: str, rules: list[tuple[str, Rule]], generator: np.random.Generator, gate: str) -> dict[str, Any]:
    """A receipt with every rule of its policies; of a regime that waives, a tenth of the rules on profiles are not passed."""
    told = []
    for suite, rule in rules:
        is_profile = suite.endswith("profile")
        value = round(float(generator.random()), 10)
        told.append(
            {
                **made.rule("failed" if is_profile and gate == "waive" and value < 0.1 else "passed", severity=rule.severity),
                "suite": suite,
                "rule": rule.type,
                "column": ", ".join(rule.columns) or None,
                "notes": rule.notes,
                "observed": value if is_profile else "0 of 2000 rows break it",
                "allowed": f">= {value / 2} (human_distinct_2 * 0.5)" if is_profile else "in every row",
            }
        )
    roles = ("rows", "pool", "making") if kind == "training" else ("rows",)
    policies = {path.name: suite[0] * 64 for path, suite in zip(policy_paths(kind), ("rows", "profile"), strict=True)}
    return {**made.receipt(kind, *told), "data": {role: generator.bytes(32).hex() for role in roles}, "policies": policies}


def _text(generator: np.random.Generator, num_words: int) -> str:
    return " ".join(generator.choice(_WORDS, num_words).tolist())
