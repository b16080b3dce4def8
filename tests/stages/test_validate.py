import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from herdbook.errors import FileError, ParamsError
from herdbook.files import read_json, write_json, write_table
from herdbook.layout import (
    BASE_MODEL,
    HUMAN_PROFILE,
    HUMAN_RECEIPT,
    HUMAN_TRAIN,
    Place,
)  # fmt: skip
from herdbook.lineage import write_not_bred
from herdbook.receipt import read_inspected, training_data
from herdbook.reference import write_reference
from herdbook.regimes import in_pass
from herdbook.rows import row_id, rows_table
from herdbook.tokenizer import save_tokenizer, train_tokenizer
from herdbook.training_set import write_training
from stages import validate

ROOT = Path(__file__).parents[2]
PLACE = Place("replace", "s0", "g1")
WORDS = ["cow", "bull", "herd", "calf", "farm", "meadow", "grass", "winter", "breed", "shed", "hoof", "horn"]


def sentences(count: int, seed: int) -> list[str]:
    generator = np.random.Generator(np.random.PCG64(seed))
    return [" ".join(generator.choice(WORDS, size=9)) for _ in range(count)]


def rows(texts: list[str], tokenizer, model: str | None) -> pa.Table:
    fields = {"model": model, "generation": 0, "document": "d", "depth": 1.0 if model else 0.0, "nll_nats": 3.0 if model else None}
    return rows_table(
        [
            {**fields, "id": row_id(model, "d", index, ids), "index": index, "tokens": ids, "num_tokens": len(ids), "text": text}
            for index, (text, ids) in enumerate(zip(texts, tokenizer.encode(texts), strict=True))
        ]
    )


@pytest.fixture
def project(tmp_path, monkeypatch):
    """What prepare and the founder wrote, of forty sentences; returns the tokenizer."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "expectations", "expectations")
    shutil.copy(ROOT / "params.yaml", ".")
    texts = sentences(40, 1)
    tokenizer = train_tokenizer(texts, 300)
    BASE_MODEL.mkdir(parents=True)
    save_tokenizer(tokenizer, BASE_MODEL)
    human = rows(texts, tokenizer, None)
    write_table(HUMAN_TRAIN, human)
    write_reference(human, texts, ["of sheep and goats nothing is said in any other place than this one here"])
    nll = {"id": human["id"].to_pylist(), "split": ["held_out"] * 40, "nll_nats": [3.0] * 40}
    write_table(PLACE.founder.human_nll, pa.table(nll))
    return tokenizer


def wrote(paths) -> list[bytes]:
    return [path.read_bytes() for path in paths]


def test_human_rows_are_profiled_and_inspected_to_the_same_bytes_each_time(project):
    validate.main(["human"])
    first = wrote([HUMAN_PROFILE, HUMAN_RECEIPT])
    assert read_json(HUMAN_PROFILE)["num_rows"] == 40
    receipt = read_inspected({"rows": HUMAN_TRAIN}, HUMAN_RECEIPT, "human")
    assert {rule["suite"] for rule in receipt["rules"]} == {"human_rows", "human_profile"}
    validate.main(["human"])
    assert wrote([HUMAN_PROFILE, HUMAN_RECEIPT]) == first


def test_a_failed_inspection_is_a_result(project):
    write_table(HUMAN_TRAIN, rows(["cow cow cow cow cow cow"] * 40, project, None))
    validate.main(["human"])
    receipt = read_inspected({"rows": HUMAN_TRAIN}, HUMAN_RECEIPT, "human")
    assert receipt["status"] == "failed"
    assert "exact_duplicate_share" in {rule["column"] for rule in receipt["rules"] if rule["status"] == "failed"}


def test_an_empty_table_is_errored_and_recorded(project):
    write_table(HUMAN_TRAIN, rows([], project, None))
    validate.main(["human"])
    assert read_json(HUMAN_RECEIPT)["status"] == "errored"


def test_a_training_set_is_held_against_human_text(project):
    validate.main(["human"])
    offspring = rows(["cow bull herd"] * 40, project, "m")
    write_training(PLACE, in_pass(offspring, 0), offspring, {}, [])
    validate.main(["training", "replace", "s0", "g1"])
    data = training_data(PLACE)
    receipt = read_inspected(data, PLACE.receipt("training"), "training")
    human = read_json(HUMAN_PROFILE)["distinct_2"]
    narrowing = next(
        rule for rule in receipt["rules"] if (rule["column"], rule["rule"]) == ("distinct_2", "expect_column_min_to_be_between")
    )
    assert receipt["parameters"]["human_distinct_2"] == human
    assert narrowing["status"] == "failed"
    assert narrowing["observed"] == read_json(PLACE.profile("training"))["distinct_2"]
    assert narrowing["allowed"] == f">= {human * 0.722:.10g} (human_distinct_2 * 0.722)"


def test_offspring_are_held_against_what_their_model_learnt_from(project):
    write_json(PLACE.profile("training"), dict.fromkeys(PARENT, 0.1))
    write_table(PLACE.curated / "rows.parquet", rows(sentences(40, 2), project, "m"))
    validate.main(["offspring", "replace", "s0", "g1"])
    receipt = read_inspected({"rows": PLACE.curated / "rows.parquet"}, PLACE.receipt("offspring"), "offspring")
    assert receipt["parameters"] == {**{f"parent_{field}": 0.1 for field in PARENT}, "target_rows": 2000}
    assert read_json(PLACE.profile("offspring"))["target_rows"] == 2000
    full = next(rule for rule in receipt["rules"] if rule["column"] == "num_rows")
    assert (full["status"], full["observed"], full["allowed"]) == ("failed", 40, ">= 2000 (target_rows)")


PARENT = ["distinct_2", "entropy_2_bits", "nll_mean_nats", "repetition", "tail_share"]


def test_a_rule_whose_reference_could_not_be_measured_is_errored_and_on_record(project):
    write_json(PLACE.profile("training"), dict.fromkeys(PARENT))
    write_table(PLACE.curated / "rows.parquet", rows(sentences(40, 2), project, "m"))
    validate.main(["offspring", "replace", "s0", "g1"])
    receipt = read_json(PLACE.receipt("offspring"))
    narrowing = next(rule for rule in receipt["rules"] if rule["column"] == "distinct_2")
    assert receipt["status"] == narrowing["status"] == "errored"
    assert narrowing["error"] == "parent_distinct_2 could not be measured"


@pytest.mark.parametrize("kind", ["training", "offspring"])
def test_where_a_lineage_ended_stands_why(project, kind):
    stop = {"generation": "g0", "dataset": "offspring", "inspection": "failed", "rules": ["tail_share: expect_column_min_to_be_between"]}
    write_not_bred(PLACE.training if kind == "training" else PLACE.curated, stop)
    validate.main([kind, "replace", "s0", "g1"])
    assert read_json(PLACE.receipt(kind)) == read_json(PLACE.profile(kind)) == {"kind": kind, "status": "not bred", **stop}


def test_a_table_cut_short_is_an_error_and_nothing_is_written(project):
    HUMAN_TRAIN.write_bytes(HUMAN_TRAIN.read_bytes()[:-9])
    with pytest.raises(FileError, match="not a whole parquet file"):
        validate.main(["human"])
    assert not HUMAN_PROFILE.exists()
    assert not HUMAN_RECEIPT.exists()


@pytest.mark.parametrize("args", [[], ["sheep"], ["human", "s0"], ["training", "replace", "s0"], ["training", "sheep", "s0", "g1"]])
def test_other_arguments_are_refused(project, args):
    with pytest.raises(ParamsError, match="must be human, or training"):
        validate.main(args)


def test_a_row_contract_sees_no_text(project):
    frame = validate.contract_frame(rows(["<script>"], project, None))
    assert {"text", "tokens"}.isdisjoint(frame.columns)
    assert "script" not in frame.to_csv()


def test_depth_has_a_floor_and_a_limit_by_who_wrote_the_row(project):
    human, synthetic = (rows(["cow"], project, model).to_pylist()[0] for model in (None, "m"))
    frame = validate.contract_frame(rows_table([human, synthetic, synthetic | {"generation": 3}]))
    assert frame["depth_floor"].tolist() == [0, 1, 1]
    assert frame["depth_limit"].round(6).tolist() == [0, 1, 4]


def test_missing_cells_are_left_to_the_rules(project):
    empty = dict.fromkeys(["id", "model", "document", "index", "depth", "tokens", "num_tokens", "text", "nll_nats", "generation"])
    frame = validate.contract_frame(rows_table([empty]))
    assert frame[["num_tokens_listed", "num_characters", "depth_limit"]].isna().to_numpy().all()
