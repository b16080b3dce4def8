"""An audit of a clean herd, and of one that somebody laid hands on."""

import contextlib
import hashlib
import io
import json
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from herdbook.audit import LEVELS, Report, as_json, audit, drawn
from herdbook.audit.copies import Copies
from herdbook.audit.finding import Finding
from herdbook.audit.inspections import Owed, owed
from herdbook.corpus import dvc_digest
from herdbook.duplicates import ngrams_of, overlaps
from herdbook.errors import BookError
from herdbook.files import canonical_json, digest, digest_bytes, read_json, write_json, write_table
from herdbook.params import parse_params
from herdbook.receipt import make_receipt, stop_of
from herdbook.regimes import in_pass
from herdbook.snapshot import snapshot
from tests import herd, miniature
from tests.miniature import repro, run
from tests.terminal import Kept
from tests.workspace import outcomes

REPLACE = "runs/replace/s0/g1"


def audited(root: Path, level: str = "hashes", revision: str | None = None) -> Report:
    with snapshot(root, revision) as now:
        return audit(now, level)  # type: ignore[arg-type]


def found(root: Path, level: str = "hashes") -> list[Finding]:
    return audited(root, level).findings


def named(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(finding.path, finding.kind) for finding in findings}


@contextlib.contextmanager
def rewritten(path: Path, data: bytes) -> Iterator[None]:
    """A file with other bytes, put back afterwards."""
    before = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data)
    try:
        yield
    finally:
        path.write_bytes(before)


def flipped(data: bytes, place: int, bit: int = 0) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


@pytest.fixture(scope="module")
def laid_out(bred: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `bred` for tests that put back what they change."""
    root = tmp_path_factory.mktemp("audited") / "project"
    miniature.copy(bred, root)
    return root


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("revision", [None, "HEAD"])
def test_a_herd_as_it_was_bred_has_no_findings(bred, level, revision):
    report = audited(bred, level, revision)
    assert report.findings == []
    assert all(check.num_checked for check in report.checks)


def test_a_level_checks_all_that_the_one_before_does_and_more(bred):
    items = [[check.item for check in audited(bred, level).checks] for level in LEVELS]
    sums = [sum(check.num_checked for check in audited(bred, level).checks) for level in LEVELS]
    assert items[0] == items[1]
    assert set(items[1]) < set(items[2])
    assert sums == sorted(set(sums))


ARTEFACTS = {
    f"{REPLACE}/training/rows.parquet": "dataset",
    f"{REPLACE}/training/pool.parquet": "dataset",
    f"{REPLACE}/training/making.json": "dataset",
    f"{REPLACE}/offspring/rows.parquet": "dataset",
    f"{REPLACE}/curated/rows.parquet": "dataset",
    f"{REPLACE}/curated/rejected.parquet": "dataset",
    "runs/founder/s0/g0/offspring/cooled/rows.parquet": "dataset",
    "runs/founder/s0/g0/human_nll.parquet": "dataset",
    "runs/human/train.parquet": "dataset",
    "runs/human/held_out.parquet": "dataset",
    "runs/human/train_documents.parquet": "dataset",
    "runs/human/held_out_documents.parquet": "dataset",
    "runs/human/reference.parquet": "dataset",
    "runs/curated/s0/g1/training/not_bred.json": "dataset",
    "runs/human/base/tokenizer.json": "model",
    f"{REPLACE}/model/model.safetensors": "model",
    f"{REPLACE}/model/config.json": "model",
    f"{REPLACE}/model/tokenizer.json": "model",
    f"{REPLACE}/model/making.json": "model",
    "runs/code/train.json": "code",
    "runs/code/compare.json": "code",
    "records/replace/s0/g1/training/receipt.json": "receipt",
    "records/curated/s0/g1/offspring/receipt.json": "receipt",
    "records/human/receipt.json": "receipt",
    "records/replace/s0/g1/training/profile.json": "record",
    "records/replace/s0/g1/loss.json": "record",
    "records/replace/s0/g1/counts.json": "record",
    "records/replace/s0/g1/examples.json": "record",
    "records/human/split.json": "record",
    "book/entries/replace/s0/g1/model.json": "entry",
    "book/index.json": "entry",
    "book/code/train.json": "entry",
    "reports/book.json": "record",
    "reports/metrics.json": "record",
    "reports/verdicts.json": "record",
    "reports/calibration/discrete/result.json": "record",
    "hypotheses.yaml": "claim",
    "reports/generations.csv": "record",
    "reports/index.html": "record",
    "expectations/training_rows.yaml": "policy",
    "expectations/human_profile.yaml": "policy",
    "data/corpus.parquet": "corpus",
    "data/manifest.json": "corpus",
    "data.dvc": "corpus",
    "constraints.txt": "code",
    "stages/train.py": "code",
    "stages/__main__.py": "code",
    "herdbook/receipt.py": "code",
    "pretrained/README.md": "model",
}  # fmt: skip


@pytest.mark.parametrize(("path", "kind"), ARTEFACTS.items())
def test_one_flipped_byte_of_any_artefact_is_found_and_named(laid_out, path, kind):
    data = (laid_out / path).read_bytes()
    place = random.Random(path).randrange(len(data))
    with rewritten(laid_out / path, flipped(data, place)):
        assert (path, kind) in named(found(laid_out)), f"byte {place}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{REPLACE}/training/rows.parquet", f"{REPLACE}/offspring/rows.parquet"),
        (f"{REPLACE}/curated/rejected.parquet", "runs/curated/s0/g0/curated/rejected.parquet"),
        ("runs/human/train_documents.parquet", "runs/human/held_out_documents.parquet"),
        (f"{REPLACE}/model/model.safetensors", "runs/founder/s0/g0/model/model.safetensors"),
        ("records/replace/s0/g0/training/receipt.json", "records/replace/s0/g1/training/receipt.json"),
        ("records/replace/s0/g0/loss.json", "records/replace/s0/g1/loss.json"),
        ("book/entries/replace/s0/g0/training.json", "book/entries/replace/s0/g1/training.json"),
        ("runs/code/train.json", "runs/code/sample.json"),
        ("expectations/training_rows.yaml", "expectations/offspring_rows.yaml"),
        ("stages/train.py", "stages/sample.py"),
        ("data/README.md", "data/manifest.json"),
    ],
)
def test_two_swapped_files_are_found_and_both_named(laid_out, one, other):
    first, second = (laid_out / one).read_bytes(), (laid_out / other).read_bytes()
    with rewritten(laid_out / one, second), rewritten(laid_out / other, first):
        assert {one, other} <= {finding.path for finding in found(laid_out)}


LINES = {
    "schema": r"schema: '2\.0'", "stages": "stages:", "stage": r"  train@replace-s0-g1:", "cmd": r"    cmd: .*", "deps": "    deps:",
    "path of a dep": r"    - path: runs/human/base", "path of an out": r"    - path: runs/founder/s0/g0/model", "hash": "      hash: md5",
    "md5 of a file": r"      md5: [0-9a-f]{32}", "md5 of a folder": r"      md5: [0-9a-f]{32}\.dir", "size": r"      size: \d+",
    "nfiles": r"      nfiles: \d+", "params": "    params:", "file of params": "      params.yaml:", "section": r"        train:",
    "number": r"          epochs: \d+", "share": r"          weight_decay: 0\.1", "word": r"          architecture: llama",
    "nothing": r"          pretrained:", "list": r"        - s0", "gate": r"        regimes\.replace\.gate: waive",
    "step": r"              - name: length", "alias": r"        regimes\.replace\.decoding: \*id\d+", "outs": "    outs:",
}  # fmt: skip


@pytest.mark.parametrize(("kind", "line"), LINES.items())
def test_one_flipped_byte_anywhere_in_the_lock_is_found(laid_out, kind, line):
    lock, chance = laid_out / "dvc.lock", random.Random(kind)
    text = lock.read_text()
    found_lines = list(re.finditer(rf"^{line}\n", text, re.MULTILINE))
    assert found_lines, "the lock has such a line"
    for _ in range(3):
        match = chance.choice(found_lines)
        place = chance.randrange(match.start(), match.end())
        with rewritten(lock, flipped(text.encode(), place, chance.randrange(7))):
            told = found(laid_out, "records")
            assert any("dvc.lock" in (finding.path, *finding.what.split()) for finding in told), f"{match[0]!r}, byte {place}"


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("train.epochs", 2, "params"),
        ("regimes.replace.gate", "block", "params"),
        ("prepare.seed", 1, "params"),
        ("corpus.licence", "none", "params"),
        ("profile.num_rows", 151, "params"),
        ("train.epochs", -1, "params"),
        ("train", [], "params"),
    ],
)
def test_another_value_in_params_is_found(laid_out, key, value, kind):
    document = yaml.safe_load((laid_out / "params.yaml").read_text())
    inner = document
    *path, last = key.split(".")
    for part in path:
        inner = inner[part]
    inner[last] = value
    with rewritten(laid_out / "params.yaml", yaml.safe_dump(document, sort_keys=False).encode()):
        assert ("params.yaml", kind) in named(found(laid_out, "records"))


@pytest.mark.parametrize(
    ("path", "text", "what"),
    [
        ("dvc.lock", "{", "not YAML"),
        ("dvc.lock", "", "not a lock of schema 2.0"),
        ("dvc.lock", "schema: '3.0'\nstages: {}\n", "not a lock of schema 2.0"),
        ("dvc.lock", "schema: '2.0'\nstages:\n  x: 1\n", "is not cmd, deps, params and outs"),
        ("params.yaml", "\t", "not YAML"),
        ("dvc.yaml", "stages: 1\n", "not a pipeline"),
        ("data.dvc", "outs: []\n", "not of the form"),
        ("book/index.json", "[]", "not of the form"),
        ("book/index.json", '{"schema": 99}', "install a newer herdbook"),
        ("book/entries/corpus.json", "{", "restore it"),
        ("records/replace/s0/g1/training/receipt.json", "[1]", "not a receipt of training data"),
        ("records/replace/s0/g1/training/receipt.json", "[" * 100_000, "not JSON"),
        ("records/replace/s0/g1/training/profile.json", "7", "not of the form"),
        (f"{REPLACE}/training/making.json", "{", "its entry says"),
        ("runs/code/train.json", '{"modules": 3}', "not of the form"),
        (f"{REPLACE}/training/rows.parquet", "PAR1", "its entry says"),
    ],
)
def test_what_cannot_be_read_is_a_finding_and_never_a_traceback(laid_out, path, text, what):
    with rewritten(laid_out / path, text.encode()):
        told = [finding for finding in found(laid_out, "rows") if finding.path == path]
        assert any(what in finding.what for finding in told), told


def test_an_entry_of_a_newer_schema_says_so(laid_out):
    path = laid_out / "book/entries/corpus.json"
    entry = canonical_json({**read_json(path), "schema": 2})
    index = read_json(laid_out / "book/index.json")
    index["entries"]["corpus"] = digest_bytes(entry.encode())
    with rewritten(path, entry.encode()), rewritten(laid_out / "book/index.json", canonical_json(index).encode()):
        assert any("install a newer herdbook" in finding.what for finding in found(laid_out, "records"))


@pytest.mark.parametrize("missing", [f"{REPLACE}/training/rows.parquet", "records/replace/s0/g1/counts.json", "book/entries/corpus.json"])
def test_a_file_that_lies_nowhere_is_named_and_the_audit_goes_on(project, missing):
    md5 = hashlib.md5((project / missing).read_bytes()).hexdigest()
    (project / missing).unlink()
    (project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
    other = project / "expectations/human_rows.yaml"
    other.write_text(other.read_text() + "# more\n")
    told = named(found(project, "rows"))
    assert (missing, "missing") in told
    assert ("expectations/human_rows.yaml", "policy") in told


@pytest.mark.parametrize(
    "stray", ["runs/replace/s0/g1/extra.parquet", "records/replace/s0/g9/loss.json", "book/entries/replace/s0/g9/model.json"]
)
def test_a_file_that_no_stage_wrote_is_found(project, stray):
    (project / stray).parent.mkdir(parents=True, exist_ok=True)
    (project / stray).write_text("{}")
    assert stray in {finding.path for finding in found(project)}


def test_what_the_lock_keeps_of_lineages_that_are_no_longer_bred_is_not_looked_for(project):
    lock = yaml.load((project / "dvc.lock").read_text(), Loader=yaml.CSafeLoader)
    text = (project / "dvc.lock").read_text()
    kept = text[text.index("  curate@replace-s0-g1:") :].split("\n  curate@curated-s0-g1:")[0]
    assert "curate@replace-s0-g1" in lock["stages"]
    gone = kept.replace("replace", "replaced")
    (project / "dvc.lock").write_text(f"{text}{gone}\n")
    assert found(project) == []
    again = kept.replace("curate@replace", "curate@again")
    (project / "dvc.lock").write_text(f"{text}{again}\n")
    assert any("curate@again-s0-g1" in finding.what for finding in found(project))


def test_a_clone_whose_data_are_in_a_remote_is_audited_from_there(project, tmp_path):
    store, clone = tmp_path / "store", tmp_path / "clone"
    run(project, "-m", "dvc", "remote", "add", "-q", "-d", "store", str(store))
    run(project, "-m", "dvc", "push", "-q")
    miniature.commit(project, "a remote")
    subprocess.run(["git", "clone", "-q", str(project), str(clone)], check=True)
    assert found(clone, "rows") == []
    assert not (clone / "runs").exists()
    md5 = yaml.safe_load((clone / "dvc.lock").read_text())["stages"]["prepare"]["outs"][-2]["md5"]
    (store / "files/md5" / md5[:2] / md5[2:]).unlink()
    told = found(clone, "rows")
    assert told
    assert ("runs/human/train.parquet", "missing") in named(told)


def test_no_pipeline_and_no_book_are_errors_that_say_what_to_do(project):
    (project / "dvc.lock").rename(project / "kept.lock")
    with pytest.raises(BookError, match="no pipeline was run there"):
        found(project)
    (project / "kept.lock").rename(project / "dvc.lock")
    text = (project / "dvc.lock").read_text()
    (project / "dvc.lock").write_text(text[: text.index("  book:")] + text[text.index("  report:") :])
    shutil.rmtree(project / "book")
    with pytest.raises(BookError, match="dvc repro book"):
        found(project)


# The gate cannot be gone round: refused by the consumer, or found by the audit.


def other_rows(project: Path) -> Path:
    """The training set of replace g1, a row short."""
    path = project / REPLACE / "training/rows.parquet"
    table = pq.read_table(path)
    path.unlink()
    write_table(path, table.slice(1))
    return path


@pytest.fixture(scope="module")
def altered(bred: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `bred` with other rows in a training set."""
    root = tmp_path_factory.mktemp("altered") / "project"
    miniature.copy(bred, root)
    other_rows(root)
    return root


def test_a_single_stage_refuses_data_that_were_not_inspected(altered):
    assert "was not inspected with these bytes" in repro(altered, "--single-item", "--force", "train@replace-s0-g1", status=255, cold=True)


def test_a_module_run_by_hand_refuses_them_too(altered):
    assert "was not inspected with these bytes" in run(altered, "-m", "stages", "train", "replace", "s0", "g1", status=1, cold=True)


def test_a_lock_edited_to_fit_other_data_is_found(project):
    path = other_rows(project)
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    (out,) = lock["stages"]["blend@replace-s0-from_g0"]["outs"]
    text = (project / "dvc.lock").read_text().replace(out["md5"], dvc_digest(path.parent))
    (project / "dvc.lock").write_text(text)
    assert (path.relative_to(project).as_posix(), "dataset") in named(found(project))


def test_data_that_were_committed_by_force_are_found(project):
    path = other_rows(project)
    run(project, "-m", "dvc", "commit", "--force", "-q")
    told = named(found(project))
    assert (path.relative_to(project).as_posix(), "dataset") in told


def test_a_passed_receipt_copied_beside_other_data_is_refused_and_found(altered):
    path = altered / "records/curated/s0/g0/offspring/receipt.json"
    receipt = read_json(path)
    passed = [{**rule, "status": "passed"} for rule in receipt["rules"]]
    other = digest(altered / "runs/replace/s0/g0/curated/rows.parquet")
    path.unlink()
    write_json(path, {**receipt, "status": "passed", "rules": passed, "data": {"rows": other}})
    assert "was not inspected with these bytes" in run(altered, "-m", "stages", "blend", "curated", "s0", "g0", "g1", status=1, cold=True)
    assert (path.relative_to(altered).as_posix(), "receipt") in named(found(altered))


def entered(project: Path) -> None:
    """Write the book of what lies there, and record all of it as DVC does."""
    with contextlib.chdir(project):
        herd.enter()
        herd.lock()


def test_a_waiver_forged_in_making_and_entry_is_found(project):
    making = project / "runs/founder/s0/g0/model/making.json"
    forged = {"dataset": "training", "generation": "g0", "rules": ["distinct_2: expect_column_max_to_be_between"]}
    value = {**read_json(making), "waivers": [forged]}
    making.unlink()
    write_json(making, value)
    entered(project)
    told = named(found(project, "records"))
    assert ("runs/founder/s0/g0/model/making.json", "waiver") in told
    assert ("book/entries/founder/s0/g0/model.json", "waiver") in told


def test_a_waiver_that_params_no_longer_gives_is_found(project):
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["regimes"]["replace"]["gate"] = "block"
    miniature.write_params(project, params)
    entered(project)
    told = found(project, "records")
    assert any(finding.path == f"{REPLACE}/model" and "params.yaml waives nothing" in finding.what for finding in told)


def test_a_waiver_left_out_of_the_record_is_found(project):
    making = project / REPLACE / "model/making.json"
    value = {**read_json(making), "waivers": []}
    making.unlink()
    write_json(making, value)
    entered(project)
    assert any(finding.kind == "waiver" and "does not record" in finding.what for finding in found(project, "records"))


def test_a_model_that_names_another_receipt_is_found(project):
    making = project / REPLACE / "model/making.json"
    value = {**read_json(making), "receipt": "0" * 64}
    making.unlink()
    write_json(making, value)
    entered(project)
    assert (f"{REPLACE}/model/making.json", "receipt") in named(found(project, "records"))


# A forger who makes all records agree is told by the rows alone.


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made up")
    herd.build(root, 3, 300)
    return root


@pytest.fixture
def forged(made_up: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy to forge, as working directory."""
    root = tmp_path / "forged"
    shutil.copytree(made_up, root)
    with contextlib.chdir(root):
        yield root


def test_a_herd_that_blends_offspring_and_people_has_no_findings(made_up):
    assert found(made_up, "rows") == []


def agreed(root: Path) -> set[tuple[str, str]]:
    """What the rows tell once a book and a lock of what lies there were written, and nothing else tells."""
    herd.enter()
    herd.lock()
    assert found(root, "hashes") == []
    return named(found(root, "rows"))


G1 = "runs/anchored/s0/g1"


def reinspected(kind: str, rows: pa.Table, folder: str = G1) -> None:
    """Put `rows` in place of a dataset's, with a receipt of them and with whatever names them."""
    path, place = Path(folder, "training" if kind == "training" else "curated", "rows.parquet"), herd.Place("anchored", "s0", folder[-2:])
    write_table(path, rows)
    if kind == "training":
        herd.inspect("training", herd.training_data(place), place.profile("training"), place.receipt("training"))
        making = {**read_json(place.model / "making.json"), "training": digest(path), "receipt": digest(place.receipt("training"))}
        write_json(place.model / "making.json", making)
    else:
        herd.inspect("offspring", {"rows": path}, place.profile("offspring"), place.receipt("offspring"))
        child = herd.Place("anchored", "s0", f"g{place.number + 1}")
        making = read_json(child.training / "making.json")
        for parent in making["parents"]:
            if parent["role"] == "offspring":
                parent["digest"] = digest(path)
        write_json(child.training / "making.json", making)
        reinspected("training", pq.read_table(child.training / "rows.parquet"), f"runs/anchored/s0/{child.generation}")


def changed(rows: pa.Table, column: str, value: object) -> pa.Table:
    """Rows of which the first has another value in one column."""
    values = [value, *rows[column].to_pylist()[1:]]
    return rows.set_column(rows.schema.get_field_index(column), column, pa.array(values, rows.schema.field(column).type))


@pytest.mark.parametrize(("column", "value"), [("text", "other words"), ("id", "0" * 64), ("tokens", [1] * 64), ("document", None)])
def test_a_row_of_a_training_set_that_is_no_row_of_its_parents_is_found(forged, column, value):
    reinspected("training", changed(pq.read_table(f"{G1}/training/rows.parquet"), column, value))
    assert (f"{G1}/training/rows.parquet", "dataset") in agreed(forged)


@pytest.mark.parametrize("column", ["prompt", "document"])
def test_a_row_that_names_another_prompt_than_its_document_has_is_found(forged, column):
    path, place = Path(f"{G1}/offspring/rows.parquet"), herd.Place("anchored", "s0", "g1")
    rows = pq.read_table(path)
    write_table(path, changed(rows, column, next(value for value in rows[column].to_pylist() if value != rows[column][0].as_py())))
    making = read_json(place.curated / "making.json")
    write_json(place.curated / "making.json", {**making, "parents": [{"role": "offspring", "digest": digest(path)}]})
    herd.enter()
    herd.lock()
    assert "1 rows are prompted by no row of runs/human/train.parquet that is of their document" in [
        each.what for each in found(forged, "rows") if each.path == path.as_posix()
    ]


def test_a_row_of_a_held_out_document_is_found(forged):
    held_out = pq.read_table("runs/human/held_out.parquet").slice(0, 1)
    rows = pq.read_table(f"{G1}/training/rows.parquet")
    is_like_it = pc.and_(pc.is_null(rows["model"]), pc.equal(rows["num_tokens"], held_out["num_tokens"][0]))
    place = pc.indices_nonzero(is_like_it)[0].as_py()
    reinspected("training", pa.concat_tables([rows.slice(0, place), in_pass(held_out, 0).cast(rows.schema), rows.slice(place + 1)]))
    assert (f"{G1}/training/rows.parquet", "contamination") in agreed(forged)


def test_a_row_of_an_unknown_model_is_found(forged):
    rows = pq.read_table(f"{G1}/curated/rows.parquet")
    reinspected("offspring", changed(rows, "model", "f" * 64))
    assert (f"{G1}/curated/rows.parquet", "dataset") in agreed(forged)


def test_a_row_kept_that_is_also_rejected_is_found(forged):
    rejected = pq.read_table(f"{G1}/curated/rejected.parquet").drop_columns(["reason"])
    rows = pq.read_table(f"{G1}/curated/rows.parquet")
    reinspected("offspring", pa.concat_tables([rows.slice(1), rejected.slice(0, 1).cast(rows.schema)]))
    assert (f"{G1}/curated/rejected.parquet", "counts") in agreed(forged)


def test_counts_that_the_rows_do_not_give_are_found(forged):
    path = Path("records/anchored/s0/g1/counts.json")
    write_json(path, {**read_json(path), "num_in": 301})
    assert (path.as_posix(), "counts") in agreed(forged)


@pytest.mark.parametrize(("name", "value"), [("contamination_share", 0.5), ("num_tokens", 1), ("depth_mean", 0.5), ("human_row_share", 1)])
def test_a_profile_that_the_rows_do_not_give_is_found(forged, name, value):
    path = Path("records/anchored/s0/g1/training/profile.json")
    write_json(path, {**read_json(path), name: value})
    assert agreed(forged) & {(path.as_posix(), "composition"), (f"{G1}/training/rows.parquet", "contamination")}


def test_held_out_words_in_what_a_model_wrote_are_found(forged):
    words = " ".join(pq.read_table("runs/human/held_out_documents.parquet")["text"][0].as_py().split()[5:18])
    path = Path(f"{G1}/offspring/rows.parquet")
    rows = pq.read_table(path)
    write_table(path, changed(rows, "text", f"so said they: {words}"))
    place = herd.Place("anchored", "s0", "g1")
    making = read_json(place.curated / "making.json")
    making["parents"][0]["digest"] = digest(path)
    write_json(place.curated / "making.json", making)
    reinspected("offspring", changed(pq.read_table(place.curated / "rows.parquet"), "text", f"so said they: {words}"))
    assert (f"{G1}/curated/rows.parquet", "contamination") in agreed(forged)


def test_a_making_that_its_rows_do_not_give_is_found(forged):
    path = Path(f"{G1}/curated/making.json")
    write_json(path, {**read_json(path), "depth": 7.0})
    assert (path.as_posix(), "composition") in agreed(forged)


def test_a_document_on_both_sides_of_the_split_is_found(forged):
    held_out = pq.read_table("runs/human/held_out_documents.parquet")
    train = pq.read_table("runs/human/train_documents.parquet")
    write_table(Path("runs/human/train_documents.parquet"), pa.concat_tables([train.slice(1), held_out.slice(0, 1)]))
    assert ("runs/human/train_documents.parquet", "contamination") in agreed(forged)


def test_a_reference_without_the_held_out_words_is_found(forged):
    table = pq.read_table("runs/human/reference.parquet")
    place = table.schema.get_field_index("held_out_ngrams")
    none = pa.array([[]], table.schema.field(place).type)
    write_table(Path("runs/human/reference.parquet"), table.set_column(place, "held_out_ngrams", none))
    assert ("runs/human/reference.parquet", "contamination") in agreed(forged)


# What people and programs are shown.


def test_a_report_is_drawn_with_hostile_text_shown_as_what_it_is(laid_out):
    from rich.console import Console

    with rewritten(laid_out / "data.dvc", b'outs: "\\e[31m[red]boo\\n"\n'):
        report = audited(laid_out, "records")
    screen = io.StringIO()
    Console(width=200, file=screen).print(drawn(report))
    assert "data.dvc" in screen.getvalue()
    assert "\x1b" not in screen.getvalue()


def test_a_report_is_plain_json(laid_out):
    value = json.loads(json.dumps(as_json(audited(laid_out, "records"))))
    assert value["level"] == "records"
    assert value["checks"][0] == {"item": value["checks"][0]["item"], "num_checked": 4, "findings": []}


@pytest.mark.parametrize("revision", [None, "HEAD"])
@pytest.mark.parametrize("level", LEVELS)
def test_each_item_is_told_as_its_turn_comes_and_what_was_counted_beforehand_is_done_in_the_end(bred, level, revision):
    kept = Kept()
    with snapshot(bred, revision) as now:
        report = audit(now, level, kept)
    hashing = ["where files lie", "hashing"]
    items = [check.item for check in report.checks]
    assert [phase for phase, _ in kept.phases] == [items[0], *hashing, *items[1:]]
    assert kept.unlike == []
    assert kept.totals["hashing"] > 0


def test_an_audit_counts_the_rows_of_each_distinct_table_once(bred):
    kept = Kept()
    with snapshot(bred) as now:
        audit(now, "rows", kept)
    names = ("rows", "pool", "rejected", "train", "held_out")
    tables = {digest(path): pq.read_metadata(path).num_rows for name in names for path in (bred / "runs").rglob(f"{name}.parquet")}
    assert kept.totals["rows: whose they are, counts, composition, held-out text"] == sum(tables.values())


# What must be on record, worked out along a lineage.


def receipt(kind: str, status: str) -> dict:
    return make_receipt(kind, {}, outcomes(kind, status), {})


BROKEN = ["distinct_2: expect_column_min_to_be_between"]


def owed_by(gate: str, weights: dict[str, float], failed: set[tuple[str, str]]) -> dict[str, Owed]:
    """What three generations owe whose `failed` (generation, dataset) did not pass."""
    params = herd.parameters(3, 100)
    params["regimes"]["anchored"] |= {"gate": gate, "weights": {"offspring": 0.0, "previous": 0.0, "human": 0.0, **weights}}

    def receipt_of(path: Path, dataset: str) -> dict:
        return receipt(dataset, "failed" if (path.parts[-3], dataset) in failed else "passed")

    return owed(parse_params(params), receipt_of, {})


def waiver(generation: str, dataset: str) -> dict:
    return {"dataset": dataset, "generation": generation, "rules": BROKEN}


def test_a_pool_that_is_kept_brings_along_what_was_waived_for_it():
    owes = owed_by("waive", {"offspring": 1.0, "previous": 1.0}, {("g0", "offspring"), ("g1", "training"), ("g1", "offspring")})
    first, second, third = waiver("g0", "offspring"), waiver("g1", "training"), waiver("g1", "offspring")
    assert owes["anchored/s0/g1/training"].waivers == [first]
    assert owes["anchored/s0/g1/model"].waivers == [first, second]
    assert owes["anchored/s0/g2/training"].waivers == [first, second, third]


def test_a_waiver_is_of_what_is_used_alone():
    owes = owed_by("waive", {"human": 1.0}, {("g0", "offspring"), ("g1", "training"), ("g1", "offspring")})
    assert owes["anchored/s0/g1/training"].waivers == []
    assert owes["anchored/s0/g1/model"].waivers == [waiver("g1", "training")]
    assert owes["anchored/s0/g2/model"].waivers == []


@pytest.mark.parametrize(
    ("failed", "stopped"),
    [
        (("g0", "offspring"), ["g1/training", "g1/model", "g1/offspring", "g1/curated", "g2/training", "g2/model"]),
        (("g1", "training"), ["g1/model", "g1/offspring", "g1/curated", "g2/training", "g2/model", "g2/offspring", "g2/curated"]),
        (("g2", "offspring"), []),
    ],
)
def test_a_gate_that_blocks_ends_a_lineage_at_what_did_not_pass(failed, stopped):
    owes = owed_by("block", {"offspring": 1.0}, {failed})
    ended = {name.removeprefix("anchored/s0/") for name, owed in owes.items() if owed.stop}
    assert set(stopped) <= ended
    assert f"{failed[0]}/training" not in ended
    assert all(owed.stop in (None, stop_of(receipt(failed[1], "failed"), "block", failed[0])) for owed in owes.values())


TEXTS = st.lists(st.text("aB cé_1İ7.-", max_size=20), max_size=6)


@given(known=TEXTS, others=TEXTS, num_words=st.integers(1, 3))
def test_copies_are_found_as_overlaps_finds_them(known, others, num_words):
    column = pa.array([*others, None], pa.string())
    wanted = [*overlaps(others, ngrams_of(known, num_words), num_words), False]
    assert Copies(known, num_words).are_in(column).tolist() == wanted


# A forger who rewrites receipts, makings and fingerprints too, and then book and lock so that they agree.


def entered_and_audited(root: Path, level: str = "records") -> set[str]:
    """The files that an audit names once a book and a lock of what lies there were written."""
    herd.enter()
    herd.lock()
    return {finding.path for finding in found(root, level)}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"severity": "info"}, "severity"),
        ({"column": "distinct_3"}, "column"),
        ({"status": "passed", "observed": 0.25, "notes": "another"}, "notes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_receipt_whose_rules_are_not_those_of_its_policy_is_found(forged, change, what):
    place = herd.Place("anchored", "s0", "g2")
    receipt = read_json(place.receipt("offspring"))
    receipt["rules"][1] |= change
    write_json(place.receipt("offspring"), receipt)
    assert place.receipt("offspring").as_posix() in entered_and_audited(forged)


def test_a_receipt_that_leaves_a_rule_out_is_found(forged):
    place = herd.Place("anchored", "s0", "g2")
    policy = Path("expectations/offspring_profile.yaml")
    more = yaml.safe_load(policy.read_text())
    more["expectations"].append({"expect_column_max_to_be_between": {"column": "distinct_2", "max_value": 0.9}, "notes": "Noise."})
    policy.write_text(yaml.safe_dump(more))
    for generation in range(3):
        path = herd.Place("anchored", "s0", f"g{generation}").receipt("offspring")
        write_json(path, {**read_json(path), "policies": {**read_json(path)["policies"], policy.name: digest(policy)}})
    assert place.receipt("offspring").as_posix() in entered_and_audited(forged)


def test_a_verdict_that_does_not_follow_from_what_was_observed_is_found(forged):
    place = herd.Place("anchored", "s0", "g2")
    for path, key in ((place.profile("offspring"), None), (place.receipt("offspring"), "rules")):
        record = read_json(path)
        if key:
            record["rules"][1]["observed"] = 0.1
        else:
            record["distinct_2"] = 0.1
        write_json(path, record)
    assert place.receipt("offspring").as_posix() in entered_and_audited(forged)


def test_a_fingerprint_that_leaves_modules_out_is_found(forged):
    path = Path("runs/code/train.json")
    told = read_json(path)
    write_json(path, {**told, "modules": {"stages/train.py": told["modules"]["stages/train.py"]}})
    assert path.as_posix() in entered_and_audited(forged)


@pytest.mark.parametrize(("key", "value"), [("depth", 0.0), ("start", "pretrained")])
def test_a_model_of_another_depth_or_start_than_its_records_give_is_found(forged, key, value):
    path = herd.Place("anchored", "s0", "g2").model / "making.json"
    write_json(path, {**read_json(path), key: value})
    assert path.as_posix() in entered_and_audited(forged)


@pytest.mark.parametrize(("column", "value"), [("model", None), ("generation", 0), ("depth", 1.0)])
def test_offspring_under_another_name_are_found(forged, column, value):
    path = herd.Place("anchored", "s0", "g2").offspring / "rows.parquet"
    rows = pq.read_table(path)
    field = rows.schema.field(column)
    write_table(path, rows.set_column(rows.schema.get_field_index(column), column, pa.array([value] * rows.num_rows, field.type)))
    place = herd.Place("anchored", "s0", "g2")
    curated = read_json(place.curated / "making.json")
    write_json(place.curated / "making.json", {**curated, "parents": [{"role": "offspring", "digest": digest(path)}]})
    assert path.as_posix() in entered_and_audited(forged, "rows")


def test_human_rows_of_documents_that_are_not_there_are_found(forged):
    path = Path("runs/human/held_out.parquet")
    rows = pq.read_table(path)
    write_table(path, changed(rows, "document", "0" * 64))
    assert path.as_posix() in entered_and_audited(forged, "rows")
