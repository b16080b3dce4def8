"""Ways of doing one thing side by side: child processes that take turns, what each took, and how much that varied.

A child has imported all that it needs before its clock starts, as a stage has, which is a fork of a process that has (herdbook/warm.py);
the clock stops when its files stand. Ours runs in the environment of stages, with one thread; the others as their libraries come."""

import cProfile
import json
import os
import pstats
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from herdbook.numeric import PINS
from stages.__main__ import environment_of

ROOT = Path(__file__).parents[1]
ROUNDS, FEW_ROUNDS = 5, 3
LONG_SECONDS = 180  # of a round of all ways: then there are FEW_ROUNDS
OURS = "ours"
GROWTH_FROM = 10_000  # rows: what smaller sets cost is mostly the same for all
MEASURES = ("seconds", "cpu_seconds")

Figures = dict[str, Any]
Groups = Mapping[str, Sequence[tuple[str, str]]]  # name -> (end of a module's path, function)


def tell(work: Callable[[], object]) -> None:
    """In a child: do it, and print what it took since the clock started; peak memory is that of the whole process."""
    begun, used = time.perf_counter(), time.process_time()
    work()
    seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - used
    peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_memory_mib": int(peak) / 1024}))


def tell_profile(work: Callable[[], object], groups: Groups) -> None:
    """In a child: do it under cProfile, and print the share of its CPU time by group of functions, callees included.

    A function of a group may not call one of another; what no group has is `rest`."""
    profiler = cProfile.Profile(time.process_time)
    profiler.runcall(work)
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    total = sum(own for _, _, own, _, _ in stats.values())
    shares = {
        group: sum(
            found[3] for (path, _, name), found in stats.items() if any(path.endswith(end) and name == one for end, one in functions)
        )
        for group, functions in groups.items()
    }
    shares = {group: round(seconds / total, 3) for group, seconds in shares.items()}
    print(json.dumps({**dict(sorted(shares.items(), key=lambda one: -one[1])), "rest": round(1 - sum(shares.values()), 3)}))


def child(module: str, folder: Path, way: str, *words: str) -> Figures:
    """What `python -m MODULE --child WAY WORD...` tells, run in `folder`."""
    unpinned = {name: value for name, value in os.environ.items() if name not in PINS}
    environment = {**(environment_of(unpinned) if way.startswith(OURS) else unpinned), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-m", module, "--child", way, *words]
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def taken_turns(ways: Mapping[str, Callable[[], Figures]]) -> Figures:
    """What each way took over ROUNDS rounds, and the ratio of ours to each other in each round: median, least and most."""
    costs: dict[str, list[Figures]] = {way: [] for way in ways}
    begun, num_rounds, number = time.monotonic(), ROUNDS, 0
    while number < num_rounds:
        names = list(ways)[number % len(ways) :] + list(ways)[: number % len(ways)]  # none is always the first
        for way in names:
            costs[way].append(ways[way]())
        number += 1
        if number == 1 and time.monotonic() - begun > LONG_SECONDS:
            num_rounds = FEW_ROUNDS
    found: Figures = {"rounds": num_rounds}
    for way, runs in costs.items():
        found[way] = {measure: spread([run[measure] for run in runs]) for measure in MEASURES}
        found[way]["peak_memory_mib"] = round(max(run["peak_memory_mib"] for run in runs))
        if way != OURS:
            pairs = list(zip(costs[OURS], runs, strict=True))
            found[f"times_{way}"] = {measure: spread([ours[measure] / theirs[measure] for ours, theirs in pairs]) for measure in MEASURES}
    return found


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median, the least and the most, to four digits."""
    return {
        name: float(f"{one:.4g}") for name, one in (("median", statistics.median(values)), ("least", min(values)), ("most", max(values)))
    }


def exponent(costs: Mapping[int, float]) -> float:
    """The slope of log cost over log rows: least squares over all sizes."""
    slope, _ = np.polyfit(np.log(list(costs)), np.log(list(costs.values())), 1)
    return round(float(slope), 3)


def growth(sets: Mapping[str, Figures], ways: Sequence[str]) -> dict[str, float]:
    """The exponent of each way's CPU seconds, of what `taken_turns` found at the sizes from GROWTH_FROM on; of one size there is none."""
    large = {int(size): found for size, found in sets.items() if int(size) >= GROWTH_FROM}
    if len(large) < 2:
        return {}
    return {way: exponent({size: found[way]["cpu_seconds"]["median"] for size, found in large.items()}) for way in ways}
