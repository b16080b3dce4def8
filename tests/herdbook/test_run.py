import io
from pathlib import Path

import pytest
from rich.console import Console

from herdbook import run
from herdbook.params import read_params

ROOT = Path(__file__).parents[2]
PARAMS = read_params(ROOT / "params.yaml")
DVC_SAYS = """'data.dvc' didn't change, skipping
Stage 'prepare' didn't change, skipping
Running stage 'train-founder@s0':
> python -m stages train founder s0 g0
train: params.yaml: the loss is nan at step 3 of 9; lower train.learning_rate
ERROR: failed to reproduce 'train-founder@s0'
"""


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def test_what_no_parameter_names_is_stale(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "runs/replace/s0/g1",
        "runs/replace/s0/g9",
        "records/gone/s0/g0",
        "records/replace/s7/g0",
        "runs/human/base",
        "runs/founder/s0/g0",
    ):
        Path(name).mkdir(parents=True)
    stale = [Path("runs/replace/s0/g9"), Path("records/gone"), Path("records/replace/s7")]
    assert sorted(run.stale(PARAMS)) == sorted(stale)
    run.prune(PARAMS)
    assert run.stale(PARAMS) == []
    assert Path("runs/replace/s0/g1").is_dir()


def test_nothing_is_stale_before_the_first_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run.stale(PARAMS) == []


def test_what_the_last_stage_said_is_kept_for_the_error():
    said = run._show(quiet(), DVC_SAYS.splitlines(keepends=True), total=3)
    assert said[1].startswith("train: params.yaml: the loss is nan")
    assert said[-1].startswith("ERROR: failed to reproduce")


def test_a_log_has_a_line_for_each_stage_that_ran_and_none_for_the_others():
    console = quiet()
    run._show(console, DVC_SAYS.splitlines(keepends=True), total=3)
    assert console.file.getvalue() == "[2/3] train-founder@s0\n"


def test_the_pipeline_of_this_project_can_be_read():
    names = run.stage_names(ROOT)
    assert "train@replace-s0-g2" in names
    assert "blend@curated-s2-from_g1" in names


def test_a_pipeline_that_fails_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "stage_names", lambda root: ["a"])
    with pytest.raises(run.HerdbookError, match="stopped at the stage above"):
        run.reproduce(quiet(), tmp_path)  # no pipeline here
