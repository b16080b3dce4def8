import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook.errors import ParamsError
from herdbook.params import Mixture, Weights
from herdbook.regimes import composition, in_pass, mean_depth, mix, mix_tokens
from herdbook.training_set import mixture_gap, realised
from tests.rows import rows_of

REPLACE = Weights(offspring=1.0, previous=0.0, human=0.0)
ANCHORED = Weights(offspring=0.9, previous=0.0, human=0.1)
ACCUMULATE = Weights(offspring=1.0, previous=1.0, human=0.0)

HUMAN = rows_of("human", 20)
PARENT = rows_of("previous", 20)
OFFSPRING = rows_of("offspring", 20, model="m1", generation=1, depth=1.0)


def generator() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(0))


def test_replace_trains_on_the_offspring_alone():
    training, pool = mix(OFFSPRING, PARENT, HUMAN, REPLACE, None, generator())
    assert training.equals(OFFSPRING)
    assert pool.equals(training)


def test_anchored_takes_nine_tenths_of_offspring_and_a_tenth_of_human():
    training, _ = mix(OFFSPRING, PARENT, HUMAN, ANCHORED, None, generator())
    assert composition(training) == {"g1": {"rows": 18, "tokens": 72}, "human": {"rows": 2, "tokens": 8}}


def test_accumulate_keeps_the_previous_pool_and_adds_the_offspring():
    training, pool = mix(OFFSPRING, PARENT, HUMAN, ACCUMULATE, None, generator())
    assert training["id"].to_pylist() == OFFSPRING["id"].to_pylist() + PARENT["id"].to_pylist()
    assert pool.equals(training)


def test_a_budget_draws_the_training_set_from_the_whole_pool_and_keeps_the_pool():
    training, pool = mix(OFFSPRING, PARENT, HUMAN, ACCUMULATE, 10, generator())
    assert (training.num_rows, pool.num_rows) == (10, 40)
    assert set(training["id"].to_pylist()) <= set(pool["id"].to_pylist())


def test_human_rows_that_the_pool_holds_are_not_drawn_again():
    weights = Weights(offspring=0.0, previous=1.0, human=0.5)
    training, _ = mix(OFFSPRING, HUMAN.slice(0, 10), HUMAN, weights, None, generator())
    ids = training["id"].to_pylist()
    assert len(ids) == len(set(ids)) == 20


def test_too_few_human_rows_left_is_refused():
    weights = Weights(offspring=0.0, previous=1.0, human=0.5)
    with pytest.raises(ParamsError, match=r"asks for 10 human rows, but only 5 of 20"):
        mix(OFFSPRING, HUMAN.slice(0, 15), HUMAN, weights, None, generator())


def test_mean_depth_is_weighted_by_tokens():
    # 1 row of 4 tokens at depth 0 and 2 of 4 at depth 1.5: (4 * 0 + 8 * 1.5) / 12 = 1
    rows = [*rows_of("a", 1).to_pylist(), *rows_of("b", 2, model="m", depth=1.5).to_pylist()]
    assert mean_depth(type(HUMAN).from_pylist(rows, schema=HUMAN.schema)) == pytest.approx(1.0)
    assert mean_depth(HUMAN.slice(0, 0)) == 0.0


shares = st.floats(0, 1, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(offspring=shares, previous=shares, human=shares, seed=st.integers(0, 2**32), budget=st.none() | st.integers(1, 80))
def test_any_mixture_takes_the_stated_share_of_each_source_and_no_row_twice(offspring, previous, human, seed, budget):
    if offspring + previous + human == 0:
        offspring = 1.0
    weights = Weights(offspring=offspring, previous=previous, human=human)
    draws = [mix(OFFSPRING, PARENT, HUMAN, weights, budget, np.random.Generator(np.random.PCG64(seed))) for _ in range(2)]
    training, pool = draws[0]
    ids = pool["id"].to_pylist()
    assert len(ids) == len(set(ids)) == round(20 * offspring) + round(20 * previous) + round(20 * human)
    assert training.num_rows == (len(ids) if budget is None else min(budget, len(ids)))
    assert draws[1][0].equals(training)


def mixture(num_tokens: int, **sources: tuple[float, float]) -> Mixture:
    """Each source with its fraction and epochs."""
    return Mixture.model_validate({
        "num_tokens": num_tokens,
        "sources": [{"source": name, "fraction": fraction, "epochs": epochs} for name, (fraction, epochs) in sources.items()],
    })  # fmt: skip


SOURCES = {"offspring": OFFSPRING, "previous": PARENT, "human": HUMAN}  # 20 rows of 4 tokens each


def test_a_mixture_takes_each_source_by_its_fraction_of_tokens_and_its_epochs():
    # of 80 tokens 3/4 are offspring, read 1.5 times: 40 unique tokens are 10 rows, of which 5 are read again; 1/4 human is 5 rows once
    offspring, human = mix_tokens(SOURCES, mixture(80, offspring=(0.75, 1.5), human=(0.25, 1.0)), generator())
    assert (offspring.unique.num_rows, offspring.rows.num_rows) == (10, 15)
    assert offspring.rows["pass"].to_pylist() == [0] * 10 + [1] * 5
    assert offspring.rows["id"].to_pylist()[10:] == offspring.rows["id"].to_pylist()[:5]
    assert (human.unique.num_rows, human.rows.num_rows) == (5, 5)


@given(st.integers(8, 80), st.sampled_from([0.1, 0.25, 0.5, 0.9]), st.sampled_from([1.0, 1.25, 2.0, 5.2]))
@settings(deadline=None, max_examples=50)
def test_a_portion_is_within_a_row_of_what_was_asked(num_tokens, fraction, epochs):
    portions = mix_tokens(SOURCES, mixture(num_tokens, human=(fraction, epochs), offspring=(1 - fraction, 1.0)), generator())
    for portion in portions:
        rows = portion.rows
        assert abs(sum(rows["num_tokens"].to_pylist()) - portion.source.fraction * num_tokens) <= 4 * portion.source.epochs + 2
        pairs = list(zip(rows["id"].to_pylist(), rows["pass"].to_pylist(), strict=True))
        assert len(set(pairs)) == len(pairs)
        assert len(set(rows["id"].to_pylist())) == portion.unique.num_rows


def test_a_source_that_has_too_little_gives_all_it_has_and_the_gap_tells():
    wanted = mixture(320, human=(0.5, 1.0), offspring=(0.5, 1.0))  # 160 tokens of each, which has 80
    portions = mix_tokens(SOURCES, wanted, generator())
    assert [portion.rows.num_rows for portion in portions] == [20, 20]
    assert mixture_gap(realised(portions), wanted) == 0.25  # 80 of 320 where half was asked
    assert mixture_gap({}, None) == 0.0


def test_whole_epochs_read_each_row_equally_often():
    (portion,) = mix_tokens(SOURCES, mixture(90, human=(1.0, 3.0)), generator())
    assert (portion.num_passes, portion.num_again) == (3, 0)


def test_no_row_is_in_two_portions():
    sources = {**SOURCES, "previous": HUMAN}
    human, previous = mix_tokens(sources, mixture(80, human=(0.5, 1.0), previous=(0.5, 1.0)), generator())
    assert not set(human.rows["id"].to_pylist()) & set(previous.rows["id"].to_pylist())
    assert (human.rows.num_rows, previous.rows.num_rows) == (10, 10)


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"human": (0.5, 1.0)}, "the fractions of the mixture sum to 0.5, must sum to 1"),
        ({"human": (1.0, 0.5)}, "greater than or equal to 1"),
        ({"strangers": (1.0, 1.0)}, "Input should be"),
    ],
)
def test_a_mixture_that_cannot_be_is_refused(sources, message):
    with pytest.raises(ValueError, match=message):
        mixture(80, **sources)


def test_a_source_stands_once_in_a_mixture():
    source = {"source": "human", "fraction": 0.5, "epochs": 1.0}
    with pytest.raises(ValueError, match="the mixture names human twice"):
        Mixture.model_validate({"num_tokens": 8, "sources": [source, source]})


def test_rows_are_numbered_by_their_pass():
    assert in_pass(HUMAN.slice(0, 2), 3)["pass"].to_pylist() == [3, 3]
