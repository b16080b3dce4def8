import json
import shutil
import socket
import subprocess
from collections import namedtuple
from subprocess import CompletedProcess

import pytest
import typer
from typer.testing import CliRunner

from flows import server
from herdbook import cli_project, doctor
from herdbook.doctor import GIB, examine
from tests import miniature
from tests.workspace import ROOT

app = typer.Typer()
cli_project.add_to(app)
Usage = namedtuple("Usage", "total used free")  # as shutil gives it


@pytest.fixture
def here(unbred, tmp_path, monkeypatch):
    """A project in which all is well, on a machine without surprises."""
    root = tmp_path / "project"
    miniature.copy(unbred, root)
    monkeypatch.chdir(root)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(doctor, "free_memory_bytes", lambda: 8 * GIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100 * GIB, 0, 50 * GIB))
    monkeypatch.setattr(doctor, "_PORT", free_port())
    monkeypatch.setattr(doctor, "_torch", lambda: iter(()))
    monkeypatch.setattr(doctor.os, "sched_getaffinity", lambda pid: {0, 1})
    return root


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def checked(item):
    """The one check of an item."""
    (check,) = (check for check in examine() if check.item == item)
    return check


def test_a_project_in_which_all_is_well_has_no_problem_and_ends_with_0(here):
    done = CliRunner().invoke(app, ["doctor", "--json"])
    told = json.loads(done.stdout)
    assert (done.exit_code, told["ready"]) == (0, True)
    assert {check["state"] for check in told["checks"] if check["item"] != "packages"} == {"ok"}


def test_a_warning_may_be_lived_with_and_a_problem_may_not(here, monkeypatch):
    monkeypatch.setattr(doctor, "free_memory_bytes", lambda: GIB)
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 0
    (here / "params.yaml").write_text("corpus: 1\n")
    done = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "200"})
    assert done.exit_code == 1
    assert "problem" in done.stdout


@pytest.mark.parametrize(("free", "state"), [(50, "ok"), (1, "warning"), (0.1, "problem")])
def test_disk_is_measured(here, monkeypatch, free, state):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100 * GIB, 0, int(free * GIB)))
    assert checked("disk").state == state


@pytest.mark.parametrize(("free", "state"), [(GIB, "warning"), (None, "warning"), (2 * GIB, "ok")])
def test_memory_is_held_against_what_two_stages_take(here, monkeypatch, free, state):
    monkeypatch.setattr(doctor, "free_memory_bytes", lambda: free)
    assert checked("memory").state == state


def test_free_memory_is_that_of_this_machine():
    assert 0 < doctor.free_memory_bytes() < 1 << 50


def test_one_core_and_an_old_python_are_told(here, monkeypatch):
    monkeypatch.setattr(doctor.os, "sched_getaffinity", lambda pid: {0})
    monkeypatch.setattr(doctor, "_OLDEST_PYTHON", (9, 0))
    assert checked("cores").state == "warning"
    assert (checked("Python").state, checked("Python").fix) == ("problem", "install Python 9.0 or newer")


def test_a_package_of_another_version_is_a_problem_only_where_herdbook_asks_for_it(here):
    for name, state in (("rich", "problem"), ("pytest", "warning")):
        lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith(f"{name}==")]
        path = here / "constraints.txt"
        path.write_text("\n".join([*lines, f"{name}==0.1"]))
        others = [line for line in path.read_text().splitlines() if doctor.installed(line.split("==")[0]) == line.split("==")[1]]
        path.write_text("\n".join([*others, f"{name}==0.1"]))
        check = checked("packages")
        assert check.state == state
        assert "pinned 0.1" in check.found
        assert check.fix == f"pip install --constraint constraints.txt {name}==0.1"


def test_git_must_be_there_and_hold_the_folder(here, monkeypatch):
    shutil.rmtree(here / ".git")
    assert (checked("git").state, checked("git").fix) == ("problem", "git init")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert checked("git").found == "not installed"


def test_the_cache_of_dvc_must_be_writable_and_its_settings_readable(here, monkeypatch):
    with monkeypatch.context() as context:
        context.setattr(doctor.os, "access", lambda path, mode: False)
        assert checked("DVC").state == "problem"
    (here / ".dvc/config").write_text("no section\n")
    assert checked("DVC").fix == "git checkout .dvc/config"
    (here / ".dvc/config").unlink()
    assert checked("DVC").state == "problem"


def test_a_port_of_another_program_is_a_warning(here, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(doctor, "_PORT", port := listener.getsockname()[1])
        check = checked("Prefect")
    assert (check.state, check.found) == ("warning", f"port {port} is another program's")
    assert f"make serve PORT={port + 1}" in check.fix


def test_a_server_of_ours_is_found_where_flows_say_that_it_listens(here, monkeypatch):
    assert server._SERVING == doctor._SERVING
    (here / ".prefect").mkdir()
    (here / ".prefect/serving.json").write_text('{"url": "http://127.0.0.1:1/api"}')
    monkeypatch.setattr(doctor, "_answers", lambda url: url == "http://127.0.0.1:1/api")
    assert checked("Prefect").found.startswith("make serve is under way")


def test_what_environment_variables_hold_is_never_shown(here, monkeypatch):
    secret = "s3cr3t"
    monkeypatch.setenv("PREFECT_API_URL", f"http://me:{secret}@127.0.0.1:1/api")
    for name in ("PREFECT_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "HERDBOOK_KEY"):
        monkeypatch.setenv(name, secret)
    assert checked("Prefect").state == "problem"
    for words in (["doctor"], ["doctor", "--json"]):
        assert secret not in CliRunner().invoke(app, words).output


def test_a_corpus_is_missing_or_of_another_version(here):
    (here / "data/README.md").unlink()
    check = checked("corpus")
    assert (check.state, "dvc checkout data" in check.fix) == ("problem", True)
    shutil.rmtree(here / "data")
    assert checked("corpus").state == "warning"


def test_a_corpus_of_another_source_is_told(here):
    params = (here / "params.yaml").read_text()
    (here / "params.yaml").write_text(params.replace("path: articles", "path: novels"))
    told = checked("source of the corpus")
    assert (told.state, told.fix) == ("problem", "make it anew: herdbook corpus --replace, then dvc add data")


def test_settings_that_cannot_be_read_are_told_as_a_run_would_tell_them(here):
    (here / "expectations/human_rows.yaml").write_text("name: human_rows\n")
    (here / "hypotheses.yaml").write_text("claims: 3\n")
    (here / "runs/strange/s0").mkdir(parents=True)
    assert checked("policies").state == checked("claims").state == "problem"
    assert checked("left over").fix == "herdbook prune"
    (here / "params.yaml").write_text("corpus: {path: [\x1b[2J]}\n")
    assert "\x1b" not in checked("params.yaml").found


def test_a_folder_that_is_no_project_is_told_what_it_lacks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "_torch", lambda: iter(()))
    states = {check.item: check.state for check in examine()}
    assert {item for item, state in states.items() if state == "problem"} >= {"packages", "DVC", "params.yaml", "policies"}


@pytest.mark.parametrize(
    ("answer", "states"),
    [
        (CompletedProcess([], 0, '["AVX2", null]'), ["ok", "ok"]),
        (CompletedProcess([], 0, 'noise\n["DEFAULT", "H100"]'), ["warning", "ok"]),
        (CompletedProcess([], 1, ""), ["problem"]),
    ],
)
def test_what_torch_sees_is_asked_in_a_process_of_its_own(monkeypatch, answer, states):
    monkeypatch.setattr(subprocess, "run", lambda *words, **options: answer)
    assert [check.state for check in doctor._torch()] == states


def test_torch_answers_as_it_is_asked():
    assert [check.item for check in doctor._torch()] == ["instruction set", "CUDA"]


def test_what_is_optional_is_never_a_problem(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    checks = list(doctor._optional())
    assert {check.state for check in checks} == {"ok"}
    assert all(check.fix for check in checks)
