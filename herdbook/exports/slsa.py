"""in-toto Statements v1: SLSA provenance v1 for each stage that made something, a test result v0.1 for each gate.

An auditor can check every digest in them with sha256sum: subjects and dependencies are files."""

from collections.abc import Iterator, Mapping
from typing import Any

from herdbook.book import Book
from herdbook.entry import Entry
from herdbook.exports.executions import NAMESPACE, Execution, entry_urn, executions, files_of, read_receipt, rule_name
from herdbook.layout import EXPECTATIONS
from herdbook.lineage import NOT_BRED
from herdbook.snapshot import Snapshot

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"

Json = dict[str, Any]


def statements(book: Book, snapshot: Snapshot, target: str | None = None) -> list[Json]:
    """The statements of the book, or of what `target` descends from, inputs first.

    Raises FileError where a receipt cannot be had, BookError where it is not the one that its entry names."""
    return [
        _test_result(execution.inspected, snapshot) if execution.inspected else _provenance(execution, book)
        for execution in executions(book, target)
        if execution.is_bred
    ]


def statement(subjects: list[Json], predicate_type: str, predicate: Json) -> Json:
    """A Statement v1."""
    return {"_type": STATEMENT, "subject": subjects, "predicateType": predicate_type, "predicate": predicate}


def files(entry: Entry, /, **annotations: str) -> list[Json]:
    """A resource descriptor of each file of a dataset or model."""
    more = {"annotations": annotations} if annotations else {}
    return [{"name": path, "digest": {"sha256": file["sha256"]}, **more} for path, file in files_of(entry).items()]


def _provenance(execution: Execution, book: Book) -> Json:
    outputs = [entry for entry in execution.outputs if entry["status"] != NOT_BRED]
    definition = {
        "buildType": f"{NAMESPACE}:stage:1",
        "externalParameters": {"command": execution.stage["command"], "parameters": execution.stage["parameters"]},
        "internalParameters": {
            "environment": outputs[0]["environment"],
            "waivers": [{"entry": entry["name"], **waiver} for entry in outputs for waiver in entry["waivers"]],
        },
        "resolvedDependencies": [*_inputs(execution, book), *_code(book.code[execution.stage["code"]["stage"]])],
    }
    details = {
        "builder": {"id": f"{NAMESPACE}:stages"},
        "metadata": {"invocationId": execution.run_id},
        "byproducts": [{"name": path, "digest": {"sha256": found}} for path, found in _records(outputs).items()],
    }
    subjects = [file for entry in outputs for file in files(entry)]
    return statement(subjects, PROVENANCE, {"buildDefinition": definition, "runDetails": details})


def _inputs(execution: Execution, book: Book) -> Iterator[Json]:
    for role, entry in execution.inputs:
        yield from files(entry, role=role, entry=entry_urn(book, entry))


def _code(fingerprint: Mapping[str, Mapping[str, str]]) -> Iterator[Json]:
    for path, found in fingerprint["modules"].items():
        yield {"name": path, "digest": {"sha256": found}}
    for package, version in fingerprint["packages"].items():
        yield {"name": package, "uri": f"pkg:pypi/{package}@{version}"}


def _records(outputs: list[Entry]) -> dict[str, str]:
    return {path: found for entry in outputs for path, found in entry["records"].items()}


def _test_result(entry: Entry, snapshot: Snapshot) -> Json:
    """The verdict of a gate: FAILED where a critical rule is broken or could not be judged, waived or not."""
    receipt = read_receipt(entry, snapshot)
    tests: dict[str, list[str]] = {"passed": [], "warned": [], "failed": []}
    for rule in receipt["rules"]:
        outcome = "passed" if rule["status"] == "passed" else "failed" if rule["severity"] == "critical" else "warned"
        tests[outcome].append(rule_name(rule))
    predicate = {
        "result": "FAILED" if tests["failed"] else "WARNED" if tests["warned"] else "PASSED",
        "configuration": [
            {"name": (EXPECTATIONS / name).as_posix(), "digest": {"sha256": found}} for name, found in sorted(receipt["policies"].items())
        ],
        **{f"{outcome}Tests": names for outcome, names in tests.items()},
    }
    inspected = set(receipt["data"].values())
    return statement([file for file in files(entry) if file["digest"]["sha256"] in inspected], TEST_RESULT, predicate)
