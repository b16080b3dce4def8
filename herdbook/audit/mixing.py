"""Whether a training set is the mixture that its making tells: each source's tokens, unique tokens and passes, counted anew."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from herdbook.artefacts import Artefact
from herdbook.audit.evidence import Evidence
from herdbook.audit.finding import Finding, finding
from herdbook.files import rounded
from herdbook.layout import MAKING
from herdbook.params import Mixture
from herdbook.training_set import mixture_gap

_TOLERANCE = 1e-9


def mixture_findings(artefact: Artefact, sources: Mapping[str, Path], mixture: Mixture, evidence: Evidence) -> Iterator[Finding]:
    """What is wrong with a training set of `mixture`; `sources` are the tables that it was taken from, by role.

    Whether it is the mixture that was asked for is the gate's to judge, by mixture_gap, which is counted anew too."""
    rows = pq.read_table(evidence.local(artefact.rows), columns=["id", "num_tokens", "pass"])
    pool = pq.read_table(evidence.local(artefact.path / "pool.parquet"), columns=["id"])["id"]
    path = artefact.path / MAKING
    told = evidence.json(path)["mixture"]
    if sorted(told) != sorted(source.source for source in mixture.sources):
        yield finding(path, f"tells of {', '.join(sorted(told)) or 'no source'}, the mixture has other sources", "composition")
        return
    counted = _counted(rows, {source: evidence.local(sources[source]) for source in told})
    for source, figures in counted.items():
        for name, number in figures.items():
            if abs(told[source][name] - number) > _TOLERANCE * max(1.0, number):
                yield finding(path, f"{name} of {source} is {told[source][name]}, the rows give {number}", "composition")
    if artefact.inspection:
        gap, profile = rounded(mixture_gap(counted, mixture)), artefact.inspection.profile
        if abs(evidence.json(profile)["mixture_gap"] - (gap or 0.0)) > _TOLERANCE:
            yield finding(profile, f"mixture_gap is {evidence.json(profile)['mixture_gap']}, the rows give {gap}", "composition")
    by_id = rows.group_by("id", use_threads=False)
    passes = by_id.aggregate([("pass", "count_distinct"), ("pass", "count"), ("pass", "min"), ("pass", "max")])
    is_whole = pc.and_(
        pc.and_(pc.equal(passes["pass_min"], 0), pc.equal(passes["pass_count"], pc.add(passes["pass_max"], 1))),
        pc.equal(passes["pass_count"], passes["pass_count_distinct"]),
    )
    broken = passes.num_rows - (pc.sum(pc.fill_null(is_whole, False)).as_py() or 0) + rows["pass"].null_count
    if broken:
        yield finding(artefact.rows, f"{broken} rows are not read in each pass from the first to their last", "counts")
    if set(pool.to_pylist()) != set(rows["id"].to_pylist()):
        yield finding(artefact.path / "pool.parquet", "does not hold exactly the rows that the mixture reads", "counts")


def _counted(rows: pa.Table, sources: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """What each source came to, as training_set.realised tells it."""
    total = pc.sum(rows["num_tokens"]).as_py() or 0
    found = {}
    for source, path in sources.items():
        mine = rows.filter(pc.is_in(rows["id"], value_set=pq.read_table(path, columns=["id"])["id"].combine_chunks()))
        num_tokens = pc.sum(mine["num_tokens"]).as_py() or 0
        num_unique = pc.sum(mine.filter(pc.equal(mine["pass"], 0))["num_tokens"]).as_py() or 0
        found[source] = {
            "num_tokens": num_tokens,
            "num_unique_tokens": num_unique,
            "fraction": rounded(num_tokens / total) if total else 0.0,
            "epochs": rounded(num_tokens / num_unique) if num_unique else 0.0,
        }
    return found
