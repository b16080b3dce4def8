from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from herdbook.errors import CorpusError
from herdbook.rows import rows_table
from herdbook.schema import ROWS
from herdbook.steps.matching import Match, binned, chances, deciles, drawn, raked


def table(tokens, nll):
    return rows_table([{"tokens": k, "num_tokens": len(k), "nll_nats": value} for k, value in zip(tokens, nll, strict=True)])


def of_nll(*values):
    """Rows that differ in their score alone."""
    return table([[1, 2]] * len(values), values)


def kept(step, rows, human, seed=0):
    """The places of the rows that stay."""
    material = SimpleNamespace(human=human, generator=lambda name: np.random.default_rng([seed, *name.encode()]))
    faults = step.faults(rows, material)
    assert set(faults) <= {None, *step.reasons()}
    return [place for place, fault in enumerate(faults) if fault is None]


def distances(rows, human, num_bins):
    """The total variation between rows and human rows of each histogram."""
    found, targets = binned(rows, human, num_bins)
    present = [np.bincount(bins, minlength=len(target)) / rows.num_rows for bins, target in zip(found, targets, strict=True)]
    return [np.abs(one - other).sum() / 2 for one, other in zip(present, targets, strict=True)]


def test_deciles_are_of_tokens_not_of_types():
    # 10 tokens: 5 has six, 0 two, 3 and 7 one each; more frequent ones are 0, 6, 8 and 9 tenths of all; 1 and the like are none's
    assert deciles(table([[5] * 6, [0, 0, 3, 7]], [1.0, 1.0])).tolist() == [6, 9, 9, 8, 9, 0, 9, 9, 9]


def test_bins_are_cut_at_human_quantiles_and_rows_without_a_score_have_their_own():
    (_, nll, _), (_, target, _) = binned(of_nll(0.0, 2.0, 2.5, 99.0, None), of_nll(1.0, 2.0, 3.0), 2)  # the median is 2
    assert (nll.tolist(), target.tolist()) == ([0, 1, 1, 1, 2], pytest.approx([1 / 3, 2 / 3, 0]))


def test_values_that_all_human_rows_share_leave_no_bins_between_equal_edges():
    (length, _, _), (target, _, _) = binned(table([[1], [1, 1], [1, 1, 1]], [1.0] * 3), of_nll(1.0, 2.0, 3.0), 5)  # all have 2 tokens
    assert (length.tolist(), target.tolist()) == ([0, 1, 1], [0, 1, 0])


def test_rarity_is_the_mean_decile_of_a_row_s_tokens():
    # human tokens 1 1 2 3: deciles 0, 5, 7; rows of means 0, 2.5, 9 and, without tokens, 0; human means 0 and 6, median 3
    (_, _, rarity), (_, _, target) = binned(table([[1], [1, 2], [8, 9], []], [1.0] * 4), table([[1, 1], [2, 3]], [1.0, 1.0]), 2)
    assert (rarity.tolist(), target.tolist()) == ([0, 0, 1, 0], [0.5, 0.5, 0])


def test_raking_keeps_what_the_marginals_do_not_ask_about():
    # [[1, 2], [3, 4]] to equal marginals: the odds ratio 1*4 / (2*3) = 2/3 stays, so a = d, b = c, a/b = sqrt(2/3), a + b = 1/2 of all
    counts, odds = np.array([1, 2, 3, 4]), np.sqrt(2 / 3)
    weights = raked(counts, [np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])], [np.array([0.5, 0.5])] * 2)
    one = 0.5 * odds / (1 + odds)
    assert (weights * counts / 10).tolist() == pytest.approx([one, 0.5 - one, 0.5 - one, one])


def test_no_weight_leaves_a_tenth_to_ten_times_the_mean_but_for_keeping_the_mean():
    # 99 rows where people are not, one where they all are: 0.1 each and 10, made 1 in the mean
    weights = raked(np.array([99, 1]), [np.array([0, 1])], [np.array([0.0, 1.0])])
    assert weights.tolist() == pytest.approx(np.array([0.1, 10]) * 100 / 19.9)


def test_a_histogram_without_a_common_bin_changes_nothing():
    assert raked(np.array([3, 1]), [np.array([0, 1])], [np.array([0.0, 0.0, 1.0])]).tolist() == [1, 1]


def test_chances_are_proportional_to_weights_and_at_most_one():
    # 2 rows of weight 3 and 4 of weight 0.5 are 8: of 4, chances 1.5 and 0.25; the two are sure, the others share 2
    assert chances(np.array([3.0, 0.5]), np.array([2, 4]), 4).tolist() == [1, 0.5]
    assert chances(np.array([2.0, 1.0]), np.array([1, 2]), 2).tolist() == [1, 0.5]
    assert chances(np.array([5.0, 1.0]), np.array([1, 2]), 3).tolist() == [1, 1]


def test_half_of_three_likely_rows_and_an_unlikely_one_keeps_the_unlikely():
    # human halves lie below and above 2: weights 2/3 and 2, and of 2 rows chances 1/3, 1/3, 1/3, 1
    step, rows, human = Match(keep_share=0.5, num_bins=2), of_nll(1.0, 1.0, 3.0, 1.0), of_nll(1.0, 1.0, 3.0, 3.0)
    found = [kept(step, rows, human, seed) for seed in range(40)]
    assert all(len(places) == 2 and 2 in places for places in found)
    assert {place for places in found for place in places} == {0, 1, 2, 3}


def test_systematic_draws_come_from_all_places_evenly():
    for seed in range(5):
        assert np.diff(drawn(np.full(12, 0.25), 3, np.random.default_rng(seed))).tolist() == [4, 4]
    assert drawn(np.ones(4), 4, np.random.default_rng(0)).tolist() == [0, 1, 2, 3]


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=30), st.integers(0, 9), st.data())
@settings(deadline=None, max_examples=200)
def test_exactly_as_many_different_rows_are_drawn_as_wanted(weights, seed, data):
    size = data.draw(st.integers(1, len(weights)))
    found = chances(np.array(weights), np.ones(len(weights), dtype=np.int64), size)
    assert ((found > 0) & (found <= 1)).all()
    assert found.sum() == pytest.approx(size)
    places = drawn(found, size, np.random.default_rng(seed))
    assert len(set(places.tolist())) == size
    assert places.max() < len(weights)


def test_rows_come_nearer_to_human_text_in_every_histogram():
    # people write 20 to 40 tokens of 50 types, 2 to 6 nats; the rows are shorter, likelier and of commoner tokens
    generator = np.random.default_rng(7)

    def written(count, shortest, tokens, low):
        lengths = generator.integers(shortest, 41, count)
        return table(
            [(50 * generator.random(length) ** tokens).astype(int).tolist() for length in lengths],
            (low + (6 - low) * generator.random(count) ** (2 - low / 2)).tolist(),
        )

    human, rows = written(400, 20, 2.0, 2.0), written(1000, 5, 2.6, 1.0)
    step = Match(keep_share=0.3, num_bins=5)
    places = kept(step, rows, human)
    before, after = distances(rows, human, 5), distances(rows.take(places), human, 5)
    assert len(places) == 300
    assert all(later < 0.6 * earlier for earlier, later in zip(before, after, strict=True)), (before, after)


def test_rows_like_human_text_stay_like_it():
    human = of_nll(*map(float, range(100)))
    places = kept(Match(keep_share=0.5, num_bins=10), human, human)
    assert max(distances(human.take(places), human, 10)) <= 0.02


@pytest.mark.parametrize(("num_rows", "share", "size"), [(0, 0.5, 0), (1, 0.5, 0), (1, 0.6, 1), (1, 1.0, 1), (3, 0.5, 2), (5, 0.5, 2)])
def test_the_share_kept_is_rounded_to_whole_rows(num_rows, share, size):
    assert len(kept(Match(keep_share=share, num_bins=2), of_nll(*[1.0] * num_rows), of_nll(1.0, 2.0))) == size


def test_rows_without_tokens_or_score_are_thinned_as_others():
    assert len(kept(Match(keep_share=0.5, num_bins=3), table([[], [], [1], [1]], [None] * 4), of_nll(1.0, 2.0))) == 2


def test_the_same_generator_keeps_the_same_rows_and_another_others():
    rows, step = of_nll(*map(float, range(30))), Match(keep_share=0.5, num_bins=3)
    assert kept(step, rows, rows, seed=1) == kept(step, rows, rows, seed=1)
    assert len({tuple(kept(step, rows, rows, seed=seed)) for seed in range(10)}) > 1


def test_matching_nothing_is_refused():
    with pytest.raises(CorpusError, match="human training rows: none of 0 has a value to compare with"):
        kept(Match(keep_share=0.5, num_bins=2), of_nll(1.0, 2.0), ROWS.empty_table())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep_share": 0.0, "num_bins": 5}, "greater than 0"),
        ({"keep_share": 1.5, "num_bins": 5}, "less than or equal to 1"),
        ({"keep_share": 0.5, "num_bins": 1}, "greater than or equal to 2"),
        ({"keep_share": 0.5, "num_bins": 101}, "less than or equal to 100"),
    ],
)
def test_settings_without_sense_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        Match(**settings)
