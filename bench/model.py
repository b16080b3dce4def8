"""Training and sampling of the default model beside transformers, and beside the machine's own matrix products.

`python -m bench.model` writes bench/model.json: tokens per CPU second of each way in turn, ROUNDS times in one process with one
thread, after one round that is not counted. The model and its rows are made up: the configuration and sizes of params.yaml,
tokens drawn by Zipf's law. A model's share of the product rate counts what its weight matrices multiply, not attention. Where the
time goes is told by torch's own profiler, in a round of its own: it sees operations, and `between them` is Python and the profiler."""

import contextlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.machine import machine
from herdbook.files import write_json
from herdbook.numeric import pin_torch, pinned
from herdbook.params import Params, read_params

FOUND = Path("bench/model.json")
ROUNDS = 7
NUM_STEPS = 40  # of the optimiser, a round
PURE = {"top_k": 0, "top_p": 1.0, "temperature": 1.0, "num_beams": 1, "repetition_penalty": 1.0}
Ways = dict[str, Callable[[], int]]
KINDS = {  # of torch's operations, by their names without aten::
    "matrix products": r"mm|addmm|bmm|baddbmm",
    "attention": r"_scaled_dot_product.*|attend",
    "loss": r".*(log_softmax|nll_loss|cross_entropy).*|_CrossEntropy.*",
    "norms": r".*norm(_gradient)?|_Norm.*",
    "gate and rotation": r"gate.*|_Gate.*|turn|_Turn.*",
    "optimiser and clipping": r"_fused_adam.*|_foreach.*",
    "drawing a token": r"weigh|cut|pick|amax|isfinite|ne|abs",
    "copies and shapes": r"copy_|cat|.*fill_|zero_|.*pad.*|roll|index.*|clone|_to_copy|select.*|slice.*|embedding.*",
}


def rates(ways: Ways) -> dict[str, dict[str, float]]:
    """Tokens per second of each way, which returns how many it did: of CPU and of the clock, the median, least and most of ROUNDS."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(1 + ROUNDS):
        for name, way in ways.items():
            cpu, wall = time.process_time(), time.monotonic()
            count = way()
            taken[name].append((count / (time.process_time() - cpu), count / (time.monotonic() - wall)))
    found = {}
    for name, rounds in taken.items():
        per_cpu, per_wall = zip(*rounds[1:], strict=True)
        found[name] = {
            "tokens_per_cpu_second": round(statistics.median(per_cpu)),
            "least": round(min(per_cpu)),
            "most": round(max(per_cpu)),
            "tokens_per_wall_second": round(statistics.median(per_wall)),
        }
    return found


@contextlib.contextmanager
def kernels_seen() -> Iterator[None]:
    """Let torch's profiler see the compiled kernels, each under its own name."""
    from numba.core.dispatcher import Dispatcher
    from torch.profiler import record_function

    from herdbook import kernels

    compiled = {name: work for name, work in vars(kernels).items() if isinstance(work, Dispatcher)}

    def watched(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            with record_function(name):
                return work(*given)

        return call

    try:
        vars(kernels).update({name: watched(name, work) for name, work in compiled.items()})
        yield
    finally:
        vars(kernels).update(compiled)


def where_time_goes(work: Callable[[], object]) -> dict[str, float]:
    """Shares of the time of `work`, done once more, by kinds of operations."""
    from torch.profiler import ProfilerActivity, profile

    with kernels_seen(), profile(activities=[ProfilerActivity.CPU]) as seen:
        began = time.monotonic()
        work()
        whole = time.monotonic() - began
    shares = dict.fromkeys([*KINDS, "other operations"], 0.0)
    for event in seen.key_averages():
        name = event.key.removeprefix("aten::").removeprefix("autograd::")
        kind = next((kind for kind, pattern in KINDS.items() if re.fullmatch(pattern, name)), "other operations")
        shares[kind] += event.self_cpu_time_total / 1e6 / whole
    shares["between them"] = 1 - sum(shares.values())
    return {kind: round(share, 3) for kind, share in shares.items()}


def ratio(found: dict[str, dict[str, float]], ours: str, theirs: str) -> float:
    """How many times the tokens per CPU second."""
    return round(found[ours]["tokens_per_cpu_second"] / found[theirs]["tokens_per_cpu_second"], 2)


def model_of(params: Params) -> Any:
    """The default model with random weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(params.model.architecture, vocab_size=params.prepare.vocabulary_size, **params.model.config)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def rows_of(params: Params, count: int) -> list[list[int]]:
    """Rows of a block's length; 0, the mark, is in none."""
    import numpy as np

    ranks = np.arange(1, params.prepare.vocabulary_size)
    shares = 1 / ranks / (1 / ranks).sum()
    return np.random.default_rng(0).choice(ranks, (count, params.prepare.block_tokens), p=shares).tolist()


def product_tokens(model: Any, num_tokens: int, with_gradients: bool) -> int:
    """Multiply a batch by each weight matrix, and as training does for the gradients; how many tokens."""
    import torch

    matrices = [p.detach() for p in model.parameters() if p.dim() == 2]
    for weight in matrices:  # the tied embeddings once: looking one up multiplies nothing
        states = torch.ones(num_tokens, weight.shape[1])
        gradients = torch.ones(num_tokens, weight.shape[0])
        if with_gradients:
            torch.mm(gradients, weight)
            torch.mm(gradients.T, states)
        torch.mm(states, weight.T)
    return num_tokens


def sampling(params: Params) -> dict[str, Any]:
    """Rows of `sample` beside those of `generate`."""
    import torch

    from herdbook.params import Decoding
    from herdbook.sampler import sample

    model, rows = model_of(params), params.sample.batch_rows
    model.train(False)
    prompts = torch.tensor(rows_of(params, rows))[:, : params.sample.prompt_tokens + 1]
    num_new, mark = params.prepare.block_tokens, params.prepare.vocabulary_size  # no token ends a row: all ways do the same work

    def ours(top_k: int) -> int:
        decoding = Decoding(**{**PURE, "top_k": top_k, "num_rows": rows})
        return sum(map(len, sample(model, prompts, decoding, num_new, mark, torch.Generator().manual_seed(1), rows)))

    def theirs(top_k: int) -> int:
        with torch.inference_mode():
            made = model.generate(
                prompts, attention_mask=torch.ones_like(prompts), do_sample=True, top_k=top_k, max_new_tokens=num_new,
                eos_token_id=None, pad_token_id=0,
            )  # fmt: skip
        return (made.shape[1] - prompts.shape[1]) * rows

    products = {"products": lambda: sum(product_tokens(model, rows, False) for _ in range(num_new))}
    ways = {
        "pure": lambda: ours(0),
        "generate_pure": lambda: theirs(0),
        "top_k_50": lambda: ours(50),
        "generate_top_k_50": lambda: theirs(50),
    }
    found = rates({**ways, **products})
    return {
        **found,
        "pure_over_generate": ratio(found, "pure", "generate_pure"),
        "top_k_50_over_generate": ratio(found, "top_k_50", "generate_top_k_50"),
        "pure_share_of_products": ratio(found, "pure", "products"),
        "top_k_50_share_of_products": ratio(found, "top_k_50", "products"),
        "pure_time": where_time_goes(ways["pure"]),
        "top_k_50_time": where_time_goes(ways["top_k_50"]),
    }


def plain_losses(model: Any, batches: list[Any], params: Params) -> list[float]:
    """The loop that anyone would write."""
    import torch

    optimizer = torch.optim.AdamW(
        model.parameters(), lr=params.train.learning_rate, betas=(0.9, 0.95), weight_decay=params.train.weight_decay
    )
    model.train()
    losses = []
    for batch in batches:
        loss = model(input_ids=batch, labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def training(params: Params, folder: Path) -> dict[str, Any]:
    """Steps of `train` beside those of a plain loop and of Trainer."""
    import torch
    from transformers import Trainer, TrainingArguments

    from herdbook.training import train

    size = params.train.batch_rows
    rows = rows_of(params, size * NUM_STEPS)
    num_tokens = len(rows) * params.prepare.block_tokens
    batches = list(torch.tensor(rows).split(size))
    models = {name: model_of(params) for name in ("train", "plain_loop", "trainer", "products")}  # each trains on, round after round

    def ours() -> int:
        return train(models["train"], rows, 0, NUM_STEPS, params.train, torch.Generator().manual_seed(1)).num_tokens

    def plain() -> int:
        plain_losses(models["plain_loop"], batches, params)
        return num_tokens

    def trainer() -> int:
        arguments = TrainingArguments(
            str(folder), per_device_train_batch_size=size, max_steps=NUM_STEPS, learning_rate=params.train.learning_rate, adam_beta2=0.95,
            weight_decay=params.train.weight_decay, report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True,
            use_cpu=True,
        )  # fmt: skip
        data = [{"input_ids": row, "labels": row} for row in batches[0].new_tensor(rows)]
        Trainer(model=models["trainer"], args=arguments, train_dataset=data).train()
        return num_tokens

    tokens_a_step = size * params.prepare.block_tokens
    products = {"products": lambda: sum(product_tokens(models["products"], tokens_a_step, True) for _ in range(NUM_STEPS))}
    found = rates({"train": ours, "plain_loop": plain, "trainer": trainer, **products})
    return {
        **found,
        "train_over_plain_loop": ratio(found, "train", "plain_loop"),
        "train_over_trainer": ratio(found, "train", "trainer"),
        "train_share_of_products": ratio(found, "train", "products"),
        "train_time": where_time_goes(ours),
    }


def main() -> None:
    """Measure in a process whose environment is pinned, and write bench/model.json."""
    subprocess.run([sys.executable, "-m", "bench.model", "--here"], env=pinned(dict(os.environ)), check=True)


def measure() -> None:
    """Measure in this process."""
    pin_torch()
    params = read_params(Path("params.yaml"))
    with tempfile.TemporaryDirectory() as folder:
        write_json(
            FOUND, {"machine": machine(), "rounds": ROUNDS, "sampling": sampling(params), "training": training(params, Path(folder))}
        )


if __name__ == "__main__":
    measure() if sys.argv[1:] == ["--here"] else main()
