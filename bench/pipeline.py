"""The default pipeline, cold, each way in a fresh clone of this commit: the flow, plain `dvc repro`, and the stages alone.

`python -m bench.pipeline [flow] [dvc_repro in_one_process]` writes bench/pipeline.json: wall seconds of the flow on all cores, and,
side by side with a core each, of `dvc repro` and of the same stages one after another in one process, where their CPU seconds are
told by kind of stage; and whether each leaves the dvc.lock of its commit as it is (half an hour on two cores). What stages take
there, over the cores, is the least that a run could take."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from bench.machine import machine
from herdbook.files import digest, read_json, write_json
from stages.__main__ import environment_of

ROOT = Path(__file__).parents[1]
FOUND = Path("bench/pipeline.json")
STOPPED = 3  # the flow's exit status where a gate ended a lineage
FLOW, REPRO, ALONE = "flow", "dvc_repro", "in_one_process"
COMMANDS = {FLOW: ["-m", "flows"], REPRO: ["-m", "dvc", "repro"], ALONE: ["-m", "bench.pipeline", "--here"]}


class Run:
    """A run of one of COMMANDS in a fresh clone, on the cores given."""

    def __init__(self, name: str, folder: Path, cores: set[int]) -> None:
        self.name, self.cores, self.clone, self.log = name, cores, folder / name, folder / f"{name}.log"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(self.clone)], check=True)
        self.committed = digest(self.clone / "dvc.lock")
        self.environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        made = [sys.executable, "-m", "herdbook", "corpus"]
        subprocess.run(made, cwd=self.clone, env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        """Begin; the clock starts."""
        self.begun = time.monotonic()
        environment = environment_of(self.environment) if self.name == ALONE else self.environment
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *COMMANDS[self.name]], cwd=self.clone, env=environment, stdout=log, stderr=log,
                preexec_fn=lambda: os.sched_setaffinity(0, self.cores),
            )  # fmt: skip

    def end(self) -> dict[str, Any]:
        """Wait; what it took, and the digests of the lock before and after."""
        status = self.process.wait()
        seconds = time.monotonic() - self.begun
        assert status in (0, STOPPED), self.log.read_text()[-3000:]
        took = json.loads(self.log.read_text().splitlines()[-1]) if self.name == ALONE else {"wall_seconds": round(seconds)}
        on = {**machine(), "cores": len(self.cores)}
        return {**took, "committed_lock": self.committed, "dvc_lock": digest(self.clone / "dvc.lock"), "machine": on}


def stages_alone() -> None:
    """Run every stage in this process, in the working directory, and print what they took, less what DVC does between them."""
    from flows.pipeline import opened
    from stages.__main__ import preload, run_stage

    preload()
    wall, used = 0.0, defaultdict[str, float](float)
    with opened(Path.cwd()) as pipeline:
        for name in pipeline.plan:
            if not pipeline.is_changed(name):
                continue
            if pipeline.take(name):
                begun, before = time.monotonic(), time.process_time()
                assert run_stage(pipeline.command_of(name).split()[3:]) == 0, name
                wall += time.monotonic() - begun
                used[name.partition("@")[0]] += time.process_time() - before
            pipeline.record(name)
    kinds = {kind: round(seconds, 1) for kind, seconds in sorted(used.items(), key=lambda one: -one[1])}
    print(json.dumps({"wall_seconds": round(wall), "cpu_seconds": round(sum(used.values())), "cpu_seconds_by_stage": kinds}))


def main() -> None:
    """Measure and write bench/pipeline.json; with names of COMMANDS only those, beside what is known of the others."""
    found = read_json(FOUND) if FOUND.exists() else {}
    names, cores = sys.argv[1:] or list(COMMANDS), sorted(os.sched_getaffinity(0))
    assert len(cores) > 1, "one core: the two that run side by side would slow each other down"
    with tempfile.TemporaryDirectory() as folder:
        if FLOW in names:
            flow = Run(FLOW, Path(folder), set(cores))
            flow.start()
            found[FLOW] = flow.end()
        side_by_side = [Run(name, Path(folder), {core}) for name, core in zip((REPRO, ALONE), cores, strict=False) if name in names]
        for run in side_by_side:
            run.start()
        for run in side_by_side:
            found[run.name] = run.end()
    if COMMANDS.keys() <= found.keys():
        compare(found)
    write_json(FOUND, found)


def compare(found: dict[str, Any]) -> None:
    """Add the ratios of the three."""
    flow, repro, alone = (found[name] for name in COMMANDS)
    found["flow_over_dvc_repro"] = round(flow["wall_seconds"] / repro["wall_seconds"], 3)
    found["flow_over_limit"] = round(flow["wall_seconds"] / (alone["cpu_seconds"] / flow["machine"]["cores"]), 2)
    found["dvc_repro_over_stages"] = round(repro["wall_seconds"] / alone["wall_seconds"], 2)
    found["is_lock_unchanged"] = all(run["dvc_lock"] == run["committed_lock"] for run in (flow, repro, alone))


if __name__ == "__main__":
    stages_alone() if sys.argv[1:] == ["--here"] else main()
