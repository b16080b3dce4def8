"""A walk over DVC's pipeline leaves what `dvc repro` leaves."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from io import StringIO
from pathlib import Path

import pytest
from dulwich.index import Index
from dvc.exceptions import CacheLinkError
from rich.console import Console

from flows.breed import counted
from flows.command import MachineError, StageError, guarded
from flows.pipeline import Pipeline, opened
from flows.progress import followed
from flows.reproduce import RAN, RESTORED, UNCHANGED, reproduce
from flows.reproduce import told as reproducing
from flows.walk import Outcome, walk
from herdbook.errors import FileError, HerdbookError
from tests.flows import synthetic
from tests.flows.synthetic import dvc, trick


@pytest.fixture(scope="module")
def blank(tmp_path_factory) -> Path:
    """The synthetic project, nothing run; only to be read."""
    return synthetic.build(tmp_path_factory.mktemp("synthetic") / "project")


@pytest.fixture
def project(blank, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", synthetic.environment()["PATH"])
    root = tmp_path / "project"
    shutil.copytree(blank, root)
    monkeypatch.chdir(root)
    return root


def go(root: Path, jobs: int = 2, ended=lambda outcome: None) -> Outcome[str]:
    """Walk the pipeline at `root`; what the machine broke is tried once more."""
    with opened(root) as pipeline, guarded() as commands:

        def run(name: str) -> str:
            if not pipeline.is_changed(name):
                return UNCHANGED
            try:
                return reproduce(pipeline, commands, name, print).how
            except MachineError:
                return reproduce(pipeline, commands, name, print).how

        return walk(pipeline.plan, pipeline.needs, run, jobs, commands.interrupt, ended)


def lock(root: Path) -> bytes:
    return (root / "dvc.lock").read_bytes()


def grow(root: Path) -> None:
    """One more generation."""
    synthetic.write_params(root, 2, 2, 3)


def edit(root: Path) -> None:
    """An edit that makes another `human`, and so everything else."""
    (root / "step.py").write_text(synthetic.STEP + "# edited\n")


@pytest.fixture(scope="module")
def serial(blank, tmp_path_factory) -> Callable[..., bytes]:
    """A function that gives the lock `dvc repro` leaves in a project of its own, run first and after each of some steps."""

    @cache
    def left(*steps: Callable[[Path], None]) -> Path:
        root = tmp_path_factory.mktemp("serial") / "project"
        shutil.copytree(left(*steps[:-1]) if steps else blank, root)
        for step in steps[-1:]:
            step(root)
        dvc(root, "repro", "-q")
        return root

    return lambda *steps: lock(left(*steps))


def test_a_walk_leaves_the_lock_of_a_serial_repro_and_nothing_to_do(project, serial):
    outcome = go(project)
    assert set(outcome.done.values()) == {RAN, UNCHANGED}
    assert lock(project) == serial()
    assert "up to date" in dvc(project, "status")
    assert "Running stage" not in dvc(project, "repro")
    assert set(go(project).done.values()) == {UNCHANGED}


def test_one_more_generation_and_a_change_leave_the_lock_of_the_same_steps_in_series(project, serial):
    go(project)
    for step in (grow, edit):
        step(project)
        go(project)
    assert lock(project) == serial(grow, edit)


def test_results_come_back_from_the_run_cache(project):
    go(project)
    before = lock(project)
    for path in ("dvc.lock", "runs/human", "runs/r0/s0/g1.model"):
        (project / path).unlink()
    outcome = go(project)
    assert outcome.done["train@r0-s0-g0"] == RESTORED
    assert RAN not in {how for name, how in outcome.done.items() if name != "compare"}
    assert lock(project) == before


def test_a_failed_stage_stops_its_descendants_and_the_next_run_ends_with_the_lock_of_an_unbroken_one(project, serial):
    trick(project, "g1.model", "if 'r0/s0' in str(out): raise SystemExit('no luck')")
    outcome = go(project)
    assert list(outcome.failed) == ["train@r0-s0-g0"]
    assert str(outcome.failed["train@r0-s0-g0"]) == "train@r0-s0-g0: no luck"
    assert set(outcome.skipped) == {"sample@r0-s0-g0", "train@r0-s0-g1", "sample@r0-s0-g1", "compare"}
    assert "sample@r1-s1-g1" in outcome.done
    assert b"sample@r1-s1-g1" in lock(project)
    trick(project, "g1.model", "")
    go(project)
    assert lock(project) == serial()


def test_a_second_try_runs_the_stage_and_never_takes_the_outputs_of_other_dependencies(project, serial):
    go(project)
    edit(project)
    trick(project, "human", "if not Path('killed').exists(): Path('killed').touch(); os.kill(os.getpid(), 9)")
    outcome = go(project)
    assert (project / "killed").exists()
    assert outcome.done["prepare"] == RAN
    assert lock(project) == serial(edit)
    assert "up to date" in dvc(project, "status")


def test_an_interrupted_run_goes_on_to_the_lock_of_an_unbroken_one(project, serial):
    go(project)
    edit(project)
    trick(project, "g0.set", "time.sleep(60)")

    def stop(outcome: Outcome[str]) -> None:
        if "prepare" in outcome.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(project, ended=stop)
    trick(project, "g0.set", "")
    outcome = go(project)
    assert outcome.done["prepare"] == UNCHANGED
    assert outcome.done["adopt@r0-s0"] == RAN
    assert lock(project) == serial(edit)


def test_a_data_source_with_other_bytes_is_told_and_not_recorded(project):
    go(project)
    before = lock(project), (project / "source.dvc").read_bytes()
    (project / "source/text").unlink()
    (project / "source/text").write_text("written by somebody else")
    outcome = go(project)
    assert "source.dvc records" in str(outcome.failed["source.dvc"])
    assert "dvc add source" in str(outcome.failed["source.dvc"])
    assert (lock(project), (project / "source.dvc").read_bytes()) == before


def test_an_output_that_a_stage_did_not_write_is_an_error_of_that_stage(project):
    trick(project, "g1.model", "raise SystemExit(0)")
    outcome = go(project)
    assert "train@r0-s0-g0: output 'runs/r0/s0/g1.model' does not exist" in str(outcome.failed["train@r0-s0-g0"])


def test_an_output_that_git_tracks_is_refused_and_the_index_is_parsed_once(project, monkeypatch):
    tracked = project / "runs/human"
    tracked.parent.mkdir()
    tracked.write_text("committed by force")
    subprocess.run(["git", "add", "--force", "runs/human"], cwd=project, check=True)
    num_read = 0
    read = Index.read

    def counted(index: Index) -> None:
        nonlocal num_read
        num_read += 1
        read(index)

    monkeypatch.setattr(Index, "read", counted)
    outcome = go(project)
    assert "is already tracked by SCM" in str(outcome.failed["prepare"])
    assert num_read == 1
    subprocess.run(["git", "rm", "-qf", "--cached", "runs/human"], cwd=project, check=True)
    assert not go(project).failed
    assert num_read == 2


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device"), "a: /cache: No space left on device; make room"),
        (OSError(28, "No space left on device", "/one", None, "/cache/other"), "a: /cache/other: No space left on device; make room"),
        (OSError("no number"), "a: /cache: no number; make room"),
        (sqlite3.OperationalError("database or disk is full"), "a: /cache: database or disk is full; make room"),
        (CacheLinkError(["/one"]), "a: /one: can be neither linked nor copied from /cache, as on a full disk; make room"),
    ],
)
def test_whatever_the_disk_refuses_is_one_plain_line_of_its_stage(error, told):
    with pytest.raises(StageError) as caught, reproducing("a", Path("/cache")):
        raise error
    assert str(caught.value).startswith(told)
    assert str(caught.value).isprintable()


def test_a_full_disk_while_recording_names_the_stage(project, monkeypatch):
    def full(self, name):
        raise OSError(28, "No space left on device", "/somewhere")

    monkeypatch.setattr(Pipeline, "record", full)
    error = str(go(project).failed["prepare"])
    assert error.startswith("prepare: /somewhere: No space left on device; make room")
    assert "\n" not in error


def test_what_cannot_be_copied_into_the_cache_fails_its_stage_in_one_line_that_says_where(project):
    cache = project / ".dvc/cache/files/md5"
    for number in range(256):
        if not (cache / f"{number:02x}").is_dir():  # as for the source
            (cache / f"{number:02x}").touch()  # where DVC makes a folder
    error = str(go(project).failed["prepare"])
    assert re.fullmatch(rf"prepare: {cache}/\S+: .+; make room or allow it, then run again", error)
    assert error.isprintable()


def test_a_lock_that_could_not_be_written_is_told_once_and_written_later_if_it_can_be(project, monkeypatch):
    def full(*args):
        raise FileError("dvc.lock: cannot be written (No space left on device); nothing was left behind: make room")

    def broken(is_full_at_the_end: bool) -> None:
        with monkeypatch.context() as patch, opened(project) as pipeline, guarded() as commands:
            pipeline._flushed = time.monotonic()  # so that no stage writes it
            reproduce(pipeline, commands, "prepare", print)
            patch.setattr("flows.pipeline.write_lock", full)
            with pytest.raises(FileError):
                pipeline.flush()
            if not is_full_at_the_end:
                patch.undo()

    broken(is_full_at_the_end=True)
    assert not (project / "dvc.lock").exists()
    broken(is_full_at_the_end=False)
    assert b"prepare" in lock(project)


def test_a_lock_that_cannot_be_written_at_the_end_is_told(project, monkeypatch):
    def full(*args):
        raise FileError("dvc.lock: cannot be written (No space left on device); nothing was left behind: make room")

    monkeypatch.setattr("flows.pipeline.write_lock", full)
    with pytest.raises(FileError), opened(project) as pipeline:
        pipeline._is_dirty = True


def test_a_source_of_data_is_walked_and_not_counted(project):
    out = StringIO()
    with opened(project) as pipeline:
        plan, stages = pipeline.plan, pipeline.stages
    assert set(plan) - set(stages) == {"source.dvc"}
    outcome = go(project)
    assert outcome.done["source.dvc"] == UNCHANGED
    assert counted(outcome, stages) == f"{len(stages)} ran"
    with followed(Console(file=out), stages) as follow:
        follow(outcome)
    assert f"[{len(stages)}/{len(stages)}] compare ran" in out.getvalue()
    assert f"/{len(plan)}]" not in out.getvalue()


@pytest.mark.parametrize("name", ["x{y}", "x{", "x}", "{}"])
def test_a_path_with_braces_is_refused(project, tmp_path, name):
    project.rename(tmp_path / name)
    with pytest.raises(HerdbookError, match=r"with braces .*; move the project to a folder without them"), opened(tmp_path / name):
        pass


def test_a_cache_below_a_path_with_braces_is_refused(project, tmp_path):
    dvc(project, "cache", "dir", str(tmp_path / "x{y}"))
    with pytest.raises(HerdbookError, match=r"x{y}.*with braces .*; set another cache with dvc cache dir"), opened(project):
        pass


@pytest.mark.parametrize(
    "text",
    [
        b'schema: "2.0"\nstages: {prepare: 5}\n',
        b'schema: "2.0"\nstages: {prepare: {cmd: 5, deps: 7}}\n',
        b"schema: '2.0'\nstages:\n  prepare:\n    cmd: x\n    deps:\n    - 5\n",
        b"schema: '2.0'\nstages:\n  prep\xffare:\n    cmd: x\n",
        b"[]",
    ],
)
def test_a_lock_that_holds_no_stages_is_one_line(project, text):
    (project / "dvc.lock").write_bytes(text)
    with pytest.raises(HerdbookError, match=r"dvc\.lock.*; restore it: git checkout") as caught, opened(project):
        pass
    assert str(caught.value).isprintable()


def test_an_edit_of_the_parameters_is_seen_while_the_pipeline_is_open(project):
    go(project)
    with opened(project) as pipeline:
        assert not pipeline.is_changed("prepare")
        params = project / "params.yaml"
        params.write_text(params.read_text().replace("rows: 20", "rows: 21"))
        assert pipeline.is_changed("prepare")


def test_other_runs_of_dvc_are_refused_while_a_walk_holds_the_pipeline(project):
    with opened(project):
        said = dvc(project, "repro", status=255)
    assert f"PID {os.getpid()}" in said
    dvc(project, "repro", "-q")


def test_a_pipeline_that_cannot_be_read_is_one_line(project):
    (project / "dvc.yaml").write_text("stages: [")
    with pytest.raises(HerdbookError, match=r"DVC: .*dvc\.yaml") as caught, opened(project):
        pass
    assert "\n" not in str(caught.value)


def test_a_frozen_stage_is_refused(project):
    text = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(text.replace("  compare:\n", "  compare:\n    frozen: true\n"))
    with pytest.raises(HerdbookError, match="compare: frozen"), opened(project):
        pass


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.flows.test_pipeline import go
go(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("stage", ["g0.set", "g1.model", "g2.set"])
def test_a_run_killed_at_any_time_goes_on_loses_nothing_and_leaves_no_process(project, serial, stage):
    """One stage kills the runner, and would itself go on for a minute."""
    kill = "Path('pids').open('a').write(f'{os.getpid()}\\n'); os.kill(int(os.environ['RUNNER']), 9); time.sleep(60)"
    trick(project, stage, f"if 'r1/s1' in str(out): {kill}")
    code = "import os\nos.environ['RUNNER'] = str(os.getpid())\n" + KILLED
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code, str(project)], env=environment, capture_output=True, check=False, timeout=120)
    assert done.returncode == -9
    (pid,) = map(int, (project / "pids").read_text().split())
    synthetic.wait_for(lambda: not synthetic.is_alive(pid))
    (project / "tricks" / stage).unlink()
    outcome = go(project)
    assert not outcome.failed
    assert RESTORED in outcome.done.values()
    assert lock(project) == serial()
    assert "up to date" in dvc(project, "status")


def test_the_parts_of_dvc_that_the_walk_calls_are_where_they_were():
    """A release of DVC that moves one of them fails here, by name, before anything else does."""
    import inspect

    from dvc.output import Output
    from dvc.repo import Repo
    from dvc.repo.reproduce import plan_repro
    from dvc.stage import Stage
    from dvc.stage.cache import StageCache

    for owner, names in {
        Stage: ("changed_stage", "save", "save_deps", "save_outs", "is_import", "is_callback", "addressing", "relpath"),
        Output: ("status", "remove", "unprotect", "commit", "clear", "use_cache", "is_metric", "is_plot"),
        StageCache: ("restore", "save"),
        Repo: ("lock", "index", "stage_cache", "scm_context", "tmp_dir"),
    }.items():
        for name in names:
            assert hasattr(owner, name) or f"self.{name} " in inspect.getsource(owner), f"dvc: {owner.__name__}.{name} is gone"
    assert list(inspect.signature(plan_repro).parameters)[:2] == ["graph", "stages"]
    assert "_wait_for_lock" in inspect.signature(Repo.__init__).parameters
