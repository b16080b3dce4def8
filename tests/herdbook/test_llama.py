"""The same logits, gradients and choices as transformers' own Llama."""

from itertools import pairwise

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from herdbook.llama import LlamaReader, is_llama, llama_logits

SHARED = {"vocab_size": 40, "intermediate_size": 24, "max_position_embeddings": 32}
CONFIGS = [
    {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": True},
    {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 4, "tie_word_embeddings": False},
    {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 8, "rms_norm_eps": 0.01},
    {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
     "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 100.0}},
]  # fmt: skip


def model_of(config: dict) -> LlamaForCausalLM:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SHARED, **config)).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(3).add_(0.1 * torch.randn_like(p))  # norms too, which begin at one
    return model


def tokens_of(num_rows: int, num_tokens: int) -> torch.Tensor:
    return torch.randint(SHARED["vocab_size"], (num_rows, num_tokens), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("config", CONFIGS)
def test_logits_are_those_of_transformers(config):
    model, tokens = model_of(config), tokens_of(3, 11)
    assert is_llama(model)
    torch.testing.assert_close(llama_logits(model, tokens), model(tokens).logits)


def gradients(model: LlamaForCausalLM, logits: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    logits.logsumexp(-1).square().mean().backward()
    return {name: p.grad.double() for name, p in model.named_parameters()}


@pytest.mark.parametrize("config", CONFIGS)
def test_a_loss_on_the_logits_has_the_gradients_that_transformers_has(config):
    model, tokens = model_of(config), tokens_of(3, 11)
    found, theirs = gradients(model, llama_logits(model, tokens)), gradients(model, model(tokens).logits)
    exact = gradients(doubled := model_of(config).double(), llama_logits(doubled, tokens))
    for name, wanted in exact.items():
        largest = wanted.abs().max()
        assert largest > 0
        for gradient in (found, theirs):
            assert (gradient[name] - wanted).abs().max() < 1e-5 * largest  # the rounding of float32


@pytest.mark.parametrize("config", CONFIGS)
def test_token_by_token_it_reads_what_it_reads_at_once_and_rows_may_be_dropped_on_the_way(config):
    model, tokens = model_of(config), tokens_of(4, 12)
    with torch.inference_mode():
        wanted, reader = model(tokens).logits, LlamaReader(model, 12)
        for start, end in pairwise([0, 5, 6, 7]):
            assert start < end
            torch.testing.assert_close(reader.next_logits(tokens[:, :end]), wanted[:, end - 1])
        kept = torch.tensor([0, 3])
        reader.keep_rows(kept)
        for end in range(8, 13):
            torch.testing.assert_close(reader.next_logits(tokens[kept, :end]), wanted[kept, end - 1])


@pytest.mark.parametrize("change", [
    {"attention_bias": True}, {"mlp_bias": True}, {"hidden_act": "gelu"}, {"attention_dropout": 0.1},
    {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 100.0}},
    {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 100.0, "partial_rotary_factor": 0.5}},
])  # fmt: skip
def test_what_it_does_not_read_is_left_to_transformers(change):
    assert not is_llama(model_of({**CONFIGS[0], **change}))


def test_other_classes_are_left_to_transformers():
    assert not is_llama(MistralForCausalLM(MistralConfig(**SHARED, **CONFIGS[0])))
