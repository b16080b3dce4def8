"""How long Ctrl-C takes to end a run in which stages run, with what is finished recorded.

`python -m bench.interrupt` writes bench/interrupt.json: wall seconds from the signal to the end of the process, over
five runs of the miniature of the tests."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.machine import machine
from herdbook.files import write_json
from tests import miniature

RUNS = 5


def interrupted(root: Path) -> float:
    """Start a run, interrupt it when its founder has trained; the seconds that it took to end."""
    command = [sys.executable, "-m", "flows", "--jobs", "2"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ}) as process:
        assert process.stdout
        next(line for line in process.stdout if "train-founder" in line)
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        process.stdout.read()
        assert process.wait() == 130
        return time.monotonic() - begun


def main() -> None:
    """Measure and write bench/interrupt.json."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        miniature.build(root)
        seconds = []
        for number in range(RUNS):
            params = miniature.parameters()
            params["train"]["learning_rate"] = 0.001 * (number + 1)
            miniature.write_params(root, params)
            seconds.append(round(interrupted(root), 2))
            print(seconds[-1], flush=True)
    write_json(Path("bench/interrupt.json"), {"machine": machine(), "wall_seconds": seconds, "most": max(seconds)})


if __name__ == "__main__":
    main()
