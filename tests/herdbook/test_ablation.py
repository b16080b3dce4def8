import copy

import pytest

from herdbook.ablation import WHOLE, ablated, effects
from herdbook.errors import HerdbookError
from herdbook.params import parse_params
from tests.parameters import document

COMPOSITION = {"human": {"rows": 1, "tokens": 250}, "g0": {"rows": 3, "tokens": 750}}


def test_each_step_is_taken_out_once_and_all_train_on_the_same_number_of_tokens():
    found = ablated(document(), "curated", COMPOSITION)
    steps = [step["name"] for step in document()["regimes"]["curated"]["recipe"]["steps"]]
    assert list(found["regimes"]) == [WHOLE, *(f"without_{step}" for step in steps)]
    for step in steps:
        assert step not in [other["name"] for other in found["regimes"][f"without_{step}"]["recipe"]["steps"]]
        assert len(found["regimes"][f"without_{step}"]["recipe"]["steps"]) == len(steps) - 1
    mixtures = [regime["mixture"] for regime in found["regimes"].values()]
    assert all(mixture == mixtures[0] for mixture in mixtures)
    assert mixtures[0]["num_tokens"] == 950  # .95 of 1000
    assert {source["source"]: source["fraction"] for source in mixtures[0]["sources"]} == {"offspring": 0.75, "human": 0.25}
    assert set(found["decodings"]) == {"cooled"}


def test_the_parameters_of_an_ablation_are_whole_and_those_given_unchanged():
    given = document()
    before = copy.deepcopy(given)
    parse_params(ablated(given, "curated", COMPOSITION))
    assert given == before


def test_a_step_named_twice_gives_two_regimes():
    given = document()
    given["regimes"]["curated"]["recipe"]["steps"] = [{"name": "length", "min_tokens": 2}, {"name": "length", "min_tokens": 3}]
    assert list(ablated(given, "curated", COMPOSITION)["regimes"]) == [WHOLE, "without_length", "without_length_1"]


def test_a_regime_without_human_text_mixes_none():
    sources = ablated(document(), "curated", {"g0": {"rows": 1, "tokens": 10}})["regimes"][WHOLE]["mixture"]["sources"]
    assert [source["source"] for source in sources] == ["offspring"]


def test_a_regime_without_steps_cannot_be_taken_apart():
    with pytest.raises(HerdbookError, match=r"regimes\.replace\.recipe has no steps"):
        ablated(document(), "replace", COMPOSITION)


def line(regime, seed, generation, loss, distinct=0.5, coverage=0.25, status="bred"):
    return {
        "regime": regime, "seed": seed, "generation": str(generation), "status": status, "held_out_loss_nats": str(loss),
        "offspring_distinct_2": str(distinct), "offspring_tail_coverage": str(coverage),
    }  # fmt: skip


def test_an_effect_is_the_mean_over_seeds_of_the_whole_recipe_less_the_one_without_the_step():
    # seed s0: 5.0 - 5.5 = -0.5, seed s1: 5.0 - 5.25 = -0.25; their mean is -0.375
    lines = [
        line(WHOLE, "s0", 1, 5.0, 0.5), line(WHOLE, "s1", 1, 5.0, 0.5),
        line("without_length", "s0", 1, 5.5, 0.25), line("without_length", "s1", 1, 5.25, 0.5),
    ]  # fmt: skip
    (effect,) = effects(lines, ["without_length"])
    assert (effect.step, effect.num_seeds, effect.held_out_loss_nats, effect.loss_by_seed) == ("length", 2, -0.375, (-0.5, -0.25))
    assert (effect.distinct_2, effect.tail_coverage) == (0.125, 0.0)


def test_effects_are_of_the_last_generation_that_every_seed_bred():
    lines = [line(WHOLE, "s0", n, 5.0 + n) for n in (0, 1, 2)]
    lines += [line("without_length", "s0", n, 5.0) for n in (0, 1)] + [line("without_length", "s0", 2, "", status="not bred")]
    (effect,) = effects(lines, ["without_length"])
    assert effect.held_out_loss_nats == 1.0


def test_no_effect_is_told_where_nothing_after_the_founder_was_bred():
    assert effects([line(WHOLE, "s0", 0, 5.0), line("without_length", "s0", 0, 5.0)], ["without_length"]) == []
