import pytest

from herdbook.book import Book
from herdbook.causes import Cause, causes
from herdbook.entry import entry_id

CODE = {"train": {"modules": {"stages/train.py": "m0", "herdbook/a.py": "a0"}, "packages": {"torch": "1.0"}}, "validate": {}}
STAGE = {
    "command": "python -m stages train",
    "parameters": {"train": {"epochs": 1, "rate": 0.1}},
    "code": {"stage": "train", "sha256": "c0"},
}
CHECK = {"command": "python -m stages validate", "parameters": {"profile": {"num_rows": 5}}, "code": {"stage": "validate", "sha256": "v0"}}
INSPECTION = {
    "dataset": "training",
    "gate": "block",
    "verdict": "passed",
    "policies": {"training_rows.yaml": "p0"},
    "receipt": {"sha256": "r0"},
    "profile": {"sha256": "f0"},
    "stage": CHECK,
}


def entry(name, *parents, **changes):
    place = dict(zip(("regime", "seed", "generation"), name.split("/"), strict=False)) if name.count("/") == 3 else {}
    return {
        "name": name, "path": f"runs/{name}", "digest": "d0", "regime": None, "seed": None, "generation": None, **place,
        "parents": [{"role": "of", "name": parent["name"], "entry": entry_id(parent)} for parent in parents],
        "status": "bred", "stage": STAGE,
        "environment": {"threads": 1, "device": "cpu", "pins": {"X": "1"}}, "inspection": INSPECTION, **changes,
    }  # fmt: skip


def book(*entries, code=CODE):
    return Book({e["name"]: e for e in entries}, {e["name"]: entry_id(e) for e in entries}, code, "root")


OLD = entry("replace/s0/g1/training")


def changed(**changes):
    return causes(OLD["name"], book(OLD), book({**OLD, **changes}))


def test_a_parameter_is_named_by_its_dotted_key_with_both_values():
    found = changed(stage={**STAGE, "parameters": {"train": {"epochs": 2, "rate": 0.1, "new": True}}})
    assert found == (Cause("parameter", "train.epochs", 1, 2), Cause("parameter", "train.new", None, True))


def test_code_is_named_by_module_and_by_package():
    code = {"train": {"modules": {"stages/train.py": "m1", "herdbook/a.py": "a0"}, "packages": {"torch": "2.0"}}}
    new = {**OLD, "stage": {**STAGE, "code": {"stage": "train", "sha256": "c1"}}}
    found = causes(OLD["name"], book(OLD), book(new, code=code))
    assert found == (Cause("code", "stages/train.py", "m0", "m1"), Cause("package", "torch", "1.0", "2.0"))


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"policies": {"training_rows.yaml": "p1"}}, Cause("policy", "expectations/training_rows.yaml", "p0", "p1")),
        ({"gate": "waive"}, Cause("parameter", "regimes.replace.gate", "block", "waive")),
    ],
)
def test_what_an_inspection_goes_by_is_a_cause(change, cause):
    assert changed(inspection={**INSPECTION, **change}) == (cause,)


def test_what_was_not_bred_has_no_device_and_no_policy_that_would_be_causes():
    stopped = {"status": "not bred", "environment": {**OLD["environment"], "device": None}}
    (found,) = changed(**stopped, inspection={**INSPECTION, "policies": {}}, digest="d1")
    assert found.kind == "unknown"


def test_the_environment_is_a_cause():
    assert changed(environment={**OLD["environment"], "device": "cuda"}) == (Cause("environment", "device", "cpu", "cuda"),)


def test_a_parent_is_a_cause_and_stands_after_what_is_the_artefacts_own():
    parents = [entry("human/train", digest=digest) for digest in ("d0", "d1")]
    sides = [
        entry("replace/s0/g1/model", parent, environment={"threads": threads}) for parent, threads in zip(parents, (1, 2), strict=True)
    ]
    found = causes("replace/s0/g1/model", book(parents[0], sides[0]), book(parents[1], sides[1]))
    assert [(cause.kind, cause.name) for cause in found] == [("environment", "threads"), ("parent", "human/train")]


def test_what_an_inspection_compares_with_is_a_cause_though_it_is_no_parent():
    references = [entry("human/reference", digest=digest) for digest in ("d0", "d1")]
    new = {**OLD, "inspection": {**INSPECTION, "profile": {"sha256": "f1"}}}
    found = causes(OLD["name"], book(references[0], OLD), book(references[1], new))
    assert [(cause.kind, cause.name) for cause in found] == [("reference", "human/reference")]


def test_what_people_gave_has_no_cause_but_its_bytes():
    given = {"command": None, "parameters": {}, "code": None}
    sides = [entry("corpus", digest=digest, stage=given, environment=None, inspection=None) for digest in ("d0", "d1")]
    assert causes("corpus", book(sides[0]), book(sides[1])) == (Cause("given", "runs/corpus", "d0", "d1"),)


def test_other_bytes_for_no_recorded_reason_are_said_to_be_so():
    (found,) = changed(digest="d1")
    assert (found.kind, found.name) == ("unknown", "nothing that is recorded; see herdbook replay")


def test_an_artefact_appears_with_the_generation_that_is_named_or_with_its_parent():
    training = entry("replace/s0/g2/training")
    model = entry("replace/s0/g2/model", training)
    old, new = book(OLD), book(OLD, training, model)
    assert causes("replace/s0/g2/training", old, new) == (Cause("parameter", "generations", None, "g2"),)
    assert [(c.kind, c.name) for c in causes("replace/s0/g2/model", old, new)] == [
        ("parameter", "generations"),
        ("parent", "replace/s0/g2/training"),
    ]
    assert causes("replace/s0/g2/training", new, old) == (Cause("parameter", "generations", "g2", None),)


def test_an_artefact_of_a_known_place_appears_because_of_the_parameters():
    new = entry("replace/s0/g1/more")
    assert causes(new["name"], book(OLD), book(OLD, new)) == (Cause("parameter", "params.yaml"),)
