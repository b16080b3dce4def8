import json

import jsonschema
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.predicates.test_result.v0.test_result_pb2 import TestResult as Result
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from herdbook.exports import slsa
from herdbook.files import digest, digest_bytes

DESCRIPTOR = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "uri": {"type": "string"},
        "digest": {
            "type": "object",
            "properties": {"sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
            "additionalProperties": False,
        },
        "annotations": {"type": "object"},
    },
    "anyOf": [{"required": ["digest"]}, {"required": ["uri"]}],
    "additionalProperties": False,
}
TESTS = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
PREDICATES = {  # as slsa.dev/spec/v1.0/provenance and the in-toto attestation repository (test-result 0.1.0) tell their fields
    slsa.PROVENANCE: {
        "type": "object",
        "properties": {
            "buildDefinition": {
                "type": "object",
                "properties": {
                    "buildType": {"type": "string", "format": "uri"},
                    "externalParameters": {"type": "object"},
                    "internalParameters": {"type": "object"},
                    "resolvedDependencies": {"type": "array", "items": DESCRIPTOR},
                },
                "required": ["buildType", "externalParameters"],
                "additionalProperties": False,
            },
            "runDetails": {
                "type": "object",
                "properties": {
                    "builder": {
                        "type": "object",
                        "properties": {"id": {"type": "string"}},
                        "required": ["id"],
                        "additionalProperties": False,
                    },
                    "metadata": {"type": "object", "properties": {"invocationId": {"type": "string"}}, "additionalProperties": False},
                    "byproducts": {"type": "array", "items": DESCRIPTOR},
                },
                "required": ["builder"],
                "additionalProperties": False,
            },
        },
        "required": ["buildDefinition", "runDetails"],
        "additionalProperties": False,
    },
    slsa.TEST_RESULT: {
        "type": "object",
        "properties": {
            "result": {"enum": ["PASSED", "WARNED", "FAILED"]},
            "configuration": {"type": "array", "items": DESCRIPTOR, "minItems": 1},
            "passedTests": TESTS,
            "warnedTests": TESTS,
            "failedTests": TESTS,
        },
        "required": ["result", "configuration"],
        "additionalProperties": False,
    },
}
MESSAGES = {slsa.PROVENANCE: Provenance, slsa.TEST_RESULT: Result}


@pytest.fixture(scope="module")
def whole(opened):
    return slsa.statements(*opened)


def without_empty(value):
    """Protobuf does not tell an empty list from none."""
    if isinstance(value, dict):
        return {key: without_empty(item) for key, item in value.items() if item != []}
    return value


def of_stage(statements, words):
    return next(
        found
        for found in statements
        if found["predicateType"] == slsa.PROVENANCE
        and found["predicate"]["buildDefinition"]["externalParameters"]["command"] == f"python -m stages {words}"
    )


def of_gate(statements, path):
    return next(
        found for found in statements if found["predicateType"] == slsa.TEST_RESULT and path in {file["name"] for file in found["subject"]}
    )


def test_the_in_toto_library_reads_each_statement_and_writes_it_again_alike(whole):
    for statement in whole:
        message = ParseDict(statement, statement_pb2.Statement())
        Statement.copy_from_pb(message).validate()
        assert MessageToDict(message) == statement


def test_each_predicate_is_of_its_type(whole):
    assert {statement["predicateType"] for statement in whole} == set(PREDICATES)
    for statement in whole:
        kind, predicate = statement["predicateType"], statement["predicate"]
        jsonschema.validate(predicate, PREDICATES[kind])
        back = MessageToDict(ParseDict(predicate, MESSAGES[kind]()))
        parameters = predicate.get("buildDefinition", {}).get("internalParameters")
        if parameters:  # free-form, where an empty list is one
            assert back["buildDefinition"]["internalParameters"] == parameters
        assert without_empty(back) == without_empty(predicate)


def test_train_and_sample_tell_what_they_made_from_what(whole, bred):
    train = of_stage(whole, "train replace s0 g1")
    assert "runs/replace/s0/g1/model/model.safetensors" in {file["name"] for file in train["subject"]}
    definition = train["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["parameters"]["train"]["batch_rows"] == 32
    waiver = definition["internalParameters"]["waivers"][0]
    assert (waiver["entry"], waiver["dataset"], waiver["generation"]) == ("replace/s0/g1/model", "training", "g1")
    assert definition["internalParameters"]["environment"]["threads"] == 1
    names = {dependency["name"]: dependency for dependency in definition["resolvedDependencies"]}
    assert names["runs/replace/s0/g1/training/rows.parquet"]["annotations"]["role"] == "training"
    assert names["torch"]["uri"].startswith("pkg:pypi/torch@")
    assert "stages/train.py" in names
    sample = of_stage(whole, "sample replace s0 g1")
    assert [file["name"] for file in sample["subject"]] == [
        f"runs/replace/s0/g1/offspring/{name}" for name in ("making.json", "rows.parquet")
    ]
    assert sample["predicate"]["runDetails"]["byproducts"][0]["name"] == "records/replace/s0/g1/examples.json"


def test_every_file_told_of_has_the_bytes_that_lie_there(whole, bred):
    for statement in whole:
        for file in statement["subject"]:
            assert digest(bred / file["name"]) == file["digest"]["sha256"]


def test_what_was_not_bred_has_no_statement(whole):
    assert not any("curated/s0/g1" in json.dumps(statement["subject"]) for statement in whole)


def test_a_gate_that_was_waived_has_failed_all_the_same(whole):
    found = of_gate(whole, "runs/replace/s0/g1/training/rows.parquet")["predicate"]
    assert found["result"] == "FAILED"
    assert "training_profile: distinct_2: expect_column_max_to_be_between" in found["failedTests"]
    assert "training_profile: human_token_share: expect_column_min_to_be_between" in found["warnedTests"]
    assert [file["name"] for file in found["configuration"]] == ["expectations/training_profile.yaml", "expectations/training_rows.yaml"]


def test_a_rule_that_could_not_be_judged_has_failed(whole):
    found = of_gate(whole, "runs/curated/s0/g0/curated/rows.parquet")["predicate"]
    assert found["result"] == "FAILED"
    assert "offspring_rows: id: expect_column_values_to_be_unique" in found["failedTests"]


@pytest.mark.parametrize(
    ("outcomes", "result"),
    [
        ([("critical", "passed"), ("info", "passed")], "PASSED"),
        ([("critical", "passed"), ("info", "failed")], "WARNED"),
        ([("critical", "passed"), ("warning", "errored")], "WARNED"),
        ([("critical", "failed"), ("info", "failed")], "FAILED"),
        ([("critical", "errored")], "FAILED"),
    ],
)
def test_only_critical_rules_fail_a_gate(opened, outcomes, result):
    book, _ = opened
    rules = [
        {"suite": "human_rows", "column": None, "rule": f"rule {number}", "severity": severity, "status": status}
        for number, (severity, status) in enumerate(outcomes)
    ]
    entry = book.entries["human/train"]
    text = json.dumps({"rules": rules, "data": {"rows": entry["digest"]}, "policies": entry["inspection"]["policies"]}).encode()
    inspection = {**entry["inspection"], "receipt": {"path": "receipt.json", "sha256": digest_bytes(text)}}

    class Receipt:
        read = staticmethod(lambda path: text)

    found = slsa._test_result({**entry, "inspection": inspection}, Receipt)
    assert found["predicate"]["result"] == result
    assert [file["name"] for file in found["subject"]] == ["runs/human/train.parquet"]
