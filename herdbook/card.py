"""Model and dataset cards: what the book knows of one model or dataset, as the README.md of a Hugging Face repository.

Every figure is of a file whose digest the book names, so the same book gives the same bytes. Names of a book, titles of
documents and notes of policies are hostile: all that a card quotes is escaped, in its YAML and in its Markdown."""

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from herdbook.book import Book
from herdbook.entry import ROW_KINDS, Entry, paths_of
from herdbook.errors import BookError
from herdbook.exports.columns import table_path
from herdbook.exports.executions import files_of, read_receipt
from herdbook.figures import FIGURES
from herdbook.files import digest_bytes
from herdbook.layout import CORPUS
from herdbook.lineage import NOT_BRED
from herdbook.snapshot import Snapshot
from herdbook.target import find
from herdbook.trace import ancestors_of

Facts = dict[str, Any]

ATTRIBUTION = "ATTRIBUTION.md"  # the corpus's own account of where it is from
_DATASETS = ("corpus", "documents", *ROW_KINDS)


def facts(target: str, book: Book, snapshot: Snapshot) -> Facts:
    """All that the card of a model or dataset (target.find) tells, as plain values.

    Raises BookError where the target is neither a model bred here nor a dataset of text, or where a record is not of the bytes
    that the book names; MissingError where one cannot be had."""
    entry = _demand(find(target, book, snapshot), book)
    is_model = entry["kind"] == "model"
    material = next(parent for role, parent in book.parents(entry) if role == "training") if is_model else entry
    lineage = list(reversed(ancestors_of(entry["name"], book).values()))
    contents = material["contents"] or {}
    return {
        "name": entry["name"],
        "is_model": is_model,
        "kind": entry["kind"],
        **{name: entry.get(name) for name in ("regime", "seed", "generation")},
        "root": book.root,
        "entry": book.ids[entry["name"]],
        "digest": entry["digest"],
        "depth": (entry["contents"] or {}).get("depth"),
        "model": _model(entry, snapshot) if is_model else None,
        "material": material["name"],
        "num_rows": contents.get("num_rows"),
        "num_tokens": contents.get("num_tokens"),
        "composition": contents.get("composition", {}),
        "synthetic_share": _synthetic_share(contents),
        "lineage": [_ancestor(each, book) for each in lineage],
        "verdict": (material["inspection"] or {}).get("verdict"),
        "rules": [rule for each in lineage for rule in _not_passed(each, snapshot)],
        "waivers": entry["waivers"],
        "counts": entry["counts"],
        "parameters": dict(_flat("", {**material["stage"]["parameters"], **entry["stage"]["parameters"]})),
        "loss": _losses(entry, book, snapshot) if is_model else {},
        "figures": _figures(_compared(entry, material, book), snapshot),
        "sources": _sources(entry, book, snapshot),
        "language": "en" if book.entries["corpus"]["stage"]["parameters"]["corpus"]["source"] == "wikipedia" else None,
        "holds_human_text": not is_model and (entry["kind"] in ("corpus", "documents") or "human" in contents.get("composition", {})),
        "split": "test" if entry["name"].startswith("human/held_out") else "train",
        "tables": {} if is_model else _tables(entry, snapshot),
        "files": {place: {"path": path.as_posix(), **files_of(entry)[path.as_posix()]} for place, path in published(entry).items()},
    }


def _demand(name: str, book: Book) -> Entry:
    entry = book.entries[name]
    if entry["status"] == NOT_BRED:
        raise BookError(f"{name}: was not bred, so there is nothing to publish; see herdbook trace {name}")
    if entry["kind"] not in (*_DATASETS, "model"):
        near = [other for other, each in book.entries.items() if each["kind"] in ("model", *ROW_KINDS) and each["status"] != NOT_BRED]
        raise BookError(f"{name}: is of kind {entry['kind']}, cards are of models bred here and of datasets of text; such as {near[-1]}")
    return entry


def published(entry: Entry) -> dict[str, Path]:
    """Where each file of a model or dataset lies in its Hugging Face folder, and where in the project.

    A model's lie as they do here, for transformers; tables lie in data/, what else a dataset holds in herdbook/."""
    if entry["kind"] == "model":
        return {path.relative_to(entry["path"]).as_posix(): path for path in paths_of(entry)}
    return {_place(path): path for path in paths_of(entry)}


def _place(path: Path) -> str:
    if path == CORPUS / "README.md":
        return ATTRIBUTION
    return f"{'data' if path.suffix == '.parquet' else 'herdbook'}/{path.name}"


def _tables(entry: Entry, snapshot: Snapshot) -> dict[str, str]:
    """The tables of a dataset by the name that `datasets` is to load them by, its rows first; without those that are empty,
    which it cannot load."""
    import pyarrow.parquet as pq

    main = table_path(entry)
    found = {path: place for place, path in published(entry).items() if path.suffix == ".parquet"}
    others = {path.stem: place for path, place in sorted(found.items()) if path != main and pq.read_metadata(snapshot.local(path)).num_rows}
    return {"default": found[main], **others} if main else others


def read_checked(path: Path, sha256: str, snapshot: Snapshot) -> bytes:
    """The bytes of a file; BookError where they are not those that the book names."""
    found = snapshot.read(path)
    if (now := digest_bytes(found)) != sha256:
        raise BookError(f"{path}: sha256 is {now[:12]}, the book names {sha256[:12]}; run herdbook audit")
    return found


def _model(entry: Entry, snapshot: Snapshot) -> Facts:
    """Architecture and size; a config without an architecture is none of transformers'."""
    path = Path(entry["path"], "config.json")
    config = json.loads(read_checked(path, entry["files"][path.name]["sha256"], snapshot))
    return {
        "architecture": config.get("model_type"),
        **{name: entry["contents"][name] for name in ("num_parameters", "num_steps", "start")},
    }


def _synthetic_share(contents: Mapping[str, Any]) -> dict[str, float | None]:
    """The share of rows, and of tokens, that models wrote; None of nothing."""
    composition = contents.get("composition", {})
    shares: dict[str, float | None] = {}
    for unit in ("rows", "tokens"):
        total = sum(count[unit] for count in composition.values())
        synthetic = sum(count[unit] for origin, count in composition.items() if origin != "human")
        shares[unit] = synthetic / total if total else None
    return shares


def _ancestor(entry: Entry, book: Book) -> Facts:
    contents = entry["contents"] or {}
    return {
        "name": entry["name"],
        "kind": entry["kind"],
        "entry": book.ids[entry["name"]],
        "parents": [{"role": parent["role"], "name": parent["name"]} for parent in entry["parents"]],
        "composition": contents.get("composition", {}),
        "depth": contents.get("depth"),
        "verdict": (entry["inspection"] or {}).get("verdict"),
    }


def _not_passed(entry: Entry, snapshot: Snapshot) -> Iterator[Facts]:
    """The rules that a dataset of the lineage broke, or that could not be judged."""
    inspection = entry["inspection"]
    if not inspection or inspection["verdict"] == NOT_BRED:
        return
    for rule in read_receipt(entry, snapshot)["rules"]:
        if rule["status"] != "passed":
            told = {name: rule.get(name) for name in ("suite", "rule", "column", "severity", "status", "observed", "allowed", "notes")}
            yield {"dataset": entry["name"], "gate": inspection["gate"], **told}


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of each leaf that is set; lists are leaves."""
    if isinstance(value, Mapping):
        for key, inner in sorted(value.items()):
            yield from _flat(f"{name}.{key}" if name else key, inner)
    elif value is not None:
        yield name, value


def _losses(entry: Entry, book: Book, snapshot: Snapshot) -> dict[str, Facts]:
    """What was measured on human text that no model trained on: of the model, and of its founder."""
    founder = book.entries.get(f"founder/{entry['seed']}/g0/model")
    told = {"this model": entry} | ({"its founder": founder} if founder and founder["name"] != entry["name"] else {})
    return {whose: _held_out(each, snapshot) for whose, each in told.items()}


def _held_out(entry: Entry, snapshot: Snapshot) -> Facts:
    path, sha256 = next((Path(path), sha256) for path, sha256 in entry["records"].items() if path.endswith("/loss.json"))
    loss = json.loads(read_checked(path, sha256, snapshot))
    return {name: value for name, value in loss.items() if name.startswith("held_out_")}


def _compared(entry: Entry, material: Entry, book: Book) -> dict[str, Entry]:
    """The datasets whose profiles a card sets side by side."""
    columns = {"its training text" if entry["kind"] == "model" else "these rows": material}
    if entry["kind"] == "model" and (curated := book.entries.get(entry["name"].removesuffix("model") + "curated")):
        columns["what it writes"] = curated
    human = book.entries["human/train"]
    return columns if material["name"] == human["name"] else {**columns, "human text": human}


def _figures(columns: Mapping[str, Entry], snapshot: Snapshot) -> list[Facts]:
    """Each figure that the report charts, with its value in every profile; none where the first was not inspected."""
    inspected = {name: entry for name, entry in columns.items() if (entry["inspection"] or {"verdict": NOT_BRED})["verdict"] != NOT_BRED}
    if next(iter(columns)) not in inspected:
        return []
    profiles = {}
    for name, entry in inspected.items():
        recorded = entry["inspection"]["profile"]
        profiles[name] = json.loads(read_checked(Path(recorded["path"]), recorded["sha256"], snapshot))
    told = []
    for figure in FIGURES:
        name = figure.column.removeprefix("offspring_")
        if name != figure.column and any(name in found for found in profiles.values()):
            values = {whose: found.get(name) for whose, found in profiles.items()}
            told.append({"name": name, "title": figure.title, "meaning": figure.meaning, "values": values})
    return told


def _sources(entry: Entry, book: Book, snapshot: Snapshot) -> list[Facts]:
    """The human documents that the text descends from, by source and licence, in order of title."""
    path, sha256 = _documents_of(entry, book)
    import pyarrow.parquet as pq

    rows = pq.read_table(io.BytesIO(read_checked(path, sha256, snapshot)), columns=["source", "licence", "title", "url"]).to_pylist()
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in sorted(rows, key=lambda row: (row["source"], row["licence"], row["title"], row["url"])):
        found.setdefault((row["source"], row["licence"]), []).append({"title": row["title"], "url": row["url"]})
    return [{"source": source, "licence": licence, "documents": documents} for (source, licence), documents in found.items()]


def _documents_of(entry: Entry, book: Book) -> tuple[Path, str]:
    """The table of documents, and its sha256: its own, or those that the rows were cut from or that the founder learnt from."""
    if entry["kind"] not in ("corpus", "documents"):
        side = "held_out" if entry["name"] == "human/held_out" else "train"
        entry = book.entries[f"human/{side}_documents"]
    return next((path, sha256) for path, sha256 in paths_of(entry).items() if path.suffix == ".parquet")
