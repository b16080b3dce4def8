import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from rich.console import Console

from herdbook.book import INDEX, entry_path
from herdbook.entry import entry_id
from herdbook.errors import BookError
from herdbook.files import canonical_json, digest, read_json, read_table, write_table
from herdbook.replay import Replay, as_json, drawn, replay
from herdbook.rerun import Fact, Outcome, Rebuilt
from herdbook.schema import ROWS
from herdbook.snapshot import book_of, snapshot
from tests import miniature

CURATED = "replace/s0/g1/curated"
TRAINING = "replace/s0/g1/training"
RECEIPT = Path("records/replace/s0/g1/training/receipt.json")
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    """Where temporary folders are made; nothing may be left in it."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def replayed(root: Path, target: str, revision: str | None = None) -> Replay:
    before = digest(root)
    with snapshot(root, revision) as now:
        found = replay(target, book_of(now), now)
    assert digest(root) == before  # the workspace, its cache and its git are as they were
    assert json.dumps(as_json(found))
    return found


def shown(found: Replay) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(drawn(found))
    return capture.get()


def alter(path: Path) -> None:
    path.chmod(0o644)
    write_table(path, read_table(path, ROWS).slice(1))


def forge(root: Path, name: str, **changes: object) -> None:
    """Write something else into an entry, and into the index, as one would who wants the book to look whole."""
    entry = {**read_json(root / entry_path(name)), **changes}
    index = read_json(root / INDEX)
    index["entries"][name] = entry_id(entry)
    for path, value in ((root / entry_path(name), entry), (root / INDEX, index)):
        path.unlink()
        path.write_text(canonical_json(value))


@pytest.mark.usefixtures("forked")
def test_a_dataset_is_rebuilt_to_the_same_bytes(bred):
    found = replayed(bred, "runs/replace/s0/g1/curated")
    assert found.is_identical
    assert found.target == CURATED
    assert {Path(file.path).name for file in found.making.files} == {
        "counts.json", "hands.parquet", "making.json", "rejected.parquet", "rows.parquet",
    }  # fmt: skip
    assert shown(found).startswith(f"{CURATED}: identical, 5 files of {sum(file.num_bytes for file in found.making.files):,} bytes")


@pytest.mark.parametrize("target", [TRAINING, RECEIPT.as_posix()])
@pytest.mark.usefixtures("forked")
def test_a_dataset_is_inspected_once_more_to_the_same_receipt_and_profile(bred, target):
    found = replayed(bred, target)
    assert (found.is_identical, found.target, found.inspected) == (True, TRAINING, "rebuilt")
    assert [file.path for file in found.inspection.files] == [RECEIPT.with_name("profile.json").as_posix(), RECEIPT.as_posix()]
    assert "its receipt and profile: identical, 2 files" in shown(found)


@pytest.mark.usefixtures("forked")
def test_what_is_not_inspected_has_no_receipt_to_be_compared(bred):
    found = replayed(bred, "replace/s0/g1/offspring")
    assert (found.is_identical, found.inspection, found.inspected) == (True, None, None)


def test_a_model_is_rebuilt_to_the_same_bytes_at_a_revision(bred):
    found = replayed(bred, "replace/s0/g1/model", "HEAD")
    assert found.is_identical
    assert {"runs/replace/s0/g1/model/model.safetensors", "records/replace/s0/g1/loss.json"} <= {file.path for file in found.making.files}


@pytest.mark.usefixtures("forked")
def test_a_generation_that_was_not_bred_is_rebuilt_as_its_reason(bred):
    found = replayed(bred, "curated/s0/g1/model")
    assert found.is_identical
    assert {file.path for file in found.making.files} == {"runs/curated/s0/g1/model/not_bred.json", "records/curated/s0/g1/loss.json"}


@pytest.mark.usefixtures("forked")
def test_the_records_of_a_dataset_that_was_not_bred_are_rebuilt_too(bred):
    found = replayed(bred, "curated/s0/g1/training")
    assert found.is_identical
    assert len(found.inspection.files) == 2


@pytest.mark.usefixtures("forked")
def test_what_the_workspace_holds_in_place_of_the_inputs_does_not_matter(project):
    alter(project / "runs/replace/s0/g1/offspring/rows.parquet")
    shutil.rmtree(project / "runs/replace/s0/g1/curated")
    params = miniature.parameters()
    params["regimes"]["replace"]["recipe"]["num_rows"] = 7
    miniature.write_params(project, params)
    assert replayed(project, CURATED).is_identical


@pytest.mark.usefixtures("forked")
def test_a_policy_that_was_edited_since_is_taken_from_the_last_commit(project):
    path = project / "expectations/training_rows.yaml"
    path.write_text(path.read_text() + "# edited\n")
    assert replayed(project, "curated/s0/g1/model").is_identical


@pytest.mark.usefixtures("forked")
def test_a_clone_whose_data_is_only_in_a_remote_rebuilds_too(project, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(project / ".dvc/cache", store)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(project), str(clone)], check=True)
    (clone / ".dvc/config.local").write_text(f"[core]\n    remote = store\n['remote \"store\"']\n    url = {store}\n")
    with snapshot(clone, "HEAD") as now:
        assert replay(CURATED, book_of(now), now).is_identical


@pytest.mark.usefixtures("forked")
def test_recorded_bytes_that_the_stage_never_wrote_are_told_with_their_distance(project):
    path = project / "runs/replace/s0/g1/curated/rows.parquet"
    rows = read_table(path, ROWS).slice(1)
    place = rows.schema.get_field_index("nll_nats")
    path.unlink()
    write_table(path, rows.set_column(place, ROWS.field(place), pc.add(rows["nll_nats"], pa.scalar(0.5))))
    miniature.run(project, "-m", "dvc", "commit", "-q", "--force", "curate@replace-s0-g1")
    miniature.run(project, "-m", "stages", "book", cold=True)
    environment = read_json(project / entry_path(CURATED))["environment"]
    forge(project, CURATED, environment={**environment, "threads": 4, "pins": {**environment["pins"], "MKL_CBWR": "AVX512"}})

    found = replayed(project, CURATED)
    assert not found.is_identical
    (file,) = [file for file in found.making.files if not file.is_identical]
    assert file.path == "runs/replace/s0/g1/curated/rows.parquet"
    assert file.distance["num_rows"] == [149, 150]
    assert file.distance["apart"]["nll_nats"]["max_absolute"] == pytest.approx(0.5)
    assert (found.inspection.is_identical, found.inspected) == (True, "recorded")
    assert "the dataset as it is recorded, for it came out otherwise" in shown(found)
    assert found.making.facts == (Fact("MKL_CBWR", "AVX512", "AVX2,STRICT"), Fact("threads", 4, 1))
    assert "nll_nats: 149 rows by up to 0.5" in shown(found)
    assert "threads: recorded 4, here 1" in shown(found)


@pytest.mark.usefixtures("forked")
def test_a_forged_inspection_is_found_though_lock_and_book_agree_with_it(project):
    profile = RECEIPT.with_name("profile.json")
    receipt = read_json(project / RECEIPT)
    receipt["rules"][0]["observed"] = 1
    for path, value in ((RECEIPT, receipt), (profile, {**read_json(project / profile), "distinct_1": 0.125})):
        (project / path).unlink()
        (project / path).write_text(canonical_json(value))
    miniature.run(project, "-m", "dvc", "commit", "-q", "--force", "validate-training@replace-s0-g1")
    miniature.run(project, "-m", "stages", "book", cold=True)
    assert read_json(project / entry_path(TRAINING))["inspection"]["receipt"]["sha256"] == digest(project / RECEIPT)

    found = replayed(project, TRAINING)
    assert found.making.is_identical
    assert not found.is_identical
    assert {Path(file.path).name: [*file.distance["apart"]] for file in found.inspection.files} == {
        "profile.json": ["distinct_1"],
        "receipt.json": ["rules"],
    }
    assert "its receipt and profile: 2 of 2 files differ from their entry" in shown(found)
    assert "distinct_1: 0.125 became" in shown(found)


@pytest.mark.usefixtures("forked")
def test_an_entry_that_names_another_receipt_is_found(project):
    inspection = read_json(project / entry_path(CURATED))["inspection"]
    forge(project, CURATED, inspection={**inspection, "receipt": {**inspection["receipt"], "sha256": "0" * 64}})
    found = replayed(project, CURATED)
    (file,) = [file for file in found.inspection.files if not file.is_identical]
    told = "dvc.lock records what came out now, the entry other bytes"
    assert (file.path, file.why) == ("records/replace/s0/g1/offspring/receipt.json", told)


@pytest.mark.usefixtures("forked")
def test_an_entry_that_is_not_about_what_the_lock_records_is_told(project):
    entry = read_json(project / entry_path(CURATED))
    files = {**entry["files"], "rows.parquet": {**entry["files"]["rows.parquet"], "sha256": "0" * 64}, "more.txt": {"sha256": "1" * 64}}
    forge(project, CURATED, files=files)
    found = {Path(file.path).name: file for file in replayed(project, CURATED).making.files}
    assert found["rows.parquet"].why == "dvc.lock records what came out now, the entry other bytes"
    assert (found["more.txt"].found, found["more.txt"].is_identical) == (None, False)


@pytest.mark.usefixtures("forked")
def test_a_table_that_did_not_come_out_is_told_by_its_own_path(project):
    (file,) = read_json(project / entry_path("human/reference"))["files"].values()
    forge(project, "human/reference", path="runs/human/other.parquet", files={"other.parquet": file})
    (found,) = replayed(project, "human/reference").making.files
    assert (found.path, found.found) == ("runs/human/other.parquet", None)


def test_another_version_of_a_package_is_told_and_nothing_is_run(bred, tmp_path, monkeypatch):
    other = tmp_path / "other"
    (other / "pydantic-1.0.dist-info").mkdir(parents=True)
    (other / "pydantic-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: pydantic\nVersion: 1.0\n")
    monkeypatch.setenv("PYTHONPATH", str(other))
    monkeypatch.syspath_prepend(str(other))
    recorded = read_json(bred / "book/code/curate.json")["packages"]["pydantic"]
    found = replayed(bred, CURATED)
    assert not found.is_identical
    assert found.making.facts == (Fact("pydantic", recorded, "1.0"),)
    assert "pydantic 1.0 is installed" in found.making.refusal
    assert f"pydantic: recorded {recorded}, here 1.0" in shown(found)


@pytest.mark.usefixtures("forked")
def test_code_that_was_edited_since_is_told_and_the_last_commit_still_rebuilds(project):
    module = project / "herdbook/recipe.py"
    module.write_text(module.read_text() + "# edited\n")
    found = replayed(project, CURATED)
    assert [fact.name for fact in found.making.facts] == ["herdbook/recipe.py"]
    assert "herdbook/recipe.py: not the code that runs/code/curate.json records" in found.making.refusal
    assert replayed(project, CURATED, "HEAD").is_identical


def test_inputs_that_are_nowhere_are_named_in_one_line(project):
    manifest = yaml.safe_load((project / "dvc.lock").read_text())["stages"]["curate@replace-s0-g1"]["deps"]
    md5 = next(dep["md5"] for dep in manifest if dep["path"] == "runs/replace/s0/g1/offspring")
    (project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
    alter(project / "runs/replace/s0/g1/offspring/rows.parquet")
    with pytest.raises(BookError, match=rf"^{CURATED}: cannot .* not at hand: runs/replace/s0/g1/offspring; get it with dvc fetch$"):
        replayed(project, CURATED)


@pytest.mark.usefixtures("forked")
def test_a_policy_that_is_nowhere_leaves_the_dataset_rebuilt_and_is_named(project):
    path = project / "expectations/training_rows.yaml"
    path.write_text(path.read_text() + "# edited\n")
    miniature.commit(project, "edit")
    found = replayed(project, "replace/s0/g0/training")
    assert found.making.is_identical
    assert not found.is_identical
    assert found.inspection.refusal == f"what it was inspected with is not at hand: {path.relative_to(project)}; get it with dvc fetch"


def test_a_damaged_object_of_the_cache_is_not_taken_for_the_input(project):
    listed = yaml.safe_load((project / "dvc.lock").read_text())["stages"]["prepare"]["outs"]
    md5 = next(out["md5"] for out in listed if out["path"] == "runs/human/train.parquet")
    for path in (project / ".dvc/cache/files/md5" / md5[:2] / md5[2:], project / "runs/human/train.parquet"):
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(BookError, match=r"not at hand: runs/human/train\.parquet"):
        replayed(project, "replace/s0/g0/training")


def test_what_was_given_cannot_be_replayed_and_its_md5_is_named(bred):
    md5 = yaml.safe_load((bred / "data.dvc").read_text())["outs"][0]["md5"]
    with pytest.raises(BookError, match=f"corpus: was given, no stage makes it.* md5 {md5}"):
        replayed(bred, "corpus")


def test_a_stage_that_the_lock_does_not_know_cannot_be_replayed(project):
    stage = read_json(project / entry_path(CURATED))["stage"]
    forge(project, CURATED, stage={**stage, "command": "python -m stages curate replace s0 g9"})
    with pytest.raises(BookError, match=r"^dvc\.lock: no stage ran 'python -m stages curate replace s0 g9'"):
        replayed(project, CURATED)


def test_an_inspection_that_the_lock_does_not_know_cannot_be_replayed(project):
    lock = (project / "dvc.lock").read_text()
    command = "python -m stages validate training replace s0 g1"
    (project / "dvc.lock").write_text(lock.replace(f"cmd: {command}\n", "cmd: python -m stages other\n"))
    with pytest.raises(BookError, match=f"no stage ran '{command}', so what {TRAINING} was inspected with is not recorded"):
        replayed(project, TRAINING)


@pytest.mark.parametrize("path", ["../stolen", "/tmp/stolen"])
def test_a_lock_that_reaches_out_of_the_project_is_refused(project, path):
    lock = (project / "dvc.lock").read_text()
    head, tail = lock.split("  curate@replace-s0-g1:\n")
    (project / "dvc.lock").write_text(f"{head}  curate@replace-s0-g1:\n" + tail.replace("path: runs/code/curate.json", f"path: {path}", 1))
    with pytest.raises(BookError, match=r"which lies outside of the project"):
        replayed(project, CURATED)


def test_a_near_miss_is_suggested(bred):
    with pytest.raises(BookError, match=r"did you mean replace/s0/g1/curated"):
        replayed(bred, "replace/s0/g1/curate")


def test_a_time_out_leaves_nothing_behind(bred, scratch):
    script = "import sys; from pathlib import Path; from herdbook.replay import replay; from herdbook.snapshot import *\n"
    script += "with snapshot(Path(sys.argv[1])) as now: replay('replace/s0/g1/model', book_of(now), now)"
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen([sys.executable, "-c", script, str(bred)], env=environment, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(scratch.glob("herdbook-replay-*/making/runs")):
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    assert b"KeyboardInterrupt" in running.communicate(timeout=60)[1]


def test_what_a_stage_says_does_not_steer_a_terminal():
    file = Rebuilt(path="\x1b[1m", recorded="0" * 64, found="1" * 64, num_bytes=1, why="\x1b[2m")
    told = {"target": "t", "revision": "r", "machine": "m"}
    for outcome in (Outcome(command="\x1b[1m", files=(file,)), Outcome(command="c", refusal="no\x1b[2J")):
        for found in (Replay(**told, making=outcome), Replay(**told, making=Outcome(command="c"), inspection=outcome, inspected="rebuilt")):
            assert "\x1b[1" not in shown(found)
            assert "\x1b[2" not in shown(found)
