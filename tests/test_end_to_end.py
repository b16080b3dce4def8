"""The whole pipeline, in miniature, as a researcher, a cheat and an auditor would run it. Tests build on each other, in order."""

import json
import shutil

import pyarrow.parquet as pq
import pytest
import yaml

from herdbook.files import digest, read_table, write_table
from herdbook.schema import ROWS
from tests import miniature
from tests.miniature import parameters, ran, repro, run, write_params


@pytest.fixture(scope="module")
def project(reproduced, tmp_path_factory):
    root = tmp_path_factory.mktemp("reproduced") / "project"
    miniature.copy(reproduced, root)
    return root


def receipt(project, name: str) -> dict:
    return json.loads((project / "records" / name).read_text())


def test_it_ends_with_a_report_metrics_and_a_lock_of_every_stage(project):
    assert (project / "reports/index.html").stat().st_size > 100_000
    metrics = json.loads((project / "reports/metrics.json").read_text())
    assert metrics["replace"]["g1"]["held_out_loss_nats"]["mean"] > 0
    lock = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    assert {"train@replace-s0-g1", "blend@curated-s0-from_g0", "validate-offspring@replace-s0-g1", "report"} <= set(lock)


def test_a_second_run_finds_nothing_to_do(project):
    assert ran(repro(project)) == set()
    assert "up to date" in run(project, "-m", "dvc", "status")


def test_the_closing_table_names_every_generation_and_the_report(project):
    said = run(project, "-m", "herdbook", "run", status=3 if is_stopped(project) else 0)
    assert "replace" in said
    assert str(project / "reports/index.html") in said.replace("\n", "")


def is_stopped(project) -> bool:
    metrics = json.loads((project / "reports/metrics.json").read_text())
    return any(g["num_seeds_bred"] < g["num_seeds"] for regime in metrics.values() for g in regime.values())


def test_a_model_opens_in_transformers(project):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = project / "runs/replace/s0/g1/model"
    assert AutoModelForCausalLM.from_pretrained(folder).config.model_type == "llama"
    assert AutoTokenizer.from_pretrained(folder).decode([5, 6])


def test_the_waiver_of_the_replace_lineage_is_on_record(project):
    assert receipt(project, "replace/s0/g1/training/receipt.json")["status"] != "passed"
    making = json.loads((project / "runs/replace/s0/g1/model/making.json").read_text())
    assert any(waiver["dataset"] == "training" for waiver in making["waivers"])


def test_a_stopped_lineage_leaves_its_reason_and_the_run_still_completes(project):
    stopped = receipt(project, "curated/s0/g1/loss.json")
    metrics = json.loads((project / "reports/metrics.json").read_text())
    if stopped.get("status") == "not bred":
        assert stopped["rules"]
        assert metrics["curated"]["g1"]["num_seeds_bred"] == 0
    else:
        assert metrics["curated"]["g1"]["num_seeds_bred"] == 1


def test_a_cold_start_gives_the_same_bytes(project):
    places = [project / "runs/replace/s0/g1" / name for name in ("training", "model", "offspring", "curated")]
    warm = [digest(place) for place in places]
    run(project, "-m", "stages", "blend", "replace", "s0", "g0", "g1", cold=True)
    for stage in ("train", "sample", "curate"):
        run(project, "-m", "stages", stage, "replace", "s0", "g1", cold=True)
    assert [digest(place) for place in places] == warm
    before = digest(project / "records/replace/s0/g1/training/receipt.json")
    run(project, "-m", "stages", "validate", "training", "replace", "s0", "g1", cold=True)
    assert digest(project / "records/replace/s0/g1/training/receipt.json") == before


def test_an_altered_training_set_never_trains_even_when_asked_stage_by_stage(project):
    path = project / "runs/replace/s0/g1/training/rows.parquet"
    model = digest(project / "runs/replace/s0/g1/model")
    lock = (project / "dvc.lock").read_bytes()
    path.chmod(0o644)
    write_table(path, read_table(path, ROWS).slice(1))
    said = repro(project, "--single-item", "train@replace-s0-g1", status=255, cold=True)
    assert "train: runs/replace/s0/g1/training/rows.parquet" in said
    assert "Traceback" not in said
    assert (project / "dvc.lock").read_bytes() == lock
    run(project, "-m", "dvc", "checkout", "--force", "-q")
    assert digest(project / "runs/replace/s0/g1/model") == model


def test_an_altered_corpus_is_told_with_both_digests_and_not_recorded(project):
    before = (project / "dvc.lock").read_bytes(), (project / "data.dvc").read_bytes()
    path = project / "data/corpus.parquet"
    kept = project / "kept.parquet"
    shutil.copy(path, kept)
    table = pq.read_table(path)
    path.unlink()
    write_table(path, table.slice(1))
    said = run(project, "-m", "herdbook", "run", status=1)
    recorded = yaml.safe_load(before[1])["outs"][0]["md5"]
    assert recorded in said
    assert said.count(".dir") == 2
    assert "manifest records" in run(project, "-m", "stages", "prepare", status=1, cold=True)
    assert (project / "dvc.lock").read_bytes() == before[0]
    assert (project / "data.dvc").read_bytes() == before[1]
    path.unlink()
    kept.rename(path)


def test_one_number_re_runs_only_what_depends_on_it(changed):
    stages = ran(changed.with_name("changed.txt").read_text())
    assert {"curate@replace-s0-g0", "validate-offspring@replace-s0-g0", "train@replace-s0-g1", "compare", "report"} <= stages
    assert not {stage for stage in stages if "curated" in stage or "founder" in stage or stage.startswith(("adopt", "prepare"))}


@pytest.fixture(scope="module")
def going_on(changed, tmp_path_factory):
    """The miniature after that number, to be changed."""
    root = tmp_path_factory.mktemp("going on") / "project"
    miniature.copy(changed, root)
    return root


def test_one_more_generation_runs_only_its_own_stages_and_what_ran_before_is_restored(going_on):
    write_params(going_on, parameters(generations=3))  # with the number as it was
    stages = ran(repro(going_on))
    assert stages - {"book", "compare", "report"} == {
        f"{stage}@{regime}-s0-{'from_g1' if stage == 'blend' else 'g2'}"
        for regime in ("replace", "curated")
        for stage in ("blend", "validate-training", "train", "sample", "curate", "validate-offspring")
    }


def test_a_generation_left_over_is_an_error_until_it_is_pruned(going_on):
    write_params(going_on, parameters())
    assert "herdbook prune" in repro(going_on, status=255)
    assert "herdbook prune" in run(going_on, "-m", "herdbook", "run", status=1)
    assert "records/replace/s0/g2: removed" in run(going_on, "-m", "herdbook", "prune")
    repro(going_on)


def test_wrong_parameters_stop_before_anything_runs(going_on):
    params = parameters()
    params["train"]["epochs"] = 0
    write_params(going_on, params)
    said = run(going_on, "-m", "herdbook", "run", status=1)
    assert said.startswith("herdbook: params.yaml: train.epochs is 0")
    write_params(going_on, parameters())
