"""The default pipeline, cold: the flow beside plain `dvc repro`, each in a fresh clone of this commit.

`python -m bench.pipeline` writes bench/pipeline.json: wall seconds of both, their ratio, and whether each leaves the dvc.lock of
its commit as it is (three quarters of an hour on two cores)."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.machine import machine
from herdbook.files import digest, read_json, write_json

ROOT = Path(__file__).parents[1]
FOUND = Path("bench/pipeline.json")
STOPPED = 3  # the flow's exit status where a gate ended a lineage
COMMANDS = {"flow": ["-m", "flows"], "dvc_repro": ["-m", "dvc", "repro"]}


def cold(name: str, folder: Path) -> dict:
    """Run one of COMMANDS in a fresh clone; its wall time, the digests of the lock before and after, and the cores that it might use."""
    clone = folder / name
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    committed = digest(clone / "dvc.lock")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-m", "herdbook", "corpus"], cwd=clone, env=environment, check=True, stdout=subprocess.DEVNULL)
    begun = time.monotonic()
    with (folder / f"{name}.log").open("w") as log:
        done = subprocess.run([sys.executable, *COMMANDS[name]], cwd=clone, env=environment, stdout=log, stderr=log, check=False)
    seconds = time.monotonic() - begun
    assert done.returncode in (0, STOPPED), (folder / f"{name}.log").read_text()[-3000:]
    return {"wall_seconds": round(seconds), "committed_lock": committed, "dvc_lock": digest(clone / "dvc.lock"), "machine": machine()}


def main() -> None:
    """Measure and write bench/pipeline.json; with the name of one of COMMANDS only that, beside what is known of the other."""
    found = read_json(FOUND) if FOUND.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or COMMANDS:
            found[name] = cold(name, Path(folder))
            print(name, found[name], flush=True)
    if COMMANDS.keys() <= found.keys():
        flow, repro = (found[name] for name in COMMANDS)
        found["flow_over_dvc_repro"] = round(flow["wall_seconds"] / repro["wall_seconds"], 3)
        found["is_lock_unchanged"] = all(run["dvc_lock"] == run["committed_lock"] for run in (flow, repro))
    write_json(FOUND, found)


if __name__ == "__main__":
    main()
