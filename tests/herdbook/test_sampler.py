import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from transformers import GenerationConfig
from transformers.generation.logits_process import RepetitionPenaltyLogitsProcessor, TopKLogitsWarper, TopPLogitsWarper

from herdbook.errors import ModelError
from herdbook.models import fresh_model
from herdbook.sampler import choose, penalised, sample, weights_of
from tests.tiny import MARK, VOCABULARY, decoding, write_base

NO_TOKENS = torch.zeros(1, 0, dtype=torch.int64)
NUM_NEW = 10


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Untrained models whose logits differ enough that draws are not all alike."""
    root, made = tmp_path_factory.mktemp("sampler"), {}
    for architecture in ("llama", "gpt2", "mistral", "mamba"):
        write_base(root / architecture, architecture)
        made[architecture] = fresh_model(root / architecture, 1)
        with torch.no_grad():
            for p in made[architecture].parameters():
                p.mul_(5)
    return made


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def prompts(num_rows: int, num_tokens: int = 3) -> torch.Tensor:
    tokens = torch.randint(1, VOCABULARY, (num_rows, num_tokens), generator=generator(7))
    tokens[:, 0] = MARK
    return tokens


def logits_of(*probabilities: float) -> torch.Tensor:
    return torch.tensor([probabilities]).log()


def drawn(logits: torch.Tensor, num_draws: int, **changes: float) -> np.ndarray:
    """How often each token comes in `num_draws` draws."""
    uniforms = torch.rand(num_draws, generator=generator(), dtype=torch.float64)
    tokens = choose(logits.expand(num_draws, -1), NO_TOKENS.expand(num_draws, 0), decoding(**changes), uniforms)
    return np.bincount(tokens.numpy(), minlength=logits.shape[-1])


# The draw.


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_come_as_often_as_their_probabilities_say(temperature):
    logits = torch.randn(1, 50, generator=generator(3))
    expected = np.exp(logits[0].double().numpy() / temperature)
    counts = drawn(logits, 100_000, temperature=temperature)
    assert chisquare(counts, 100_000 * expected / expected.sum()).pvalue > 0.01


def test_a_uniform_number_picks_the_token_whose_share_it_falls_into():
    logits = logits_of(0.25, 0.5, 0.25).expand(5, -1)
    uniforms = torch.tensor([0.0, 0.2499, 0.2501, 0.7499, 0.7501], dtype=torch.float64)
    assert choose(logits, NO_TOKENS.expand(5, 0), decoding(), uniforms).tolist() == [0, 0, 1, 1, 2]


@settings(deadline=None)
@given(
    st.lists(st.floats(-30, 30, width=32) | st.just(-math.inf), min_size=1, max_size=9).filter(lambda x: max(x) > -math.inf),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 4),
    st.floats(0.01, 1),
)
def test_a_token_without_probability_is_never_drawn(logits, uniform, top_k, top_p):
    wanted = decoding(top_k=top_k, top_p=top_p)
    token = int(choose(torch.tensor([logits]), NO_TOKENS, wanted, torch.tensor([uniform], dtype=torch.float64)))
    assert logits[token] > -math.inf
    assert top_k == 0 or sum(logit > logits[token] + 1e-5 for logit in logits) < top_k


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-53])
def test_the_ends_of_the_unit_interval_draw_the_ends_of_what_is_kept(uniform):
    logits = torch.full((1, 2000), -math.inf)
    logits[0, 700:1300] = 0.0
    token = int(choose(logits, NO_TOKENS, decoding(), torch.tensor([uniform], dtype=torch.float64)))
    assert token == (700 if uniform == 0 else 1299)


def test_temperature_0_takes_the_likeliest_token_and_tiny_temperatures_come_to_it():
    logits = torch.tensor([[1.0, 3.0, 2.0]])
    for temperature in (0.0, 1e-30):
        assert drawn(logits, 100, temperature=temperature).tolist() == [0, 100, 0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_not_finite_are_refused(bad, temperature):
    with pytest.raises(ModelError, match="not finite"):
        drawn(torch.tensor([[0.0, bad, 1.0]]), 1, temperature=temperature)


# What is cut off.


@pytest.mark.parametrize(
    ("top_k", "top_p", "kept"),
    [
        (0, 1.0, [0, 1, 2, 3]),
        (2, 1.0, [1, 3]),
        (9, 1.0, [0, 1, 2, 3]),
        (0, 0.45, [1]),
        (0, 0.6, [1, 3]),
        (0, 0.85, [1, 2, 3]),
        (3, 0.6, [1, 3]),  # of the three that are left, 0.5 / 0.94 is too little
        (2, 0.55, [1]),  # but it is enough once two are left: 0.5 / 0.8
    ],
)
def test_top_k_and_top_p_keep_the_tokens_found_by_hand(top_k, top_p, kept):
    scores = logits_of(0.06, 0.5, 0.14, 0.3)
    weights = weights_of(scores, 1.0, top_k, top_p)
    assert weights.nonzero()[:, 1].tolist() == kept


def test_what_is_kept_keeps_its_proportions():
    scores = logits_of(0.1, 0.4, 0.2, 0.3)
    weights = weights_of(scores, 1.0, 3, 1.0)[0].double()
    assert (weights / weights.sum()).tolist() == pytest.approx([0, 4 / 9, 2 / 9, 3 / 9], abs=1e-7)


def test_tokens_equal_to_the_last_one_kept_are_kept_too():
    scores = logits_of(0.25, 0.25, 0.25, 0.25)
    assert weights_of(scores, 1.0, 2, 1.0).count_nonzero() == 4
    assert weights_of(scores, 1.0, 0, 0.3).count_nonzero() == 4


@pytest.mark.parametrize(("warper", "top_k", "top_p"), [(TopKLogitsWarper(top_k=7), 7, 1.0), (TopPLogitsWarper(top_p=0.8), 0, 0.8)])
def test_the_same_tokens_are_kept_as_in_transformers(warper, top_k, top_p):
    scores = torch.randn(40, 30, generator=generator(5)) * 2
    theirs = warper(None, scores) > -math.inf
    ours = weights_of(scores, 1.0, top_k, top_p) > 0
    assert torch.equal(ours, theirs)


def test_the_repetition_penalty_divides_positive_and_multiplies_negative_logits_of_seen_tokens():
    logits, seen = torch.tensor([[3.0, -2.0, 1.0, -1.0]]), torch.tensor([[0, 1, 0]])
    assert penalised(logits, seen, 2.0).tolist() == [[1.5, -4.0, 1.0, -1.0]]
    assert torch.equal(penalised(logits, seen, 2.0), RepetitionPenaltyLogitsProcessor(2.0)(seen, logits))
    assert logits.tolist() == [[3.0, -2.0, 1.0, -1.0]]


def test_the_penalty_comes_before_the_cut():
    logits, seen = torch.tensor([[4.0, 3.0, 1.0]]), torch.tensor([[0]])
    assert int(choose(logits, seen, decoding(top_k=1, repetition_penalty=2.0), torch.zeros(1, dtype=torch.float64))) == 1


# The loop.


def generated(model, start: torch.Tensor, **options: float) -> list[list[int]]:
    """What transformers generates, each row up to its first mark."""
    config = GenerationConfig(max_new_tokens=NUM_NEW, eos_token_id=MARK, pad_token_id=MARK, do_sample=False, **options)
    rows = model.generate(start, attention_mask=torch.ones_like(start), generation_config=config)[:, start.shape[1] :].tolist()
    return [row[: row.index(MARK) + 1] if MARK in row else row for row in rows]


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "mistral", "mamba"])
@pytest.mark.parametrize("penalty", [1.0, 1.5])
def test_greedy_rows_are_those_of_transformers_token_for_token(models, architecture, penalty):
    model, start = models[architecture], prompts(30)
    ours = sample(model, start, decoding(temperature=0.0, repetition_penalty=penalty), NUM_NEW, MARK, generator(), 16)
    assert ours == generated(model, start, repetition_penalty=penalty)
    assert len({token for row in ours for token in row}) > 5  # the comparison is not of one token over and over


@pytest.mark.parametrize("penalty", [1.0, 1.5])
def test_beam_search_is_that_of_transformers(models, penalty):
    model, start = models["llama"], prompts(5)
    ours = sample(model, start, decoding(num_beams=3, repetition_penalty=penalty), NUM_NEW, MARK, generator(), 5)
    assert ours == generated(model, start, num_beams=3, repetition_penalty=penalty)


def end_often(model):
    """A model that ends about a sixth of the rows at each step."""

    def bias(module, inputs, output):
        output.logits[..., MARK] = output.logits.logsumexp(-1) - math.log(5)
        return output

    return model.register_forward_hook(bias)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "mistral", "mamba"])
@pytest.mark.parametrize("changes", [{}, {"top_k": 10}, {"top_p": 0.8, "repetition_penalty": 1.2}])
def test_rows_do_not_depend_on_how_they_are_batched_or_on_which_have_ended(models, architecture, changes):
    hook = end_often(models[architecture])
    one, *others = (sample(models[architecture], prompts(40), decoding(**changes), NUM_NEW, MARK, generator(), rows) for rows in (40, 7, 1))
    hook.remove()
    assert others == [one, one]
    assert len({len(row) for row in one}) > 1


def test_a_row_ends_with_the_first_mark_and_keeps_it(models):
    hook = end_often(models["llama"])
    rows = sample(models["llama"], prompts(60), decoding(), NUM_NEW, MARK, generator(), 60)
    hook.remove()
    assert all(MARK not in row[:-1] for row in rows)
    assert all(row[-1] == MARK or len(row) == NUM_NEW for row in rows)
    assert {MARK in row for row in rows} == {True, False}


def test_the_first_rows_are_the_same_whatever_rows_follow(models):
    few = sample(models["llama"], prompts(5), decoding(), NUM_NEW, MARK, generator(), 5)
    many = sample(models["llama"], torch.cat([prompts(5), prompts(20)]), decoding(), NUM_NEW, MARK, generator(), 5)
    assert many[:5] == few


def test_the_seed_decides_the_rows(models):
    rows = [sample(models["llama"], prompts(20), decoding(), NUM_NEW, MARK, generator(seed), 20) for seed in (1, 1, 2)]
    assert rows[0] == rows[1] != rows[2]


def test_the_start_mark_alone_prompts(models):
    rows = sample(models["llama"], prompts(50, 1), decoding(), 1, MARK, generator(), 50)
    assert len({tuple(row) for row in rows}) > 5


def test_progress_is_told_in_rows(models):
    told = []
    sample(models["llama"], prompts(10), decoding(), 2, MARK, generator(), 4, told.append)
    assert told == [4, 4, 2]


def test_more_tokens_than_the_model_has_positions_are_refused(models):
    with pytest.raises(ModelError, match="has 33 tokens, but the model has 32 positions"):
        sample(models["gpt2"], prompts(1), decoding(), 30, MARK, generator(), 1)
