"""The herd: the family tree of every lineage, each generation with its gate, its composition and its entries in the book."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from herdbook.book import Book, read_book
from herdbook.entry import Entry
from herdbook.errors import FileError
from herdbook.layout import BOOK, FOUNDER, HUMAN, PARAMS
from herdbook.records import DATASETS, Generation
from herdbook.report.receipts import why
from herdbook.report.run import Run
from herdbook.report.section import Section

SOURCES = (HUMAN, "offspring", "previous")  # roles of what a training set is blended from: the edges of the tree


def section(run: Run) -> Section:
    """The section of the family tree: its nodes as data, which the script lays out seed by seed.

    Raises BookError or FileError where the book is not whole."""
    return Section(name="herd", link="Herd", data={"herd-data": tree(run, read_book(_bytes))})


def tree(run: Run, book: Book) -> dict[str, Any]:
    """seeds, generations, regimes; nodes: by `human`, `founder/SEED` and `REGIME/SEED/GENERATION` what stands there.

    Every node has entries: [name within it, digest, status] and parents: [role, node, name within that], those of its own left out.
    One generation also has verdicts by dataset, the sources of its training set (of SOURCES), its composition: origin ->
    [rows, tokens], human_share of its tokens, depth and counts of its curation; or `why` it was not bred."""
    nodes: dict[str, dict[str, Any]] = {}
    for name, entry in book.entries.items():
        node, part = placed(name)
        own = nodes.setdefault(node, {"entries": [], "parents": []})
        own["entries"].append([part, book.ids[name], entry["status"]])
        own["parents"] += [[parent["role"], *placed(parent["name"])] for parent in entry["parents"] if placed(parent["name"])[0] != node]
    for generation in run.generations:
        node = "/".join((generation.place.regime, generation.place.seed, generation.place.generation))
        if node not in nodes:
            raise FileError(f"{BOOK}: has no entry of {node}, which {PARAMS} names; run dvc repro book")
        nodes[node] |= bred(generation, book.entries, node) if generation.is_bred else {"why": why(generation)}
        nodes[node]["verdicts"] = {dataset: generation.verdict(dataset) for dataset in DATASETS}
    return {
        "seeds": run.params.seeds,
        "generations": run.params.generations,
        "regimes": list(run.params.regimes),
        "nodes": {node: {**told, "parents": list(map(list, dict.fromkeys(map(tuple, told["parents"]))))} for node, told in nodes.items()},
    }  # fmt: skip


def placed(name: str) -> tuple[str, str]:
    """The node that an entry stands in, and its name within it: `replace/s0/g1/model` is (`replace/s0/g1`, `model`)."""
    parts = name.split("/")
    if len(parts) < 3:
        return HUMAN, parts[-1]
    if parts[0] == FOUNDER:
        return "/".join(parts[:2]), "/".join(parts[3:])
    return "/".join(parts[:3]), "/".join(parts[3:])


def bred(generation: Generation, entries: Mapping[str, Entry], node: str) -> dict[str, Any]:
    """What a generation that was bred was made of, by the entry of its training set."""
    training = entries[f"{node}/training"]
    found = training["contents"] or {"composition": {}, "num_tokens": 0, "depth": None}
    human = found["composition"].get("human", {"tokens": 0})["tokens"]
    roles = [parent["role"] for parent in training["parents"]]
    return {
        "sources": [role for role in SOURCES if role in roles],
        "composition": {origin: [part["rows"], part["tokens"]] for origin, part in found["composition"].items()},
        "human_share": round(human / found["num_tokens"], 4) if found["num_tokens"] else None,
        "depth": found["depth"],
        "counts": generation.counts,
    }


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror}); run dvc repro book") from error
