import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from herdbook import cli_project, new_project
from herdbook.claims import parse_hypotheses
from herdbook.code import fingerprint
from herdbook.errors import CorpusError, HerdbookError
from herdbook.files import canonical_json, strict_yaml
from herdbook.new_project import NOT_TAKEN, create, parameters, without_targets
from herdbook.params import parse_params, read_params
from herdbook.registration import read_register
from herdbook.staleness import stage_states
from tests.miniature import ROOT, ran, repro

PARAMS = (ROOT / "params.yaml").read_text()
app = typer.Typer()
cli_project.add_to(app)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A folder of six texts, some hundred words each."""
    folder = tmp_path_factory.mktemp("texts")
    for number in range(6):
        words = [f"{'abcdef'[number]}{'xyz'[place % 3]}{place * (number + 3) % 97}" for place in range(200)]
        (folder / f"{number}.txt").write_text(" ".join(words))
    return folder


@pytest.fixture(scope="module")
def made(texts, tmp_path_factory):
    """A small project of these texts."""
    return create(ROOT, tmp_path_factory.mktemp("made") / "herd", texts, "CC0-1.0", small=True)


def git(folder, *words):
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_parameters_that_nothing_changes_are_the_same_to_the_byte():
    assert parameters(PARAMS, small=False, own=None) == PARAMS


def test_own_values_leave_comments_and_everything_else_as_they_are():
    text = parameters(PARAMS, small=False, own={"corpus": {"source": "files", "path": "../texts"}})
    changed = [pair for pair in zip(PARAMS.splitlines(), text.splitlines(), strict=True) if pair[0] != pair[1]]
    assert [pair[1].split("#")[0].strip() for pair in changed] == ["source: files", "path: ../texts"]
    assert all("#" in pair[1] for pair in changed)


def test_small_parameters_can_be_run_and_keep_their_comments():
    text = parameters(PARAMS, small=True, own=None)
    params = parse_params(strict_yaml(text))
    assert (list(params.regimes), params.seeds, params.generations) == (["replace", "curated"], ("s0", "s1"), ("g0", "g1", "g2"))
    assert "# never train, never prompt" in text


def test_a_new_project_is_whole_committed_and_claims_nothing(made):
    assert made.num_documents == 6
    assert made.num_words == 1200
    assert git(made.folder, "rev-parse", "HEAD") == made.commit
    assert git(made.folder, "status", "--porcelain") == ""
    tracked = set(git(made.folder, "ls-files").splitlines())
    assert {"README.md", "data.dvc", "dvc.yaml", "flows/breed.py", "journal/register.jsonl", ".dvc/config", "LICENSE"} <= tracked
    assert not [
        path for path in tracked if path.startswith(("tests/", "docs/", "bench/", "runs/", "data/", "reports/")) or "__pycache__" in path
    ]
    assert not (made.folder / "dvc.lock").exists()
    hypotheses = (made.folder / "hypotheses.yaml").read_text()
    assert parse_hypotheses(hypotheses, "h.yaml").claims == ()
    assert read_register(made.folder / "journal/register.jsonl") == []


def test_its_example_of_a_claim_is_one(made):
    text = (made.folder / "hypotheses.yaml").read_text()
    head, _, example = text.partition("controls: []\n")
    lines = [line.removeprefix("# ") for line in example.splitlines() if line.startswith("# ")][1:]
    (claim,) = parse_hypotheses(head + "\n".join(lines), "h.yaml").claims
    assert claim.id == "curating-helps"


def test_its_parameters_name_its_corpus_from_where_it_lies(made, texts, monkeypatch):
    monkeypatch.chdir(made.folder)
    params = read_params(made.folder / "params.yaml")
    assert (params.corpus.source, params.corpus.licence) == ("files", "CC0-1.0")
    assert (made.folder / params.corpus.path).resolve() == texts.resolve()
    assert params.prepare.num_held_out_documents == 1


def test_its_stages_can_be_told_and_the_first_of_them_runs(made, tmp_path):
    """To breed all of it takes more than a minute of two cores: it is done by hand, with herdbook new --small, before a release."""
    shutil.copytree(made.folder, tmp_path / "herd", symlinks=True)
    states = stage_states(tmp_path / "herd")
    assert len(states) == 79
    assert {reason.kind for stage in states for reason in stage.reasons} == {"never run"}
    assert ran(repro(tmp_path / "herd", "code", cold=True)) == {"code"}
    assert (tmp_path / "herd/runs/code/train.json").read_bytes() == canonical_json(fingerprint("train", ROOT)).encode()


def test_its_makefile_has_only_targets_of_what_it_has(made):
    text = (made.folder / "Makefile").read_text()
    assert not [line for line in text.splitlines() if line.startswith(tuple(f"{name}:" for name in NOT_TAKEN))]
    (phony,) = (line for line in text.splitlines() if line.startswith(".PHONY"))
    assert not set(phony.split()) & set(NOT_TAKEN)
    assert "run: .venv/installed" in text
    assert without_targets("a:\n\tb\n\ntest: a\n\tc\n\n.PHONY: a test\n", ("test",)) == "a:\n\tb\n\n.PHONY: a\n"


def test_an_empty_folder_is_filled_and_the_default_corpus_takes_its_record_along(tmp_path, monkeypatch):
    (tmp_path / "herd").mkdir()
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(app, ["new", str(tmp_path / "herd"), "--json"])
    told = json.loads(done.stdout)
    assert (told["commit"], told["num_documents"]) == (git(tmp_path / "herd", "rev-parse", "HEAD"), None)
    for name in ("data.dvc", "params.yaml"):
        assert (tmp_path / "herd" / name).read_bytes() == (ROOT / name).read_bytes()


def test_inside_a_repository_none_is_initialised(tmp_path, monkeypatch):
    git(tmp_path, "init", "--quiet")
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(app, ["new", str(tmp_path / "herd")])
    assert f"the folder lies in the repository {tmp_path}" in done.stdout
    assert not (tmp_path / "herd/.git").exists()


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/note.txt").write_text("mine")
    for name in ("full", "full/note.txt"):
        with pytest.raises(HerdbookError, match="is there already, and not empty"):
            create(ROOT, tmp_path / name)
    assert (tmp_path / "full/note.txt").read_text() == "mine"


def test_what_cannot_be_made_leaves_nothing(tmp_path, texts, monkeypatch):
    with pytest.raises(CorpusError, match="not a folder"):
        create(ROOT, tmp_path / "herd", tmp_path / "none")
    with pytest.raises(HerdbookError, match="so no project can be made from it"):
        create(tmp_path, tmp_path / "herd")
    monkeypatch.setattr(new_project, "_commit", lambda root: new_project._git(root, "no-such-command"))
    with pytest.raises(HerdbookError, match="nothing was made"):
        create(ROOT, tmp_path / "herd")
    assert list(tmp_path.iterdir()) == []


def test_the_default_corpus_has_a_licence_of_its_own(tmp_path):
    assert CliRunner().invoke(app, ["new", str(tmp_path / "herd"), "--licence", "CC0-1.0"]).exit_code == 2


def test_a_folder_name_that_means_markup_is_only_a_name():
    text = new_project._readme("[x](javascript:y)\n# z", None)
    assert text.startswith("# -x--javascript-y--- z\n")
    assert yaml.safe_load(parameters(PARAMS, False, {"corpus": {"path": "a: b\n#c"}}))["corpus"]["path"] == "a: b\n#c"


def test_the_command_that_is_installed_runs_no_code_of_a_project_and_the_module_does(made, tmp_path):
    root = tmp_path / "changed"
    shutil.copytree(made.folder, root, symlinks=True)
    path = root / "herdbook/cli.py"
    path.write_text(path.read_text().replace("Breed generations", "Rear generations"))
    for command, told in (([Path(sys.executable).with_name("herdbook")], "Breed"), ([sys.executable, "-m", "herdbook"], "Rear")):
        said = subprocess.run([*command, "--help"], cwd=root, check=True, capture_output=True, text=True).stdout
        assert f"{told} generations" in said


def test_a_folder_that_is_none_is_told_by_the_option_that_named_it(tmp_path):
    with pytest.raises(CorpusError, match=r"texts: not a folder; name with --corpus a folder of"):
        create(ROOT, tmp_path / "herd", tmp_path / "texts")
