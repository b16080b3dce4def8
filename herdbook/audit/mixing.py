"""Whether a training set is the mixture that its regime asks for: each source's tokens, unique tokens and passes, counted anew."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from herdbook.artefacts import Artefact
from herdbook.audit.evidence import Evidence
from herdbook.audit.finding import Finding, finding
from herdbook.layout import MAKING
from herdbook.params import Mixture


def mixture_findings(artefact: Artefact, sources: Mapping[str, Path], mixture: Mixture, evidence: Evidence) -> Iterator[Finding]:
    """What is wrong with a training set of `mixture`; `sources` are the tables that it was taken from, by role."""
    rows = pq.read_table(evidence.local(artefact.rows), columns=["id", "num_tokens", "pass"])
    path = artefact.path / MAKING
    told = evidence.json(path)["mixture"]
    if sorted(told) != sorted(source.source for source in mixture.sources):
        yield finding(path, f"tells of {', '.join(sorted(told)) or 'no source'}, the mixture has other sources", "composition")
        return
    counted = {source: _tokens(rows, evidence.local(sources[source])) for source in told}
    for source, (num_tokens, num_unique) in counted.items():
        for name, number in (("num_tokens", num_tokens), ("num_unique_tokens", num_unique)):
            if told[source][name] != number:
                yield finding(path, f"{name} of {source} is {told[source][name]}, the rows give {number}", "composition")
    passes = rows.group_by("id", use_threads=False).aggregate([("pass", "count_distinct"), ("pass", "count"), ("pass", "max")])
    is_whole = pc.and_(
        pc.equal(passes["pass_count"], passes["pass_count_distinct"]), pc.equal(passes["pass_count"], pc.add(passes["pass_max"], 1))
    )
    if broken := passes.num_rows - (pc.sum(is_whole).as_py() or 0):
        yield finding(artefact.rows, f"{broken} rows are not read in each pass from the first to their last", "counts")


def _tokens(rows: pa.Table, source: Path) -> tuple[int, int]:
    """Of the rows that come from `source`: tokens as read, and unique tokens."""
    mine = rows.filter(pc.is_in(rows["id"], value_set=pq.read_table(source, columns=["id"])["id"].combine_chunks()))
    first = mine.filter(pc.equal(mine["pass"], 0))
    return pc.sum(mine["num_tokens"]).as_py() or 0, pc.sum(first["num_tokens"]).as_py() or 0
