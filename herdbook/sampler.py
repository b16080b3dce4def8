"""Drawing text from a causal language model.

Of the next-token logits: the repetition penalty first, then temperature, then top-k, then top-p; then one
uniform number picks the token by inverse CDF. Each row and step has its own number, so a row's draw does
not depend on how rows are batched or on which of them have ended (but for the rounding of its logits)."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache, GenerationConfig, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from herdbook import kernels
from herdbook.errors import ModelError
from herdbook.fused import is_for_kernels
from herdbook.llama import LlamaReader, is_llama
from herdbook.models import check_positions
from herdbook.params import Decoding

# Probabilities become integers, so that sums are exact on every device, whatever the order of addition. A token
# below 2**-30 of the likeliest weighs nothing. Sums stay below 2**53, exact in float64, up to 2**23 tokens.
_WEIGHT_OF_LIKELIEST = 2.0**30
_LOG2_E = math.log2(math.e)
_MOST = float(np.finfo(np.float32).max)
_ENDED_SHARE = 1 / 8  # ended rows are dropped from a batch in lots: each time copies its whole cache


def sample(
    model: PreTrainedModel,
    prompts: torch.Tensor,
    decoding: Decoding,
    num_new_tokens: int,
    mark: int,
    generator: torch.Generator,
    batch_rows: int,
    advance: Callable[[int], object] = lambda num_rows: None,
) -> list[list[int]]:
    """The continuation of each prompt: up to `num_new_tokens` ids, ended early by `mark`, which is kept.

    prompts: int64, shape (rows, prompt tokens), prompt tokens >= 1. `advance` is told how many rows are done.
    Row i is the same whatever rows follow it. Raises ModelError where the model has too few positions, or
    gives logits that are not finite."""
    check_positions(model, prompts.shape[1] + num_new_tokens, "the start mark with prompt and continuation")
    uniforms = torch.rand(len(prompts), num_new_tokens, generator=generator, dtype=torch.float64)
    found: list[list[int]] = []
    model.train(False)
    with torch.inference_mode():
        for start in range(0, len(prompts), batch_rows):
            batch = prompts[start : start + batch_rows].to(model.device)
            if decoding.num_beams > 1:
                tokens = _beam_search(model, batch, decoding, num_new_tokens, mark)
            else:
                tokens = _draw(model, batch, decoding, uniforms[start : start + batch_rows].to(model.device), mark)
            found.extend(_until_mark(row, mark) for row in tokens.tolist())
            advance(len(batch))
    return found


def _until_mark(tokens: list[int], mark: int) -> list[int]:
    return tokens[: tokens.index(mark) + 1] if mark in tokens else tokens


def _draw(model: PreTrainedModel, prompts: torch.Tensor, decoding: Decoding, uniforms: torch.Tensor, mark: int) -> torch.Tensor:
    """Drawn tokens, int64 of shape (rows, new tokens); what follows a row's first mark has no meaning."""
    drawn = torch.full(uniforms.shape, mark, device=prompts.device)
    going = torch.arange(len(prompts), device=prompts.device)  # the rows still in the batch
    has_ended = torch.zeros(len(prompts), dtype=torch.bool, device=prompts.device)
    num_positions = prompts.shape[1] + uniforms.shape[1]
    reader, seen = LlamaReader(model, num_positions) if is_llama(model) else _Reader(model), prompts
    for step in range(uniforms.shape[1]):
        chosen = choose(reader.next_logits(seen), seen, decoding, uniforms[going, step])
        drawn[going, step] = chosen
        seen = torch.cat([seen, chosen[:, None]], 1)
        has_ended |= chosen == mark
        num_ended = int(has_ended.sum())
        if num_ended == len(going):
            break
        if reader.can_drop_rows and num_ended > len(going) * _ENDED_SHARE:
            kept = (~has_ended).nonzero()[:, 0]
            going, has_ended, seen = going[kept], has_ended[kept], seen[kept]
            reader.keep_rows(kept)
    return drawn


class _Reader:
    """A model that reads a batch token by token and keeps what it needs of the tokens read.

    Models that do not take transformers' cache (RWKV, Mamba and their like) read everything anew at each step: slow, and right."""

    def __init__(self, model: PreTrainedModel):
        self.model, self.num_read = model, 0
        takes = inspect.signature(model.forward).parameters
        self.options: dict[str, Any] = {"use_cache": False}
        self.cache: DynamicCache | None = None
        if "past_key_values" in takes and model._supports_default_dynamic_cache():  # type: ignore[operator]
            self.cache = DynamicCache(config=model.config)
            self.options = {"use_cache": True, "past_key_values": self.cache}
        if "logits_to_keep" in takes:
            self.options["logits_to_keep"] = 1
        self.can_drop_rows = self.cache is None or all(type(x) is DynamicLayer for x in self.cache.layers)

    def next_logits(self, seen: torch.Tensor) -> torch.Tensor:
        """float32 logits of the token that follows `seen` (int64, rows x tokens so far): rows x vocabulary."""
        unread = seen[:, self.num_read :]
        self.num_read = seen.shape[1] if self.cache is not None else 0
        return self.model(input_ids=unread, **self.options).logits[:, -1].float()

    def keep_rows(self, rows: torch.Tensor) -> None:
        """Forget all rows of the batch but these (indices)."""
        if self.cache is not None:
            self.cache.batch_select_indices(rows)


def choose(logits: torch.Tensor, seen: torch.Tensor, decoding: Decoding, uniforms: torch.Tensor) -> torch.Tensor:
    """The next token of each row, int64 of shape (rows,).

    logits: float32 (rows, vocabulary); seen: int64 (rows, tokens so far), for the repetition penalty;
    uniforms: float64 (rows,), in [0, 1). Temperature 0 takes the likeliest token.
    Raises ModelError where the largest logit of a row is not finite."""
    logits = penalised(logits, seen, decoding.repetition_penalty)
    if not logits.amax(-1).isfinite().all():
        raise ModelError("the model gives logits that are not finite, so its training diverged; lower train.learning_rate")
    if decoding.temperature == 0:
        return logits.argmax(-1)
    return picked(weights_of(logits, decoding.temperature, decoding.top_k, decoding.top_p), uniforms)


def picked(weights: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """The first place of each row at which the sum of its weights is above the share `uniforms` of all: never a weight of 0.

    weights: int32 (rows, vocabulary); uniforms: float64 (rows,), in [0, 1); int64 (rows,)."""
    if weights.device.type == "cpu":
        places = torch.empty(len(weights), dtype=torch.int64)
        kernels.pick(weights.contiguous().numpy(), uniforms.contiguous().numpy(), places.numpy())
        return places
    cumulated = _cumulated(weights)
    target = (uniforms[:, None] * cumulated[:, -1:]).long()  # below the total: it is exact in float64, uniforms < 1
    return torch.searchsorted(cumulated, target, right=True)[:, 0]


def weights_of(logits: torch.Tensor, temperature: float, top_k: int, top_p: float) -> torch.Tensor:
    """Integers in proportion to the tokens' probabilities, int32 (rows, vocabulary); 0 for a token cut off.

    logits: float32 (rows, vocabulary). Top-k of Fan et al. 2018; top-p, the fewest likeliest tokens that hold at
    least `top_p`, of Holtzman et al. 2020. Tokens equal to the last one kept are kept too. A top_k of 0 and a
    top_p of 1 keep all."""
    weights = _all_weights(logits.contiguous(), temperature)
    if 0 < top_k < weights.shape[-1]:
        weights = _cut(weights, _kth_largest(weights, top_k))
    if top_p < 1:
        rising = _rising(weights)
        cumulated = _cumulated(rising)
        total = cumulated[:, -1:]
        spare = total - (total.double() * top_p).ceil().long()  # the most that the tokens cut off may hold
        weights = _cut(weights, rising.gather(-1, torch.searchsorted(cumulated, spare, right=True)))
    return weights


def _all_weights(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    if is_for_kernels(logits):
        weights = torch.empty(logits.shape, dtype=torch.int32)
        kernels.weigh(logits.numpy(), min(_LOG2_E / temperature, _MOST), _WEIGHT_OF_LIKELIEST, weights.numpy())
        return weights
    scores = (logits - logits.amax(-1, keepdim=True)) / temperature
    return scores.mul(_LOG2_E).exp2_().mul_(_WEIGHT_OF_LIKELIEST).to(torch.int32)


def _cut(weights: torch.Tensor, least: torch.Tensor) -> torch.Tensor:
    """The weights, those below the least (rows, 1) of their row made 0; on a CPU in place."""
    if weights.device.type == "cpu":
        kernels.cut(weights.numpy(), least.flatten().contiguous().numpy())
        return weights
    return weights * (weights >= least)


def _cumulated(weights: torch.Tensor) -> torch.Tensor:
    return weights.cumsum(-1, dtype=torch.int64)


def _kth_largest(weights: torch.Tensor, k: int) -> torch.Tensor:
    """The k-th largest of each row, (rows, 1). On a CPU numpy selects with vector instructions: a tenth of torch's time."""
    if weights.device.type == "cpu":
        place = weights.shape[-1] - k
        return torch.from_numpy(np.partition(weights.numpy(), place, axis=-1)[:, place : place + 1])
    return weights.topk(k).values[:, -1:]


def _rising(weights: torch.Tensor) -> torch.Tensor:
    """Each row sorted. On a CPU numpy sorts with vector instructions: a twentieth of torch's time."""
    if weights.device.type == "cpu":
        return torch.from_numpy(np.sort(weights.numpy(), axis=-1))
    return weights.sort().values


def penalised(logits: torch.Tensor, seen: torch.Tensor, penalty: float) -> torch.Tensor:
    """Logits of tokens already seen, divided by the penalty where positive and multiplied where negative.

    Keskar et al. 2019 (CTRL, section 4.1), as transformers applies it."""
    if penalty == 1:
        return logits
    found = logits.gather(-1, seen)
    return logits.scatter(-1, seen, torch.where(found < 0, found * penalty, found / penalty))


def _beam_search(model: PreTrainedModel, prompts: torch.Tensor, decoding: Decoding, num_new_tokens: int, mark: int) -> torch.Tensor:
    """transformers' own beam search, which draws nothing; int64 of shape (rows, new tokens), filled with the mark."""
    config = GenerationConfig(  # type: ignore[no-untyped-call]
        num_beams=decoding.num_beams, do_sample=False, max_new_tokens=num_new_tokens,
        repetition_penalty=decoding.repetition_penalty, eos_token_id=mark, pad_token_id=mark,
    )  # fmt: skip
    generate: Any = model.generate
    return generate(prompts, attention_mask=torch.ones_like(prompts), generation_config=config)[:, prompts.shape[1] :]
