"""The inspection of a set beside the same checks and measures written in pandas and in polars, from reading the rows to the verdict.

`python -m bench.validate [--sizes 1000 ...] [--kinds training offspring] [--others pandas polars]` writes bench/validate.json: seconds
and CPU seconds of the stage (stages/validate.py) and of bench/by_pandas.py and bench/by_polars.py in turn, peak memory, where the
stage's time goes, and the exponent of growth from 10,000 rows on. Before anything is timed, the three must have found the same profile,
verdicts and digests."""

import argparse
import contextlib
import importlib
import itertools
import json
import math
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from bench import made
from bench.by_hand import Given
from bench.machine import machine
from bench.rounds import OURS, Groups, child, growth, taken_turns, tell, tell_profile
from herdbook.files import read_json, read_table, write_json
from herdbook.layout import BASE_MODEL, HUMAN_HELD_OUT_DOCUMENTS, HUMAN_PROFILE, HUMAN_TRAIN_DOCUMENTS, PARAMS
from herdbook.schema import CORPUS

FOUND = Path("bench/validate.json")
SIZES = (1_000, 10_000, 100_000, 1_000_000)
PROFILED = 100_000
KINDS = ("training", "offspring")
PLACE = made.PARENT
OTHERS = ("pandas", "polars")
GROUPS: Groups = {
    "text encoded anew": [("herdbook/profile.py", "_is_broken")],
    "runs of words shared with people's text": [("herdbook/profile.py", "_overlap")],
    "Great Expectations": [("herdbook/gate.py", "evaluate")],
    "diversity and repetition of 2,000 rows": [("herdbook/profile.py", "_diversity"), ("herdbook/profile.py", "_redundancy")],
    "reading": [("herdbook/files.py", "read_table")],
    "scores and ancestry": [("herdbook/profile.py", "_likelihood"), ("herdbook/profile.py", "_ancestry")],
    "digests": [("herdbook/receipt.py", "make_receipt")],
}


def given(kind: str) -> Given:
    """What the inspections by hand have before they look at rows."""
    from herdbook.amounts import rows_at
    from herdbook.params import read_params
    from herdbook.policy import read_policy, resolve
    from herdbook.receipt import policy_paths, training_data
    from herdbook.reference import read_reference
    from herdbook.tokenizer import load_tokenizer

    params, reference, tokenizer = read_params(PARAMS), read_reference(PLACE), load_tokenizer(BASE_MODEL)
    target = rows_at(params.regimes[PLACE.regime].recipe.num_rows, PLACE.number) if kind == "offspring" else None
    assert reference.held_out_nll is not None
    known = read_json(HUMAN_PROFILE if kind == "training" else PLACE.profile("training"))
    named = {f"{'human' if kind == 'training' else 'parent'}_{name}": value for name, value in known.items()} | {"target_rows": target}
    bounds = []
    for rule in read_policy(policy_paths(kind)[1]).rules:
        arguments, _ = resolve(rule, named)
        bounds += [(arguments["column"], side, arguments[f"{side}_value"]) for side in ("min", "max") if f"{side}_value" in arguments]
    return Given(
        kind=kind, data=training_data(PLACE) if kind == "training" else {"rows": PLACE.curated / "rows.parquet"}, bounds=bounds,
        tokenizer=tokenizer.core, mark=tokenizer.mark, rare=reference.rare, held_out_nll=reference.held_out_nll, target_rows=target,
        num_measured=params.profile.num_rows, jaccard=params.profile.near_duplicate_jaccard,
    )  # fmt: skip


def inspect(way: str, kind: str) -> None:
    """In a child: inspect the set of the working directory, and tell what it took."""
    if way.startswith(OURS):
        from stages import __main__ as stages

        for name in (*stages.PRELOADED, "stages.validate", "herdbook.gate"):
            importlib.import_module(name)
        work = partial(sys.modules["stages.validate"].main, [kind, PLACE.regime, PLACE.seed, PLACE.generation])
        tell_profile(work, GROUPS) if way.endswith("profile") else tell(work)
        return
    importlib.import_module("scipy.stats")
    module = importlib.import_module(f"bench.by_{way}")
    what = given(kind)
    known = [
        module.known_ngrams(read_table(path, CORPUS)["text"].to_pylist()) for path in (HUMAN_HELD_OUT_DOCUMENTS, HUMAN_TRAIN_DOCUMENTS)
    ]
    tell(lambda: write_json(Path(f"{way}.json"), module.inspect(what, *known)))


def agree(kind: str, way: str) -> None:
    """Fail unless the other way found what the stage did."""
    figures, receipt, other = read_json(PLACE.profile(kind)), read_json(PLACE.receipt(kind)), read_json(Path(f"{way}.json"))
    assert figures.keys() == other["figures"].keys(), figures.keys() ^ other["figures"].keys()
    apart = {name: (value, other["figures"][name]) for name, value in figures.items() if not alike(value, other["figures"][name])}
    assert not apart, f"{way}: {apart}"
    verdicts = {f"{rule['column']}: {rule['rule']}": rule["status"] == "passed" for rule in receipt["rules"]}
    assert verdicts == other["verdicts"], f"{way}: {set(verdicts.items()) ^ set(other['verdicts'].items())}"
    assert receipt["data"] == other["digests"]


def alike(one: float | None, other: float | None) -> bool:
    """Whether two figures are equal, but for the rounding of a record."""
    return one == other or (one is not None and other is not None and math.isclose(one, other, rel_tol=1e-8, abs_tol=1e-12))


def measured(num_rows: int, kinds: list[str], others: list[str]) -> dict[str, Any]:
    """All measurements of one size."""
    found: dict[str, Any] = {"num_rows": num_rows}
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        made.build("validate", num_rows)
        folder = Path(name)
        for kind in kinds:
            ways = {way: partial(child, "bench.validate", folder, way, kind) for way in (OURS, *others)}
            for way in ways:
                ways[way]()
                if way != OURS:
                    agree(kind, way)
            found[kind] = taken_turns(ways)
            if num_rows == PROFILED:
                found[kind]["where_the_time_goes"] = child("bench.validate", folder, f"{OURS} profile", kind)
            print(num_rows, kind, json.dumps(found[kind]), flush=True)
    return found


def main() -> None:
    """Measure and write bench/validate.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--others", nargs="+", default=OTHERS, choices=OTHERS)
    parser.add_argument("--child", nargs=2, metavar=("WAY", "KIND"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        inspect(*args.child)
        return
    sets = read_json(FOUND)["sets"] if FOUND.exists() else {}
    for size in args.sizes:
        sets[str(size)] = {**sets.get(str(size), {}), **measured(size, args.kinds, args.others)}
    growths: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    for kind, way in itertools.product(KINDS, (OURS, *OTHERS)):
        growths[kind] |= growth({size: one[kind] for size, one in sets.items() if way in one.get(kind, {})}, (way,))
    write_json(FOUND, {"machine": machine(), "sets": sets, "growth_exponents": growths})


if __name__ == "__main__":
    main()
