import shutil
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from herdbook import run
from herdbook.corpus import write_corpus
from herdbook.errors import HerdbookError
from herdbook.files import written_aside
from herdbook.params import read_params
from herdbook.schema import CORPUS
from herdbook.wikipedia import SOURCE

ROOT = Path(__file__).parents[2]
PARAMS = read_params(ROOT / "params.yaml")


def test_what_no_parameter_names_is_stale(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "runs/replace/s3/g1",
        "runs/replace/s3/g9",
        "records/gone/s0/g0",
        "records/replace/s7/g0",
        "runs/human/base",
        "runs/founder/s3/g0",
    ):
        Path(name).mkdir(parents=True)
    stale = [Path("runs/replace/s3/g9"), Path("records/gone"), Path("records/replace/s7")]
    assert sorted(run.stale(PARAMS)) == sorted(stale)
    run.prune(PARAMS)
    assert run.stale(PARAMS) == []
    assert Path("runs/replace/s3/g1").is_dir()


def test_nothing_is_stale_before_the_first_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run.stale(PARAMS) == []


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the default parameters and a corpus of one document."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    shutil.copy(ROOT / "hypotheses.yaml", "hypotheses.yaml")
    shutil.copytree(ROOT / "journal", "journal")
    write_corpus(corpus_of(SOURCE), Path("data"))
    return tmp_path


def corpus_of(source: str) -> pa.Table:
    return pa.Table.from_pylist([{**{field.name: "text" for field in CORPUS}, "source": source}], schema=CORPUS)


def test_a_run_can_begin_with_parameters_a_corpus_and_nothing_left_over(project):
    assert run.demand_ready() == PARAMS


def unknown_step() -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["regimes"]["curated"]["recipe"]["steps"] = [{"name": "magic"}]
    Path("params.yaml").write_text(yaml.safe_dump(params))


def changed(**sections) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    for name, changes in sections.items():
        params[name] = {**params[name], **changes} if isinstance(params[name], dict) else changes
    Path("params.yaml").write_text(yaml.safe_dump(params))


def recipe(*steps) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["regimes"]["curated"]["recipe"]["steps"] = list(steps)
    Path("params.yaml").write_text(yaml.safe_dump(params))


def problems(block_tokens, prompt_tokens, **task) -> None:
    changed(
        prepare={"vocabulary_size": 257, "block_tokens": block_tokens}, sample={"keeps_prompt": True, "prompt_tokens": prompt_tokens},
        task={"family": "sort_digits", "num_digits": 6, **task},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda: recipe({"name": "revise", "max_tokens": 9}), "a recipe asks a teacher, but teacher is null"),
        (lambda: recipe({"name": "verify"}), "a recipe verifies answers, but task is null"),
        (lambda: changed(teacher={"path": "a", "url": "b", "max_tokens": 9, "temperature": 0.0}), "teacher: give path .* and not both"),
        (lambda: problems(16, 7, family="chess"), "chess"),
        (lambda: changed(sample={"prompt_tokens": 65}), "sample.prompt_tokens is 65, must be at most prepare.block_tokens 64"),
        (lambda: problems(16, 8), "sample.prompt_tokens is 8, but a question of this task has 7 characters"),
        (lambda: problems(13, 7), "prepare.block_tokens is 13, but a problem of this task has up to 13 characters and the end mark"),
        (lambda: Path("params.yaml").unlink(), "params.yaml: cannot be read"),
        (lambda: Path("hypotheses.yaml").unlink(), "hypotheses.yaml: cannot be read"),
        (lambda: Path("hypotheses.yaml").write_text("analysis: 1"), "hypotheses.yaml: alpha is missing"),
        (lambda: Path("journal/register.jsonl").write_text("{}\n"), "register.jsonl: line 1"),
        (unknown_step, "regimes.curated.recipe.steps"),
        (lambda: shutil.rmtree("data"), "make it with herdbook corpus"),
        (lambda: Path("data.dvc").write_text("outs:\n- {md5: 0, path: data}\n"), "data.dvc records 0"),
        (lambda: Path("runs/gone").mkdir(parents=True), "runs/gone: of no regime.*herdbook prune"),
        (
            lambda: changed(corpus={"source": "files", "path": "my/novels"}),
            "data: was made of 'English Wikipedia .* names 'my/novels'.*herdbook corpus --replace, then dvc add data",
        ),
        (lambda: Path("data/corpus.parquet").write_bytes(b"PAR1"), "data/corpus.parquet: not a whole parquet file"),
    ],
)
def test_what_would_stop_it_hours_later_stops_it_now(project, damage, message):
    damage()
    with pytest.raises(HerdbookError, match=message):
        run.demand_ready()


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("novels", {"source": "files", "path": "../somewhere/novels"}),
        ("novels", {"source": "huggingface", "path": "saved/novels"}),
        ("https://huggingface.co/datasets/someone/novels", {"source": "huggingface", "path": "someone/novels"}),
    ],
)
def test_a_corpus_is_known_by_the_source_that_its_rows_tell(project, source, named):
    changed(corpus=named)
    write_corpus(corpus_of(source), Path("data"))
    run.demand_ready()
    write_corpus(corpus_of("other"), Path("data"))
    with pytest.raises(HerdbookError, match="was made of 'other'"):
        run.demand_ready()


def test_a_corpus_of_problems_is_known_by_its_family(project):
    problems(16, 7)
    changed(corpus={"source": "task", "num_problems": 9})
    with pytest.raises(HerdbookError, match="was made of 'English Wikipedia"):
        run.demand_ready()
    write_corpus(corpus_of("herdbook.tasks.sort_digits"), Path("data"))
    run.demand_ready()


def test_what_a_killed_stage_was_writing_aside_is_swept_away_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs/replace/s0/g1/model").mkdir(parents=True)
    Path("runs/.hidden").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", lambda *args, **kwargs: None)  # as when it is killed before it could clean up
        with written_aside(Path("runs/replace/s0/g1/loss.json")) as aside:
            aside.write_text("{")
    Path("runs/replace/s0/g1/loss.json").unlink()
    assert len(list(Path("runs/replace/s0/g1").iterdir())) == 2
    assert [path.parent for path in run.sweep()] == [Path("runs/replace/s0/g1")]
    assert [path.name for path in Path("runs/replace/s0/g1").iterdir()] == ["model"]
    assert Path("runs/.hidden").is_dir()
