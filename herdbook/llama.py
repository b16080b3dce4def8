"""A Llama read in fewer and larger operations than transformers reads it: the same weights, the same logits but for rounding.

Models as small as those bred here spend more time between the matrix products than in them: herdbook/fused.py has what stands there,
and bench/model.json says what both save.

Batches are padded to shapes at which products and attention have the same bits whoever made the processor (docs/reproducibility.md):
MKL has code of its own for the small ones, and for sums of about 200 products, and chooses it by the maker."""

import itertools
import math
from typing import NamedTuple, TypeGuard

import torch
from torch.nn import functional as F
from transformers import LlamaForCausalLM, PreTrainedModel

from herdbook import fused

_LEAST_ROWS = 4  # of a matrix that is multiplied
_LEAST_POSITIONS = 12  # that torch's attention looks over
_SPLIT_SUMS = range(193, 258)  # sums over so many products are split in two, in different places


def is_llama(model: PreTrainedModel) -> TypeGuard[LlamaForCausalLM]:
    """Whether this module reads the model: of transformers' own class, without biases, dropout, positions that stretch or turn a part."""
    config = model.config
    return (
        type(model) is LlamaForCausalLM
        and config.hidden_act == "silu"
        and config.rope_parameters["rope_type"] in ("default", "linear", "llama3")
        and config.rope_parameters.get("partial_rotary_factor", 1.0) == 1.0
        and not (config.attention_bias or config.mlp_bias or config.attention_dropout)
    )


def llama_logits(model: LlamaForCausalLM, tokens: torch.Tensor) -> torch.Tensor:
    """Logits of what follows each token, of shape (rows, tokens, vocabulary); a loss on them trains the model.

    tokens: int64, shape (rows, tokens)."""
    rows, count = tokens.shape
    width = _padded_width(count)
    height = next(height for height in itertools.count(rows) if height * width not in _SPLIT_SUMS)
    padded = F.pad(tokens, (0, width - count, 0, height - rows))
    return F.linear(_Llama(model, width).read(padded), model.lm_head.weight)[:rows, :count]


def _padded_width(count: int) -> int:
    """The tokens that a row of `count` is padded to: a multiple of 4, as the last of 32 that attention takes together must be."""
    width = max(_LEAST_POSITIONS, math.ceil(count / 4) * 4)
    return width if width not in _SPLIT_SUMS else math.ceil(_SPLIT_SUMS.stop / 4) * 4


class LlamaReader:
    """A Llama that reads a batch token by token and keeps keys and values of what it read."""

    can_drop_rows = True

    def __init__(self, model: LlamaForCausalLM, num_positions: int):
        """num_positions: the most tokens that a row will have."""
        self._head, self._llama, self._num_read = model.lm_head.weight, _Llama(model, _padded_width(num_positions)), 0
        self._memory: list[torch.Tensor] = []

    def next_logits(self, seen: torch.Tensor) -> torch.Tensor:
        """float32 logits of the token that follows `seen` (int64, rows x tokens so far): rows x vocabulary.

        The first time reads all tokens, and every other time one."""
        unread, start = seen[:, self._num_read :], self._num_read
        self._num_read = seen.shape[1]
        rows, count = unread.shape
        width = 1 if start else _padded_width(count)  # what stands behind the last token is written over before it is looked at
        padded = F.pad(unread, (0, width - count, 0, max(_LEAST_ROWS - rows, 0)))
        return F.linear(self._llama.read(padded, start, self._memory)[:, count - 1], self._head)[:rows].float()

    def keep_rows(self, rows: torch.Tensor) -> None:
        """Forget all rows of the batch but these (indices)."""
        rows = F.pad(rows, (0, max(_LEAST_ROWS - len(rows), 0)))
        self._memory[:] = [states[rows] for states in self._memory]


class _Layer(NamedTuple):
    """The weights of a layer; those that multiply the same input lie in one matrix."""

    input_norm: torch.Tensor
    queries_keys_values: torch.Tensor
    output: torch.Tensor
    mlp_norm: torch.Tensor
    gate_up: torch.Tensor
    down: torch.Tensor


class _Llama:
    """The weights of a model as they are now, with their gradients, and the rotations of its positions."""

    def __init__(self, model: LlamaForCausalLM, num_positions: int):
        config, trunk = model.config, model.model
        self._num_positions, self._size = num_positions, int(trunk.layers[0].self_attn.head_dim)
        self._num_heads, self._num_shared = config.num_attention_heads, int(config.num_key_value_heads or config.num_attention_heads)
        self._epsilon, self._embeddings, self._norm = config.rms_norm_eps, trunk.embed_tokens.weight, trunk.norm.weight
        self._layers = [
            _Layer(
                layer.input_layernorm.weight,
                torch.cat([layer.self_attn.q_proj.weight, layer.self_attn.k_proj.weight, layer.self_attn.v_proj.weight]),
                layer.self_attn.o_proj.weight,
                layer.post_attention_layernorm.weight,
                torch.cat([layer.mlp.gate_proj.weight, layer.mlp.up_proj.weight]),
                layer.mlp.down_proj.weight,
            )
            for layer in trunk.layers
        ]
        positions = torch.arange(num_positions, device=self._embeddings.device)[None]
        cosines, sines = trunk.rotary_emb(self._embeddings, positions)
        self._cosines, self._sines = cosines[0], sines[0]

    def read(self, tokens: torch.Tensor, start: int = 0, memory: list[torch.Tensor] | None = None) -> torch.Tensor:
        """States behind the last layer, (rows, tokens, size), of tokens that stand at `start` and after: one token, where it is not 0.

        memory: keys and values of each layer, (rows, heads, positions, 2, size): read up to `start`, and written."""
        rows, count = tokens.shape
        states = F.embedding(tokens.flatten(), self._embeddings)
        if memory == []:
            shape = (rows, self._num_shared, self._num_positions, 2, self._size)
            memory.extend(states.new_zeros(shape) for _ in self._layers)
        for number, layer in enumerate(self._layers):
            heads = F.linear(self._normed(states, layer.input_norm), layer.queries_keys_values).view(rows * count, -1, self._size)
            if memory is not None and start:
                attended = fused.attended(heads, self._cosines, self._sines, memory[number], start)
            else:
                attended = self._attended(heads, rows, memory[number] if memory is not None else None)
            states = torch.addmm(states, attended.flatten(1), layer.output.T)
            gated = fused.gated(F.linear(self._normed(states, layer.mlp_norm), layer.gate_up))
            states = torch.addmm(states, gated, layer.down.T)
        return self._normed(states, self._norm).view(rows, count, -1)

    def _normed(self, states: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return fused.normed(states, weight, self._epsilon)

    def _attended(self, heads: torch.Tensor, rows: int, memory: torch.Tensor | None) -> torch.Tensor:
        """What each of the first tokens takes of those up to it, (tokens of all rows, heads, size)."""
        count = len(heads) // rows
        turned = fused.turned(heads, self._num_heads + self._num_shared, self._cosines[:count], self._sines[:count])
        by_head = turned.view(rows, count, -1, self._size).transpose(1, 2)
        queries, keys, values = torch.split(by_head, [self._num_heads, self._num_shared, self._num_shared], 1)
        if memory is not None:
            memory[:, :, :count, 0], memory[:, :, :count, 1] = keys, values
        attended = F.scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=True)
        return attended.transpose(1, 2).reshape(rows * count, self._num_heads, self._size)
