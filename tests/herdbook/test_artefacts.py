from pathlib import Path

import pytest
import yaml

from herdbook.artefacts import artefacts, resolved
from herdbook.files import strict_yaml
from herdbook.params import parse_params
from tests.pipeline import PIPELINE
from tests.workspace import ROOT

DOCUMENT = strict_yaml((ROOT / "params.yaml").read_text())
LOCK = yaml.load((ROOT / "dvc.lock").read_text(), Loader=yaml.CSafeLoader)["stages"]


def named(**changes):
    return {each.name: each for each in artefacts(parse_params({**DOCUMENT, **changes}))}


DEFAULT = named()
MADE = [each for each in DEFAULT.values() if each.stage and (each.place is None or each.place.seed == "s0")]


def test_parents_come_before_what_descends_from_them():
    seen = set()
    for name, each in DEFAULT.items():
        assert {parent for _, parent in each.parents} <= seen
        seen.add(name)


def locked(words: str) -> dict:
    return next(stage for stage in LOCK.values() if stage["cmd"] == f"python -m stages {words}")


@pytest.mark.parametrize("each", MADE, ids=lambda each: each.name)
def test_each_is_an_output_of_the_stage_that_the_lock_names_with_the_same_parameters(each):
    stage = locked(each.words)
    outs = [Path(out["path"]) for out in stage["outs"]]
    assert any(each.path == out or out in each.path.parents for out in outs)
    assert all(any(record == out or out in record.parents for out in outs) for record in each.records)
    assert stage.get("params", {}).get("params.yaml", {}) == resolved(each.parameters, DOCUMENT)


@pytest.mark.parametrize("each", [each for each in MADE if each.inspection], ids=lambda each: each.name)
def test_each_inspection_is_that_of_the_lock(each):
    stage = locked(each.inspection.words)
    outs = [Path(out["path"]) for out in stage["outs"]]
    assert all(any(path == out or out in path.parents for out in outs) for path in (each.inspection.receipt, each.inspection.profile))
    assert stage["params"]["params.yaml"] == resolved(each.inspection.parameters, DOCUMENT)


@pytest.mark.parametrize("each", MADE, ids=lambda each: each.name)
def test_each_parent_lies_in_a_dependency_of_the_stage(each):
    deps = [Path(dep["path"]) for dep in locked(each.words)["deps"]]
    outs = [Path(out["path"]) for out in locked(each.words)["outs"]]
    for _, name in each.parents:
        path = DEFAULT[name].path
        assert any(path == dep or dep in path.parents or path in dep.parents for dep in deps + outs), name


def test_a_regime_descends_from_what_its_weights_take():
    assert {role for role, _ in DEFAULT["accumulate/s4/g2/training"].parents} == {"offspring", "previous", "scores"}
    assert DEFAULT["anchored/s3/g1/training"].parents[0] == ("offspring", "anchored/s3/g0/curated")
    assert {role for role, _ in DEFAULT["replace/s3/g3/training"].parents} == {"offspring", "scores"}


def test_without_prompts_no_human_row_is_a_parent_of_offspring():
    sample = {**DOCUMENT["sample"], "prompt_tokens": 0}
    assert "prompts" in dict(DEFAULT["replace/s3/g1/offspring"].parents)
    assert "prompts" not in dict(named(sample=sample)["replace/s3/g1/offspring"].parents)


def test_offspring_descend_from_the_training_set_that_prompted_them():
    own = {**DOCUMENT["regimes"]["replace"], "decoding": {**DOCUMENT["decodings"]["cooled"], "prompts": "training"}}
    changes = {"decodings": {**DOCUMENT["decodings"], "own": own["decoding"]}, "regimes": {"own": own}}
    found = named(**changes)
    assert dict(found["own/s3/g1/offspring"].parents)["prompts"] == "own/s3/g1/training"
    assert dict(found["founder/s3/g0/offspring/own"].parents)["prompts"] == "human/train"
    assert found["own/s3/g1/training"].path == Path("runs/own/s3/g1/training")


def test_pretrained_weights_are_an_ancestor_of_every_model():
    found = named(model={**DOCUMENT["model"], "pretrained": "tiny"})
    assert found["human/base"].parents == (("weights", "pretrained"),)
    assert not found["pretrained"].is_dataset


def test_every_stage_that_makes_rows_or_weights_is_one_of_dvc_yaml():
    assert {each.stage for each in MADE} <= {stage.split("-")[0] for stage in PIPELINE}
