import shutil
import subprocess
import sys

import pyarrow as pa
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook import numeric
from herdbook.errors import InspectionError, ModelError, ParamsError
from herdbook.files import digest, read_json, read_table, write_json, write_table
from herdbook.layout import BASE_MODEL, HUMAN_TRAIN, PARAMS, Place
from herdbook.lineage import not_bred, write_not_bred
from herdbook.models import fresh_model, open_model, row_nll, save_model, weights_digest
from herdbook.rows import row_id
from herdbook.schema import ROWS, TRAINING
from herdbook.tokenizer import load_tokenizer
from stages import sample
from tests.rows import rows_of
from tests.tiny import DECODING, MARK, pin, run_stage, write_project
from tests.workspace import ROOT

FOUNDER = Place("founder", "s0", "g0")
CHILD = Place("replace", "s0", "g1")


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pin(monkeypatch)
    write_project(tmp_path)
    write_model(FOUNDER, 1, 0.0)


def write_model(place: Place, seed: int, depth: float) -> None:
    """An untrained model, entered as one of that depth."""
    save_model(fresh_model(BASE_MODEL, seed), BASE_MODEL, place.model)
    write_json(place.model / "making.json", {"depth": depth})


def sampled(place: Place) -> list[dict]:
    sample.main([place.regime, place.seed, place.generation])
    return read_table(place.offspring / "rows.parquet", ROWS).to_pylist()


def change(section: str, **values: object) -> None:
    params = yaml.safe_load(PARAMS.read_text())
    params[section].update(values)
    PARAMS.write_text(yaml.safe_dump(params))


def test_rows_say_who_wrote_them_from_what_and_how_deep():
    write_model(CHILD, 2, 1.5)
    rows = sampled(CHILD)
    model = weights_digest(CHILD.model)
    assert len(rows) == DECODING["num_rows"]
    for index, row in enumerate(rows):
        assert (row["generation"], row["model"], row["index"], row["depth"]) == (1, model, index, 2.5)
        assert row["document"] == "human"
        assert row["prompt"] in read_table(HUMAN_TRAIN, ROWS)["id"].to_pylist()
        assert row["id"] == row_id(model, "human", index, row["tokens"])
        assert row["num_tokens"] == len(row["tokens"]) <= 6
        assert row["text"] == load_tokenizer(BASE_MODEL).decode([row["tokens"]])[0]
    assert read_json(CHILD.offspring / "making.json") == {
        "kind": "offspring", "regime": "replace", "seed": "s0", "generation": "g1", "model": model,
        "founder": weights_digest(FOUNDER.model), "decoding": DECODING, "depth": 2.5, "num_rows": 12,
        "device": "cpu",
    }  # fmt: skip


def test_rows_are_scored_on_their_own_by_the_founder_of_the_seed():
    write_model(CHILD, 2, 0.0)
    rows = sampled(CHILD)
    founder = open_model(FOUNDER.model, torch.device("cpu"))
    assert [row["nll_nats"] for row in rows] == pytest.approx(row_nll(founder, [row["tokens"] for row in rows], MARK), rel=1e-5)


def test_a_founder_samples_every_decoding():
    sample.main(["founder", "s0", "g0"])
    assert {path.name for path in FOUNDER.offspring.iterdir()} == {"top_k", "all"}
    assert read_table(FOUNDER.offspring / "all" / "rows.parquet", ROWS).num_rows == 5
    examples = read_json(FOUNDER.examples)
    assert examples.keys() == {"top_k", "all"}
    assert [example["prompt"] for example in examples["top_k"]] == [example["prompt"] for example in examples["all"]]


def test_examples_are_the_first_rows_with_the_prompts_that_every_model_of_the_seed_gets():
    for place, seed in ((CHILD, 2), (Place("anchored", "s0", "g2"), 3)):
        write_model(place, seed, 0.0)
        rows, examples = sampled(place), read_json(place.examples)
        assert [example["text"] for example in examples] == [row["text"] for row in rows[:2]]
        assert [example["prompt"] for example in examples] == load_tokenizer(BASE_MODEL).decode([[1, 2]] * 2)


def test_equal_models_of_a_generation_write_the_same_in_every_regime():
    others = Place("anchored", "s0", "g1"), Place("replace", "s0", "g2"), Place("replace", "s1", "g1")
    write_model(Place("founder", "s1", "g0"), 1, 0.0)
    for place in (CHILD, *others):
        write_model(place, 2, 0.0)
    same, *different = ([row["tokens"] for row in sampled(place)] for place in others)
    assert [row["tokens"] for row in sampled(CHILD)] == same
    assert same not in different


def test_without_prompt_tokens_the_start_mark_prompts():
    change("sample", prompt_tokens=0)
    write_model(CHILD, 2, 0.0)
    assert {(row["document"], row["prompt"]) for row in sampled(CHILD)} == {(None, None)}
    assert {example["prompt"] for example in read_json(CHILD.examples)} == {""}


def test_a_prompt_as_long_as_every_human_row_is_refused():
    change("sample", prompt_tokens=4)
    write_model(CHILD, 2, 0.0)
    with pytest.raises(ParamsError, match=r"sample\.prompt_tokens is 4, must be below the 4 tokens of the longest row that may prompt"):
        sampled(CHILD)
    assert not CHILD.offspring.exists()


def test_a_whole_block_prompts_where_the_prompt_is_as_long_as_a_block():
    change("sample", prompt_tokens=4)
    change("prepare", block_tokens=4)
    write_model(CHILD, 2, 0.0)
    human = {row["id"]: row["tokens"] for row in read_table(HUMAN_TRAIN, ROWS).to_pylist()}
    rows = sampled(CHILD)
    assert all(len(human[row["prompt"]]) == 4 for row in rows)
    assert max(row["num_tokens"] for row in rows) == 4  # as many new tokens as prompted


def test_draws_grow_with_the_generations_where_the_decoding_says_so():
    for place in (FOUNDER, Place("replace", "s0", "g2")):
        write_model(place, 2, 0.0)
    params = yaml.safe_load(PARAMS.read_text())
    growing = {**DECODING, "num_rows": {"first": 4, "added": 3}}
    params["decodings"]["top_k"] = params["regimes"]["replace"]["decoding"] = growing
    params["regimes"] = {"replace": params["regimes"]["replace"]}
    PARAMS.write_text(yaml.safe_dump(params))
    sample.main(["founder", "s0", "g0"])
    assert read_json(FOUNDER.offspring / "top_k" / "making.json")["num_rows"] == 4
    assert len(sampled(Place("replace", "s0", "g2"))) == 10


def prompt_by_training(place, rows):
    """The decoding of `replace` takes prompts of the training set, which is `rows`, all of them in a first pass but the last."""
    params = yaml.safe_load(PARAMS.read_text())
    params["decodings"]["own"] = params["regimes"]["replace"]["decoding"] = {**DECODING, "prompts": "training"}
    PARAMS.write_text(yaml.safe_dump(params))
    passes = pa.array([0] * (rows.num_rows - 1) + [1], pa.int32())
    write_table(place.training / "rows.parquet", rows.append_column(TRAINING.field("pass"), passes))
    write_json(place.model / "making.json", {"depth": 1.0, "training": digest(place.training / "rows.parquet")})


def test_rows_of_the_training_set_prompt_where_the_decoding_says_so():
    write_model(CHILD, 2, 1.0)
    of_models = pa.concat_tables([rows_of(f"d{i}", 1, model="m0", depth=1.0, tokens=[i + 1] * (2 + i)) for i in range(4)])
    rows = pa.concat_tables([of_models, of_models.slice(3)])  # the last is read in two passes
    prompt_by_training(CHILD, rows)
    found = sampled(CHILD)
    usable = {(row["id"], row["document"]) for row in of_models.to_pylist()[1:]}  # the first is no longer than a prompt
    assert {(row["prompt"], row["document"]) for row in found} == usable
    assert len({row["prompt"] for row in found[:3]}) == 3
    assert {row["id"] for row in found} == {row_id(row["model"], row["document"], row["index"], row["tokens"]) for row in found}
    assert {row["depth"] for row in found} == {2.0}
    assert read_json(CHILD.offspring / "making.json")["decoding"] == {**DECODING, "prompts": "training"}


def test_a_founder_is_prompted_by_people_whatever_its_decoding_says():
    prompt_by_training(CHILD, rows_of("d", 2, tokens=[1, 2, 3]))
    sample.main(["founder", "s0", "g0"])
    both = [read_table(FOUNDER.offspring / name / "rows.parquet", ROWS) for name in ("top_k", "own")]
    assert both[0] == both[1]
    assert set(both[0]["prompt"].to_pylist()) <= set(read_table(HUMAN_TRAIN, ROWS)["id"].to_pylist())


def test_another_training_set_than_the_model_was_trained_on_prompts_nothing():
    write_model(CHILD, 2, 1.0)
    prompt_by_training(CHILD, rows_of("d", 2, tokens=[1, 2, 3]))
    write_json(CHILD.model / "making.json", {"depth": 1.0, "training": "0" * 64})
    with pytest.raises(InspectionError, match="but the model was trained on 000000000000; train it anew"):
        sampled(CHILD)
    assert not CHILD.offspring.exists()


def test_a_training_set_of_rows_that_all_ended_early_is_refused_as_prompts():
    write_model(CHILD, 2, 1.0)
    prompt_by_training(CHILD, rows_of("d", 2, tokens=[1, 2]))
    with pytest.raises(ParamsError, match="is 2, must be below the 2 tokens of the longest row that may prompt"):
        sampled(CHILD)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=8).filter(lambda x: max(x) > 2), st.integers(1, 30))
def test_prompts_go_round_the_rows_that_are_long_enough_in_one_shuffled_order(lengths, num_rows):
    human = [rows_of(f"d{i}", 1, tokens=[i + 1] * length) for i, length in enumerate(lengths)]
    table = pa.concat_tables(human)
    usable = {(f"d{i}", (i + 1, i + 1)) for i, length in enumerate(lengths) if length > 2}
    found = [(prompt.document, tuple(prompt.tokens)) for prompt in sample.prompts_of(table, 2, 64, num_rows, 5)]
    assert len(found) == num_rows
    assert len(set(found)) == min(num_rows, len(usable))
    assert set(found) <= usable
    assert all(prompt == found[i % len(usable)] for i, prompt in enumerate(found))


def test_prompts_depend_on_the_seed_alone():
    varied = pa.concat_tables([rows_of("d", 1, tokens=[i, i, i]) for i in range(20)])
    one, same, other = (sample.prompts_of(varied, 2, 64, 20, numeric.seed_of("prompts", seed)) for seed in ("s0", "s0", "s1"))
    assert one == same != other


def test_what_was_not_bred_is_not_sampled_and_says_why():
    stop = {"generation": "g1", "dataset": "training", "inspection": "failed", "rules": ["a rule"]}
    write_not_bred(CHILD.model, stop)
    sample.main(["replace", "s0", "g1"])
    assert not_bred(CHILD.offspring) == stop
    assert read_json(CHILD.examples) == {**stop, "status": "not bred"}


def test_a_model_without_weights_is_refused_and_nothing_is_written():
    write_model(CHILD, 2, 0.0)
    (CHILD.model / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="without weights"):
        sampled(CHILD)
    assert not CHILD.offspring.exists()
    assert not CHILD.examples.exists()


@pytest.mark.parametrize("args", [[], ["founder", "s0", "g1"], ["unknown", "s0", "g1"]])
def test_arguments_that_name_no_generation_are_refused(args):
    with pytest.raises(ParamsError, match="regimes: "):
        sample.main(args)


def test_the_same_inputs_give_the_same_bytes_in_any_environment():
    """Here everything is pinned; there a fresh interpreter finds another environment, and pins it."""
    sample.main(["founder", "s0", "g0"])
    here = [digest(FOUNDER.offspring), digest(FOUNDER.examples)]
    shutil.rmtree(FOUNDER.offspring)
    done = run_stage("sample", "founder", "s0", "g0", PYTHONHASHSEED="2", OMP_NUM_THREADS="2", MKL_CBWR="AUTO")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [digest(FOUNDER.offspring), digest(FOUNDER.examples)] == here


def test_importing_a_stage_imports_neither_torch_nor_transformers():
    program = "import sys, stages.train, stages.sample; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
