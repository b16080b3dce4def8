"""The default pipeline, cold: the flow beside plain `dvc repro`, each in a fresh clone of this commit.

`python -m bench.pipeline` writes bench/pipeline.json: wall seconds of both, their ratio, and whether both leave
dvc.lock as it is committed (about an hour on two cores)."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.machine import machine
from herdbook.files import digest, write_json

ROOT = Path(__file__).parents[1]
COMMANDS = {"flow": ["-m", "flows"], "dvc_repro": ["-m", "dvc", "repro"]}


def cold(name: str, folder: Path) -> dict:
    """Run one of COMMANDS in a fresh clone; its wall time and whether the lock is unchanged."""
    clone = folder / name
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-m", "herdbook", "corpus"], cwd=clone, env=environment, check=True, stdout=subprocess.DEVNULL)
    begun = time.monotonic()
    with (folder / f"{name}.log").open("w") as log:
        done = subprocess.run([sys.executable, *COMMANDS[name]], cwd=clone, env=environment, stdout=log, stderr=log, check=False)
    seconds = time.monotonic() - begun
    assert done.returncode == 0, (folder / f"{name}.log").read_text()[-3000:]
    return {"wall_seconds": round(seconds), "is_lock_unchanged": digest(clone / "dvc.lock") == digest(ROOT / "dvc.lock")}


def main() -> None:
    """Measure and write bench/pipeline.json."""
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for name in COMMANDS:
            found[name] = cold(name, Path(folder))
            print(name, found[name], flush=True)
    ratio = round(found["flow"]["wall_seconds"] / found["dvc_repro"]["wall_seconds"], 3)
    write_json(Path("bench/pipeline.json"), {"machine": machine(), **found, "flow_over_dvc_repro": ratio})


if __name__ == "__main__":
    main()
