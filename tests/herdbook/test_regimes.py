import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook.errors import ParamsError
from herdbook.params import Weights
from herdbook.regimes import composition, mean_depth, mix
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
