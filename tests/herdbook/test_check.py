import hashlib
from pathlib import Path

import pytest
import yaml

from herdbook.check import findings
from herdbook.errors import FileError
from herdbook.files import write_json
from herdbook.layout import HUMAN_RECEIPT, HUMAN_TRAIN, Place
from herdbook.lineage import NOT_BRED
from herdbook.params import parse_params
from tests import workspace

LOCK = Path("dvc.lock")
PLACE = Place("replace", "s0", "g0")


@pytest.fixture
def params(tmp_path, monkeypatch):
    """One generation of one lineage, inspected, and a lock of one file and one folder of it."""
    monkeypatch.chdir(tmp_path)
    workspace.build(tmp_path)
    workspace.write_generation(PLACE)
    document = yaml.safe_load(Path("params.yaml").read_text())
    document |= {"seeds": ["s0"], "generations": ["g0"], "bred": [], "births": [], "regimes": {"replace": document["regimes"]["replace"]}}
    rows = hashlib.md5(HUMAN_TRAIN.read_bytes()).hexdigest()
    from herdbook.corpus import dvc_digest

    outs = [{"path": str(HUMAN_TRAIN), "md5": rows}, {"path": str(PLACE.training), "md5": dvc_digest(PLACE.training)}]
    LOCK.write_text(yaml.safe_dump({"schema": "2.0", "stages": {"prepare": {"cmd": "x", "outs": outs}}}))
    return parse_params(document)


def found(params) -> list[str]:
    return [f"{finding.path}: {finding.what}" for finding in findings(LOCK, params)]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def test_what_is_as_recorded_has_no_findings(params):
    assert found(params) == []


@pytest.mark.parametrize(
    ("damage", "named", "times"),
    [
        (lambda: flip(HUMAN_TRAIN), "runs/human/train.parquet: md5 is", 2),  # the output, and the receipt of its rows
        (lambda: flip(PLACE.training / "pool.parquet"), "runs/replace/s0/g0/training: md5 is", 2),
        (lambda: HUMAN_TRAIN.unlink(), "runs/human/train.parquet: missing; stage prepare wrote it", 2),
        (lambda: flip(PLACE.curated / "rows.parquet"), "was not inspected with these bytes", 1),
        (lambda: PLACE.receipt("offspring").unlink(), "never inspected", 1),
        (lambda: PLACE.receipt("training").write_text("{"), "cannot be read as a receipt", 1),
        (lambda: Path("expectations/human_rows.yaml").write_text("looser"), "is not the policy it was inspected under", 1),
    ],
)
def test_each_damage_is_found_and_named(params, damage, named, times):
    damage()
    lines = found(params)
    assert len(lines) == times
    assert any(named in line for line in lines)


def test_a_generation_that_was_not_bred_has_no_receipt_to_check(params):
    write_json(PLACE.receipt("offspring"), {"kind": "offspring", "status": NOT_BRED, "rules": []})
    assert found(params) == []


def test_what_the_lock_keeps_of_lineages_that_are_no_longer_bred_is_not_looked_for(params):
    lock = yaml.safe_load(LOCK.read_text())
    paths = ("runs/gone/s0/g0/training", "runs/replace/s9/g0/model", "records/replace/s0/g7/loss.json", "runs/founder/s9/g0/model")
    lock["stages"]["old"] = {"cmd": "x", "outs": [{"path": path, "md5": "0"} for path in paths]}
    LOCK.write_text(yaml.safe_dump(lock))
    assert found(params) == []
    lock["stages"]["old"]["outs"].append({"path": "runs/founder/s0/g0/model", "md5": "0"})
    LOCK.write_text(yaml.safe_dump(lock))
    assert len(found(params)) == 1


@pytest.mark.parametrize("text", ["", "stages", "{", "schema: '2.0'\n"])
def test_a_lock_that_is_none_is_an_error(params, text):
    LOCK.write_text(text)
    with pytest.raises(FileError, match="restore it: git checkout"):
        findings(LOCK, params)
    assert HUMAN_RECEIPT.exists()
