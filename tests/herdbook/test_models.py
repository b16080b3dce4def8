import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from herdbook.errors import ModelError
from herdbook.files import digest
from herdbook.models import batch_of, check_positions, device_of, fresh_model, held_out_loss, open_model, row_nll, save_model, token_losses
from tests.tiny import MARK, VOCABULARY, write_base

CPU = torch.device("cpu")
ROWS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, MARK]]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "base"
    write_base(folder)
    return folder


@pytest.fixture
def saved(base, tmp_path):
    save_model(fresh_model(base, 1), base, tmp_path / "model")
    return tmp_path / "model"


def weights(model) -> list[bytes]:
    return [p.detach().numpy().tobytes() for p in model.parameters()]


def test_fresh_weights_depend_on_the_seed_alone(base):
    torch.manual_seed(5)
    one = weights(fresh_model(base, 1))
    torch.manual_seed(6)
    assert weights(fresh_model(base, 1)) == one
    assert weights(fresh_model(base, 2)) != one


def test_making_and_opening_a_model_leave_the_global_generator_alone(base, saved):
    before = torch.random.get_rng_state()
    fresh_model(base, 1)
    open_model(saved, CPU)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_batch_shifts_each_row_behind_the_mark_and_pads_on_the_right():
    inputs, targets = batch_of([[5, 6, 7], [8]], MARK, CPU)
    assert inputs.tolist() == [[MARK, 5, 6], [MARK, MARK, MARK]]
    assert targets.tolist() == [[5, 6, 7], [8, -100, -100]]


def test_uniform_logits_cost_the_logarithm_of_the_vocabulary(base):
    model = fresh_model(base, 1)
    with torch.no_grad():
        model.lm_head.weight.zero_()
    assert row_nll(model, ROWS, MARK) == pytest.approx([math.log(VOCABULARY)] * 3, rel=1e-6)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "mistral", "mamba"])
def test_a_row_costs_the_same_alone_and_padded_beside_a_longer_one(tmp_path, architecture):
    write_base(tmp_path / "base", architecture)
    model = fresh_model(tmp_path / "base", 1)
    alone = [row_nll(model, [row], MARK)[0] for row in ROWS]
    assert row_nll(model, ROWS, MARK) == pytest.approx(alone, rel=1e-5)
    assert row_nll(model, ROWS, MARK, batch_rows=2) == pytest.approx(alone, rel=1e-5)


def test_the_start_mark_learns_as_an_input_though_it_also_pads(base, saved):
    for model in (fresh_model(base, 1), open_model(saved, CPU)):
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())  # untied: gradients of the input side only
        token_losses(model, *batch_of([[5, 6]], MARK, CPU)).sum().backward()
        assert model.get_input_embeddings().weight.grad[MARK].abs().sum() > 0


def test_held_out_loss_weighs_rows_by_their_tokens():
    found = held_out_loss([1.0, 3.0], [1, 3], 20)  # 10 nats over 4 tokens and 20 bytes
    assert found["held_out_loss_nats"] == 2.5
    assert found["held_out_perplexity"] == math.exp(2.5)
    assert found["held_out_bits_per_byte"] == pytest.approx(0.5 / math.log(2))


def test_a_saved_model_is_opened_as_it_was_and_by_transformers_alone(base, saved):
    model = fresh_model(base, 1)
    assert row_nll(open_model(saved, CPU), ROWS, MARK) == row_nll(model, ROWS, MARK)
    theirs = AutoModelForCausalLM.from_pretrained(saved)
    assert weights(theirs) == weights(model)
    assert AutoTokenizer.from_pretrained(saved).decode([MARK]) == "<|endoftext|>"
    assert theirs.generate(torch.tensor([[MARK, 5]]), max_new_tokens=2, do_sample=False).shape[1] > 2


def test_a_model_is_saved_to_the_same_bytes_wherever_it_lies(base, saved, tmp_path):
    save_model(fresh_model(base, 1), base, tmp_path / "elsewhere")
    save_model(open_model(saved, CPU), base, tmp_path / "again")
    assert digest(tmp_path / "elsewhere") == digest(saved)
    assert digest(tmp_path / "again" / "model.safetensors") == digest(saved / "model.safetensors")


def test_saving_prints_nothing(base, tmp_path, capfd):
    save_model(fresh_model(base, 1), base, tmp_path / "model")
    open_model(tmp_path / "model", CPU)
    assert capfd.readouterr() == ("", "")


def drop_all(weights_file):
    weights_file.unlink()


def drop_one(weights_file):
    tensors = load_file(weights_file)
    del tensors["model.norm.weight"]
    save_file(tensors, weights_file, metadata={"format": "pt"})


def reshape_one(weights_file):
    save_file({**load_file(weights_file), "model.norm.weight": torch.zeros(3)}, weights_file, metadata={"format": "pt"})


def cut(weights_file):
    weights_file.write_bytes(weights_file.read_bytes()[:100])


def break_configuration(weights_file):
    (weights_file.parent / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_all, "without weights"),
        (drop_one, "1 weights are missing, such as model.norm.weight"),
        (reshape_one, "not a causal model"),
        (cut, "not a causal model"),
        (break_configuration, "not a causal model"),
    ],
)
def test_a_damaged_model_is_refused_in_one_line(saved, damage, message):
    damage(saved / "model.safetensors")
    with pytest.raises(ModelError, match=message) as refusal:
        open_model(saved, CPU)
    assert str(saved) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_base_without_configuration_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no configuration of a causal model"):
        fresh_model(tmp_path, 1)


def test_more_tokens_than_positions_are_refused(base):
    model = fresh_model(base, 1)
    check_positions(model, 32, "a row")
    with pytest.raises(ModelError, match="a row has 33 tokens, but the model has 32 positions"):
        check_positions(model, 33, "a row")


def test_devices_are_found_or_refused():
    assert device_of("cpu") == CPU
    if not torch.cuda.is_available():
        assert device_of("auto") == CPU
        with pytest.raises(ModelError, match="no CUDA device"):
            device_of("cuda")
