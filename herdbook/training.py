"""Fitting a model to rows."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from herdbook.errors import ModelError
from herdbook.models import batch_of, check_positions, token_losses
from herdbook.params import Train

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_BETAS = (0.9, 0.95)
_MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class Course:
    """How a training went: the loss of each step (mean nats per token, before its update), and the tokens learnt from."""

    losses: list[float]
    num_tokens: int


def steps_per_epoch(num_rows: int, batch_rows: int) -> int:
    """Batches that see every row once; the last may be smaller."""
    return math.ceil(num_rows / batch_rows)


def learning_rate(step: int, num_steps: int, params: Train) -> float:
    """The rate of step 0 to num_steps - 1: linear warm-up to the peak, then a cosine that would reach 0 at num_steps."""
    warmup = params.warmup_share * num_steps
    if step < warmup:
        return params.learning_rate * (step + 1) / (math.floor(warmup) + 1)
    return params.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (num_steps - warmup)))


def train(
    model: "PreTrainedModel",
    rows: Sequence[Sequence[int]],
    mark: int,
    num_steps: int,
    params: Train,
    generator: "torch.Generator",
    advance: Callable[[], object] = lambda: None,
) -> Course:
    """Fit `model` in place to rows of token ids.

    Batches follow a fresh permutation an epoch, as many epochs as `num_steps` takes; permutations and the
    seed of dropout come from `generator`. AdamW (Loshchilov and Hutter 2019), betas of .9 and .95, with weight
    decay on matrices only; gradients are clipped to norm 1.
    Raises ModelError on no rows, on a row longer than the model's positions, and when a loss is not finite.
    `advance` is called after each step."""
    import torch

    if not rows:
        raise ModelError("a training set of 0 rows, at least 1 is needed; see what its recipe rejected (counts.json)")
    check_positions(model, max(map(len, rows)), "a training row")
    optimizer = _optimizer(model, params)
    model.train()
    losses: list[float] = []
    num_tokens = 0
    order: list[int] = []
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(seed)  # modules draw dropout from the global generator
        for step in range(num_steps):
            if not order:
                order = torch.randperm(len(rows), generator=generator).tolist()
            chosen, order = order[: params.batch_rows], order[params.batch_rows :]
            batch = [rows[i] for i in chosen]
            losses.append(_step(model, optimizer, batch, mark, learning_rate(step, num_steps, params)))
            num_tokens += sum(map(len, batch))
            if not math.isfinite(losses[-1]):
                raise ModelError(f"params.yaml: the loss is {losses[-1]} at step {step + 1} of {num_steps}; lower train.learning_rate")
            advance()
    return Course(losses, num_tokens)


def _optimizer(model: "PreTrainedModel", params: Train) -> "torch.optim.Optimizer":
    import torch

    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": params.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=params.learning_rate, betas=_BETAS, fused=True)


def _step(model: "PreTrainedModel", optimizer: "torch.optim.Optimizer", rows: Sequence[Sequence[int]], mark: int, rate: float) -> float:
    """One update on one batch; its loss before the update. A loss that is not finite changes nothing."""
    import torch

    inputs, targets = batch_of(rows, mark, model.device)
    loss = token_losses(model, inputs, targets).sum() / (targets >= 0).sum()
    value = loss.item()
    if math.isfinite(value):
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), _MAX_GRADIENT_NORM)
        optimizer.step()
    return value
