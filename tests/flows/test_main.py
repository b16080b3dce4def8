import os
import signal
import subprocess
import sys

import pytest

from flows.run import _unbroken, tell
from herdbook.interrupt import INTERRUPTED
from herdbook.run import CALIBRATION_FAILED, LINEAGES_STOPPED
from stages import compare
from tests import records as made
from tests.pipeline import ROOT

SAID = "herdbook: interrupted; nothing is left half-written\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two regimes, all bred; nothing is compared yet."""
    made.write_project(tmp_path, {"replace": "waive", "curated": "block"})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_ends_with_calibrations_table_book_and_report(project, capsys):
    compare.main([])
    assert tell() == 0
    said = capsys.readouterr().out
    assert [said.index(word) for word in ("regression", "replace", "root abab", "report:")] == sorted(
        said.index(word) for word in ("regression", "replace", "root abab", "report:")
    )


def test_a_calibration_outside_its_interval_fails_the_run_though_all_is_told(project, capsys):
    made.write_calibrations(project, failed=["digits"])
    compare.main([])
    assert tell() == CALIBRATION_FAILED
    said = capsys.readouterr().out
    assert "calibration failed: digits; no verdict stands" in said
    assert "replace" in said


def test_a_lineage_that_its_gate_ended_has_a_status_of_its_own(project):
    made.write_not_bred(project / "records/curated/s1/g2")
    compare.main([])
    assert tell() == LINEAGES_STOPPED


def started(folder, **options) -> subprocess.Popen:
    """The program of a run in a folder whose own modules come first."""
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "flows"]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


SWALLOWED = "try:\n    open('FIFO').read()\nexcept BaseException:\n    pass\n"


@pytest.mark.parametrize("loading", ["open('FIFO').read()", "exec(\"open('FIFO').read()\")", SWALLOWED])
def test_ctrl_c_while_libraries_are_loaded_ends_a_run_in_one_line(tmp_path, loading):
    os.mkfifo(tmp_path / "FIFO")
    (tmp_path / "rich.py").write_text(loading)
    process = started(tmp_path)
    with (tmp_path / "FIFO").open("w"):  # waits until the program has opened it to read
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (INTERRUPTED, "", SAID)


def test_ctrl_c_that_was_kept_back_until_the_program_began_is_answered(tmp_path):
    process = started(tmp_path, preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (INTERRUPTED, "", SAID)


def test_ctrl_c_after_the_last_word_changes_nothing(tmp_path):
    os.mkfifo(tmp_path / "FIFO")
    (tmp_path / "sitecustomize.py").write_text("import atexit; atexit.register(lambda: open('FIFO').read())")
    process = started(tmp_path)
    with (tmp_path / "FIFO").open("w"):
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err == "herdbook: params.yaml: cannot be read (No such file or directory); run in the folder that holds it\n"


def test_ctrl_c_while_prefect_is_imported_is_heard_when_that_is_done():
    done = []

    def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        done.append(True)

    with pytest.raises(KeyboardInterrupt), _unbroken():
        interrupted()
    assert done == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_run_in_a_folder_with_braces_is_refused_before_anything_begins(tmp_path):
    folder = tmp_path / "x{y}"
    folder.mkdir()
    out, err = started(folder).communicate(timeout=60)
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"herdbook: {folder}: DVC cannot work below a path with braces ({{ or }}); move the project")
    assert list(folder.iterdir()) == []


def test_a_file_that_the_machine_refuses_is_told_in_one_line(project):
    (project / "data.dvc").mkdir()
    (project / "data").mkdir(exist_ok=True)
    (project / "data/manifest.json").write_text("{}")
    done = started(project)
    out, err = done.communicate(timeout=60)
    assert (done.returncode, out, err.count("\n")) == (1, "", 1)
    assert err == "herdbook: data.dvc: Is a directory; make room or allow it, then run again\n"
