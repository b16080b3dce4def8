"""What the flow itself costs on graphs of trivial stages, and whether it leaves the lock of a serial `dvc repro`.

`python -m bench.walk` writes bench/walk.json: own CPU seconds (Prefect's client, DVC and the walk; neither the
stages nor Prefect's server) of a full run and of one in which nothing has changed, at about 50, 400 and 1,500
stages, with the exponents of growth; and at 464 the comparison with a serial run (a quarter of an hour)."""

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.machine import machine
from herdbook.files import read_json, write_json
from herdbook.layout import VERDICT_RECORD
from tests.flows import synthetic
from tests.records import write_calibrations

SHAPES = {50: (2, 3, 4), 400: (6, 6, 5), 1500: (10, 10, 7)}  # about so many stages: regimes, seeds, births
SERIAL = (7, 6, 5)  # 464 stages
FOUND = Path("bench/walk.json")
RUN = """
import json, resource, sys, time
from pathlib import Path
from flows import run as program
from flows.pipeline import opened
from flows.server import reporting
from flows.turn import turn
from herdbook.params import read_params
begun = time.monotonic()
status = 0
with turn(Path.cwd()), opened(Path.cwd()) as pipeline:
    if any(map(pipeline.is_changed, pipeline.plan)):
        with reporting(Path.cwd()) as api:
            status = program._flow(pipeline, read_params(Path(sys.argv[1])), 2, api)
cost = {"cpu_seconds": round(time.process_time(), 1), "wall_seconds": round(time.monotonic() - begun, 1)}
print(json.dumps({"status": status, "stages": len(pipeline.stages), **cost}))
"""


def run(root: Path) -> dict:
    """Walk the project at `root` as a flow, in a process of its own; what it cost."""
    here = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(here / "params.yaml")], cwd=root, env={**os.environ, "PYTHONPATH": str(here)},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    cost = json.loads(done.stdout.splitlines()[-1])
    assert cost.pop("status") == 0, done.stdout
    return cost


def exponent(costs: list[dict], what: str) -> float:
    """The slope of log cost over log stages between the smallest and the largest graph."""
    first, last = costs[0], costs[-1]
    return round(math.log(last[what]["cpu_seconds"] / first[what]["cpu_seconds"]) / math.log(last["stages"] / first["stages"]), 2)


def project(folder: str, shape: tuple[int, int, int], name: str) -> Path:
    """A project of regimes x seeds x births, nothing run, with what a run reads at its end."""
    root = synthetic.build(Path(folder, name), *shape)
    (root / "reports").mkdir()
    (root / "reports/metrics.json").write_text("{}")
    write_json(root / VERDICT_RECORD, {"claims": [], "calibration_failed": []})
    write_calibrations(root)
    return root


def costs(folder: str) -> list[dict]:
    """A full run and one in which nothing has changed, at each size."""
    found = []
    for size, shape in SHAPES.items():
        root = project(folder, shape, str(size))
        full, nothing = run(root), run(root)
        found.append({"stages": full.pop("stages"), "full": full, "nothing_changed": {k: v for k, v in nothing.items() if k != "stages"}})
        print(found[-1], flush=True)
    return found


def serial(folder: str) -> dict:
    """Whether the flow leaves the lock of a serial `dvc repro`."""
    one, other = project(folder, SERIAL, "flow"), project(folder, SERIAL, "serial")
    stages = run(one)["stages"]
    synthetic.dvc(other, "repro", "-q")
    return {"stages": stages, "is_lock_identical": synthetic.lock_digest(one) == synthetic.lock_digest(other)}


def main() -> None:
    """Measure and write bench/walk.json; with --serial or --costs only that part of it."""
    found = read_json(FOUND) if FOUND.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        if "--serial" not in sys.argv:
            graphs = costs(folder)
            exponents = {what: exponent(graphs, what) for what in ("full", "nothing_changed")}
            found |= {"machine": machine(), "graphs": graphs, "growth_exponents": exponents}
        if "--costs" not in sys.argv:
            found["serial_repro"] = serial(folder)
    write_json(FOUND, found)


if __name__ == "__main__":
    main()
