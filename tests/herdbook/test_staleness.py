import json
import shutil
from pathlib import Path

import pytest
import yaml

from herdbook.errors import FileError, HerdbookError
from herdbook.staleness import Reason, stage_states
from tests import miniature
from tests.miniature import run

MODEL = "runs/replace/s0/g1/model"


@pytest.fixture(scope="module")
def altered(bred, tmp_path_factory):
    """The miniature with one change of each kind."""
    root = tmp_path_factory.mktemp("altered") / "project"
    miniature.copy(bred, root)
    replace(root / "params.yaml", "epochs: 1", "epochs: 2")
    replace(root / "expectations/offspring_rows.yaml", "notes: ", "notes: Now ")
    replace(root / "dvc.yaml", "python -m stages report", "python  -m stages report")
    replace(root / "records/replace/s0/g1/counts.json", "{", "{ ")
    (root / "stages/sample.py").write_text((root / "stages/sample.py").read_text() + "# changed\n")
    shutil.rmtree(root / MODEL)
    (root / "runs/human/base/new.txt").write_text("new")
    return root


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.unlink()  # it may share its bytes with the cache
    path.write_text(text.replace(old, new))


def reasons(root: Path) -> dict[str, tuple[Reason, ...]]:
    return {stage.name: stage.reasons for stage in stage_states(root) if stage.is_stale}


def test_what_was_bred_and_not_touched_is_stale_in_nothing(bred):
    states = stage_states(bred)
    assert len(states) == 33
    assert not any(stage.is_stale or stage.follows for stage in states)


def test_before_a_run_every_stage_was_never_run(unbred):
    found = reasons(unbred)
    assert len(found) == 33
    assert set(found.values()) == {(Reason("never run", ""),)}


def test_in_a_clone_what_git_carries_is_not_stale_for_want_of_what_the_stage_code_will_write(bred, tmp_path):
    miniature.copy(bred, tmp_path / "clone")
    for folder in ("runs", "records", "book"):
        shutil.rmtree(tmp_path / "clone" / folder)
    states = {state.name: state for state in stage_states(tmp_path / "clone")}
    assert states["train-founder@s0"].is_stale
    assert not states["calibrate@gaussian"].is_stale
    assert not states["calibrate@gaussian"].follows


@pytest.mark.parametrize(
    "stage", ["5", "{cmd: 5, deps: 7}", "{deps: []}", "{cmd: x, outs: [y]}", "{cmd: x, deps: [{path: y}]}", "null", "[]"]
)
def test_a_lock_that_holds_no_record_of_a_stage_is_told_in_one_line(bred, tmp_path, stage):
    miniature.copy(bred, tmp_path / "project")
    (tmp_path / "project/dvc.lock").write_text(f"schema: '2.0'\nstages: {{code: {stage}}}\n")
    with pytest.raises(FileError, match=r"dvc\.lock: what it has of code is no record of a stage; restore it: git checkout dvc\.lock"):
        stage_states(tmp_path / "project")


def test_each_kind_of_change_is_a_reason_of_the_stages_that_it_touches(altered):
    found = reasons(altered)
    assert Reason("parameter", "train.epochs") in found["train@replace-s0-g1"]
    assert found["validate-offspring@curated-s0-g0"][-1] == Reason("policy", "expectations/offspring_rows.yaml")
    assert Reason("command", "python  -m stages report") in found["report"]
    assert Reason("output altered", "records/replace/s0/g1/counts.json") in found["curate@replace-s0-g1"]
    assert Reason("output missing", MODEL) in found["train@replace-s0-g1"]
    assert Reason("input missing", MODEL) in found["sample@replace-s0-g1"]
    assert Reason("output altered", "runs/human/base") in found["prepare"]
    assert found["code"] == (Reason("code", "stages"),)


def test_stages_whose_code_changed_are_told_before_their_records_are_written_anew(altered):
    assert Reason("code", "runs/code/sample.json") in reasons(altered)["sample@curated-s0-g1"]
    assert Reason("code", "runs/code/train.json") not in reasons(altered)["train@curated-s0-g1"]


def test_what_descends_from_a_stale_stage_follows_and_nothing_else_does(altered):
    following = {stage.name for stage in stage_states(altered) if stage.follows}
    assert "adopt@replace-s0" in following
    assert not following & {"calibrate@gaussian", "train@replace-s0-g1"}


def test_dvc_finds_the_same_stages_stale_but_for_code_that_it_has_not_read_yet(altered):
    told = json.loads(run(altered, "-m", "dvc", "status", "--json").splitlines()[-1])
    foreseen = {name for name, why in reasons(altered).items() if all(each.what.startswith("runs/code/") for each in why)}
    assert set(told) - {"data.dvc"} == reasons(altered).keys() - foreseen


def test_a_key_of_nothing_is_not_one_that_is_absent(project):
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["model"]["config"]["sliding_window"] = None  # where transformers has a default, nothing is something else
    miniature.write_params(project, params)
    told = json.loads(run(project, "-m", "dvc", "status", "--json").splitlines()[-1])
    assert Reason("parameter", "model.config.sliding_window") in reasons(project)["prepare"]
    assert set(told) == set(reasons(project))


def test_what_the_cache_lost_is_told(bred, tmp_path):
    root = tmp_path / "project"
    shutil.copytree(bred, root, symlinks=True, ignore=shutil.ignore_patterns("cache"))
    assert reasons(root)["book"] == (Reason("not in cache", "book"),)
    assert "compare" not in reasons(root)  # git keeps what it writes


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("dvc.lock", "stages: [", FileError, "dvc.lock: cannot be read"),
        ("dvc.yaml", "stages: {a: {matrix: {x: '${none}'}, cmd: b}}", HerdbookError, "dvc.yaml: DVC: "),
        ("params.yaml", "a: b: c", HerdbookError, "params.yaml'"),
    ],
)
def test_what_cannot_be_read_is_one_line(unbred, tmp_path, name, text, error, message):
    root = tmp_path / "project"
    miniature.copy(unbred, root)
    (root / name).write_text(text)
    with pytest.raises(error) as caught:
        stage_states(root)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
