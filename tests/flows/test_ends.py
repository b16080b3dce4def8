"""How a run that is broken by its machine ends, under a real server: one line, and never a traceback."""

import subprocess
import sys

import pytest

from tests.flows import synthetic
from tests.pipeline import ROOT

RUN = """
import os, sys
from pathlib import Path
from flows import pipeline, run
from flows.server import reporting
from herdbook.errors import FileError, HerdbookError
from herdbook.params import read_params

def full(*args):
    raise FileError("dvc.lock: cannot be written (No space left on device); nothing was left behind: make room")

os.environ["RUNNER"] = str(os.getpid())
if sys.argv[2:]:
    pipeline.write_lock, pipeline._FLUSH_SECONDS = full, 1e9  # so that no stage writes it
try:
    with reporting(Path.cwd()) as api, pipeline.opened(Path.cwd()) as open_pipeline:
        status = run._flow(open_pipeline, read_params(Path(sys.argv[1])), 2, api)
except HerdbookError as error:
    print(f"herdbook: {error}", file=sys.stderr)
    status = 1
sys.exit(status)
"""
KILL = """
import signal, psutil
runner = psutil.Process(int(os.environ["RUNNER"]))
(server,) = [p for p in runner.children() if "flows.api" in p.cmdline()]
server.kill()
"""


@pytest.fixture
def project(tmp_path):
    return synthetic.build(tmp_path / "project", 1, 1, 1)


def ended(root, *words: str) -> list[str]:
    """The lines of a run at `root`, which must fail."""
    kept = {name: value for name, value in synthetic.environment().items() if not name.startswith("PREFECT")}
    environment = {**kept, "PYTHONPATH": str(ROOT), "PREFECT_CLIENT_MAX_RETRIES": "0"}
    command = [sys.executable, "-c", RUN, str(ROOT / "params.yaml"), *words]
    done = subprocess.run(command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    assert done.returncode == 1, done.stdout
    return done.stdout.splitlines()


def test_a_lock_that_cannot_be_written_is_one_line_at_the_end(project):
    *stages, last = ended(project, "full")
    assert last.startswith("breed: dvc.lock: cannot be written (No space left on device)")
    assert [line for line in stages if not line.startswith("[")] == []
    assert stages[-1].startswith("[5/5] compare ran")


def test_a_server_that_is_gone_in_mid_run_is_one_line_and_what_is_finished_is_recorded(project):
    synthetic.trick(project, "reports.json", KILL)
    *stages, last = ended(project)
    assert last.startswith("herdbook: http://127.0.0.1:")
    assert "Prefect's server could not record the end of the run (" in last
    assert [line for line in stages if not line.startswith("[")] == []
    assert "compare:" in (project / "dvc.lock").read_text()
