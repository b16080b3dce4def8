import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from herdbook.duplicates import ngrams_of
from herdbook.files import canonical_json
from herdbook.params import Profile
from herdbook.profile import profile
from herdbook.reference import Reference
from herdbook.rows import rows_table
from herdbook.schema import ROWS

WORDS = ["<mark>", "a", "b", "c", "d", "e", "f", "g"]
PARAMS = Profile(num_rows=100, near_duplicate_jaccard=0.7)
ALPHABET = "one two three four five six seven eight nine ten eleven twelve thirteen"  # 13 words

FIELDS = """num_rows num_tokens num_rows_measured mean_tokens distinct_1 distinct_2 distinct_3 entropy_1_bits entropy_2_bits tail_coverage
tail_share repetition compression_ratio exact_duplicate_share near_duplicate_share contamination_share memorisation_share broken_text_share
nll_mean_nats nll_p05_nats nll_p50_nats nll_p95_nats nll_distance_nats depth_mean depth_max human_row_share human_token_share target_rows"""


class Speller:
    """One token a word; what it does not know is token 99."""

    mark = 0

    def encode(self, texts: list[str]) -> list[list[int]]:
        return [[WORDS.index(word) if word in WORDS else 99 for word in text.split()] for text in texts]


def table(*rows: dict) -> pa.Table:
    """Rows with only what matters given; tokens spell the text unless given."""
    made = []
    for number, row in enumerate(rows):
        tokens = row.get("tokens", Speller().encode([row.get("text", "a b c")])[0])
        made.append({
            "id": f"{number:03}", "generation": 1, "model": "m", "document": "d", "index": number, "depth": 1.0, "tokens": tokens,
            "num_tokens": len(tokens), "text": "a b c", "nll_nats": 1.0,
        } | row)  # fmt: skip
    return rows_table(made)


def reference(held_out: str = "", train: str = "", rare: tuple[int, ...] = (5, 6), nll: list[float] | None = None) -> Reference:
    return Reference(
        rare=np.array(rare),
        held_out_ngrams=ngrams_of([held_out], 13),
        train_ngrams=ngrams_of([train], 13),
        held_out_nll=None if nll is None else np.array(nll),
    )


def test_a_profile_has_the_named_fields_and_is_json():
    assert set(profile(table({}), reference(), Speller(), PARAMS)) == set(FIELDS.split())
    assert json.loads(canonical_json(profile(table({}), reference(), Speller(), PARAMS, 7)))["target_rows"] == 7


def test_a_profile_of_two_rows_is_as_computed_by_hand():
    found = profile(table({"text": "a b a b"}, {"text": "a e"}), reference(), Speller(), PARAMS)
    assert (found["num_rows"], found["num_tokens"], found["num_rows_measured"], found["mean_tokens"]) == (2, 6, 2, 3)
    # tokens 1 2 1 2 and 1 5: 3 types of 6; 2-grams 12 21 12 15: 3 of 4; 3-grams 121 212: 2 of 2
    assert (found["distinct_1"], found["distinct_2"], found["distinct_3"]) == (0.5, 0.75, 1)
    # counts 3 2 1 of 6: log2 6 - (3 log2 3 + 2) / 6 = 1.459147917; 2 1 1 of 4: 1.5
    assert (found["entropy_1_bits"], found["entropy_2_bits"]) == (1.459147917, 1.5)
    # of the rare types 5 and 6, 5 occurs, once in 6 tokens
    assert (found["tail_coverage"], found["tail_share"]) == (0.5, round(1 / 6, 10))
    # row 0: rep-2 = 1/3, rep-3 = rep-4 = 0; row 1: none. Mean 1/6
    assert found["repetition"] == 0.1666666667
    assert (found["exact_duplicate_share"], found["near_duplicate_share"], found["broken_text_share"]) == (0, 0, 0)


def test_duplicates_are_counted_once_a_repetition():
    texts = ["a b c d e f g", "a b c d e f g", "a b c d e f", "g f e"]  # abc bcd cde def efg against the first four: 4 of 5
    found = profile(table(*({"text": text} for text in texts)), reference(), Speller(), PARAMS)
    assert (found["exact_duplicate_share"], found["near_duplicate_share"]) == (1 / 4, 2 / 4)


def test_diversity_is_measured_on_the_first_rows_by_id_and_copies_on_all():
    rows = table({"id": "2", "text": "a a a"}, {"id": "1", "text": "b c d"}, {"id": "3", "text": "a a a"})
    found = profile(rows, reference(), Speller(), Profile(num_rows=1, near_duplicate_jaccard=0.7))
    assert (found["num_rows"], found["num_rows_measured"], found["distinct_1"]) == (3, 1, 1)
    assert (found["exact_duplicate_share"], found["near_duplicate_share"]) == (round(1 / 3, 10), 0)


def test_the_order_of_rows_does_not_matter():
    rows = table({"text": "a b c d e"}, {"text": "a b c d"}, {"text": "e f g"}, {"text": "c d e f"})
    arguments = reference(nll=[1.0]), Speller(), PARAMS
    assert profile(rows, *arguments) == profile(rows.take([3, 1, 0, 2]), *arguments)


def test_contamination_is_13_words_shared_with_held_out_documents():
    texts = [f"so {ALPHABET}!", ALPHABET.removesuffix(" thirteen"), "other"]
    found = profile(table(*({"text": text} for text in texts)), reference(held_out=f"{ALPHABET} fourteen"), Speller(), PARAMS)
    assert (found["contamination_share"], found["memorisation_share"]) == (round(1 / 3, 10), 0)


def test_memorisation_is_counted_among_synthetic_rows_only():
    rows = table({"text": ALPHABET, "model": None}, {"text": ALPHABET}, {"text": "other"})
    assert profile(rows, reference(train=ALPHABET), Speller(), PARAMS)["memorisation_share"] == 0.5
    assert profile(rows.slice(0, 1), reference(train=ALPHABET), Speller(), PARAMS)["memorisation_share"] == 0


def test_a_text_that_does_not_encode_back_is_broken_and_marks_do_not_count():
    rows = table({"text": "a b", "tokens": [1, 2, 0]}, {"text": "a b", "tokens": [2, 1]}, {"text": "\ufffd", "tokens": [3]})
    assert profile(rows, reference(), Speller(), PARAMS)["broken_text_share"] == round(2 / 3, 10)


def test_likelihood_is_summed_up_and_compared_with_held_out_text():
    found = profile(table({"nll_nats": 2.0}, {"nll_nats": 4.0}), reference(nll=[1.0, 3.0]), Speller(), PARAMS)
    # 5 % of the way from 2 to 4 is 2.1; both values lie 1 above those of held-out text
    assert [found[f"nll_{name}_nats"] for name in ("mean", "p05", "p50", "p95", "distance")] == [3, 2.1, 3, 3.9, 1]


@pytest.mark.parametrize("nll", [None, float("nan"), float("inf")])
def test_a_row_without_a_score_leaves_the_set_without_one(nll):
    found = profile(table({"nll_nats": 2.0}, {"nll_nats": nll}), reference(nll=[1.0]), Speller(), PARAMS)
    assert {value for name, value in found.items() if name.startswith("nll_")} == {None}


def test_there_is_no_likelihood_distance_before_there_is_a_founder():
    found = profile(table({}), reference(), Speller(), PARAMS)
    assert (found["nll_mean_nats"], found["nll_distance_nats"]) == (1, None)


def test_ancestry_is_weighted_by_tokens():
    rows = table({"model": None, "depth": 0.0, "text": "a"}, {"depth": 2.0, "text": "a b c"})
    found = profile(rows, reference(), Speller(), PARAMS)
    # depth (1 * 0 + 3 * 2) / 4; human 1 row of 2, 1 token of 4
    assert (found["depth_mean"], found["depth_max"], found["human_row_share"], found["human_token_share"]) == (1.5, 2, 0.5, 0.25)


def test_a_profile_of_no_rows_is_of_nulls():
    found = profile(ROWS.empty_table(), reference(nll=[1.0]), Speller(), PARAMS, 5)
    known = {name: value for name, value in found.items() if value is not None}
    assert known == {"num_rows": 0, "num_tokens": 0, "num_rows_measured": 0, "target_rows": 5, "tail_coverage": 0, "memorisation_share": 0}
    canonical_json(found)


def test_null_cells_are_measured_as_nothing_instead_of_ending_the_inspection():
    rows = rows_table([{"id": "1"}, {"id": "2", "text": "a", "tokens": [1], "num_tokens": 1, "depth": 1.0}])
    found = profile(rows, reference(), Speller(), PARAMS)
    assert (found["num_rows"], found["num_tokens"], found["distinct_1"]) == (2, 1, 1)
    assert found["mean_tokens"] is found["depth_mean"] is found["human_token_share"] is None


@pytest.mark.parametrize("seed", ["1", "2"])
def test_a_profile_is_the_same_whatever_python_s_hash_seed(seed):
    code = """if True:
        from tests.herdbook.test_profile import *
        rows = table({"text": "a b c d e"}, {"text": "a b c d"}, {"text": ALPHABET}, {"text": "c d e f"})
        print(canonical_json(profile(rows, reference(ALPHABET, ALPHABET, nll=[1.0]), Speller(), PARAMS)), end="")"""
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
    )
    rows = table({"text": "a b c d e"}, {"text": "a b c d"}, {"text": ALPHABET}, {"text": "c d e f"})
    assert run.stdout == canonical_json(profile(rows, reference(ALPHABET, ALPHABET, nll=[1.0]), Speller(), PARAMS))
