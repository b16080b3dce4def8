"""PROV-JSON (W3C submission of 2013): entities are datasets, models and receipts, activities are stages, agents their code."""

from collections.abc import Iterator
from typing import Any

from herdbook.book import Book
from herdbook.entry import Entry
from herdbook.exports.executions import NAMESPACE, Execution, executions, exported
from herdbook.snapshot import Snapshot

_PREFIXES = {
    "herdbook": f"{NAMESPACE}:",
    "entry": f"{NAMESPACE}:entry:",  # sha256 of an entry of the book
    "receipt": f"{NAMESPACE}:receipt:",  # sha256 of the entry of what it is about
    "code": f"{NAMESPACE}:code:",  # sha256 of the fingerprint of a stage's code
    "run": "urn:uuid:",
}
_RELATIONS = ("wasGeneratedBy", "used", "wasDerivedFrom", "wasAssociatedWith")

Json = dict[str, Any]


def document(book: Book, snapshot: Snapshot, target: str | None = None) -> Json:
    """The graph of the book, or of what `target` descends from, what was not bred included."""
    ran = list(executions(book, target))
    entities = {_id(book, entry): _artefact(entry) for entry in exported(book, target).values()}
    entities |= {_receipt_id(book, run.inspected): _receipt(run.inspected) for run in ran if run.inspected}
    found: Json = {
        "prefix": _PREFIXES,
        "entity": entities,
        "activity": {f"run:{run.run_id}": {"prov:label": run.name, "prov:type": _name(f"herdbook:{_stage(run)}")} for run in ran},
        "agent": {
            f"code:{run.stage['code']['sha256']}": {"prov:label": f"herdbook {_stage(run)}", "prov:type": _name("prov:SoftwareAgent")}
            for run in ran
        },
        **{relation: {} for relation in _RELATIONS},
    }
    for run in ran:
        for relation, content in _relations(run, book):
            found[relation][f"_:{relation}{len(found[relation])}"] = content
    return {name: content for name, content in found.items() if content}


def _relations(run: Execution, book: Book) -> Iterator[tuple[str, Json]]:
    activity = {"prov:activity": f"run:{run.run_id}"}
    yield "wasAssociatedWith", {**activity, "prov:agent": f"code:{run.stage['code']['sha256']}"}
    for role, entry in run.inputs:
        yield "used", {**activity, "prov:entity": _id(book, entry), "prov:role": role}
    if run.inspected:
        receipt = _receipt_id(book, run.inspected)
        yield "wasGeneratedBy", {**activity, "prov:entity": receipt}
        yield "wasDerivedFrom", {**activity, "prov:generatedEntity": receipt, "prov:usedEntity": _id(book, run.inspected)}
    for entry in run.outputs:
        yield "wasGeneratedBy", {**activity, "prov:entity": _id(book, entry)}
        for role, parent in book.parents(entry):
            ends = {"prov:generatedEntity": _id(book, entry), "prov:usedEntity": _id(book, parent)}
            yield "wasDerivedFrom", {**activity, **ends, "herdbook:role": role}


def _artefact(entry: Entry) -> Json:
    facts = {
        "prov:label": entry["name"],
        "prov:type": _name(f"herdbook:{entry['kind']}"),
        "herdbook:path": entry["path"],
        "herdbook:sha256": entry["digest"],
        "herdbook:status": entry["status"],
        **{f"herdbook:{name}": entry[name] for name in ("regime", "seed", "generation")},
        "herdbook:verdict": entry["inspection"]["verdict"] if entry["inspection"] else None,
    }
    contents = entry["contents"] or {}
    if contents.get("depth") is not None:
        facts["herdbook:depth"] = {"$": repr(float(contents["depth"])), "type": "xsd:double"}
    facts |= {f"herdbook:{name}": contents.get(name) for name in ("num_rows", "num_tokens")}
    return {name: value for name, value in facts.items() if value is not None}


def _receipt(entry: Entry) -> Json:
    inspection = entry["inspection"]
    facts = {"herdbook:path": inspection["receipt"]["path"], "herdbook:sha256": inspection["receipt"]["sha256"]}
    return {
        "prov:label": f"receipt of {entry['name']}",
        "prov:type": _name("herdbook:receipt"),
        "herdbook:verdict": inspection["verdict"],
        **facts,
    }


def _id(book: Book, entry: Entry) -> str:
    return f"entry:{book.ids[entry['name']]}"


def _receipt_id(book: Book, entry: Entry) -> str:
    return f"receipt:{book.ids[entry['name']]}"


def _stage(run: Execution) -> str:
    return str(run.stage["code"]["stage"])


def _name(value: str) -> Json:
    return {"$": value, "type": "xsd:QName"}
