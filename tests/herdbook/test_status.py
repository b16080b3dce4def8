import fcntl
import json
import shutil

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from herdbook import cli_project, status_table
from herdbook.errors import HerdbookError
from herdbook.experiment import create
from herdbook.files import strict_yaml
from herdbook.staleness import Reason, StageState
from herdbook.status import Bred, Status, _state, as_json, families, status
from tests import miniature

app = typer.Typer()
cli_project.add_to(app)


def bred_as(seed="s0", state="bred", **others):
    values = {"regime": "replace", "generation": "g1", "training": "passed", "offspring": "passed", "human_share": 0.5, "depth": 1.0}
    return Bred(**{**values, "seed": seed, "state": state, **others})


ONE = (bred_as(),)


def found(stages=(), lineages=ONE, claims=(), book=None, corpus="as recorded", is_running=False):
    return Status(corpus, tuple(stages), tuple(lineages), tuple(claims), book, is_running)


def stale(name, *reasons):
    return StageState(name, (), tuple(Reason(*reason) for reason in reasons), False)


def shown(state, by_seed=False):
    console = Console(width=200)
    with console.capture() as captured:
        console.print(status_table.drawn(state, by_seed), *status_table.told(state), sep="\n")
    return captured.get()


def said(*words, exit_code):
    done = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
    assert done.exit_code == exit_code, (done.output, done.exception)
    return done.stdout


def test_what_was_bred_is_up_to_date_with_its_verdicts_figures_and_root(bred, monkeypatch):
    monkeypatch.chdir(bred)
    told = json.loads(said("status", "--json", exit_code=0))
    assert told["up_to_date"]
    assert (told["stale"], told["following"], told["corpus"], told["running"]) == ([], [], "as recorded", False)
    assert told["book"] == json.loads((bred / "reports/book.json").read_text())
    lineages = {(each["regime"], each["generation"]): each for each in told["lineages"]}
    replaced = lineages["replace", "g1"]
    assert (replaced["state"], replaced["training"], replaced["human_share"], replaced["depth"]) == ("bred", "waived", 0.0, 1.0)
    assert lineages["curated", "g1"]["state"] == "not bred"
    assert "all 33 stages are as dvc.lock records them" in said("status", "--seeds", exit_code=0)


def test_before_anything_was_run_everything_was_never_run(unbred, tmp_path, monkeypatch):
    miniature.copy(unbred, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    shutil.rmtree("data")
    told = json.loads(said("status", "--json", exit_code=cli_project.STALE))
    assert {each["state"] for each in told["lineages"]} == {"never run"}
    assert (told["corpus"], told["book"], len(told["stale"])) == ("missing", None, told["num_stages"])


def test_a_clone_whose_data_was_not_pulled_still_tells_what_the_gate_said(project, monkeypatch):
    monkeypatch.chdir(project)
    for name in ("runs", "records", "book", "data", ".dvc/cache"):
        shutil.rmtree(name)
    told = status()
    (replaced,) = (each for each in told.lineages if (each.regime, each.generation) == ("replace", "g1"))
    assert (replaced.state, replaced.training, replaced.human_share, replaced.depth) == ("stale", "waived", 0.0, 1.0)
    assert told.book is not None
    assert "outputs that are only not here come with dvc checkout, or dvc pull from a remote" in shown(told)


def test_an_experiment_is_a_project_of_its_own(unbred, tmp_path, monkeypatch):
    root = tmp_path / "project"
    miniature.copy(unbred, root)
    monkeypatch.chdir(create(root, "wider", strict_yaml((root / "params.yaml").read_text())))
    assert {each.state for each in status().lineages} == {"never run"}


def test_a_run_under_way_is_told(unbred, tmp_path, monkeypatch):
    root = tmp_path / "project"
    miniature.copy(unbred, root)
    monkeypatch.chdir(root)
    assert not status().is_running
    (root / ".dvc/tmp").mkdir(exist_ok=True)
    with (root / ".dvc/tmp/herdbook-run.json").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert status().is_running


def test_an_empty_folder_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HerdbookError, match=r"params\.yaml: cannot be read"):
        status()


def test_seeds_are_summed_up_or_told_one_by_one():
    state = found(
        lineages=[bred_as(), bred_as("s1", training="waived", human_share=None, depth=2.0), bred_as("s2", "stale", offspring=None)]
    )
    summed = shown(state)
    assert "2 bred, 1 stale" in summed
    assert "2 passed, 1 waived" in summed
    assert "0.50" in summed
    assert "1.33" in summed
    assert [line.split()[1] for line in shown(state, by_seed=True).splitlines() if line.startswith("replace")] == ["s0", "s1", "s2"]


def test_what_only_descends_from_a_stale_stage_may_change():
    follows, still = StageState("train@replace-s0-g1", (), (), True), StageState("sample@replace-s0-g1", (), (), False)
    assert _state([follows, still], {}) == "may change"
    assert _state([follows, stale("curate@replace-s0-g1", ("parameter", "teacher"))], {}) == "stale"
    assert _state([still], {}) == "bred"


def test_stale_stages_are_grouped_by_what_made_them_so():
    stages = [stale(f"train@replace-s{n}-g1", ("code", "runs/code/train.json"), ("parameter", "train")) for n in range(3)]
    stages += [stale("book", ("output missing", "book")), StageState("report", (), (), True)]
    lines = shown(found(stages)).splitlines()
    assert any("code: runs/code/train.json" in line and "train (3)" in line for line in lines)
    assert any("output missing" in line and line.rstrip().endswith("book") for line in lines)
    said = "4 of 5 stages are stale; of 1 that descend from these, those run again whose inputs come out otherwise; herdbook run"
    assert any(said in line for line in lines)
    assert families(stages) == {"train": 3, "book": 1, "report": 1}


def test_claims_are_counted_with_their_verdicts():
    claims = [{"registered": True, "verdict": "supported"}, {"registered": False, "verdict": None}]
    assert "claims: 2 claimed, 1 registered, verdicts: supported" in shown(found(claims=claims))
    assert "claims: nothing is claimed" in shown(found())


@pytest.mark.parametrize(("corpus", "is_fine"), [("as recorded", True), ("not recorded", True), ("differs", False), ("missing", False)])
def test_a_corpus_that_differs_or_is_missing_is_something_to_do(corpus, is_fine):
    assert found(corpus=corpus).is_up_to_date == is_fine
    assert as_json(found(corpus=corpus))["up_to_date"] == is_fine


def test_names_that_mean_markup_or_steer_a_terminal_are_only_names():
    state = found([stale("train@[red]-s0", ("input", "runs/\x1b[2J\u202e[/red]"))], [bred_as(regime="[blink]\x1b[2J")])
    printed = shown(state)
    assert r"runs/\x1b[2J\u202e[/red]" in printed
    assert r"[blink]\x1b[2J" in printed
    assert "\x1b[2J" not in printed
