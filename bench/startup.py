"""What a stage costs beyond its own work: cold, and as a fork of the preloaded process.

`python -m bench.startup` writes bench/startup.json, in CPU seconds: the imports of a stage that starts cold; what the
preloaded process costs once; and a stage that ends at once (its place does not exist) as a fork of it, caller
included, the median of 20."""

import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

from bench.machine import machine
from herdbook.files import write_json
from herdbook.warm import socket_path

WARM_CALLS = 20
NOTHING = ("-m", "stages", "adopt", "nobody", "s0")
_TICKS = os.sysconf("SC_CLK_TCK")
# What the launcher preloads, imported by a stage that starts cold.
IMPORTS = (
    "import torch, transformers.models.llama.modeling_llama, great_expectations.expectations.core, pandas, pyarrow.parquet, tokenizers"
)


def children_seconds() -> float:
    """CPU seconds of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cost(*words: str) -> float:
    """CPU seconds of a Python process and its children, however it ends."""
    before = children_seconds()
    subprocess.run([sys.executable, *words], env={**os.environ, "HERDBOOK_COLD": ""}, check=False, stderr=subprocess.DEVNULL)
    return children_seconds() - before


def server_seconds(pid: int) -> float:
    """CPU seconds of the preloaded process and of the forks that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def server_pid() -> int:
    """The process that listens at the socket of this checkout."""
    import socket
    import struct

    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(socket_path(Path.cwd())))
        return struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[0]


def main() -> None:
    """Measure and write bench/startup.json."""
    imports = cost("-c", IMPORTS)
    cost(*NOTHING)
    pid = server_pid()
    once, calls = server_seconds(pid), []
    for _ in range(WARM_CALLS):
        before = server_seconds(pid)
        calls.append(cost(*NOTHING) + server_seconds(pid) - before)
    found = {
        "imports_of_a_cold_stage_cpu_seconds": round(imports, 2),
        "preloaded_process_once_cpu_seconds": round(once, 2),
        "empty_stage_warm_cpu_seconds": round(statistics.median(calls), 3),
    }
    print(found, flush=True)
    write_json(Path("bench/startup.json"), {"machine": machine(), **found})


if __name__ == "__main__":
    main()
