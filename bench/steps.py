"""Curating with one step of a recipe beside the same written in polars, from reading the offspring to kept and rejected rows on disk.

`python -m bench.steps [--sizes 10000 ...] [--steps exact_duplicate ...]` writes bench/steps.json: seconds and CPU seconds of the stage
(stages/curate.py) and of bench/steps_by_polars.py in turn, peak memory, where the stage's time goes, and exponents of growth. Before
they are timed, exact_duplicate and decontaminate must have rejected the same rows; near_duplicate, whose candidates are a matter of
chance in both, all but LEAST_SHARED of them. bench/curate.py has near_duplicate beside libraries made for it, datatrove among them."""

import argparse
import contextlib
import importlib
import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench import made
from bench.curate import CONTAMINATION, JACCARD, NUM_PERMUTATIONS
from bench.machine import machine
from bench.rounds import OURS, Groups, child, growth, taken_turns, tell, tell_profile
from herdbook.files import read_json, write_json

FOUND = Path("bench/steps.json")
SIZES = (10_000, 100_000, 1_000_000)
PROFILED = 100_000
LEAST_SHARED = 0.98  # of what either rejects: both find about this share of the pairs at JACCARD, and more of others
STEPS: dict[str, dict[str, Any]] = {
    "exact_duplicate": {},
    "near_duplicate": {"jaccard": JACCARD, "method": "minhash", "num_permutations": NUM_PERMUTATIONS},
    "decontaminate": CONTAMINATION,
}
GROUPS: dict[str, Groups] = {
    "exact_duplicate": {},
    "near_duplicate": {
        "sketches of shingles": [("herdbook/minhash.py", "_candidates")],
        "comparing": [("herdbook/duplicates.py", "near_duplicates")],
    },
    "decontaminate": {
        "words": [("herdbook/words.py", "hashed_words")],
        "runs of 13 words": [("herdbook/words.py", "owners_of_any")],
        "runs of 7 words": [("herdbook/steps/contamination.py", "ratios_of")],
    },
}  # fmt: skip
ALL_GROUPS: Groups = {
    "reading": [("herdbook/files.py", "read_table")],
    "writing": [("herdbook/files.py", "write_table")],
    "every row accounted for": [("herdbook/recipe.py", "_changes")],
}


def recipe(step: str) -> list[dict[str, Any]]:
    """The recipe of this step alone."""
    return [{"name": step, **STEPS[step]}]


def curate(way: str, step: str) -> None:
    """In a child: curate the offspring of the working directory, and tell what it took."""
    if not way.startswith(OURS):
        importlib.import_module("polars")
        tell(partial(importlib.import_module("bench.steps_by_polars").curate, step, STEPS[step]))
        return
    from stages import __main__ as stages

    for name in (*stages.PRELOADED, "rensa", "stages.curate"):
        importlib.import_module(name)
    work = partial(sys.modules["stages.curate"].main, [made.REGIME, made.PARENT.seed, made.PARENT.generation])
    tell_profile(work, {**GROUPS[step], **ALL_GROUPS}) if way.endswith("profile") else tell(work)


def shared(step: str) -> float:
    """The share of the rows that either way rejected which both did; fails where it is too small, or a row was lost."""
    found = []
    for folder in (made.PARENT.curated, Path("theirs")):
        kept, rejected = (set(pq.read_table(folder / f"{name}.parquet", columns=["id"])["id"].to_pylist()) for name in ("rows", "rejected"))
        assert not kept & rejected
        found.append((kept, rejected))
    assert found[0][0] | found[0][1] == found[1][0] | found[1][1], "a row was lost"
    either = found[0][1] | found[1][1]
    share = len(found[0][1] & found[1][1]) / len(either)
    assert either, "nothing was rejected"
    assert share >= (LEAST_SHARED if step == "near_duplicate" else 1), f"{step}: {share}"
    return round(share, 4)


def measured(num_rows: int, step: str) -> dict[str, Any]:
    """All measurements of one step on one size."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        made.build("curate", num_rows, recipe(step))
        ways = {way: partial(child, "bench.steps", Path(name), way, step) for way in (OURS, "polars")}
        for way in ways.values():
            way()
        found = {"num_rejected": sum(read_json(made.PARENT.counts)["rejected"].values()), "share_rejected_by_both": shared(step)}
        found |= taken_turns(ways)
        if num_rows == PROFILED:
            found["where_the_time_goes"] = child("bench.steps", Path(name), f"{OURS} profile", step)
    print(num_rows, step, json.dumps(found), flush=True)
    return found


def main() -> None:
    """Measure and write bench/steps.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=STEPS)
    parser.add_argument("--child", nargs=2, metavar=("WAY", "STEP"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        curate(*args.child)
        return
    sets = read_json(FOUND)["sets"] if FOUND.exists() else {}
    for size in args.sizes:
        for step in args.steps:
            sets.setdefault(str(size), {"num_rows": size})[step] = measured(size, step)
    growths = {step: growth({size: one[step] for size, one in sets.items() if step in one}, (OURS, "polars")) for step in STEPS}
    write_json(FOUND, {"machine": machine(), "steps": STEPS, "sets": sets, "growth_exponents": growths})


if __name__ == "__main__":
    main()
