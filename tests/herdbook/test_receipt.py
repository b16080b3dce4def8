import json
import subprocess
import sys
from pathlib import Path

import pytest

from herdbook.errors import InspectionError
from herdbook.files import canonical_json, digest, read_json, write_json
from herdbook.receipt import make_receipt, not_bred_receipt, policy_paths, read_inspected, stop_of, waived_rules

RECEIPT = Path("records/receipt.json")
DATA = {"rows": Path("rows.parquet"), "pool": Path("pool.parquet")}


def rule(status="passed", severity="critical", suite="training_rows", column="id", name="expect_column_values_to_be_unique"):
    outcome = {"suite": suite, "rule": name, "column": column, "notes": "why", "severity": severity, "status": status}
    return {**outcome, "observed": "0 of 3 rows break it", "allowed": "in every row", "error": None}


def rules(*others):
    return [rule(), rule(suite="training_profile", column="depth_mean"), *others]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with two data files, the two policies of a training set, and the receipt that they passed."""
    monkeypatch.chdir(tmp_path)
    for path in DATA.values():
        path.write_bytes(path.name.encode())
    for path in policy_paths("training"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(path.name)
    write_json(RECEIPT, make_receipt("training", DATA, rules(), {"human_depth_mean": 0.0}))


def test_a_receipt_binds_the_bytes_inspected_and_the_policies_used(project):
    receipt = read_inspected(DATA, RECEIPT, "training")
    assert receipt["data"] == {"rows": digest(DATA["rows"]), "pool": digest(DATA["pool"])}
    assert set(receipt["policies"]) == {"training_rows.yaml", "training_profile.yaml"}
    assert (receipt["kind"], receipt["status"], receipt["parameters"]) == ("training", "passed", {"human_depth_mean": 0.0})


def test_a_failed_receipt_is_read_all_the_same(project):
    write_json(RECEIPT, make_receipt("training", DATA, rules(rule("failed")), {}))
    assert read_inspected(DATA, RECEIPT, "training")["status"] == "failed"


def test_whoever_reads_one_file_need_not_read_the_others(project):
    DATA["pool"].unlink()
    assert read_inspected({"rows": DATA["rows"]}, RECEIPT, "training")["status"] == "passed"


def test_two_receipts_of_the_same_inspection_have_the_same_bytes(project):
    first = RECEIPT.read_bytes()
    write_json(RECEIPT, make_receipt("training", dict(reversed(DATA.items())), rules(), {"human_depth_mean": 0.0}))
    assert RECEIPT.read_bytes() == first


def alter(change):
    receipt = read_json(RECEIPT)
    change(receipt)
    RECEIPT.write_text(json.dumps(receipt))


REFUSED = {
    "the receipt is missing": (lambda: RECEIPT.unlink(), "never inspected"),
    "the receipt is a folder": (lambda: (RECEIPT.unlink(), RECEIPT.mkdir()), "cannot be read as a receipt"),
    "the receipt is not JSON": (lambda: RECEIPT.write_text("{"), "cannot be read as a receipt"),
    "the receipt is not text": (lambda: RECEIPT.write_bytes(b"\xff"), "cannot be read as a receipt"),
    "the receipt is nested without end": (lambda: RECEIPT.write_text("[" * 100_000), "cannot be read as a receipt"),
    "the receipt is a list": (lambda: RECEIPT.write_text("[]"), "not a receipt of training data"),
    "the receipt is of other data": (lambda: alter(lambda r: r.update(kind="offspring")), "not a receipt of training data"),
    "the receipt lacks its digests": (lambda: alter(lambda r: r.pop("data")), "lacks data"),
    "the receipt lacks its rules": (lambda: alter(lambda r: r.pop("rules")), "no readable rules"),
    "a rule lacks its status": (lambda: alter(lambda r: r["rules"][0].pop("status")), "no readable rules"),
    "a rule has a status of its own": (lambda: alter(lambda r: r["rules"][0].update(status="fine")), "no readable rules"),
    "a rule has a list for a suite": (lambda: alter(lambda r: r["rules"][0].update(suite=[])), "no readable rules"),
    "the rules of a policy were taken out": (lambda: alter(lambda r: r["rules"].pop()), "rules of both policies"),
    "the verdict was changed": (lambda: alter(lambda r: r["rules"][0].update(status="failed")), "its rules say 'failed'"),
    "the generation was not bred": (lambda: alter(lambda r: r.update(status="not bred")), "was not bred"),
    "a byte of the data was changed": (lambda: DATA["rows"].write_bytes(b"rows.Parquet"), "rows.parquet: was not inspected"),
    "another file was changed": (lambda: DATA["pool"].write_bytes(b""), "pool.parquet: was not inspected"),
    "the data is missing": (lambda: DATA["rows"].unlink(), "rows.parquet: not found"),
    "the data was not inspected at all": (lambda: alter(lambda r: r["data"].pop("pool")), "says nothing of it"),
    "a policy was changed": (lambda: policy_paths("training")[1].write_text("looser"), "training_profile.yaml: is not the policy"),
    "a policy was not used": (lambda: alter(lambda r: r["policies"].pop("training_rows.yaml")), "training_rows.yaml: is not the policy"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_data_without_a_receipt_for_it_is_refused_in_one_line(project, case):
    damage, message = REFUSED[case]
    damage()
    with pytest.raises(InspectionError, match=message) as refusal:
        read_inspected(DATA, RECEIPT, "training")
    assert "\n" not in str(refusal.value)
    assert "dvc repro" in str(refusal.value)


@pytest.mark.parametrize(
    ("others", "status"),
    [
        ([], "passed"),
        ([rule("failed", "warning"), rule("errored", "info")], "passed"),
        ([rule("failed")], "failed"),
        ([rule("failed"), rule("errored")], "errored"),
    ],
)
def test_only_critical_rules_decide_and_errored_outweighs_failed(project, others, status):
    assert make_receipt("training", DATA, rules(*others), {})["status"] == status


def test_a_stop_names_what_ended_the_lineage(project):
    broken = [rule("failed", column="tail_share"), rule("errored", column=None, name="expect_table"), rule("failed", "info", column="x")]
    receipt = make_receipt("training", DATA, rules(*broken), {})
    names = ["expect_table", "tail_share: expect_column_values_to_be_unique"]
    assert waived_rules(receipt) == names
    assert stop_of(receipt, "block", "g2") == {"generation": "g2", "dataset": "training", "inspection": "errored", "rules": names}
    assert stop_of(receipt, "waive", "g2") is None


def test_what_passed_stops_nothing(project):
    receipt = make_receipt("training", DATA, rules(), {})
    assert (stop_of(receipt, "block", "g2"), waived_rules(receipt)) == (None, [])


def test_in_place_of_a_receipt_stands_what_ended_the_lineage():
    stop = {"generation": "g1", "dataset": "offspring", "inspection": "failed", "rules": ["a"]}
    assert not_bred_receipt("training", stop) == {"kind": "training", "status": "not bred", **stop}


def test_reading_receipts_does_not_import_great_expectations():
    code = "import sys, herdbook.receipt; sys.exit('great_expectations' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_receipt_is_canonical_json(project):
    assert RECEIPT.read_text() == canonical_json(json.loads(RECEIPT.read_text()))
