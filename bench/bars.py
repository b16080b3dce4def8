"""What was aimed at and what was measured, one table: `python -m bench.bars` writes bench/README.md from the files beside it.

`python -m bench.bars REVISION` prints instead how each figure now stands to that of a commit, as a ratio."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import gpu
from herdbook.files import read_json, write_text

FOUND = Path("bench/README.md")
SOURCE = """# Measured

Written by `python -m bench.bars` from the files named; `make bench` measures anew. Each file says on which machine. CPU seconds and
ratios within one run tell more than seconds: the machines are shared.

"""
PICTURE = """
How cost grows, drawn by `python -m bench.growth` from the same files:

![CPU seconds over rows, generations and stages, with the exponent of each](growth.svg)
"""


@dataclass(frozen=True)
class Bar:
    """A figure of a file of bench/ and what it was to be: `at most` or `at least` a number."""

    work: str
    figure: str  # FILE: dotted keys
    at_most: float | None = None
    at_least: float | None = None

    @property
    def path(self) -> Path:
        """The file that holds the figure."""
        return Path("bench") / f"{self.figure.partition(':')[0]}.json"

    def value(self, document: Any) -> float:
        """The figure in the content of its file; KeyError where it is not there."""
        for key in self.figure.partition(":")[2].split("/"):
            document = document[int(key) if isinstance(document, list) else key]
        return float(document)

    def is_met(self, value: float) -> bool:
        """Whether the figure is what it was to be."""
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    @property
    def wanted(self) -> str:
        """The bar in words."""
        return f"at most {self.at_most:g}" if self.at_most is not None else f"at least {self.at_least:g}"


def _beside_polars(work: str, figure: str) -> list[Bar]:
    """Bars of work on two sizes, by the clock and of CPU time: polars takes every core, a stage one."""
    measures = {"seconds": "seconds", "cpu_seconds": "CPU seconds"}
    return [
        Bar(f"{work}, {rows:,} rows: times the {words} of polars", figure.format(rows=rows, measure=measure), at_most=1.5)
        for rows in (100_000, 1_000_000)
        for measure, words in measures.items()
    ]


BARS = [
    Bar("sampling, all tokens: times the tokens of transformers' generate per CPU second", "model:sampling/pure_over_generate", at_least=3),
    Bar("sampling, top-k 50: times those of generate", "model:sampling/top_k_50_over_generate", at_least=3),
    Bar("sampling, all tokens: share of the machine's matrix products", "model:sampling/pure_share_of_products", at_least=0.3),
    Bar("sampling, top-k 50: share of the machine's matrix products", "model:sampling/top_k_50_share_of_products", at_least=0.3),
    Bar("training: times the tokens of a plain loop per CPU second", "model:training/train_over_plain_loop", at_least=1.15),
    Bar("training: times those of transformers' Trainer", "model:training/train_over_trainer", at_least=1.5),
    Bar("training: share of the machine's matrix products", "model:training/train_share_of_products", at_least=0.45),
    Bar("SmolLM2-135M, sampling, all tokens: times those of generate", "smollm2:sampling/pure_over_generate_pure/median", at_least=1),
    Bar("SmolLM2-135M, sampling, top-k 50: times those of generate", "smollm2:sampling/top_k_50_over_generate_top_k_50/median", at_least=1),
    Bar("SmolLM2-135M, training: times the tokens of a plain loop", "smollm2:training/train_over_plain_loop/median", at_least=1),
    Bar("SmolLM2-135M, training: times those of Trainer", "smollm2:training/train_over_trainer/median", at_least=1),
    Bar("default pipeline, cold: wall time of the flow to that of dvc repro", "pipeline:flow_over_dvc_repro", at_most=0.45),
    Bar("default pipeline, cold: seconds of the flow", "pipeline:flow/wall_seconds", at_most=360),
    Bar("the same, to the CPU seconds of its stages over the cores", "pipeline:flow_over_limit", at_most=1.25),
    Bar("default pipeline, cold: seconds of plain dvc repro", "pipeline:dvc_repro/wall_seconds", at_most=1800),
    Bar("the same, to its stages one after another in one process", "pipeline:dvc_repro_over_stages", at_most=1.6),
    Bar("a stage with nothing to do, warm: CPU seconds", "startup:empty_stage_warm_cpu_seconds", at_most=0.3),
    Bar("a run of 1,503 stages: the flow's own CPU seconds", "walk:graphs/2/full/cpu_seconds", at_most=90),
    Bar("the same with nothing changed", "walk:graphs/2/nothing_changed/cpu_seconds", at_most=25),
    Bar("growth of the flow's own CPU time with the number of stages: exponent", "walk:growth_exponents/full", at_most=1.1),
    Bar("Ctrl-C to the end of a run: seconds, the most of five", "interrupt:most", at_most=5),
    Bar("trace of a row, 20 generations of 100,000 rows: seconds", "book:herds/20x100000/trace_of_a_row/seconds", at_most=1),
    Bar("audit of the records of that herd: seconds", "book:herds/20x100000/audit_records/seconds", at_most=5),
    Bar("audit that hashes, to plain hashing of the same bytes", "book:herds/20x100000/hashes_to_plain", at_most=1.5),
    Bar("audit of every row of it: peak memory in MiB", "book:herds/20x100000/audit_rows/peak_memory_mib", at_most=1024),
    Bar("growth of that audit with rows: exponent", "book:growth_exponents/num_rows/audit_rows", at_most=1.1),
    Bar("growth of it with generations, 5 to 40: exponent", "book:growth_exponents/num_generations/audit_rows", at_most=1.1),
    Bar(
        "inspection of 1,000,000 offspring, profile included: times the seconds of pandas",
        "validate:sets/1000000/offspring/times_pandas/seconds/median",
        at_most=2.5,
    ),
    Bar("the same: peak memory in MiB", "validate:sets/1000000/offspring/ours/peak_memory_mib", at_most=2048),
    Bar("of 100,000: times the seconds of polars", "validate:sets/100000/offspring/times_polars/seconds/median", at_most=2.5),
    Bar("growth of its CPU time with rows: exponent", "validate:growth_exponents/offspring/ours", at_most=1.1),
    *_beside_polars("blending", "blend:sets/{rows}/times_polars/{measure}/median"),
    Bar("growth of its CPU time with rows: exponent", "blend:growth_exponents/ours", at_most=1.1),
    *_beside_polars("exact duplicates", "steps:sets/{rows}/exact_duplicate/times_polars/{measure}/median"),
    *_beside_polars("near-duplicates by MinHash", "steps:sets/{rows}/near_duplicate/times_polars/{measure}/median"),
    *_beside_polars("decontamination", "steps:sets/{rows}/decontaminate/times_polars/{measure}/median"),
    Bar("near-duplicates of 1,000,000 rows by MinHash: seconds", "curate:sets/1000000/minhash/seconds", at_most=600),
    Bar("the same: peak memory in MiB", "curate:sets/1000000/minhash/peak_memory_mib", at_most=4096),
    Bar("the same: recall of planted near-duplicates", "curate:sets/1000000/minhash/recall", at_least=0.95),
    Bar("decontamination of 1,000,000 rows: seconds", "curate:sets/1000000/decontaminate/seconds", at_most=600),
    Bar("the same: recall of planted contamination", "curate:sets/1000000/decontaminate/recall", at_least=1),
    Bar("report of 8 x 10 x 20 generations: milliseconds to the first paint", "report:milliseconds/first_paint", at_most=2000),
    Bar("the same: size in MiB", "report:page_mib", at_most=15),
]


def page() -> str:
    """The table, of the files as they lie in the working directory."""
    lines = ["| what | measured | aimed at | |\n", "|---|---|---|---|\n"]
    for bar in BARS:
        value = bar.value(read_json(bar.path))
        lines.append(f"| {bar.work} | {value:.4g} (`{bar.path.name}`) | {bar.wanted} | {'met' if bar.is_met(value) else '**missed**'} |\n")
    return SOURCE + "".join(lines) + PICTURE + gpu.table(read_json(gpu.FOUND))


def compare(revision: str) -> None:
    """Print each figure, and its ratio to that of a commit."""
    for bar in BARS:
        told = subprocess.run(["git", "show", f"{revision}:./{bar.path}"], capture_output=True, check=False)
        now = bar.value(read_json(bar.path))
        try:
            then = bar.value(json.loads(told.stdout))
        except (ValueError, KeyError, IndexError):
            print(f"{bar.work}: {now:.4g}, which {revision} does not have")
            continue
        print(f"{bar.work}: {now:.4g}, {now / then:.2f} times that of {revision}" if then else f"{bar.work}: {now:.4g}, was 0")


def main() -> None:
    """Write bench/README.md."""
    write_text(FOUND, page())


if __name__ == "__main__":
    compare(sys.argv[1]) if sys.argv[1:] else main()
