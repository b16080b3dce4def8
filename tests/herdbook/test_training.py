import math

import pytest
import torch

from herdbook.errors import ModelError
from herdbook.models import fresh_model, row_nll
from herdbook.training import learning_rate, steps_per_epoch, train
from tests.tiny import MARK, TRAIN, write_base

ROWS = [[5, 6, 7, 8], [5, 6, 9], [7, 8, 5, 6, MARK], [6, 7], [8, 9, 5]]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training") / "base"
    write_base(folder)
    return folder


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights(model) -> list[bytes]:
    return [p.detach().numpy().tobytes() for p in model.parameters()]


def test_the_rate_rises_in_line_and_falls_as_a_cosine():
    params = TRAIN.model_copy(update={"learning_rate": 6.0, "warmup_share": 0.2})
    rates = [learning_rate(step, 10, params) for step in range(10)]
    assert rates[:3] == pytest.approx([2, 4, 6])
    assert rates[6] == pytest.approx(3)  # half of the eight steps after the warm-up: cos(pi / 2) is 0
    assert rates[9] == pytest.approx(3 * (1 + math.cos(math.pi * 7 / 8)))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_rate_without_or_with_nothing_but_warm_up_stays_within_the_peak(share):
    params = TRAIN.model_copy(update={"warmup_share": share})
    assert all(0 < learning_rate(step, 5, params) <= params.learning_rate for step in range(5))


@pytest.mark.parametrize(("num_rows", "steps"), [(1, 1), (4, 1), (5, 2)])
def test_an_epoch_sees_every_row_once(num_rows, steps):
    assert steps_per_epoch(num_rows, 4) == steps


def test_the_first_loss_is_that_of_the_untrained_model_over_all_tokens(base):
    model = fresh_model(base, 1)
    nats = sum(mean * len(row) for mean, row in zip(row_nll(model, ROWS, MARK), ROWS, strict=True))
    course = train(model, ROWS, MARK, 1, TRAIN.model_copy(update={"batch_rows": 5}), generator())
    assert course.losses == pytest.approx([nats / 17], rel=1e-5)


def test_training_lowers_the_loss_and_counts_the_tokens_of_whole_epochs(base):
    model = fresh_model(base, 1)
    before = row_nll(model, ROWS, MARK)
    course = train(model, ROWS, MARK, 20, TRAIN, generator())  # 10 epochs of 2 steps
    assert course.num_tokens == 170
    assert len(course.losses) == 20
    assert sum(row_nll(model, ROWS, MARK)) < 0.8 * sum(before)


def test_the_first_step_moves_each_weight_by_the_rate_against_its_gradient(base):
    """Adam's first step is rate * sign(gradient) (Kingma and Ba 2015, section 2.1), and clipping keeps signs."""
    model, params = fresh_model(base, 1), TRAIN.model_copy(update={"warmup_share": 0.0, "weight_decay": 0.0, "batch_rows": 5})
    before = model.model.norm.weight.detach().clone()
    train(model, ROWS, MARK, 1, params, generator())
    moved = (model.model.norm.weight.detach() - before).abs()
    assert moved.numpy() == pytest.approx(params.learning_rate, rel=1e-3)


def test_the_same_seed_gives_the_same_bytes_whatever_the_global_generator_holds(tmp_path):
    write_base(tmp_path / "base", "gpt2")
    found = []
    for state in (1, 2):
        torch.manual_seed(state)
        model = fresh_model(tmp_path / "base", 1)
        train(model, ROWS, MARK, 4, TRAIN, generator())
        found.append(weights(model))
    assert found[0] == found[1]


def test_another_seed_gives_other_bytes(base):
    models = [fresh_model(base, 1) for _ in range(2)]
    for seed, model in enumerate(models):
        train(model, ROWS, MARK, 4, TRAIN, generator(seed))
    assert weights(models[0]) != weights(models[1])


def test_training_leaves_the_global_generator_alone(base):
    before = torch.random.get_rng_state()
    train(fresh_model(base, 1), ROWS, MARK, 1, TRAIN, generator())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_loss_that_is_not_finite_is_refused_with_its_step(base):
    model = fresh_model(base, 1)
    with torch.no_grad():
        model.model.norm.weight[0] = math.nan
    with pytest.raises(ModelError, match=r"loss is nan at step 1 of 3; lower train\.learning_rate"):
        train(model, ROWS, MARK, 3, TRAIN, generator())


def test_no_rows_are_refused(base):
    with pytest.raises(ModelError, match="0 rows"):
        train(fresh_model(base, 1), [], MARK, 1, TRAIN, generator())


def test_a_row_longer_than_the_model_s_positions_is_refused(base):
    with pytest.raises(ModelError, match="a training row has 40 tokens"):
        train(fresh_model(base, 1), [[5] * 40], MARK, 1, TRAIN, generator())


def test_progress_is_told_once_a_step(base):
    told = []
    train(fresh_model(base, 1), ROWS, MARK, 3, TRAIN, generator(), lambda: told.append(1))
    assert len(told) == 3
