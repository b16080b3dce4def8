"""Causal language models of transformers: made, opened, saved, and asked how well they predict rows."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from herdbook.errors import ModelError
from herdbook.files import digest, digest_bytes, written_aside

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
_IGNORED = -100  # the label that transformers and torch leave out of a loss
# What transformers raises on a folder that holds no model.
_UNUSABLE = (OSError, ValueError, ImportError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError)


def has_weights(directory: Path) -> bool:
    """Whether a model folder holds weights, and not only a configuration."""
    return any(directory.glob("*.safetensors"))


def weights_digest(directory: Path) -> str:
    """What names a model: sha256 over the digests of its weight files in order of name, in hex.

    Its entry is left out, or a word changed in a policy would rename every row that the model wrote."""
    return digest_bytes("".join(digest(path) for path in sorted(directory.glob("*.safetensors"))).encode())


def fresh_model(base: Path, seed: int) -> "PreTrainedModel":
    """A model of the base configuration with random float32 weights that depend on `seed` alone.

    Raises ModelError where the configuration cannot be read."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]):  # transformers draws weights from the global generator
        torch.manual_seed(seed)
        try:
            config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
            config.pad_token_id = None  # or the mark, which also pads, would start at zero and never learn as an input
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=False)  # type: ignore[no-untyped-call]
        except _UNUSABLE as error:
            raise ModelError(f"{base}: no configuration of a causal model ({_reason(error)}); run dvc repro") from error
    model.generation_config.pad_token_id = config.eos_token_id
    return model


def open_model(directory: Path, device: "torch.device") -> "PreTrainedModel":
    """The model of a Hugging Face folder, in float32 on `device`; ModelError where it has no weights, or not all."""
    if not has_weights(directory):
        raise ModelError(f"{directory}: a model folder without weights (no .safetensors file); run the stage that trains it (dvc repro)")
    return on_device(_opened(directory), device)


def _opened(folder: Path) -> "PreTrainedModel":
    """The causal model of a folder, whole, in float32; ModelError where transformers cannot make it of what lies there.

    transformers itself would draw missing weights at random, unpickle a .bin file, and run code of the folder if told to."""
    import torch
    from transformers import AutoModelForCausalLM

    hush_transformers()
    with torch.random.fork_rng(devices=[]):  # it draws weights before it reads them
        try:
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32,
                output_loading_info=True,
            )  # fmt: skip
        except _UNUSABLE as error:
            raise ModelError(f"{folder}: not a causal model with its weights ({_reason(error)}); write it anew (dvc repro)") from error
    model, report = loaded
    if missing := sorted(report["missing_keys"]):
        raise ModelError(f"{folder}: {len(missing)} weights are missing, such as {missing[0]}; write it anew (dvc repro)")
    model.get_input_embeddings().padding_idx = None  # or the mark, where it also pads, would never learn as an input
    return model


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def hush_transformers() -> None:
    """No reports and progress bars of its own: what is wrong is told in one line, and progress by the stage."""
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def save_model(model: "PreTrainedModel", base: Path, directory: Path) -> None:
    """Write weights (safetensors), configuration and the tokenizer of `base` to `directory`, whole or not at all."""
    hush_transformers()
    with written_aside(directory) as aside:
        model.save_pretrained(aside)
        for name in TOKENIZER_FILES:
            (aside / name).write_bytes((base / name).read_bytes())


def device_of(name: str) -> "torch.device":
    """cpu or cuda; `auto` takes cuda where there is one; ModelError where cuda is asked for and missing."""
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise ModelError("params.yaml: device is 'cuda', but torch finds no CUDA device; set it to auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def check_positions(model: "PreTrainedModel", num_tokens: int, what: str) -> None:
    """Raise ModelError where the model has fewer positions than `what` has tokens."""
    most = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    if most is not None and num_tokens > most:
        raise ModelError(
            f"params.yaml: {what} has {num_tokens} tokens, but the model has {most} positions; "
            "lower prepare.block_tokens or sample.prompt_tokens, or raise max_position_embeddings in model.config"
        )


def on_device(model: "PreTrainedModel", device: "torch.device") -> "PreTrainedModel":
    """The model itself, moved to `device`."""
    moved: Any = model
    return moved.to(device)


def batch_of(rows: Sequence[Sequence[int]], mark: int, device: "torch.device") -> tuple["torch.Tensor", "torch.Tensor"]:
    """Inputs and targets, both int64 of shape (rows, longest row): the mark and all but the last token predict each token.

    Shorter rows are padded on the right: with the mark as input, and a target that losses ignore."""
    import torch

    width = max(map(len, rows))
    targets = torch.tensor([[*row, *[_IGNORED] * (width - len(row))] for row in rows])
    inputs = targets.roll(1, 1)
    inputs[:, 0] = mark
    return inputs.masked_fill_(targets == _IGNORED, mark).to(device), targets.to(device)


def token_losses(model: "PreTrainedModel", inputs: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
    """Nats of each target, float32 of the targets' shape; 0 where the target is padding.

    Padding stands on the right and attention looks left, so it needs no mask."""
    from herdbook.fused import cross_entropy
    from herdbook.llama import is_llama, llama_logits

    logits = (llama_logits(model, inputs) if is_llama(model) else model(input_ids=inputs, use_cache=False).logits).float()
    return cross_entropy(logits.flatten(0, 1), targets.flatten()).view(targets.shape)


def row_nll(model: "PreTrainedModel", rows: Sequence[Sequence[int]], mark: int, batch_rows: int = 64) -> list[float]:
    """Mean nats per token of each row, from the start mark on; every row needs a token.

    Uniform logits over V tokens give ln V."""
    import torch

    found: list[float] = []
    model.train(False)
    with torch.inference_mode():
        for start in range(0, len(rows), batch_rows):
            batch = rows[start : start + batch_rows]
            losses = token_losses(model, *batch_of(batch, mark, model.device)).double().sum(1).cpu()
            found.extend(float(loss) / len(row) for loss, row in zip(losses, batch, strict=True))
    return found


def held_out_loss(nll: Sequence[float], num_tokens: Sequence[int], num_bytes: int) -> dict[str, float]:
    """Loss (mean nats per token), perplexity and bits per byte of rows with the given mean nats and lengths.

    `num_bytes` is the size of their decoded text in UTF-8, where a character cut in two counts as U+FFFD."""
    total = math.fsum(mean * count for mean, count in zip(nll, num_tokens, strict=True))
    loss = total / sum(num_tokens)
    return {
        "held_out_loss_nats": loss,
        "held_out_perplexity": math.exp(min(loss, 700.0)),  # exp(710) is beyond float64
        "held_out_bits_per_byte": total / math.log(2) / num_bytes,
    }
