"""What an audit and a trace cost on a herd made up at full size (tests/herd.py), each as a whole process.

`python -m bench.book` writes bench/book.json: seconds (on the wall and of CPU) and peak memory of the three levels of audit beside plain
hashing of the same bytes, and of the trace of one row; 20 generations of 100,000 rows, two of 100,000 and of
1,000,000 rows, and 5 to 40 generations of 10,000, with the exponents of growth with rows and with generations. Some minutes and
3 GB of disk; name shapes to take only those."""

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench.machine import machine
from herdbook.files import read_json, write_json
from tests import herd

BY_ROWS = ("2x100000", "2x1000000")
BY_GENERATIONS = ("5x10000", "10x10000", "20x10000", "40x10000")
DEFAULT = ("20x100000", *BY_ROWS, *BY_GENERATIONS)  # generations x rows of each
GROWING = ("audit_hashes", "audit_rows", "trace_of_a_row")
FOUND = Path("bench/book.json")
AUDIT = """
import json, sys
from pathlib import Path
from herdbook.audit import audit
from herdbook.snapshot import snapshot
with snapshot(Path.cwd()) as now:
    print(json.dumps({"num_findings": len(audit(now, sys.argv[1]).findings)}))
"""
PLAIN = """
import hashlib, json
from pathlib import Path
num_bytes = 0
for top in ("runs", "records", "book", "reports", "data", "expectations", "herdbook", "stages", "pretrained"):
    for path in sorted(Path(top).rglob("*")):
        if path.is_file():
            md5, sha256 = hashlib.md5(), hashlib.sha256()
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    md5.update(chunk)
                    sha256.update(chunk)
                    num_bytes += len(chunk)
            md5.hexdigest(), sha256.hexdigest()
print(json.dumps({"num_bytes": num_bytes}))
"""
PEAK = "\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
TRACE = "import sys; from herdbook.cli import app; app(['trace', sys.argv[1]], standalone_mode=False)"


def cost(root: Path, program: str, *words: str) -> dict[str, Any]:
    """What a python process took at `root`, from its start to its end, and what it told."""
    here = Path(__file__).parents[1]
    begun, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-P", "-c", program + PEAK, *words], cwd=root, env={**os.environ, "PYTHONPATH": str(here)},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    seconds, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    *said, peak_kib = done.stdout.splitlines()
    told = json.loads(said[-1]) if said and said[-1].startswith("{") else {}
    return {"seconds": round(seconds, 2), "cpu_seconds": round(cpu_seconds, 2), "peak_memory_mib": round(int(peak_kib) / 1024), **told}


def best(costs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run that was disturbed least."""
    return min(costs, key=lambda found: found["seconds"])


def measured(num_generations: int, num_rows: int) -> dict[str, Any]:
    """All measurements of one herd."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        herd.build(root, num_generations, num_rows)
        last = root / f"runs/{herd.REGIME}/s0/g{num_generations - 1}/offspring/rows.parquet"
        row = pq.read_table(last, columns=["id"])["id"][num_rows // 2].as_py()
        found: dict[str, Any] = {"num_generations": num_generations, "num_rows": num_rows}
        times = range(3 if num_rows < 1_000_000 else 1)  # long runs are disturbed less
        pairs = [(cost(root, PLAIN), cost(root, AUDIT, "hashes")) for _ in times]
        found["plain_hashing"], found["audit_hashes"] = (best(list(costs)) for costs in zip(*pairs, strict=True))
        found["hashes_to_plain"] = round(found["audit_hashes"]["seconds"] / found["plain_hashing"]["seconds"], 2)
        found["audit_records"] = best([cost(root, AUDIT, "records") for _ in times])
        found["trace_of_a_row"] = best([cost(root, TRACE, row) for _ in range(7)])  # short ones are disturbed more
        found["audit_rows"] = cost(root, AUDIT, "rows")
    assert not any(found[level]["num_findings"] for level in ("audit_records", "audit_hashes", "audit_rows"))
    return found


def exponents(herds: list[dict[str, Any]], by: str) -> dict[str, float]:
    """The slope of log seconds over the log of num_rows or num_generations, between the first herd and the last."""
    first, last = herds[0], herds[-1]
    return {what: round(math.log(last[what]["seconds"] / first[what]["seconds"]) / math.log(last[by] / first[by]), 2) for what in GROWING}


def main() -> None:
    """Measure and write bench/book.json."""
    found = read_json(FOUND) if FOUND.exists() else {}
    herds = found.get("herds", {})
    for name in sys.argv[1:] or DEFAULT:
        herds[name] = measured(*map(int, name.split("x")))
        print(name, herds[name], flush=True)
    found |= {"machine": machine(), "herds": herds}
    found["growth_exponents"] = {
        by: exponents([herds[name] for name in names], by)
        for by, names in (("num_rows", BY_ROWS), ("num_generations", BY_GENERATIONS))
        if herds.keys() >= set(names)
    }
    write_json(FOUND, found)


if __name__ == "__main__":
    main()
