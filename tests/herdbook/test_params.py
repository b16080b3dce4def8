import json

import pytest
import yaml

from herdbook.errors import ParamsError
from herdbook.params import parse_params, place_of, read_params, shares
from tests.parameters import ROOT, document

COMMITTED = yaml.safe_load((ROOT / "params.yaml").read_text())


def changed(path, value):
    """The committed document with the value at a dotted path replaced; a value of ... removes the key."""
    found = json.loads(json.dumps(COMMITTED))  # YAML's aliases become copies
    *parents, last = path.split(".")
    place = found
    for name in parents:
        place = place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return found


def refusal(found):
    with pytest.raises(ParamsError) as caught:
        parse_params(found)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("params.yaml: ")
    return message


def test_the_committed_parameters_can_be_run():
    params = read_params(ROOT / "params.yaml")
    assert params.generations[0] == "g0"
    assert set(params.regimes) >= {"replace", "anchored", "accumulate", "curated"}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "regimes.replace.weights.offspring",
            -0.1,
            "regimes.replace.weights.offspring is -0.1: Input should be greater than or equal to 0",
        ),
        ("regimes.replace.weights.human", 1.5, "less than or equal to 1"),
        ("regimes.replace.weights", {"offspring": 0.0, "previous": 0.0, "human": 0.0}, "the weights sum to zero"),
        ("regimes.replace.weights.hooman", 0.5, "regimes.replace.weights.hooman: no such key"),
        ("regimes.replace.gate", "wave", "'block' or 'waive'"),
        ("regimes.replace.start", "pretrained", "model.pretrained is null"),
        ("regimes.replace.budget_rows", 0, "greater than or equal to 1"),
        ("regimes.replace.compute", ..., "regimes.replace.compute: missing"),
        ("regimes.replace.compute", "minutes", "regimes.replace.compute is 'minutes': Input should be 'steps' or 'epochs'"),
        ("regimes.replace.compute", {"epochs": 0}, "regimes.replace.compute.epochs is 0"),
        ("regimes.replace.recipe.num_rows", 0, "regimes.replace.recipe.num_rows is 0"),
        ("regimes.replace.recipe.num_rows", {"first": 9}, "regimes.replace.recipe.num_rows.added: missing"),
        ("regimes.replace.decoding.temperature", -1.0, "regimes.replace.decoding.temperature"),
        ("regimes.replace.decoding.num_rows", 7, "is not among decodings"),
        (
            "decodings.cooled.prompts",
            "people",
            "decodings.cooled.prompts is 'people': Input should be 'human' or 'training'; correct it there",
        ),
        ("regimes.founder", COMMITTED["regimes"]["replace"], "reserved for what every regime shares"),
        ("regimes.Re-place", COMMITTED["regimes"]["replace"], "regimes.Re-place"),
        ("regimes", {}, "regimes"),
        ("seeds", ["s0", "s1", "s0"], "seeds repeats s0"),
        ("seeds", [], "seeds"),
        ("seeds", [0], "seeds.0 is 0"),
        ("generations", ["g0", "g2", "g3"], "generations is [g0, g2, g3], must be [g0, g1, g2]: without a gap"),
        ("generations", ["g1", "g2"], "must be [g0, g1]"),
        ("bred", ["g1", "g3"], "bred is [g1, g3], must be [g1, g2, g3]"),
        ("births", [{"parent": "g0", "child": "g1"}, {"parent": "g1", "child": "g3"}], "births is [g0->g1, g1->g3], must be"),
        ("prepare.num_held_out_documents", 0, "greater than or equal to 1"),
        ("prepare.num_blocks", 2.5, "valid integer"),
        ("prepare.num_blocks", True, "valid integer"),
        ("prepare.vocabulary_size", 256, "greater than or equal to 257"),
        ("prepare.vocabulary_size", 10**30, "less than or equal to 1000000"),
        ("train.epochs", 10**30, "less than or equal to 1000000000"),
        ("calibrate.gaussian.num_batches", 10**30, "less than or equal to 1000000000"),
        (f"regimes.{'x' * 65}", COMMITTED["regimes"]["replace"], "at most 64 characters"),
        ("prepare.near_duplicate_jaccard", 0.0, "greater than 0"),
        ("train.learning_rate", float("nan"), "finite number"),
        ("train.learning_rate", "0.1", "valid number"),
        ("train.device", "tpu", "'auto', 'cpu' or 'cuda'"),
        ("train.epoch", 3, "train.epoch: no such key"),
        ("corpus.source", "web", "'wikipedia', 'files', 'huggingface' or 'task'"),
        ("corpus.source", "files", "path must be given for source files"),
        ("corpus.source", "task", "num_problems must be given for source task"),
        ("corpus", {**COMMITTED["corpus"], "source": "task", "num_problems": 9}, "corpus.source is task but task is null"),
        ("task", {"family": "logic"}, "prepare.vocabulary_size to 257 and model.pretrained to null"),
        ("regimes.replace.mixture", {"num_tokens": 9, "sources": []}, "regimes.replace.mixture.sources"),
        ("profile", ..., "profile: missing"),
        ("extra", 1, "extra: no such key"),
    ],
)
def test_a_value_that_cannot_be_run_is_named_with_what_is_allowed(path, value, message):
    assert message in refusal(changed(path, value))


def test_an_answer_without_its_question_is_refused():
    found = document(prepare={"vocabulary_size": 257}) | {"task": {"family": "logic"}}
    assert "set sample.keeps_prompt to true" in refusal(found)


def test_a_prompt_that_leaves_no_token_to_write_is_refused():
    found = document(sample={"keeps_prompt": True, "prompt_tokens": 64})
    assert "no token is left to write: set sample.prompt_tokens below prepare.block_tokens" in refusal(found)


def test_prompts_of_no_tokens_are_refused():
    found = document(sample={"prompt_tokens": 0})
    parse_params(found)
    found["decodings"]["own"] = {**found["decodings"]["cooled"], "prompts": "training"}
    assert "decodings.own.prompts is training but sample.prompt_tokens is 0" in refusal(found)


def test_prompts_stand_in_no_record_where_they_are_left_out_or_human():
    decoding = COMMITTED["decodings"]["cooled"]
    found = document()
    found["decodings"] |= {"spelt_out": {**decoding, "prompts": "human"}, "own": {**decoding, "prompts": "training"}}
    read = parse_params(found).decodings
    assert read["spelt_out"].model_dump() == read["cooled"].model_dump() == decoding
    assert read["own"].model_dump() == {**decoding, "prompts": "training"}
    assert read["own"] != read["cooled"] == read["spelt_out"]


def test_shares_are_those_of_the_mixture_where_there_is_one():
    found = document()
    assert shares(parse_params(found).regimes["curated"]) == {"offspring": 0.5, "previous": 0.0, "human": 0.5}
    found["regimes"]["curated"]["mixture"] = {"num_tokens": 9, "sources": [{"source": "human", "fraction": 1.0, "epochs": 2.0}]}
    assert shares(parse_params(found).regimes["curated"]) == {"offspring": 0.0, "previous": 0.0, "human": 1.0}


def test_the_arguments_of_a_stage_name_a_founder_or_a_generation():
    params = parse_params(document())
    assert str(place_of(["founder", "s0", "g0"], params)) == "founder-s0-g0"
    assert str(place_of(["replace", "s1", "g2"], params)) == "replace-s1-g2"
    for words in (["founder", "s0", "g1"], ["nosuch", "s0", "g0"], ["replace"]):
        with pytest.raises(ParamsError, match="must be founder SEED g0, or REGIME SEED GENERATION"):
            place_of(words, params)


@pytest.mark.parametrize("found", [None, [], "text", {}])
def test_a_document_of_another_shape_is_refused(found):
    refusal(found)


@pytest.mark.parametrize(("path", "wrong", "right"), [("train.epochs", "epoch", "epochs"), ("regimes", "regime", "regimes")])
def test_a_misspelt_key_is_told_with_the_one_that_is_missing(path, wrong, right):
    found = changed(path, ...)
    *parents, _ = path.split(".")
    (found[parents[0]] if parents else found)[wrong] = 3
    assert f"{'.'.join([*parents, wrong])}: no such key, perhaps {right}; correct it there" in refusal(found)


def test_values_are_frozen():
    params = parse_params(document())
    with pytest.raises(ValueError, match="frozen"):
        params.train.epochs = 9


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "run in the folder that holds it"),
        (b"a: [", "not YAML"),
        (b"\xff", "not YAML"),
        (b"a: !!python/object:x.Y {}", "not YAML"),
        (b"a: 2001-99-99", "not YAML"),
        (b"[" * 3000 + b"]" * 3000, "nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, content, message):
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ParamsError, match=message) as caught:
        read_params(path)
    assert "\n" not in str(caught.value)
