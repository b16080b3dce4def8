"""Facts of the machine that a measurement was taken on."""

import os
import platform
from pathlib import Path


def machine() -> dict[str, str | int]:
    """Processor, cores, memory and Python; no host name and no path."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30),
        "python": platform.python_version(),
    }
