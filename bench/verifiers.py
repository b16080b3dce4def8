"""Break-even of imperfect verifiers: how many wrong answers a model can be given before what a verifier keeps teaches the wrong thing.

`python -m bench.verifiers` writes bench/verifiers.json. Sorting six digits; a share p of the answers is wrong, in one way (the
digits falling) or scattered (in any order but the right one). A verifier keeps right answers always and wrong ones with
probability psi; a fresh model learns from what is kept. Measured is its accuracy on held-out problems by p, and the p at which
it falls through one half; beside it stands p* = 1 / (1 + psi / phi) of Feng et al. (2406.07515), at which as many wrong answers
as right ones are kept. Some ten minutes on one core; nothing here is timed."""

import os
import tempfile
from collections.abc import Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np

from herdbook import numeric

ROOT = Path(__file__).parents[1]
FOUND = ROOT / "bench/verifiers.json"
PARAMS = ROOT / "experiments/verified/params.yaml"
SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # of wrong answers
PSI = (1.0, 0.5, 0.25)
KINDS = ("falling", "scattered")
NUM_STEPS, NUM_KEPT, SEED = 420, 3000, 0


def wrong_answer(question: str, kind: str, generator: np.random.Generator) -> str:
    """An answer to a sorting problem that is not right, unless all its digits are alike."""
    digits = sorted(question[:-1])
    if kind == "falling":
        return "".join(reversed(digits))
    while (answer := "".join(generator.permutation(digits))) == "".join(digits) and len(set(digits)) > 1:
        pass
    return answer


def kept(problems: Sequence[str], share: float, psi: float, kind: str, generator: np.random.Generator) -> list[str]:
    """The first NUM_KEPT answers that a verifier with phi 1 and this psi lets pass, drawn with a share of wrong ones."""
    found: list[str] = []
    while len(found) < NUM_KEPT:
        text = problems[int(generator.integers(len(problems)))]
        if generator.random() >= share:
            found.append(text)
        elif generator.random() < psi:
            found.append(text[:7] + wrong_answer(text[:7], kind, generator))
    return found


def break_even_measured(accuracies: Sequence[tuple[float, float]]) -> float | None:
    """Where accuracy first falls through one half, on a straight line between two shares; None where it does not."""
    for (low, high_accuracy), (high, low_accuracy) in pairwise(accuracies):
        if high_accuracy >= 0.5 > low_accuracy:
            return round(low + (high - low) * (high_accuracy - 0.5) / (high_accuracy - low_accuracy), 3)
    return None


def main() -> None:
    """Measure and write bench/verifiers.json."""
    os.environ.update(numeric.PINS)  # before torch is imported
    import torch

    from herdbook.answering import held_out_accuracy
    from herdbook.base import new_base
    from herdbook.files import write_json
    from herdbook.models import fresh_model
    from herdbook.params import read_params
    from herdbook.steps.answers import break_even
    from herdbook.tasks import parse_task, problems
    from herdbook.tokenizer import train_tokenizer
    from herdbook.training import train

    numeric.pin_torch()
    params = read_params(PARAMS)
    family = parse_task(params.task or {})
    texts = problems(family, 3600, SEED)
    tokenizer = train_tokenizer(texts, params.prepare.vocabulary_size)
    held_out = [[*tokens, tokenizer.mark] for tokens in tokenizer.encode(texts[3000:])]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder, "base")
        new_base(params.model, tokenizer, params.prepare.block_tokens, base)
        for kind, psi in product(KINDS, PSI):
            accuracies = []
            for share in SHARES:
                rows = kept(texts[:3000], share, psi, kind, np.random.default_rng(numeric.seed_of(kind, str(psi), str(share))))
                model = fresh_model(base, SEED)
                tokens = [[*ids, tokenizer.mark] for ids in tokenizer.encode(rows)]
                train(model, tokens, tokenizer.mark, NUM_STEPS, params.train, torch.Generator().manual_seed(SEED), lambda *count: None)
                accuracies.append((share, round(held_out_accuracy(model, held_out, tokenizer, family, 7), 4)))
                print(kind, psi, *accuracies[-1], flush=True)
            found.setdefault(kind, {})[f"psi {psi}"] = {
                "accuracy_by_share_wrong": {f"{share}": accuracy for share, accuracy in accuracies},
                "break_even_measured": break_even_measured(accuracies),
                "break_even_feng": round(break_even(1.0, psi), 3),
            }
    write_json(FOUND, {"num_steps": NUM_STEPS, "num_kept": NUM_KEPT, "phi": 1.0, "kinds": found})


if __name__ == "__main__":
    main()
