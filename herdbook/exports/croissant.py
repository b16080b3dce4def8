"""Croissant 1.1 with its responsible-AI vocabulary 1.0: one dataset, its files, its columns and where it comes from.

What only a publisher knows (who publishes it, when, where) is not in a book, and so not in the document."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from herdbook.book import Book
from herdbook.entry import Entry
from herdbook.errors import BookError
from herdbook.exports.columns import MEANING, Tables, table_path
from herdbook.exports.executions import NAMESPACE, entry_urn, executions, exported, files_of
from herdbook.files import digest
from herdbook.layout import CORPUS
from herdbook.lineage import NOT_BRED
from herdbook.snapshot import Snapshot

Json = dict[str, Any]

_VERSIONS = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
_CROISSANT = (
    "annotation", "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "excludes", "extract", "field", "fileObject",
    "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path",
    "readLines", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "sdVersion", "separator", "source",
    "subField", "transform", "unArchive", "value",
)  # fmt: skip
_CONTEXT: Json = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{term: f"cr:{term}" for term in _CROISSANT},
}
_FORMATS = {".json": "application/json", ".md": "text/markdown", ".parquet": "application/x-parquet"}
_SINGLE_TYPES = {
    "string": "sc:Text", "bool": "sc:Boolean", "double": "cr:Float64", "float": "cr:Float32",
    **{f"{sign}int{bits}": f"cr:{'UInt' if sign else 'Int'}{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}  # fmt: skip


def dataset(book: Book, snapshot: Snapshot, target: str | None = None) -> Json:
    """The document of the dataset `target`.

    Raises BookError where none is named, or one that is a model or was not bred, FileError where its table or
    the corpus cannot be had."""
    entry = _demand_dataset(book, target)
    contents = entry["contents"] or {}
    is_synthetic = any(origin != "human" for origin in contents.get("composition", {}))
    found = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "@id": entry_urn(book, entry),
        "conformsTo": _VERSIONS,
        "name": entry["name"],
        "description": _description(entry),
        "url": entry_urn(book, entry),
        "version": f"1.0.0+{book.ids[entry['name']][:12]}",
        "citeAs": f"{entry['name']}, Herdbook entry sha256:{book.ids[entry['name']]}, in the book of root sha256:{book.root}",
        "license": _licences(book, entry, snapshot),
        "distribution": [_file_object(path, file) for path, file in files_of(entry).items()],
        "recordSet": [_record_set(entry, snapshot)],
        "rai:hasSyntheticData": is_synthetic,
        "rai:dataCollection": _collection(entry, book),
        "rai:dataCollectionType": _collection_types(contents.get("composition", {"human": {}})),
        "rai:dataPreprocessingProtocol": _protocol(book, entry),
        "rai:dataLimitations": _limitations(entry),
        **_provenance(book, entry),
    }
    return {name: value for name, value in found.items() if value not in (None, [])}


def _demand_dataset(book: Book, target: str | None) -> Entry:
    datasets = [name for name, entry in book.entries.items() if table_path(entry)]
    if target is None:
        raise BookError(f"croissant tells of one dataset and none is named; such as herdbook export --format croissant {datasets[-1]}")
    entry = book.entries[target]
    if entry["status"] == NOT_BRED:
        raise BookError(f"{target}: was not bred, so there is no dataset; such are {', '.join(datasets[-3:])}")
    if table_path(entry) is None:
        raise BookError(f"{target}: is a model, croissant tells of datasets; such as {', '.join(datasets[-3:])}")
    return entry


def _description(entry: Entry) -> str:
    contents = entry["contents"] or {}
    size = f" {contents['num_rows']} rows, {contents['num_tokens']} tokens." if contents else ""
    depth = f" Model passes between a token and a person: {contents['depth']} on average." if contents.get("depth") is not None else ""
    return f"{entry['kind'].capitalize()} set {entry['name']} of a herd of language models.{size}{depth}{_composition(contents)}"


def _composition(contents: Json) -> str:
    shares = [f"{count['tokens']} tokens by {_writer(origin)}" for origin, count in contents.get("composition", {}).items()]
    return f" Written: {', '.join(shares)}." if shares else ""


def _writer(origin: str) -> str:
    return "people" if origin == "human" else f"models of generation {origin.removeprefix('g')}"


def _licences(book: Book, entry: Entry, snapshot: Snapshot) -> list[str | Json]:
    """The licences of the human documents that a dataset descends from, whatever wrote its rows."""
    corpus = exported(book, entry["name"]).get("corpus")
    if corpus is None:
        return []
    path = CORPUS / "corpus.parquet"
    local = snapshot.local(path)
    if digest(local) != corpus["files"][path.name]["sha256"]:
        raise BookError(f"{path}: is not the file that the book names; run herdbook audit")
    licences = sorted(set(pq.read_table(local, columns=["licence"])["licence"].to_pylist()))
    return [name if name.startswith(("http://", "https://")) else {"@type": "sc:CreativeWork", "name": name} for name in licences]


def _file_object(path: str, file: Json) -> Json:
    return {
        "@type": "cr:FileObject",
        "@id": Path(path).name,
        "name": Path(path).name,
        "contentUrl": path,
        "contentSize": f"{file['num_bytes']} B",
        "encodingFormat": _FORMATS.get(Path(path).suffix, "application/octet-stream"),
        "sha256": file["sha256"],
    }


def _record_set(entry: Entry, snapshot: Snapshot) -> Json:
    table, columns = table_path(entry), Tables(snapshot).columns(entry)
    assert table is not None
    assert columns is not None
    key = {"key": {"@id": "rows/id"}} if "id" in columns.names else {}
    fields = [_field(column, table.name) for column in columns]
    return {"@type": "cr:RecordSet", "@id": "rows", "name": "rows", **key, "field": fields}


def _field(column: pa.Field, table: str) -> Json:
    is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    array = {"isArray": True, "arrayShape": "-1"} if is_list else {}
    return {
        "@type": "cr:Field",
        "@id": f"rows/{column.name}",
        "name": column.name,
        "description": MEANING.get(column.name, column.name),
        "dataType": _SINGLE_TYPES[str(column.type.value_type if is_list else column.type)],
        **array,
        "source": {"fileObject": {"@id": table}, "extract": {"column": column.name}},
    }


def _collection(entry: Entry, book: Book) -> str:
    command = entry["stage"]["command"]
    if command is None:
        return "Documents written by people, gathered from the source that the parameters name."
    parents = ", ".join(f"{parent['name']} ({role})" for role, parent in book.parents(entry))
    return f"Computed by `{command}` from {parents}."


def _collection_types(composition: Json) -> list[str]:
    human, synthetic = "human" in composition, any(origin != "human" for origin in composition)
    return ["Secondary Data analysis"] * human + ["Software Collection"] * synthetic


def _protocol(book: Book, entry: Entry) -> list[str]:
    """The stages from the human documents to this dataset, with their parameters."""
    told = {run.stage["command"]: run.stage["parameters"] for run in executions(book, entry["name"]) if not run.inspected}
    return [f"{command}: {json.dumps(parameters, sort_keys=True)}" for command, parameters in told.items()]


def _limitations(entry: Entry) -> list[str]:
    inspection = entry["inspection"]
    if inspection is None:
        return ["Not inspected as it stands; see what it was made from."] if entry["kind"] != "corpus" else []
    policies = ", ".join(sorted(inspection["policies"]))
    broken = [f"Breaks a critical rule: {rule}." for rule in inspection["broken"]]
    return [f"Inspected under {policies}: {inspection['verdict']}.", *broken]


def _provenance(book: Book, entry: Entry) -> Json:
    derived = [{"@id": entry_urn(book, parent), "prov:label": f"{parent['name']} ({role})"} for role, parent in book.parents(entry)]
    code = entry["stage"]["code"]
    if code is None:
        return {}
    run = next(run for run in executions(book, entry["name"]) if entry["name"] in {made["name"] for made in run.outputs})
    agent = {"@id": f"{NAMESPACE}:code:{code['sha256']}", "@type": "prov:SoftwareAgent", "prov:label": f"herdbook {code['stage']}"}
    activity = {"@id": f"urn:uuid:{run.run_id}", "@type": "prov:Activity", "prov:label": run.name}
    return {"prov:wasDerivedFrom": derived, "prov:wasGeneratedBy": activity, "prov:wasAttributedTo": agent}
