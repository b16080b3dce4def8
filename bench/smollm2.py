"""Sampling from SmolLM2-135M and tuning it, beside transformers and llama.cpp's server.

`python -m bench.smollm2 WEIGHTS [LLAMA_SERVER]` writes bench/smollm2.json, in some ten minutes on one core. WEIGHTS is a Hugging Face
folder or a .gguf file, read as `model.pretrained` is; LLAMA_SERVER, which needs a .gguf, is the program llama-server, with llama-quantize
beside it to write the weights in float32 for it. All have one thread and do the same work: each way in turn, ROUNDS times after one
round that is not counted; CPU seconds are those of the process that does the work. Ratios are of one round each. `make bench`
finds the paths in the variable SMOLLM2 and passes over this without it. The rows are made of README.md."""

import contextlib
import copy
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from bench.machine import machine
from bench.model import plain_losses
from bench.rounds import spread
from bench.startup import server_seconds
from herdbook.files import write_json
from herdbook.numeric import pin_torch, pinned
from herdbook.params import Decoding, Params, read_params
from herdbook.tokenizer import Tokenizer

FOUND = Path("bench/smollm2.json")
ROUNDS = 5
NUM_PROMPTS, PROMPT_TOKENS, NEW_TOKENS = 32, 16, 32
NUM_STEPS, STEP_ROWS, ROW_TOKENS = 1, 8, 128  # of the optimiser, a round
LEARNING_RATE = 1e-4
TOP_KS = {"pure": 0, "top_k_50": 50}
SLOT_TOKENS = 256  # of the server's memory, each prompt
PATIENCE_SECONDS = 600


class Way(NamedTuple):
    """A way to do the work: returns how many tokens it did."""

    work: Callable[[], int]
    cpu_seconds: Callable[[], float] = time.process_time  # used so far by the process that does it


class Server(NamedTuple):
    """A llama-server that answers."""

    address: str
    pid: int
    facts: dict[str, str]


def measured(ways: dict[str, Way], pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Tokens a second of CPU and of the clock, each way; and of each pair the ratio by CPU, taken in each round."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(1 + ROUNDS):
        for name in names[number % len(names) :] + names[: number % len(names)]:  # none is always the first
            way = ways[name]
            cpu, wall = way.cpu_seconds(), time.monotonic()
            count = way.work()
            taken[name].append((count / (way.cpu_seconds() - cpu), count / (time.monotonic() - wall)))
            print(name, *(round(rate, 1) for rate in taken[name][-1]), flush=True)
    found: dict[str, Any] = {}
    for name, rounds in taken.items():
        per_cpu, per_wall = zip(*rounds[1:], strict=True)
        found[name] = {"tokens_per_cpu_second": spread(per_cpu), "tokens_per_wall_second": spread(per_wall)}
    for ours, theirs in pairs:
        ratios = [mine[0] / other[0] for mine, other in zip(taken[ours][1:], taken[theirs][1:], strict=True)]
        found[f"{ours}_over_{theirs}"] = spread(ratios)
    return found


def opened(weights: Path, folder: Path) -> tuple[Any, Tokenizer]:
    """The model and its tokenizer, as the stage `prepare` imports them and `train` opens them."""
    from herdbook.base import import_pretrained
    from herdbook.layout import PRETRAINED
    from herdbook.models import device_of, open_model

    (folder / PRETRAINED).mkdir()
    (folder / PRETRAINED / weights.name).symlink_to(weights)
    with contextlib.chdir(folder):
        tokenizer = import_pretrained(weights.name, ROW_TOKENS, Path("base"))
    return open_model(folder / "base", device_of("cpu")), tokenizer


def rows_of(tokenizer: Tokenizer, count: int, length: int) -> list[list[int]]:
    """So many rows of the tokens of README.md, from its start on and round and round."""
    tokens = tokenizer.encode([Path("README.md").read_text()])[0]
    tokens *= 1 + count * length // len(tokens)
    return [tokens[start : start + length] for start in range(0, count * length, length)]


@contextlib.contextmanager
def serving(program: Path, weights: Path, folder: Path) -> Iterator[Server]:
    """llama.cpp's server of the weights in float32: one thread, a slot a prompt, else its own defaults."""
    whole = folder / "whole.gguf"
    quantize = program.with_name("llama-quantize")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {"-m": whole, "-t": 1, "-tb": 1, "-np": NUM_PROMPTS, "-c": NUM_PROMPTS * SLOT_TOKENS, "--host": "127.0.0.1", "--port": port}
    words = [str(program), *(str(word) for option in options.items() for word in option)]
    with (folder / "server.log").open("w") as log:
        subprocess.run([quantize, "--allow-requantize", weights, whole, "F32", "1"], check=True, stdout=log, stderr=log)
        process = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            wait_for(process, address := f"http://127.0.0.1:{port}")
            yield Server(address, process.pid, {"llama_cpp": version_of(program), "weight_type": weight_types(whole)})
        finally:
            process.terminate()
            process.wait()


def version_of(program: Path) -> str:
    """What the program says of its version."""
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return next(line for line in (told.stdout + told.stderr).splitlines() if line.startswith("version"))


def weight_types(file: Path) -> str:
    """The number formats of a .gguf file's weights."""
    import gguf

    return ", ".join(sorted({tensor.tensor_type.name for tensor in gguf.GGUFReader(file).tensors}))


def wait_for(process: subprocess.Popen, address: str) -> None:
    """Return when the server answers."""
    limit = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < limit:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{address}/health").is_success:
                return
        time.sleep(0.5)
    raise TimeoutError("llama-server does not answer")


def completed(server: Server, prompts: list[list[int]], top_k: int) -> int:
    """Complete all prompts at once; how many tokens the server says it made."""
    words = {
        "prompt": prompts, "n_predict": NEW_TOKENS, "ignore_eos": True, "cache_prompt": False, "samplers": ["top_k", "temperature"],
        "top_k": top_k, "temperature": 1.0, "seed": 1,
    }  # fmt: skip
    answers = httpx.post(f"{server.address}/completion", json=words, timeout=PATIENCE_SECONDS).raise_for_status().json()
    return sum(answer["tokens_predicted"] for answer in answers)


def sampling(model: Any, tokenizer: Tokenizer, server: Server | None) -> dict[str, Any]:
    """Rows of `sample` beside those of `generate` and of the server."""
    import torch

    from herdbook.sampler import sample

    listed = rows_of(tokenizer, NUM_PROMPTS, PROMPT_TOKENS)
    prompts, mark = torch.tensor(listed), model.config.vocab_size  # no token ends a row: all ways do the same work

    def ours(top_k: int) -> int:
        decoding = Decoding(num_rows=NUM_PROMPTS, temperature=1.0, top_k=top_k, top_p=1.0, num_beams=1, repetition_penalty=1.0)
        return sum(map(len, sample(model, prompts, decoding, NEW_TOKENS, mark, torch.Generator().manual_seed(1), NUM_PROMPTS)))

    def theirs(top_k: int) -> int:
        model.train(False)
        with torch.inference_mode():
            made = model.generate(
                prompts, attention_mask=torch.ones_like(prompts), do_sample=True, top_k=top_k, top_p=1.0, temperature=1.0,
                repetition_penalty=1.0, max_new_tokens=NEW_TOKENS, eos_token_id=None, pad_token_id=0,
            )  # fmt: skip
        return (made.shape[1] - prompts.shape[1]) * NUM_PROMPTS

    ways: dict[str, Way] = {}
    for name, top_k in TOP_KS.items():
        ways[name] = Way(partial(ours, top_k))
        ways[f"generate_{name}"] = Way(partial(theirs, top_k))
        if server:
            ways[f"server_{name}"] = Way(partial(completed, server, listed, top_k), partial(server_seconds, server.pid))
    pairs = [(name, f"{other}_{name}") for name in TOP_KS for other in ("generate", "server")]
    return measured(ways, [pair for pair in pairs if pair[1] in ways])


def training(model: Any, tokenizer: Tokenizer, params: Params, folder: Path) -> dict[str, Any]:
    """Steps of `train` beside those of a plain loop and of Trainer; each trains its own copy on, round after round."""
    import torch
    from transformers import Trainer, TrainingArguments

    from herdbook.training import train

    rows = rows_of(tokenizer, STEP_ROWS * NUM_STEPS, ROW_TOKENS)
    tokens = torch.tensor(rows)
    batches, num_tokens = [tokens[start : start + STEP_ROWS] for start in range(0, len(rows), STEP_ROWS)], tokens.numel()
    models = {name: copy.deepcopy(model) for name in ("train", "plain_loop", "trainer")}

    def ours() -> int:
        return train(models["train"], rows, tokenizer.mark, NUM_STEPS, params.train, torch.Generator().manual_seed(1)).num_tokens

    def plain() -> int:
        plain_losses(models["plain_loop"], batches, params)
        return num_tokens

    def trainer() -> int:
        arguments = TrainingArguments(
            str(folder), per_device_train_batch_size=STEP_ROWS, max_steps=NUM_STEPS, learning_rate=params.train.learning_rate,
            adam_beta2=0.95, weight_decay=params.train.weight_decay, report_to=[], save_strategy="no", logging_strategy="no",
            disable_tqdm=True, use_cpu=True,
        )  # fmt: skip
        data = [{"input_ids": row, "labels": row} for row in tokens]
        Trainer(model=models["trainer"], args=arguments, train_dataset=data).train()
        return num_tokens

    ways = {"train": Way(ours), "plain_loop": Way(plain), "trainer": Way(trainer)}
    return measured(ways, [("train", "plain_loop"), ("train", "trainer")])


def main(*paths: str) -> None:
    """Measure in a process whose environment is pinned, and write bench/smollm2.json; one line says so where no weights are given."""
    paths = paths or tuple(os.environ.get("SMOLLM2", "").split())
    if not paths:
        print("bench.smollm2: no weights are given (SMOLLM2=PATH), so bench/smollm2.json stays as it is", file=sys.stderr)
        return
    if paths[1:] and Path(paths[0]).is_dir():
        sys.exit(f"bench.smollm2: {paths[0]} is a folder, and llama-server reads a .gguf file; give one, or leave the server out")
    subprocess.run([sys.executable, "-m", "bench.smollm2", "--here", *paths], env=pinned(dict(os.environ)), check=True)


def measure(weights: Path, program: Path | None = None) -> None:
    """Measure in this process."""
    pin_torch()
    defaults = read_params(Path("params.yaml"))
    params = defaults.model_copy(
        update={"train": defaults.train.model_copy(update={"learning_rate": LEARNING_RATE, "batch_rows": STEP_ROWS})}
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, tokenizer = opened(weights, folder)
        with serving(program, weights, folder) if program else contextlib.nullcontext() as server:
            sampled = sampling(model, tokenizer, server)
        trained = training(model, tokenizer, params, folder)
    found = {
        "machine": {**machine(), **{package: version(package) for package in ("torch", "transformers")}},
        "weights": weights.name,
        "rounds": ROUNDS,
        "sampling": {
            "prompts": NUM_PROMPTS,
            "prompt_tokens": PROMPT_TOKENS,
            "new_tokens": NEW_TOKENS,
            "server": server.facts if server else None,
            **sampled,
        },
        "training": {"rows": STEP_ROWS, "row_tokens": ROW_TOKENS, "steps_a_round": NUM_STEPS, **trained},
    }
    write_json(FOUND, found)


if __name__ == "__main__":
    measure(*(Path(path).absolute() for path in sys.argv[2:])) if sys.argv[1:2] == ["--here"] else main(*sys.argv[1:])
