"""OpenLineage 2-0-2: one COMPLETE event for each stage that made something, and for each inspection.

A book knows no time, so every event bears the one that is given, the epoch if none is. The id of a run
follows from what it ran on, with and into: sent twice, from whatever commit, it is the same run."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from herdbook.book import Book
from herdbook.entry import Entry
from herdbook.errors import BookError, HerdbookError
from herdbook.exports.columns import Origin, Tables, origins
from herdbook.exports.executions import NAMESPACE, Execution, book_id, entry_urn, executions, read_receipt, rule_name
from herdbook.files import digest_bytes
from herdbook.lineage import NOT_BRED
from herdbook.phases import Begin, unseen
from herdbook.snapshot import MissingError, Snapshot

EPOCH = "1970-01-01T00:00:00Z"
KEY = "OPENLINEAGE_API_KEY"  # the environment variable that holds the key of an endpoint
GENERATION_SCHEMA = Path(__file__).with_name("herdbook_generation.json")
_NAME = "herdbook"  # the namespace of jobs and datasets
_SPEC = "https://openlineage.io/spec/"
_ENDPOINT = "api/v1/lineage"
_SECONDS = 10.0  # that an endpoint may take to answer one event
_RETRY = {  # a run is known by its id, so an event may arrive twice
    "total": 2, "connect": 2, "read": False, "backoff_factor": 0.2,
    "status_forcelist": [502, 503, 504], "allowed_methods": ["POST"], "raise_on_status": False,
}  # fmt: skip

Json = dict[str, Any]


class SendError(HerdbookError):
    """Events could not be sent."""


def events(book: Book, snapshot: Snapshot, target: str | None = None, at: str = EPOCH) -> list[Json]:
    """The events of the book, or of what `target` descends from, inputs first; `at` is RFC 3339 with an offset.

    Raises BookError where `at` is no such time, FileError where a receipt or a table cannot be had."""
    _check_time(at)
    tables = Tables(snapshot)
    return [_event(execution, book, snapshot, tables, at) for execution in executions(book, target) if execution.is_bred]


def send(events: Sequence[Json], url: str, begin: Begin = unseen) -> None:
    """Post events, one after another, to the OpenLineage endpoint below `url`; the key is that of the environment, if any.

    Raises SendError where the address is none, or where the endpoint does not take an event."""
    transport, advance = _transport(url), begin("events sent", len(events))
    for number, event in enumerate(events, 1):
        try:
            answer = transport.emit(event)
        except Exception as error:  # requests, urllib3 and the socket below them each raise their own
            raise SendError(
                f"{url}: took {number - 1} of {len(events)} events ({_why(error)}); see to the endpoint, then send again"
            ) from error
        if answer.history:
            raise SendError(f"{url}: sent event {number} on to {answer.url}; give the address of the endpoint itself")
        advance(1)


def _transport(url: str) -> Any:
    try:
        parts, _ = urlsplit(url), urlsplit(url).port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SendError(f"{url}: not an address; such as http://localhost:5000")
    if parts.username or parts.password:
        raise SendError(f"{parts.scheme}://{parts.hostname}: holds a password, which would be seen; set {KEY} in the environment instead")
    try:
        from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport, TokenProvider
    except ImportError as error:
        raise SendError("sending needs the OpenLineage client; pip install 'herdbook[openlineage]'") from error
    key = os.environ.get(KEY)
    base = url.removesuffix("/").removesuffix(_ENDPOINT).removesuffix("/") + "/"
    auth = ApiKeyTokenProvider({"apiKey": key}) if key else TokenProvider({})
    return HttpTransport(HttpConfig(url=base, endpoint=_ENDPOINT, timeout=_SECONDS, auth=auth, retry=_RETRY))


def _why(error: Exception) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return f"no answer in {_SECONDS:g} s"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.ConnectionError):
        return "the connection was refused or broke"
    return type(error).__name__


def _check_time(at: str) -> None:
    try:
        is_time = datetime.fromisoformat(at).tzinfo is not None and "T" in at
    except ValueError:
        is_time = False
    if not is_time:
        raise BookError(f"{at}: not a time with an offset; such as {EPOCH}")


def _event(execution: Execution, book: Book, snapshot: Snapshot, tables: Tables, at: str) -> Json:
    inspected = execution.inspected
    return {
        "eventType": "COMPLETE",
        "eventTime": at,
        "producer": NAMESPACE,
        "schemaURL": f"{_SPEC}2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": execution.run_id, "facets": _run_facets(execution, book)},
        "job": {"namespace": _NAME, "name": execution.name, "facets": _job_facets(execution, book, snapshot)},
        "inputs": [_input(entry, _assertions(entry, snapshot, tables) if entry is inspected else {}) for entry in _distinct(execution)],
        "outputs": [_receipt_dataset(inspected)] if inspected else list(_outputs(execution, book, tables)),
    }


def _distinct(execution: Execution) -> list[Entry]:
    return list({entry["name"]: entry for _, entry in execution.inputs if entry["status"] != NOT_BRED}.values())


def _facet(version: str, name: str, **content: Any) -> Json:
    return {"_producer": NAMESPACE, "_schemaURL": f"{_SPEC}facets/{version}/{name}.json#/$defs/{name}", **content}


def _run_facets(execution: Execution, book: Book) -> Json:
    parent = {"run": {"runId": str(book_id(book))}, "job": {"namespace": _NAME, "name": "breed"}}
    parameters = [{"key": key, "value": json.dumps(value, sort_keys=True)} for key, value in sorted(execution.stage["parameters"].items())]
    facets = {
        "parent": _facet("1-2-0", "ParentRunFacet", **parent, root=parent),
        "executionParameters": _facet("1-0-0", "ExecutionParametersRunFacet", parameters=parameters),
    }
    if execution.outputs and (environment := execution.outputs[0]["environment"]):
        pins = [{"name": name, "value": value} for name, value in sorted(environment["pins"].items())]
        facets["environmentVariables"] = _facet("1-0-0", "EnvironmentVariablesRunFacet", environmentVariables=pins)
    return facets


def _job_facets(execution: Execution, book: Book, snapshot: Snapshot) -> Json:
    facets = {"jobType": _facet("2-0-4", "JobTypeJobFacet", processingType="BATCH", integration="HERDBOOK", jobType="TASK")}
    if (code := _source_code(execution, book, snapshot)) is not None:
        facets["sourceCode"] = _facet("1-0-1", "SourceCodeJobFacet", language="python", sourceCode=code)
    return facets


def _source_code(execution: Execution, book: Book, snapshot: Snapshot) -> str | None:
    """The module that the stage ran; None where the one that lies there now is another."""
    stage = execution.stage["code"]["stage"]
    path = f"stages/{stage}.py"
    try:
        text = snapshot.read(Path(path))
    except MissingError:
        return None
    return text.decode() if digest_bytes(text) == book.code[stage]["modules"].get(path) else None


def _version(sha256: str) -> Json:
    return {"version": _facet("1-0-1", "DatasetVersionDatasetFacet", datasetVersion=f"sha256:{sha256}")}


def _input(entry: Entry, facets: Json) -> Json:
    return {"namespace": _NAME, "name": entry["name"], "facets": _version(entry["digest"]), "inputFacets": facets}


def _receipt_dataset(entry: Entry) -> Json:
    """What an inspection writes."""
    receipt = entry["inspection"]["receipt"]
    return {"namespace": _NAME, "name": receipt["path"], "facets": _version(receipt["sha256"]), "outputFacets": {}}


def _outputs(execution: Execution, book: Book, tables: Tables) -> Iterator[Json]:
    for entry in execution.outputs:
        if entry["status"] != NOT_BRED:
            facets = _version(entry["digest"]) | _column_facets(entry, book, tables) | {"herdbook_generation": _generation(entry, book)}
            yield {"namespace": _NAME, "name": entry["name"], "facets": facets, "outputFacets": {"outputStatistics": _statistics(entry)}}


def _statistics(entry: Entry) -> Json:
    rows = {"rowCount": entry["contents"]["num_rows"]} if "num_rows" in (entry["contents"] or {}) else {}
    size = sum(file["num_bytes"] for file in entry["files"].values())
    return _facet("1-0-2", "OutputStatisticsOutputDatasetFacet", **rows, size=size, fileCount=len(entry["files"]))


def _column_facets(entry: Entry, book: Book, tables: Tables) -> Json:
    if (columns := tables.columns(entry)) is None:
        return {}
    fields = [{"name": field.name, "type": str(field.type), "ordinal_position": place} for place, field in enumerate(columns, 1)]
    facets = {"schema": _facet("1-2-0", "SchemaDatasetFacet", fields=fields)}
    found = origins(entry, list(book.parents(entry)), columns.names)
    if found.fields:
        lineage = {name: {"inputFields": [_input_field(origin, "DIRECT") for origin in come]} for name, come in found.fields.items()}
        rows = [_input_field(origin, "INDIRECT") for origin in found.rows]
        facets["columnLineage"] = _facet("1-2-0", "ColumnLineageDatasetFacet", fields=lineage, dataset=rows)
    return facets


def _input_field(origin: Origin, kind: str) -> Json:
    how = {"type": kind, "subtype": origin.how, "masking": False}
    return {"namespace": _NAME, "name": origin.entry["name"], "field": origin.column, "transformations": [how]}


def _assertions(entry: Entry, snapshot: Snapshot, tables: Tables) -> Json:
    columns = tables.columns(entry)
    rules = [
        _assertion(rule, entry["inspection"]["gate"], columns.names if columns else []) for rule in read_receipt(entry, snapshot)["rules"]
    ]
    return {"dataQualityAssertions": _facet("1-1-0", "DataQualityAssertionsDatasetFacet", assertions=rules)}


def _assertion(rule: Mapping[str, Any], gate: str, columns: Sequence[str]) -> Json:
    """A rule of a receipt. Its severity is error only where its breach stops the lineage; its column only where the table has it."""
    column = {"column": rule["column"]} if rule["column"] in columns else {}
    actual = rule["observed"] if rule["error"] is None else rule["error"]
    return {
        "assertion": rule["rule"],
        "success": rule["status"] == "passed",
        **column,
        "severity": "error" if rule["severity"] == "critical" and gate == "block" else "warn",
        "name": rule_name(rule),
        "description": rule["notes"],
        "expected": str(rule["allowed"]),
        "actual": str(actual),
        "params": {"suite": rule["suite"], "severity": rule["severity"], "status": rule["status"], "gate": gate},
    }


def _generation(entry: Entry, book: Book) -> Json:
    """What only a herd has: the entry that names the dataset, its lineage, what it is composed of, and how it was judged."""
    inspection = entry["inspection"] or {}
    facts = {
        "entry": entry_urn(book, entry),
        "kind": entry["kind"],
        "path": entry["path"],
        **{name: entry[name] for name in ("regime", "seed", "generation", "counts")},
        **{name: (entry["contents"] or {}).get(name) for name in ("composition", "depth", "num_tokens")},
        **{name: inspection.get(name) for name in ("gate", "verdict", "broken")},
        "waivers": entry["waivers"] or None,
        "codeSha256": entry["stage"]["code"]["sha256"],
    }
    told = {name: value for name, value in facts.items() if value is not None}
    return {"_producer": NAMESPACE, "_schemaURL": f"{NAMESPACE}:schema:generation:1#/$defs/HerdbookGenerationDatasetFacet", **told}
