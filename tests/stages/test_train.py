import math
import shutil

import pytest
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from herdbook.errors import FileError, InspectionError, ModelError, ParamsError
from herdbook.files import digest, read_json, read_table, write_json, write_table
from herdbook.layout import BASE_MODEL, HUMAN_HELD_OUT, HUMAN_RECEIPT, HUMAN_TRAIN, PARAMS, Place
from herdbook.lineage import not_bred, write_not_bred
from herdbook.receipt import training_data
from herdbook.schema import ROWS
from herdbook.training_set import SCORES
from stages import train
from tests.tiny import pin, run_stage, write_project, write_training
from tests.workspace import HUMAN, OFFSPRING, write_receipt

FOUNDER = Place("founder", "s0", "g0")
RULE = "distinct_2: expect_column_min_to_be_between"


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pin(monkeypatch)
    write_project(tmp_path)


def found() -> Place:
    train.main(["founder", "s0", "g0"])
    return FOUNDER


def bred(regime: str, seed: str = "s0") -> Place:
    place = Place(regime, seed, "g1")
    train.main([regime, seed, "g1"])
    return place


def making(place: Place) -> dict:
    return read_json(place.model / "making.json")


def weights(place: Place) -> str:
    return digest(place.model / "model.safetensors")


# The founder.


def test_a_founder_is_entered_with_what_it_learnt_from():
    place = found()
    assert making(place) == {
        "kind": "model", "regime": "founder", "seed": "s0", "generation": "g0", "training": digest(HUMAN_TRAIN), "start": "fresh",
        "receipt": digest(HUMAN_RECEIPT), "num_steps": 10, "depth": 0.0, "waivers": [], "device": making(place)["device"],
        "num_parameters": sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(place.model).parameters()),
    }  # fmt: skip


def test_the_loss_record_is_of_all_held_out_tokens_and_bytes():
    place = found()
    loss, nll = read_json(place.loss), read_table(place.human_nll, SCORES)["nll_nats"].to_pylist()[HUMAN.num_rows :]
    num_bytes = sum(len(text) for text in read_table(HUMAN_HELD_OUT, ROWS)["text"].to_pylist())
    assert loss["held_out_loss_nats"] == pytest.approx(sum(nll) / 3)  # rows of four tokens each
    assert loss["held_out_perplexity"] == pytest.approx(math.exp(sum(nll) / 3))
    assert loss["held_out_bits_per_byte"] == pytest.approx(4 * sum(nll) / math.log(2) / num_bytes)
    assert (loss["num_steps"], loss["num_tokens_seen"]) == (10, 160)  # 2 epochs of 5 batches of 4 rows of 4 tokens
    assert loss["train_loss_last_nats"] < loss["train_loss_first_nats"]


def test_every_human_row_is_scored_by_its_founder():
    table = read_table(found().human_nll, SCORES)
    assert table["id"].to_pylist() == HUMAN["id"].to_pylist() + read_table(HUMAN_HELD_OUT, ROWS)["id"].to_pylist()
    assert all(0 < nll < 10 for nll in table["nll_nats"].to_pylist())


def test_transformers_opens_the_model_and_its_tokenizer():
    place = found()
    assert AutoModelForCausalLM.from_pretrained(place.model).config.model_type == "llama"
    assert (
        AutoTokenizer.from_pretrained(place.model)("the cat")["input_ids"]
        == AutoTokenizer.from_pretrained(BASE_MODEL)("the cat")["input_ids"]
    )


def test_human_rows_that_failed_found_nothing_whatever_a_regime_waives():
    write_receipt(HUMAN_RECEIPT, "human", {"rows": HUMAN_TRAIN}, "failed")
    with pytest.raises(InspectionError, match=RULE):
        found()
    assert not FOUNDER.model.exists()


def test_altered_human_rows_found_nothing():
    write_table(HUMAN_TRAIN, HUMAN.slice(1))
    with pytest.raises(InspectionError, match=r"train\.parquet"):
        found()
    assert not FOUNDER.model.exists()


def test_a_pretrained_base_is_where_a_founder_starts():
    model = found().model
    for name in ("model.safetensors", "config.json"):
        (BASE_MODEL / name).write_bytes((model / name).read_bytes())
    before = read_json(FOUNDER.loss)["train_loss_first_nats"]
    place = found()
    assert making(place)["start"] == "pretrained"
    assert read_json(place.loss)["train_loss_first_nats"] < before


# The generations.


def test_a_generation_takes_as_many_steps_as_its_founder_or_its_own_epochs(tmp_path):
    found()
    write_json(FOUNDER.model / "making.json", {**making(FOUNDER), "num_steps": 3})
    params = yaml.safe_load(PARAMS.read_text())
    params["regimes"]["longer"] = {**params["regimes"]["free"], "compute": {"epochs": 3}}
    PARAMS.write_text(yaml.safe_dump(params))
    for regime, steps in (("replace", 3), ("free", 10), ("longer", 15)):
        write_training(Place(regime, "s0", "g1"))
        assert making(bred(regime))["num_steps"] == steps


def test_fresh_starts_of_a_seed_are_the_same_for_every_regime():
    found()
    for regime in ("replace", "blocked"):
        write_training(Place(regime, "s0", "g1"))
    assert weights(bred("replace")) == weights(bred("blocked"))


def test_a_regime_may_start_from_the_founder():
    found()
    write_training(Place("resumed", "s0", "g1"))
    place = bred("resumed")
    assert making(place)["start"] == "founder"
    assert read_json(place.loss)["train_loss_first_nats"] < read_json(FOUNDER.loss)["train_loss_first_nats"]


def test_depth_is_that_of_the_training_set():
    found()
    place = Place("replace", "s0", "g1")
    write_training(place)
    data = training_data(place)
    write_table(data["rows"], OFFSPRING)
    write_receipt(place.receipt("training"), "training", data)
    assert making(bred("replace"))["depth"] == 1.0
    assert making(place)["training"] == digest(data["rows"])


@pytest.mark.parametrize("verdict", ["failed", "errored"])
def test_a_waived_breach_trains_and_joins_the_waivers_before_it(verdict):
    found()
    earlier = {"dataset": "offspring", "generation": "g0", "rules": ["a rule"]}
    write_training(Place("replace", "s0", "g1"), verdict, (earlier,))
    assert making(bred("replace"))["waivers"] == [earlier, {"dataset": "training", "generation": "g1", "rules": [RULE]}]


@pytest.mark.parametrize("verdict", ["failed", "errored"])
def test_a_breach_under_block_trains_nothing_and_says_why(verdict):
    write_training(Place("blocked", "s0", "g1"), verdict)
    place = bred("blocked")
    stop = {"generation": "g1", "dataset": "training", "inspection": verdict, "rules": [RULE]}
    assert not_bred(place.model) == stop
    assert read_json(place.loss) == {**stop, "status": "not bred"}
    assert [path.name for path in place.model.iterdir()] == ["not_bred.json"]


def test_a_generation_that_was_not_bred_passes_its_reason_on():
    place, stop = Place("blocked", "s0", "g1"), {"generation": "g0", "dataset": "offspring", "inspection": "failed", "rules": [RULE]}
    write_not_bred(place.training, stop)
    bred("blocked")
    assert not_bred(place.model) == stop
    assert read_json(place.loss) == {**stop, "status": "not bred"}


@pytest.mark.parametrize("name", ["rows", "pool", "making"])
def test_altered_training_data_are_refused_under_every_gate(name):
    found()
    place = Place("replace", "s0", "g1")
    write_training(place)
    training_data(place)[name].write_bytes(b"{}")
    with pytest.raises(InspectionError, match=name):
        bred("replace")
    assert not place.model.exists()


def test_data_without_a_receipt_are_refused():
    place = Place("replace", "s0", "g1")
    write_training(place)
    place.receipt("training").unlink()
    with pytest.raises(InspectionError, match=r"training/receipt\.json"):
        bred("replace")


def test_a_training_set_without_rows_ends_its_lineage_even_under_waive():
    found()
    place = Place("replace", "s0", "g1")
    write_training(place)
    data = training_data(place)
    write_table(data["rows"], HUMAN.slice(0, 0))
    write_receipt(place.receipt("training"), "training", data, "failed")
    bred("replace")
    assert not_bred(place.model)["dataset"] == "training"
    assert read_json(place.loss)["status"] == "not bred"


def test_a_training_that_diverges_records_nothing():
    params = yaml.safe_load(PARAMS.read_text())
    params["train"].update(learning_rate=1e30, warmup_share=0.0)
    PARAMS.write_text(yaml.safe_dump(params))
    with pytest.raises(ModelError, match=r"loss is nan at step \d of 10; lower"):
        found()
    assert not FOUNDER.model.exists()
    assert not FOUNDER.loss.exists()


def test_a_generation_without_its_founder_is_told_to_run_it_first():
    write_training(Place("replace", "s0", "g1"))
    with pytest.raises(FileError, match="founder/s0/g0/model"):
        bred("replace")


@pytest.mark.parametrize("args", [[], ["founder", "s0", "g1"], ["unknown", "s0", "g1"]])
def test_arguments_that_name_no_generation_are_refused(args):
    with pytest.raises(ParamsError, match="regimes: "):
        train.main(args)


def test_the_same_inputs_give_the_same_bytes_in_any_environment():
    """Here everything is pinned; there a fresh interpreter finds another environment, and pins it."""
    here = [digest(path) for path in (found().model, FOUNDER.human_nll, FOUNDER.loss)]
    shutil.rmtree(FOUNDER.model)
    done = run_stage("train", "founder", "s0", "g0", PYTHONHASHSEED="2", OMP_NUM_THREADS="2", MKL_CBWR="AUTO")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [digest(path) for path in (FOUNDER.model, FOUNDER.human_nll, FOUNDER.loss)] == here
