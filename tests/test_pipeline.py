"""dvc.yaml says exactly what the code does, and dvc.lock is of the committed code, parameters and policies."""

import ast
import hashlib
import shutil
import subprocess

import pytest
import yaml

from herdbook.code import closure, fingerprint
from herdbook.corpus import dvc_digest
from herdbook.files import canonical_json
from herdbook.layout import CODE, PARAMS
from herdbook.params import read_params
from tests.pipeline import PIPELINE, ROOT, module_of

LOCK = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
RAW_PARAMS = yaml.safe_load((ROOT / PARAMS).read_text())


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_bears_the_name_of_the_module_it_runs(stage):
    assert stage.split("-")[0] == module_of(stage)
    assert (ROOT / "stages" / f"{module_of(stage)}.py").is_file()


def test_every_module_of_stages_is_run_by_a_stage():
    modules = {path.stem for path in (ROOT / "stages").glob("*.py") if not path.stem.startswith("_")}
    assert modules == {module_of(stage) for stage in PIPELINE}


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_depends_on_the_fingerprint_of_its_module(stage):
    listed = {dep for dep in PIPELINE[stage]["deps"] if dep.startswith(("herdbook", "stages", "runs/code"))}
    assert listed == ({"herdbook", "stages"} if stage == CODE.name else {f"runs/code/{module_of(stage)}.json"})


@pytest.mark.parametrize("package", ["herdbook", "stages"])
def test_imports_run_one_way(package):
    forbidden = {"herdbook": ("stages", "flows"), "stages": ("flows",)}[package]
    for path in (ROOT / package).rglob("*.py"):
        for imported in closure(path, ROOT):
            assert not imported.relative_to(ROOT).as_posix().startswith(forbidden), f"{path.name} imports {imported.name}"


def wanted_stages() -> set[str]:
    params = read_params(ROOT / PARAMS)
    dims = {
        "${regimes}": list(params.regimes),
        "${seeds}": list(params.seeds),
        "${generations}": list(params.generations),
        "${bred}": list(params.bred),
        "${births}": [f"from_g{n}" for n in range(len(params.births))],
    }
    names = set()
    for stage, body in PIPELINE.items():
        cells = [""]
        for values in body.get("matrix", {}).values():
            named = values if isinstance(values, list) else dims[values]
            cells = [f"{cell}-{value}" if cell else value for cell in cells for value in named]
        names |= {f"{stage}@{cell}" if cell else stage for cell in cells}
    return names


def test_the_lock_has_every_stage_of_the_parameters_and_no_other():
    assert set(LOCK) == wanted_stages()


@pytest.mark.parametrize("stage", sorted({name.split("@")[0] for name in LOCK}))
def test_the_lock_is_of_the_committed_code_and_policies(stage):
    for name, entry in LOCK.items():
        if name.split("@")[0] != stage:
            continue
        for dep in entry["deps"]:
            path = ROOT / dep["path"]
            if path.parent == ROOT / CODE:
                recorded = canonical_json(fingerprint(path.stem, ROOT)).encode()
            elif dep["path"].startswith("expectations/"):
                recorded = path.read_bytes()
            else:
                continue
            assert hashlib.md5(recorded).hexdigest() == dep["md5"], f"{name} ran with another {dep['path']}; run dvc repro"


def test_the_fingerprints_of_the_lock_were_made_from_the_committed_files(tmp_path):
    for dep in LOCK["code"]["deps"]:
        if (ROOT / dep["path"]).is_dir():
            shutil.copytree(ROOT / dep["path"], tmp_path / dep["path"], ignore=shutil.ignore_patterns("__pycache__"))
            found = dvc_digest(tmp_path / dep["path"])
        else:
            found = hashlib.md5((ROOT / dep["path"]).read_bytes()).hexdigest()
        assert found == dep["md5"], f"{dep['path']} is another; run dvc repro"


def test_the_lock_is_of_the_committed_parameters():
    for name, entry in LOCK.items():
        for key, value in entry.get("params", {}).get("params.yaml", {}).items():
            found = RAW_PARAMS
            for part in key.split("."):
                found = found[part]
            assert found == value, f"{name} ran with another {key}; run dvc repro"


def test_the_lock_is_of_the_committed_corpus():
    recorded = yaml.safe_load((ROOT / "data.dvc").read_text())["outs"][0]["md5"]
    used = {dep["md5"] for entry in LOCK.values() for dep in entry["deps"] if dep["path"] == "data"}
    assert used == {recorded}


def test_the_committed_metrics_are_those_of_the_lock():
    for entry in LOCK.values():
        for out in entry["outs"]:
            path = ROOT / out["path"]
            if out["path"] in ("reports/metrics.json", "reports/generations.csv"):
                assert hashlib.md5(path.read_bytes()).hexdigest() == out["md5"]


def test_nothing_that_git_ignores_is_committed():
    listed = subprocess.run(["git", "ls-files", "-ci", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert listed.stdout == ""


@pytest.mark.parametrize("package", ["herdbook", "stages"])
def test_a_package_itself_holds_no_code_that_a_dependency_list_would_miss(package):
    assert len(ast.parse((ROOT / package / "__init__.py").read_text()).body) == 1
