"""Prompts of generated text end to end: a lineage in which each model is begun by its own training set, from params.yaml to the audit."""

import pyarrow.parquet as pq
import pytest

from herdbook.audit import audit
from herdbook.replay import replay
from herdbook.snapshot import book_of, snapshot
from herdbook.trace import drawn, trace
from tests import miniature
from tests.test_curation import inherit

LAST = "runs/own/s0/g2"


@pytest.fixture(scope="module")
def prompted(unbred, bred, tmp_path_factory):
    """Three generations, each but the founder prompted by what it was trained on: the last one's text, and a fifth of the human rows."""
    root = tmp_path_factory.mktemp("prompted") / "project"
    miniature.copy(unbred, root)
    inherit(bred, root, root)
    params = miniature.parameters(3)
    regime = params["regimes"]["replace"]
    decoding = {**regime["decoding"], "num_rows": 40, "prompts": "training"}
    recipe, weights = {"num_rows": 40, "steps": []}, {"offspring": 1.0, "previous": 0.0, "human": 0.2}
    params["decodings"] = {"own": decoding}
    params["regimes"] = {"own": {**regime, "decoding": decoding, "recipe": recipe, "weights": weights}}
    miniature.write_params(root, params)
    miniature.repro(root)
    miniature.commit(root, "bred")
    return root


def rows(root, path):
    return pq.read_table(root / path).to_pylist()


def test_each_generation_is_prompted_by_rows_of_its_own_training_set(prompted):
    trained_on = {row["id"]: row for row in rows(prompted, f"{LAST}/training/rows.parquet")}
    offspring = rows(prompted, f"{LAST}/offspring/rows.parquet")
    assert {row["prompt"] for row in offspring} <= trained_on.keys()
    assert {trained_on[row["prompt"]]["generation"] for row in offspring if trained_on[row["prompt"]]["model"]} == {1}
    assert any(trained_on[row["prompt"]]["model"] is None for row in offspring)
    assert all(row["document"] == trained_on[row["prompt"]]["document"] for row in offspring)


def test_a_row_is_traced_from_prompt_to_prompt_down_to_the_row_that_a_person_wrote(prompted):
    trained_on = {row["id"]: row for row in rows(prompted, f"{LAST}/training/rows.parquet")}
    before = {row["id"]: row for row in rows(prompted, "runs/own/s0/g1/training/rows.parquet")}
    of_models = (row for row in rows(prompted, f"{LAST}/offspring/rows.parquet") if trained_on[row["prompt"]]["model"])
    row = next(row for row in of_models if before[trained_on[row["prompt"]]["prompt"]]["model"])
    with snapshot(prompted) as now:
        found = trace(row["id"], book_of(now), now)
    assert found.row["written_by"] == "own/s0/g2/model"
    prompts = found.row["prompts"]
    assert [prompt["written_by"] for prompt in prompts] == ["own/s0/g1/model", "founder/s0/g0/model", "a person"]
    assert [prompt["id"] for prompt in prompts[:2]] == [row["prompt"], trained_on[row["prompt"]]["prompt"]]
    assert prompts[0]["text"] == found.row["prompt_text"]
    (human,) = (one for one in rows(prompted, "runs/human/train.parquet") if one["id"] == prompts[2]["id"])
    assert [document["id"] for document in found.documents] == [human["document"]] == [row["document"]]
    said = drawn(found).plain
    assert f"(the beginning of row of own/s0/g1/model, {row['prompt'][:12]})" in said
    assert f"(the beginning of human row {human['id'][:12]})" in said


def test_the_audit_of_such_a_lineage_finds_nothing(prompted):
    with snapshot(prompted) as now:
        assert audit(now, "rows").findings == []


def test_offspring_come_out_the_same_from_the_training_set_that_is_recorded(prompted):
    with snapshot(prompted) as now:
        book = book_of(now)
        assert ("prompts", "own/s0/g2/training") in [
            (each["role"], each["name"]) for each in book.entries["own/s0/g2/offspring"]["parents"]
        ]
        assert replay("own/s0/g2/offspring", book, now).is_identical
