import subprocess

import pytest
import yaml

from herdbook.control import Contrast
from herdbook.errors import ClaimError
from herdbook.results_before import Bred, evidence, places, training
from tests import lab
from tests.miniature import ROOT, commit


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return lab.build(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def root(built, tmp_path):
    subprocess.run(["cp", "-r", f"{built}/.", str(tmp_path)], check=True)
    (tmp_path / ".dvc").mkdir()
    return tmp_path


def found(root):
    return evidence(root, lab.claim_of(root))


def names(treatment, control, *seeds):
    return [training(place) for place in places(Contrast.model_validate({"treatment": treatment, "control": control}), seeds)]


def test_what_tells_of_a_contrast_are_the_models_of_both_sides_up_to_their_generations():
    assert names("replace g2", "accumulate g1", "s3") == ["train@replace-s3-g1", "train@replace-s3-g2", "train@accumulate-s3-g1"]
    assert names("replace g2", "replace g1", "s3", "s4") == [f"train@replace-{s}-g{g}" for s in ("s3", "s4") for g in (1, 2)]


def test_a_founder_tells_only_of_a_contrast_of_founders():
    assert names("replace g1", "replace g0", "s3") == ["train@replace-s3-g1"]
    assert names("replace g0", "accumulate g0", "s3") == ["train-founder@s3"]


def test_trainings_are_read_from_the_text_of_a_lock_whole_or_not():
    lock = b"schema: '2.0'\nstages:\n  train@a-s0-g1:\n    cmd: x\n  sample@a-s0-g1:\n    cmd: y\n  train-founder@s0:\n    outs: [\xff"
    assert Bred(lock).trainings == {"train@a-s0-g1", "train-founder@s0"}


def test_a_laboratory_that_bred_nothing_of_a_claim_has_no_evidence(root):
    lab.write_lock(root, "train-founder@s3", "train@replace-s0-g1", "train@replace-s3-g4", "train@curated-s3-g1", "sample@replace-s3-g1")
    assert found(root) == []


def test_a_lock_in_the_workspace_is_evidence(root):
    lab.write_lock(root, "train@replace-s3-g1", "train@accumulate-s5-g3")
    assert found(root) == ["dvc.lock records train@replace-s3-g1 and 1 more"]


def test_a_lock_of_any_commit_is_evidence_though_it_is_gone(root):
    lab.write_lock(root, lab.STAGE)
    first = commit(root, "bred")
    lab.write_lock(root, lab.STAGE, "train@replace-s3-g2")
    commit(root, "bred on")
    (root / "dvc.lock").unlink()
    commit(root, "nothing to see here")
    assert found(root) == [f"dvc.lock of commit {first[:12]} and 1 more records train@replace-s3-g1 and 1 more"]


def test_a_lock_of_a_commit_that_was_thrown_away_is_evidence(root):
    lab.write_lock(root, lab.STAGE)
    gone = commit(root, "bred")
    subprocess.run(["git", "reset", "-q", "--hard", "HEAD~1"], cwd=root, check=True)
    assert found(root) == [f"dvc.lock of commit {gone[:12]} records train@replace-s3-g1"]


def test_an_experiment_has_a_history_of_its_own(root):
    lab.write_lock(root, lab.STAGE)
    commit(root, "the project itself bred")
    inner = root / "experiments" / "inner"
    lab.build(inner)
    subprocess.run(["rm", "-rf", str(inner / ".git")], check=True)
    assert found(inner) == []
    lab.write_lock(inner, lab.STAGE)
    commit(root, "and so did the experiment")
    (inner / "dvc.lock").unlink()
    assert len(found(inner)) == 1


def test_records_in_the_workspace_are_evidence(root):
    for seed in ("s0", "s4"):
        (root / f"records/replace/{seed}/g2").mkdir(parents=True)
        (root / f"records/replace/{seed}/g2/loss.json").write_text("{}")
    assert found(root) == ["in the workspace lie records/replace/s4/g2/loss.json"]


def cached(root, words, params, deps=(), outs=()):
    """An entry of DVC's run-cache; deps and outs are (path, md5)."""
    folder = root / ".dvc/cache/runs/ab" / words.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    listed = {key: [{"path": path, "md5": md5} for path, md5 in pairs] for key, pairs in (("deps", deps), ("outs", outs))}
    entry = {"cmd": f"python -m stages {words}", "params": {"params.yaml": params}, **listed}
    (folder / f"{len(list(folder.iterdir()))}").write_text(yaml.safe_dump(entry, sort_keys=False))


def now_of(root, *keys):
    """The values of these dotted keys in params.yaml."""
    document = yaml.safe_load((root / "params.yaml").read_text())
    values = {}
    for key in keys:
        value = document
        for part in key.split("."):
            value = value[part]
        values[key] = value
    return values


def test_a_training_in_the_run_cache_is_evidence_where_its_parameters_are_those_of_now(root):
    now = now_of(root, "train", "regimes.replace.compute", "sample.prompt_tokens")
    cached(root, "train replace s9 g1", now)
    cached(root, "sample replace s3 g1", now)
    cached(root, "train replace s3 g2", {**now, "regimes.replace.compute": "epochs"})
    cached(root, "train replace s3 g3", {**now, "train": {"epochs": 99}})
    assert found(root) == []
    cached(root, "train replace s3 g1", {**now, "sample.prompt_tokens": 99})
    assert found(root) == ["DVC's run-cache holds train@replace-s3-g1"]


def test_a_training_in_the_run_cache_on_what_another_regime_of_the_same_name_made_is_no_evidence(root):
    now = now_of(root, "train", "regimes.replace.compute")
    weights = now_of(root, "regimes.replace.weights")
    other = {"regimes.replace.weights": {"offspring": 0.1, "previous": 0.0, "human": 0.9}}
    cached(root, "train replace s3 g1", now, deps=[("runs/t", "11"), ("runs/h", "22")], outs=[("runs/m", "33")])
    cached(root, "blend replace s3 g0 g1", other, outs=[("runs/t", "11")])
    cached(root, "prepare", now_of(root, "prepare"), outs=[("runs/h", "22")])
    assert found(root) == []
    cached(root, "train replace s3 g2", now, deps=[("runs/t2", "44")], outs=[("runs/m2", "55")])
    cached(root, "blend replace s3 g1 g2", weights, deps=[("runs/m", "33")], outs=[("runs/t2", "44")])
    assert found(root) == []
    cached(root, "blend replace s3 g0 g1", weights, outs=[("runs/t", "11")])
    assert found(root) == ["DVC's run-cache holds train@replace-s3-g1 and 1 more"]


def test_the_cache_lies_where_dvc_is_told(root):
    now = now_of(root, "train", "regimes.replace.compute")
    cached(root, "train replace s3 g1", now)
    (root / ".dvc/cache").rename(root / "shared")
    assert found(root) == []
    (root / ".dvc/config").write_text("[cache]\n    dir = ../shared\n")
    assert found(root) == ["DVC's run-cache holds train@replace-s3-g1"]


@pytest.mark.parametrize("text", ["nonsense: [", "- 1", "cmd: x", "outs: 1\ncmd: x", ""])
def test_what_dvc_could_not_read_in_its_run_cache_is_passed_over(root, text):
    cached(root, "train replace s3 g1", now_of(root, "train"))
    (root / ".dvc/cache/runs/ab/cd").mkdir()
    (root / ".dvc/cache/runs/ab/cd/ef").write_text(text)
    assert found(root) == ["DVC's run-cache holds train@replace-s3-g1"]


def test_founders_are_evidence_for_a_contrast_of_founders(root):
    lab.write_hypotheses(root, {"contrast": {"treatment": "replace g0", "control": "accumulate g0"}})
    lab.write_lock(root, "train-founder@s3")
    assert found(root) == ["dvc.lock records train-founder@s3"]
    (root / "dvc.lock").unlink()
    cached(root, "train founder s4 g0", now_of(root, "train"))
    assert found(root) == ["DVC's run-cache holds train-founder@s4"]


def test_without_git_nothing_is_registered(root):
    subprocess.run(["rm", "-rf", str(root / ".git")], check=True)
    with pytest.raises(ClaimError, match="git init"):
        found(root)


def define(root, **regimes):
    """More regimes in params.yaml: each the regime that it names, with changes."""
    document = yaml.safe_load((root / "params.yaml").read_text())
    named = {name: {**document["regimes"][of], **changes} for name, (of, changes) in regimes.items()}
    lab.write_params(root, regimes={**document["regimes"], **named})


TOP_K_50 = yaml.safe_load((ROOT / "params.yaml").read_text())["decodings"]["top_k_50"]
AS_REPLACE = "(of a regime defined as replace is)"


@pytest.mark.parametrize(
    ("changes", "is_known"),
    [
        ({}, True),
        ({"gate": "block"}, False),
        ({"decoding": {**TOP_K_50, "prompts": "human"}}, True),  # the default, spelt out
        ({"decoding": {**TOP_K_50, "prompts": "training"}}, False),
        ({"compute": "epochs"}, False),
        ({"weights": {"offspring": 1, "previous": 0, "human": 0}}, True),
    ],
)
def test_a_lock_is_evidence_of_a_regime_of_another_name_where_it_is_defined_alike(root, changes, is_known):
    define(root, copied=("replace", changes))
    lab.write_lock(root, "train@copied-s3-g2", "train@copied-s0-g1", "train@copied-s3-g4")
    wanted = [f"dvc.lock records train@copied-s3-g2 {AS_REPLACE}"] if is_known else []
    assert found(root) == wanted
    bred = commit(root, "bred")
    (root / "dvc.lock").unlink()
    lab.write_params(root)
    commit(root, "neither lock nor its regime")
    assert found(root) == ([f"dvc.lock of commit {bred[:12]} records train@copied-s3-g2 {AS_REPLACE}"] if is_known else [])


@pytest.mark.parametrize("body", ["", "    params: {params.yaml: 1}\n", "    params: {params.yaml: {}}\n", "   ["])
def test_a_lock_that_does_not_tell_how_a_regime_was_defined_is_evidence_of_its_name_alone(root, body):
    (root / "dvc.lock").write_text(f"stages:\n  train@copied-s3-g1:\n{body}")
    assert found(root) == []


def test_records_of_a_regime_of_another_name_are_evidence_where_params_define_it_alike(root):
    define(root, copied=("replace", {}), other=("replace", {"start": "founder"}))
    for name in ("copied", "other", "forgotten"):
        (root / f"records/{name}/s4/g2").mkdir(parents=True)
        (root / f"records/{name}/s4/g2/loss.json").write_text("{}")
    assert found(root) == [f"in the workspace lie records/copied/s4/g2/loss.json {AS_REPLACE}"]


def test_the_run_cache_is_evidence_of_a_regime_of_another_name_where_all_of_it_is_known_and_alike(root):
    now = now_of(root, "train", "regimes.replace.compute")
    copied = {"train": now["train"], "regimes.copied.compute": now["regimes.replace.compute"]}
    weights, decoding, recipe = (now_of(root, f"regimes.replace.{key}").popitem()[1] for key in ("weights", "decoding", "recipe"))
    cached(root, "train copied s3 g1", copied, deps=[("runs/t", "11")], outs=[("runs/m", "22")])
    cached(root, "blend copied s3 g0 g1", {"regimes.copied.weights": weights}, deps=[("runs/c", "33")], outs=[("runs/t", "11")])
    cached(root, "curate copied s3 g0", {"regimes.copied.recipe": recipe}, deps=[("runs/o", "44")], outs=[("runs/c", "33")])
    assert found(root) == []
    cached(root, "adopt copied s3", {"regimes.copied.decoding": {**decoding, "top_k": 3}}, outs=[("runs/o", "44")])
    assert found(root) == []
    cached(root, "adopt copied s3", {"regimes.copied.decoding": decoding}, outs=[("runs/o", "44")])
    assert found(root) == [f"DVC's run-cache holds train@copied-s3-g1 {AS_REPLACE}"]
