"""Sampling and training a model of 135 M parameters on a graphics card, in bfloat16: `python -m bench.gpu` writes bench/gpu.json.

The model has the configuration of SmolLM2-135M (Allal et al. 2025, table of the 135M model) and random weights; its rows are made up. A
share of the card counts what the weight matrices multiply (2 operations a parameter and token, 6 to train), not attention, against the
rate of one large product of random matrices measured in the same run."""

import copy
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.machine import machine
from herdbook.files import write_json
from herdbook.numeric import pin_torch, pinned
from herdbook.params import Decoding, Train

Ways = dict[str, Callable[[], object]]
FOUND = Path("bench/gpu.json")
ROUNDS = 5
VOCABULARY = 49152
SMOLLM2 = {
    "vocab_size": VOCABULARY,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
    "rope_theta": 100000.0,
    "tie_word_embeddings": True,
}
MARK, PROMPT_TOKENS, NEW_TOKENS, TRAIN_TOKENS = 0, 33, 64, 512
SAMPLE_ROWS, TRAIN_ROWS, NUM_STEPS = (256, 1024, 4096), (16, 64), 10
SIDE = 8192  # of the square matrices whose product is the card's rate


def seconds(ways: Ways) -> dict[str, dict[str, float]]:
    """Seconds of the clock that each way takes, card included: the median, least and most of ROUNDS, the ways in turn."""
    import torch

    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(1 + ROUNDS):
        for name, way in ways.items():
            torch.cuda.synchronize()
            start = time.perf_counter()
            way()
            torch.cuda.synchronize()
            taken[name].append(time.perf_counter() - start)
    return {
        name: {"seconds": statistics.median(rounds[1:]), "least": min(rounds[1:]), "most": max(rounds[1:])}
        for name, rounds in taken.items()
    }


def products_per_second() -> float:
    """Floating-point operations a second of a bfloat16 product of random matrices, ten at a time."""
    import torch

    left, right = (torch.randn(SIDE, SIDE, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 10 * 2 * SIDE**3 / seconds({"products": lambda: [left @ right for _ in range(10)]})["products"]["seconds"]


def model_of(dtype: Any) -> Any:
    """SmolLM2-135M's shape with random weights, the same each time."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model("llama", **SMOLLM2)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).to("cuda", dtype)  # type: ignore[no-untyped-call]


def rows_of(count: int, length: int) -> Any:
    """Rows of token ids drawn evenly, none of them the mark: int64 of shape (count, length)."""
    import torch

    return torch.randint(1, VOCABULARY, (count, length), generator=torch.Generator().manual_seed(0))


def rates(ways: Ways, num_tokens: int, operations: float, rate: float) -> dict[str, dict[str, float]]:
    """Each way measured: tokens a second of the clock, and the share of the card's products they come to."""
    found: dict[str, dict[str, float]] = {}
    for name, taken in seconds(ways).items():
        per_second = num_tokens / taken["seconds"]
        found[name] = {
            **{key: round(value, 4) for key, value in taken.items()},
            "tokens_per_second": round(per_second),
            "share_of_products": round(per_second * operations / rate, 4),
        }
    return found


def sampled(model: Any, prompts: Any, top_k: int, digests: set[str]) -> None:
    """Add the digest of what `sample` draws; no token ends a row, so that all ways do the same work."""
    import torch

    from herdbook.sampler import sample

    rows = len(prompts)
    decoding = Decoding(num_rows=rows, temperature=1.0, top_k=top_k, top_p=1.0, num_beams=1, repetition_penalty=1.0)
    found = sample(model, prompts, decoding, NEW_TOKENS, VOCABULARY, torch.Generator().manual_seed(1), rows)
    digests.add(hashlib.sha256(json.dumps(found).encode()).hexdigest())


def generated(model: Any, prompts: Any, top_k: int) -> None:
    """What transformers draws."""
    import torch

    batch = prompts.to("cuda")
    with torch.inference_mode():
        model.generate(
            batch, attention_mask=torch.ones_like(batch), do_sample=True, top_k=top_k, max_new_tokens=NEW_TOKENS, eos_token_id=None,
            pad_token_id=0,
        ).cpu()  # fmt: skip


def sampling(rate: float) -> dict[str, Any]:
    """`sample` beside `generate`, the rows of a batch from few to many."""
    import torch

    model = model_of(torch.bfloat16).eval()
    batches: dict[str, Any] = {}
    for rows in SAMPLE_ROWS:
        prompts, found = rows_of(rows, PROMPT_TOKENS), {}
        for top_k in (0, 50):
            digests: set[str] = set()
            ways: Ways = {
                "sample": partial(sampled, model, prompts, top_k, digests),
                "generate": partial(generated, model, prompts, top_k),
            }
            measured = rates(ways, rows * NEW_TOKENS, 2 * model.num_parameters(), rate)
            found[f"top_k_{top_k}"] = {**measured, "the_same_each_time": len(digests) == 1}
        batches[str(rows)] = found
        print(f"sampling, {rows} rows: {found}", file=sys.stderr)
    return batches


def trained(fresh: Any, data: Any, size: int, losses: set[tuple[float, ...]]) -> None:
    """Add the losses of `train` on float32 weights with products in bfloat16."""
    import torch

    from herdbook.training import train

    params = Train(epochs=1, batch_rows=size, learning_rate=3e-4, warmup_share=0.1, weight_decay=0.1, device="cuda")
    with torch.autocast("cuda", torch.bfloat16):
        course = train(copy.deepcopy(fresh), data.tolist(), MARK, NUM_STEPS, params, torch.Generator().manual_seed(1))
    losses.add(tuple(course.losses))


def looped(fresh: Any, data: Any, size: int) -> None:
    """The loop that anyone would write."""
    import torch

    model = copy.deepcopy(fresh)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1)
    model.train()
    for batch in data.to("cuda").split(size):
        with torch.autocast("cuda", torch.bfloat16):
            loss = model(input_ids=batch, labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()


def training(rate: float) -> dict[str, Any]:
    """Steps of `train` beside those of a plain loop, both from the same weights and with products in bfloat16."""
    import torch

    fresh = model_of(torch.float32)
    batches: dict[str, Any] = {}
    for rows in TRAIN_ROWS:
        data = rows_of(rows * NUM_STEPS, TRAIN_TOKENS)
        losses: set[tuple[float, ...]] = set()
        ways: Ways = {
            "train": partial(trained, fresh, data, rows, losses),
            "plain_loop": partial(looped, fresh, data, rows),
        }
        measured = rates(ways, data.numel(), 6 * fresh.num_parameters(), rate)
        batches[str(rows)] = {**measured, "the_same_each_time": len(losses) == 1}
        print(f"training, {rows} rows: {batches[str(rows)]}", file=sys.stderr)
    return batches


def table(found: Any) -> str:
    """What bench/gpu.json holds, for bench/README.md."""
    lines = [
        f"\nA model of 135 M parameters in bfloat16 on one {found['card']} (products of {found['product_teraflops']:g} TFLOP/s), torch "
        f"{found['machine']['torch']}; the median of {found['rounds']} rounds in turn (`{FOUND.name}`):\n\n",
        "| work | tokens a second | of the products | to transformers | same each time |\n|---|---|---|---|---|\n",
    ]
    for rows, cuts in sorted(found["sampling"].items(), key=lambda one: int(one[0])):
        for cut, ways in cuts.items():
            lines.append(
                _line(f"sampling, {rows} rows, {'all tokens' if cut == 'top_k_0' else 'top-k 50'}", ways["sample"], ways["generate"], ways)
            )
    for rows, ways in found["training"].items():
        lines.append(_line(f"training, {rows} rows of {TRAIN_TOKENS}", ways["train"], ways["plain_loop"], ways))
    return "".join(lines)


def _line(work: str, ours: Any, theirs: Any, ways: Any) -> str:
    times, share = ours["tokens_per_second"] / theirs["tokens_per_second"], ours["share_of_products"]
    return f"| {work} | {ours['tokens_per_second']:,} | {share:.1%} | {times:.2f} | {'yes' if ways['the_same_each_time'] else 'no'} |\n"


def main() -> None:
    """Measure in a process whose environment is pinned, and write bench/gpu.json; say so where there is no card."""
    import torch

    if not torch.cuda.is_available():
        print("bench.gpu: torch finds no CUDA device, so bench/gpu.json stays as it is", file=sys.stderr)
        return
    subprocess.run([sys.executable, "-m", "bench.gpu", "--here"], env=pinned(dict(os.environ)), check=True)


def measure() -> None:
    """Measure in this process."""
    import torch
    import transformers

    pin_torch()
    rate = products_per_second()
    found = {
        "machine": {**machine(), "python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__},
        "card": torch.cuda.get_device_name(),
        "rounds": ROUNDS,
        "product_teraflops": round(rate / 1e12, 1),
        "sampling": sampling(rate),
        "training": training(rate),
    }
    write_json(FOUND, found)


if __name__ == "__main__":
    measure() if sys.argv[1:] == ["--here"] else main()
