import json
import re
import shutil
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from herdbook.cli import app, main
from herdbook.cli_book import FOUND
from herdbook.files import digest
from tests import miniature
from tests.terminal import watched

MODEL = "replace/s0/g1/model"


@pytest.fixture
def here(bred, monkeypatch):
    monkeypatch.chdir(bred)
    return bred


def said(*words, status=0):
    """What a command prints."""
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == status, (done.output, done.exception)
    return done.stdout


def one_line(out, err):
    """The one line on stderr of a command that a person got wrong."""
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("herdbook: ")
    return line


@pytest.fixture
def refused(monkeypatch, capsys):
    """A function that gives the one line with which a command in a folder is refused."""

    def run(root, *words):
        monkeypatch.chdir(root)
        monkeypatch.setattr(sys, "argv", ["herdbook", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1
        return one_line(*capsys.readouterr())

    return run


def test_trace_draws_a_tree_or_prints_json(here):
    assert f"training: {MODEL.replace('model', 'training')}" in said("trace", MODEL)
    told = json.loads(said("trace", MODEL, "--json"))
    assert told["root"] == json.loads((here / "reports/book.json").read_text())["root"]
    row = pq.read_table("runs/replace/s0/g1/offspring/rows.parquet", columns=["id"])["id"][0].as_py()
    assert json.loads(said("trace", row, "--json", "--rev", "HEAD"))["row"]["written_by"] == MODEL


def test_an_audit_that_finds_nothing_ends_with_0_and_one_that_does_with_its_own_status(here, project, monkeypatch):
    assert not any(check["findings"] for check in json.loads(said("audit", "--level", "records", "--json"))["checks"])
    assert "receipts" in said("audit", "--level", "hashes")
    assert not any(check["findings"] for check in json.loads(said("audit", "--json", "--rev", "HEAD"))["checks"])
    monkeypatch.chdir(project)
    path = project / "records/replace/s0/g1/loss.json"
    text = path.read_text()
    path.unlink()
    path.write_text(text.replace("num_steps", "num_stepz"))
    report = json.loads(said("audit", "--json", status=FOUND))
    assert "records/replace/s0/g1/loss.json" in {finding["path"] for check in report["checks"] for finding in check["findings"]}


def test_an_audit_of_a_changed_workspace_says_so(project, monkeypatch):
    monkeypatch.chdir(project)
    (project / "notes.txt").write_text("a note")
    done = CliRunner().invoke(app, ["audit", "--level", "records"])
    assert "not committed: notes.txt" in done.stderr.replace("\n", " ")


@pytest.mark.usefixtures("forked")
def test_replay_says_identical_and_leaves_the_workspace_alone(here):
    before = digest(here / "runs")
    assert "identical" in said("replay", "replace/s0/g1/curated")
    assert digest(here / "runs") == before


def test_diff_takes_a_target_with_one_revision_or_two(here):
    same = "the same in both"
    assert same in said("diff", "HEAD")
    assert same in said("diff", "HEAD", "HEAD")
    assert same in said("diff", "HEAD", MODEL)
    assert same in said("diff", "HEAD", "HEAD", MODEL)


def test_log_lists_versions(here):
    (version,) = json.loads(said("log", MODEL, "--json"))
    assert version["subject"] == "bred"
    assert version["commit"][:7] in said("log", MODEL)


@pytest.mark.parametrize("format", ["json", "prov", "slsa", "openlineage"])
def test_export_prints_or_writes_the_same_document(here, tmp_path, format):
    printed = said("export", "--format", format, MODEL)
    said("export", "--format", format, MODEL, "--output", str(tmp_path / "document.json"))
    assert (tmp_path / "document.json").read_text() == printed
    assert json.loads(printed)


def test_a_folder_is_not_written_over(here):
    before = digest(here / "records")
    said("export", "--output", "records", status=2)
    assert digest(here / "records") == before


def test_only_openlineage_is_sent(here):
    said("export", "--format", "prov", "--url", "http://127.0.0.1:1", status=2)


def test_what_a_person_gets_wrong_is_one_line(here, tmp_path, refused):
    assert "did you mean replace/s0/g1/model" in refused(here, "trace", "replace/s0/g1/modle")
    assert "git knows no such revision" in refused(here, "trace", MODEL, "--rev", "no-such")
    assert "one dataset and none is named" in refused(here, "export", "--format", "croissant")
    assert "there is no folder nowhere; make it" in refused(here, "export", "--output", "nowhere/book.json")
    assert not (here / "nowhere").exists()
    assert "not found" in refused(here, "verify", "nothing.json", "--key", "nothing.pem")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    for command in (["trace", "x"], ["audit"], ["replay", "x"], ["log", "x"], ["export"]):
        refused(tmp_path, *command)


def test_an_audit_shows_percentage_and_time_left_on_a_terminal_and_nothing_elsewhere(here):
    status, printed, lines = watched(here, "herdbook", "audit", "--json")
    assert status == 0
    for phase in ("hashing", "files as dvc.lock", "entries as what lies there", "documents", "rows: whose"):
        assert any(re.match(rf"auditing: {phase}.* \d+% +[\d:-]+ left$", line) for line in lines), (phase, lines)
    done = subprocess.run([sys.executable, "-m", "herdbook", "audit", "--json"], cwd=here, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")


def test_a_replay_shows_how_far_training_is(here):
    status, printed, lines = watched(here, "herdbook", "replay", MODEL, "--json")
    assert (status, json.loads(printed)["is_identical"]) == (0, True)
    assert any(re.match(rf"rebuilding {MODEL}: stages train replace s0 g1 .* \d+% +[\d:-]+ left$", line) for line in lines), lines


def test_an_absent_book_is_told_with_what_to_do_next(project, tmp_path, refused):
    for command in (["trace", "x"], ["log", MODEL], ["replay", MODEL], ["export"], ["card", MODEL], ["audit"]):
        assert f"no book in {tmp_path}, for nothing was bred there; herdbook run breeds it" in refused(tmp_path, *command)
    for folder in ("book", ".dvc/cache"):
        shutil.rmtree(project / folder)
    here, then = refused(project, "trace", "x"), refused(project, "log", MODEL, "--rev", "HEAD")
    assert refused(project, "audit") == here
    assert refused(project, "audit", "--rev", "HEAD") == then
    audited = subprocess.run([sys.executable, "-m", "herdbook", "audit"], cwd=project, capture_output=True, text=True, check=False)
    assert (audited.returncode, one_line(audited.stdout, audited.stderr)) == (1, here)
    assert f"the book of the workspace is not in {project}, in DVC's cache or in a remote; herdbook run breeds it" in here
    assert "the book of HEAD is not in DVC's cache or in a remote; choose another revision" in then
    miniature.run(project, "-m", "dvc", "remote", "add", "--default", "store", str(tmp_path / "nothing"))
    assert "No such file or directory" in refused(project, "diff", "HEAD")


def test_it_is_the_same_line_of_the_program(here, refused):
    command = [sys.executable, "-m", "herdbook", "trace", "replace/s0/g1/modle"]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert one_line(done.stdout, done.stderr) == refused(here, "trace", "replace/s0/g1/modle")
