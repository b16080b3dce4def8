"""What it costs to remove near-duplicates and tested text from large sets, how much of what was planted is found, and others beside.

`python -m bench.curate [--sizes 10000 100000 1000000] [--peers PYTHON]` writes bench/curate.json: whole processes, from reading
a parquet file to the numbers of the rejected rows. PYTHON is an interpreter that has (some of) the other libraries, which
get the same bands. Rows are 64 words of a Zipf vocabulary; a twentieth nearly repeat an earlier row, a hundredth
held-out text, and as many fall just short of either. A process is ended after LIMIT_SECONDS; another library is not even
started where it would take longer in proportion to the set before."""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.machine import machine
from herdbook.duplicates import SHINGLE_WORDS, ngrams_of
from herdbook.files import read_json, write_json
from herdbook.minhash import bands, found_share
from herdbook.numeric import pinned

FOUND = Path("bench/curate.json")
SIZES = (10_000, 100_000, 1_000_000)
LIMIT_SECONDS = 900
ROW_WORDS, DOCUMENT_WORDS = 64, 300
NUM_WORDS = 50_000  # of the vocabulary
JACCARD, NUM_PERMUTATIONS = 0.8, 128
CONTAMINATION = {"common_documents": 10, "contaminated_ratio": 0.4, "partial_ratio": 0.1, "drop_partial": False}
STEPS = {  # name -> module, class, settings
    "minhash": ("duplicates", "NearDuplicate", {"jaccard": JACCARD, "method": "minhash", "num_permutations": NUM_PERMUTATIONS}),
    "exact": ("duplicates", "NearDuplicate", {"jaccard": JACCARD}),
    "decontaminate": ("contamination", "Decontaminate", CONTAMINATION),
}
OURS = """
import json, sys
from importlib import import_module
from types import SimpleNamespace
import numpy as np
import pyarrow.parquet as pq
module, name, settings = json.loads(sys.argv[1])
step = getattr(import_module(f"herdbook.steps.{module}"), name)(**settings)
known = {name: pq.read_table(f"{name}.parquet") for name in ("held_out", "human") if name in step.needs}
material = SimpleNamespace(benchmarks=[], human=known.get("human"), held_out="held_out" in known and known["held_out"]["text"].to_pylist())
outcome = step.apply(pq.read_table("rows.parquet"), material)
np.save("found.npy", outcome.rejected["id"].to_numpy().astype(np.int64))
"""
OPENING = f"""
import sys
import numpy as np
import pyarrow.parquet as pq
NUM_BANDS, LENGTH = map(int, sys.argv[1:])
def texts():
    for batch in pq.ParquetFile("rows.parquet").iter_batches(10_000, columns=["text"]):
        yield from batch["text"].to_pylist()
def shingles(text):
    words = text.split()
    return [" ".join(words[place : place + {SHINGLE_WORDS}]) for place in range(len(words) - {SHINGLE_WORDS - 1})]
"""
PEERS = {  # package -> what does the job as its documentation says
    "rensa": """
from rensa import RMinHashDeduplicator
shelf = RMinHashDeduplicator(0.8, NUM_BANDS * LENGTH, use_lsh=True, num_bands=NUM_BANDS, seed=0)
is_kept = shelf.add_pairs((str(number), shingles(text)) for number, text in enumerate(texts()))
np.save("found.npy", np.flatnonzero(~np.array(is_kept)))
""",
    "datasketch": """
from datasketch import MinHash, MinHashLSH
shelf, found = MinHashLSH(0.8, num_perm=NUM_BANDS * LENGTH, params=(NUM_BANDS, LENGTH)), []
for number, text in enumerate(texts()):
    sketch = MinHash(NUM_BANDS * LENGTH, seed=1)
    sketch.update_batch([shingle.encode() for shingle in shingles(text)])
    if shelf.query(sketch):
        found.append(number)
    else:
        shelf.insert(number, sketch, check_duplication=False)
np.save("found.npy", np.array(found, dtype=np.int64))
""",
    "datatrove": """
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import minhash
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter
from datatrove.utils.word_tokenizers import WhitespaceTokenizer
how, reader = minhash.MinhashConfig(3, NUM_BANDS, LENGTH), ParquetReader(".", glob_pattern="rows.parquet")
def run(tasks, *steps):
    LocalPipelineExecutor(list(steps), tasks=tasks, workers=1).run()
run(1, reader, minhash.MinhashDedupSignature("signatures", how, WhitespaceTokenizer()))
run(NUM_BANDS, minhash.MinhashDedupBuckets("signatures", "buckets", config=how))
run(1, minhash.MinhashDedupCluster("buckets", "removed", how))
run(1, reader, minhash.MinhashDedupFilter("removed"), ParquetWriter("kept"))
kept = np.sort(pq.read_table("kept", columns=["id"])["id"].to_numpy().astype(np.int64))
np.save("found.npy", np.setdiff1d(np.arange(pq.read_metadata("rows.parquet").num_rows), kept))
""",
    "text-dedup": """
from datasets import load_from_disk
from text_dedup.minhash import main
words = {"path": "parquet", "data_files": "rows.parquet", "split": "train", "cache_dir": "cache", "output": "kept", "column": "text",
         "ngram": 3, "num_perm": NUM_BANDS * LENGTH, "b": NUM_BANDS, "r": LENGTH, "hash_func": "xxh3", "num_proc": 1, "threshold": 0.8}
main([word for name, value in words.items() for word in (f"--{name}", str(value))], standalone_mode=False)
kept = np.array(load_from_disk("kept")["id"][:]).astype(np.int64)
np.save("found.npy", np.setdiff1d(np.arange(pq.read_metadata("rows.parquet").num_rows), kept))
""",
}
PEAK = "\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
VERSION = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"

Ids = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Planted:
    """What a set of rows holds by design."""

    pairs: Ids  # shape (num_pairs, 2): an earlier row, and one made from it
    similarity: NDArray[np.float64]  # of each pair
    contaminated: Ids


def vocabulary() -> NDArray[np.str_]:
    """Words of one to three syllables, the shortest first."""
    syllables = [consonant + vowel for consonant in "bcdfghjklmnprstvwxyz" for vowel in "aeiou"]
    return np.array([*syllables, *(a + b for a in syllables for b in syllables), *(a + b + c for a in syllables for b in syllables
                     for c in syllables[:4])])[:NUM_WORDS]  # fmt: skip


def drawn(generator: np.random.Generator, *shape: int) -> Ids:
    """Numbers of words, the n-th in proportion to 1 / n."""
    shares = np.cumsum(1 / np.arange(1, NUM_WORDS + 1))
    return np.searchsorted(shares, generator.random(shape) * shares[-1])


def altered(generator: np.random.Generator, words: Ids) -> Ids:
    """The row with some other words: of 62 shingles one to nine are lost."""
    found, many = words.copy(), int(generator.integers(1, 10))
    if generator.random() < 0.5:
        found[:many] = drawn(generator, many)  # those of the beginning: one shingle a word
    else:
        found[generator.choice(np.arange(2, 62, 5), many // 3, replace=False)] = drawn(generator, many // 3)  # three a word
    return np.roll(found, -many)


def contaminated(generator: np.random.Generator, words: Ids, held_out: Ids, kind: int) -> Ids:
    """The row with 9 or 13 words of a held-out document, or 64 of which every 13th is another: three 7-grams, a 13-gram, six of 13."""
    document = held_out[generator.integers(len(held_out))]
    start, place = generator.integers(DOCUMENT_WORDS - ROW_WORDS), generator.integers(ROW_WORDS - 13)
    found = words.copy()
    if kind < 2:
        length = (9, 13)[kind]
        found[place : place + length] = document[start : start + length]
    else:
        found[:] = document[start : start + ROW_WORDS]
        found[6::13] = drawn(generator, len(found[6::13]))
    return found


def written(words: Ids) -> pa.Table:
    """A table of texts."""
    names = vocabulary()
    texts = [" ".join(names[row].tolist()) for row in words]
    ids = list(map(str, range(len(texts))))
    return pa.table({"id": ids, "document": ids, "text": texts})


def build(folder: Path, num_rows: int) -> Planted:
    """Write the rows, the held-out documents and human rows, and tell what is planted in them."""
    generator = np.random.default_rng(num_rows)
    words, held_out = drawn(generator, num_rows, ROW_WORDS), drawn(generator, 1_000, DOCUMENT_WORDS)
    order = generator.permutation(num_rows)
    pairs = np.sort(order[: num_rows // 5].reshape(-1, 2), axis=1)  # a tenth are made from others: half of them too unlike
    for first, second in pairs:
        words[second] = altered(generator, words[first])
    places = order[-num_rows // 50 :]
    kinds = generator.choice(3, len(places), p=(0.5, 0.25, 0.25))
    for place, kind in zip(places, kinds, strict=True):
        words[place] = contaminated(generator, words[place], held_out, kind)
    rows = written(words)
    texts = rows["text"].to_pylist()
    similarity = np.array([similar(texts[first], texts[second]) for first, second in pairs])
    pq.write_table(rows, folder / "rows.parquet")
    pq.write_table(written(held_out), folder / "held_out.parquet")
    pq.write_table(written(drawn(generator, 20_000, ROW_WORDS)), folder / "human.parquet")
    return Planted(pairs=pairs, similarity=similarity, contaminated=places[kinds > 0])


def similar(one: str, other: str) -> float:
    """The Jaccard similarity of two texts, as herdbook/duplicates.py has it."""
    ours, theirs = ngrams_of([one], SHINGLE_WORDS), ngrams_of([other], SHINGLE_WORDS)
    num_shared = len(np.intersect1d(ours, theirs))
    return num_shared / (len(ours) + len(theirs) - num_shared)


def cost(folder: Path, python: str, program: str, *words: str) -> dict[str, Any]:
    """What a python process took in `folder`, from its start to its end."""
    begun, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**pinned(dict(os.environ)), "PYTHONPATH": str(Path(__file__).parents[1])}  # as stages run
    (folder / "found.npy").unlink(missing_ok=True)
    try:
        done = subprocess.run([python, "-P", "-c", program + PEAK, *words], cwd=folder, env=environment, capture_output=True,
                              text=True, check=True, timeout=LIMIT_SECONDS)  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"over_seconds": LIMIT_SECONDS}
    except subprocess.CalledProcessError as error:
        return {"failed": (error.stderr.splitlines() or [str(error)])[-1]}
    seconds, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    peak_kib = int(done.stdout.splitlines()[-1])
    return {"seconds": round(seconds, 2), "cpu_seconds": round(cpu_seconds, 2), "peak_memory_mib": round(peak_kib / 1024)}


def scored(folder: Path, took: dict[str, Any], truth: Ids) -> dict[str, Any]:
    """The cost, and what was found of the truth: groups of rows, one in each line, of each of which one row is to be rejected.

    Some libraries reject the earlier row of a pair; whoever rejects both is wrong once."""
    if not (folder / "found.npy").exists():
        return took
    found = np.load(folder / "found.npy")
    num_true = int(np.isin(truth, found).any(axis=1).sum())
    return {**took, "num_rejected": len(found), "recall": round(num_true / len(truth), 4),
            "precision": round(num_true / max(len(found), 1), 4)}  # fmt: skip


def measured(num_rows: int, peers: str | None, smaller: dict[str, Any]) -> dict[str, Any]:
    """All measurements of one set; `smaller` are those of the one before."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        planted = build(folder, num_rows)
        copies = planted.pairs[planted.similarity >= JACCARD]
        edge = planted.pairs[(planted.similarity >= JACCARD) & (planted.similarity < 0.85)]
        found: dict[str, Any] = {"num_rows": num_rows, "num_near_duplicates": len(copies), "num_below_0.85": len(edge),
                                 "num_contaminated": len(planted.contaminated)}  # fmt: skip
        for step, how in STEPS.items():
            truth = planted.contaminated[:, None] if step == "decontaminate" else copies
            found[step] = scored(folder, cost(folder, sys.executable, OURS, json.dumps(how)), truth)
            if step == "minhash":
                found[step]["recall_below_0.85"] = scored(folder, {}, edge)["recall"]
            print(num_rows, step, found[step], flush=True)
        for package in PEERS if peers else ():
            expected = smaller.get(package, {}).get("seconds", 0) * num_rows / smaller.get("num_rows", 1)
            found[package] = beside(folder, str(peers), package, expected, copies)
            print(num_rows, package, found[package], flush=True)
    return found


def beside(folder: Path, python: str, package: str, expected_seconds: float, truth: Ids) -> dict[str, Any]:
    """The same by another library, where the interpreter has it and there is time for it."""
    version = subprocess.run([python, "-c", VERSION, package], capture_output=True, text=True, check=False).stdout.strip()
    if not version:
        return {"not_installed": True}
    if expected_seconds > LIMIT_SECONDS:
        return {"version": version, "not_run_expected_seconds": round(expected_seconds)}
    took = cost(folder, python, OPENING + PEERS[package], *map(str, bands(JACCARD, NUM_PERMUTATIONS)))
    return {"version": version, **scored(folder, took, truth)}


def exponents(sets: list[dict[str, Any]]) -> dict[str, float]:
    """The slope of log CPU seconds over log rows between the smallest and the largest set that each was measured on."""
    found = {}
    for what in (*STEPS, *PEERS):
        costs = [(one["num_rows"], one[what]["cpu_seconds"]) for one in sets if "cpu_seconds" in one.get(what, {})]
        if len(costs) > 1:
            (rows, seconds), (more_rows, more_seconds) = costs[0], costs[-1]
            found[what] = round(math.log(more_seconds / seconds) / math.log(more_rows / rows), 2)
    return found


def main() -> None:
    """Measure and write bench/curate.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--peers", help="an interpreter that has the other libraries")
    args = parser.parse_args()
    sets = read_json(FOUND)["sets"] if FOUND.exists() else {}
    smaller: dict[str, Any] = {}
    for size in args.sizes:
        smaller = sets[str(size)] = measured(size, args.peers, smaller)
    num_bands, length = bands(JACCARD, NUM_PERMUTATIONS)
    share = round(found_share(JACCARD, num_bands, length), 4)
    settings = {"jaccard": JACCARD, "num_bands": num_bands, "band_permutations": length, "share_found_at_jaccard": share}
    ordered = sorted(sets.values(), key=lambda one: one["num_rows"])
    write_json(FOUND, {"machine": machine(), "settings": {**settings, "decontaminate": CONTAMINATION}, "sets": sets,
                       "growth_exponents": exponents(ordered)})  # fmt: skip


if __name__ == "__main__":
    main()
