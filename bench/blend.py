"""Blending a training set beside the same written in polars: receipts checked, three sources drawn from and mixed, rows and pool written.

`python -m bench.blend [--sizes 10000 ...]` writes bench/blend.json: seconds and CPU seconds of the stage (stages/blend.py) and of `mixed`
in turn, peak memory, where the stage's time goes, and the exponent of growth. Each source has as many rows as the training set; half of
it is of the last offspring, four tenths of the pool before, a tenth of people. Both must have written the same rows before timing."""

import argparse
import contextlib
import hashlib
import importlib
import json
import math
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from bench import made
from bench.machine import machine
from bench.rounds import OURS, Groups, child, growth, taken_turns, tell, tell_profile
from herdbook.files import read_json, write_json
from herdbook.layout import HUMAN_RECEIPT, HUMAN_TRAIN
from herdbook.numeric import seed_of

if TYPE_CHECKING:
    import polars as pl

FOUND = Path("bench/blend.json")
SIZES = (10_000, 100_000, 1_000_000)
PROFILED = 100_000
THEIRS = Path("theirs")
GROUPS: Groups = {
    "digests": [("herdbook/files.py", "digest")],
    "reading": [("herdbook/files.py", "read_table")],
    "scores of human rows": [("herdbook/training_set.py", "scored")],
    "drawing and mixing": [("herdbook/regimes.py", "mix")],
    "composition and depth": [("herdbook/regimes.py", "composition"), ("herdbook/regimes.py", "mean_depth")],
    "writing": [("herdbook/files.py", "write_table")],
}


def mixed() -> None:
    """Blend made.CHILD in polars, into THEIRS."""
    import polars as pl

    parent, generator = made.PARENT, np.random.Generator(np.random.PCG64(seed_of("blend", made.CHILD.seed, made.CHILD.generation)))
    paths = {"offspring": parent.curated / "rows.parquet", "previous": parent.training / "pool.parquet", "human": HUMAN_TRAIN}
    digests = {role: checked(path) for role, path in paths.items()}
    for path in (parent.training / "rows.parquet", parent.training / "making.json"):
        checked(path)
    scores = pl.read_parquet(parent.founder.human_nll, columns=["id", "nll_nats"])
    human = pl.read_parquet(HUMAN_TRAIN)
    human = human.drop("nll_nats").join(scores, on="id", how="left", maintain_order="left").select(human.columns)
    pool = pl.concat([drawn(pl.read_parquet(paths[role]), made.WEIGHTS[role], generator) for role in ("offspring", "previous")])
    fresh = human.join(pool, on="id", how="anti", maintain_order="left")
    picked = np.sort(generator.choice(fresh.height, round(made.WEIGHTS["human"] * human.height), replace=False))
    pool = pl.concat([pool, fresh[picked]])
    rows = pool.with_columns(pl.lit(0, pl.Int32).alias("pass"))
    THEIRS.mkdir(exist_ok=True)
    for name, table in (("rows", rows), ("pool", pool)):
        table.write_parquet(THEIRS / f"{name}.parquet", compression="zstd", compression_level=1, statistics=False, row_group_size=1 << 13)
    origin = pl.when(pl.col("model").is_null()).then(pl.lit("human")).otherwise(pl.format("g{}", "generation"))
    counts = rows.group_by(origin.alias("origin")).agg(rows=pl.len(), tokens=pl.col("num_tokens").cast(pl.Int64).sum())
    depth = rows.select((pl.col("depth") * pl.col("num_tokens")).sum() / pl.col("num_tokens").sum()).item()
    composition = {origin: {"rows": count, "tokens": tokens} for origin, count, tokens in counts.iter_rows()}
    write_json(THEIRS / "making.json", {"composition": composition, "depth": depth, "parents": digests})


def drawn(rows: "pl.DataFrame", share: float, generator: np.random.Generator) -> "pl.DataFrame":
    """A share of the rows, in their order."""
    return rows[np.sort(generator.choice(rows.height, round(share * rows.height), replace=False))]


def checked(path: Path) -> str:
    """The sha256 of a file that some receipt is about."""
    receipts = (HUMAN_RECEIPT, *(made.PARENT.receipt(kind) for kind in ("offspring", "training")))
    known = {digest for receipt in receipts for digest in json.loads(receipt.read_text())["data"].values()}
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    assert found in known, f"{path} was not inspected"
    return found


def blend(way: str) -> None:
    """In a child: blend in the working directory, and tell what it took."""
    if not way.startswith(OURS):
        importlib.import_module("polars")
        tell(mixed)
        return
    from stages import __main__ as stages

    for name in (*stages.PRELOADED, "stages.blend"):
        importlib.import_module(name)
    work = partial(sys.modules["stages.blend"].main, [made.REGIME, made.CHILD.seed, made.PARENT.generation, made.CHILD.generation])
    tell_profile(work, GROUPS) if way.endswith("profile") else tell(work)


def agree() -> None:
    """Fail unless both wrote the same."""
    for name in ("rows", "pool"):
        ours, theirs = (pq.read_table(folder / f"{name}.parquet") for folder in (made.CHILD.training, THEIRS))
        assert theirs.select(ours.column_names).cast(ours.schema).equals(ours), name
    ours, theirs = (read_json(folder / "making.json") for folder in (made.CHILD.training, THEIRS))
    assert ours["composition"] == theirs["composition"]
    assert {parent["role"]: parent["digest"] for parent in ours["parents"]} == theirs["parents"]
    assert math.isclose(ours["depth"], theirs["depth"], rel_tol=1e-9)


def measured(num_rows: int) -> dict[str, Any]:
    """All measurements of one size."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        made.build("blend", num_rows)
        ways = {way: partial(child, "bench.blend", Path(name), way) for way in (OURS, "polars")}
        for way in ways.values():
            way()
        agree()
        found = {"num_rows": num_rows, **taken_turns(ways)}
        if num_rows == PROFILED:
            found["where_the_time_goes"] = child("bench.blend", Path(name), f"{OURS} profile")
    print(json.dumps(found), flush=True)
    return found


def main() -> None:
    """Measure and write bench/blend.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--child", metavar="WAY", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        blend(args.child)
        return
    sets = read_json(FOUND)["sets"] if FOUND.exists() else {}
    for size in args.sizes:
        sets[str(size)] = measured(size)
    write_json(FOUND, {"machine": machine(), "sets": sets, "growth_exponents": growth(sets, (OURS, "polars"))})


if __name__ == "__main__":
    main()
