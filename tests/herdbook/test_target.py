import hashlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from herdbook.entry import weights_of
from herdbook.errors import BookError
from herdbook.snapshot import book_of, snapshot
from herdbook.target import find, find_row

MODEL = "replace/s0/g1/model"


@pytest.fixture(scope="module")
def now(bred):
    with snapshot(bred) as opened:
        yield opened


@pytest.fixture(scope="module")
def book(now):
    return book_of(now)


def test_a_target_is_a_name_a_path_or_the_beginning_of_a_digest(book, now):
    entry = book.entries[MODEL]
    ways = [
        MODEL, entry["path"], f"./{entry['path']}/", str(now.root / entry["path"]), f"{entry['path']}/model.safetensors",
        "records/replace/s0/g1/loss.json", f"book/entries/{MODEL}.json", book.ids[MODEL], book.ids[MODEL][:9], entry["digest"].upper(),
        entry["files"]["model.safetensors"]["sha256"], weights_of(entry), f"sha256:{entry['digest']}",
        f"md5:{now.recorded_md5(Path(entry['path']))}",
    ]  # fmt: skip
    assert {find(way, book, now) for way in ways} == {MODEL}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (MODEL, "runs/replace/s0/g1/model/model.safetensors"),
        (MODEL, "records/replace/s0/g1/loss.json"),
        (MODEL, f"book/entries/{MODEL}.json"),
        ("corpus", "data/corpus.parquet"),
    ],
)
def test_a_file_is_found_by_the_md5_that_dvc_has_for_it_inside_a_folder_too(book, now, name, path):
    md5 = hashlib.md5((now.root / path).read_bytes()).hexdigest()
    for target in (md5, md5[:10].upper(), f"md5:{md5}"):
        assert find(target, book, now) == name
        with snapshot(now.root, "HEAD") as then:
            assert find(target, book_of(then), then) == name


def test_a_folder_whose_list_is_lost_is_no_match_and_no_error(project):
    md5 = hashlib.md5((project / "runs/replace/s0/g1/model/model.safetensors").read_bytes()).hexdigest()
    with snapshot(project) as now:
        book = book_of(now)
        lost = now.recorded_md5(Path("runs/replace/s0/g1/model"))
        (project / f".dvc/cache/files/md5/{lost[:2]}/{lost[2:]}.dir").unlink()
        with pytest.raises(BookError, match="no dataset, model, file, digest or row of the workspace; "):
            find(md5, book, now)


def test_a_receipt_is_that_of_the_dataset_inspected(book, now):
    assert find("records/replace/s0/g1/training/receipt.json", book, now) == "replace/s0/g1/training"


def test_a_digest_of_several_artefacts_is_refused_with_their_names(book, now):
    rows = book.entries["replace/s0/g0/offspring"]["files"]["rows.parquet"]["sha256"]
    with pytest.raises(
        BookError, match=r"is that of \d+ artefacts: founder/s0/g0/offspring/top_k_50, replace/s0/g0/offspring.*name one of them"
    ):
        find(rows, book, now)


@pytest.mark.parametrize("target", ["replace/s0/g1/modle", "runs/replace/s0/g9/model", "", "zz", "ffffffffffff", "../../etc/passwd"])
def test_what_is_unknown_is_told_with_near_matches(book, now, target):
    with pytest.raises(BookError, match="no dataset, model, file, digest or row of the workspace; ") as refused:
        find(target, book, now)
    if "modle" in target:
        assert f"did you mean {MODEL}" in str(refused.value)


@pytest.mark.parametrize(("name", "file"), [("replace/s0/g1/offspring", "rows.parquet"), ("human/train", "")])
def test_a_row_is_found_by_its_id_or_the_beginning_of_it(book, now, name, file):
    path = now.root / book.entries[name]["path"] / file
    table = pq.read_table(path).to_pylist()
    for values in (table[0], table[-1]):
        for target in (values["id"], values["id"][:20], values["id"].upper()):
            found = find_row(target, book, now)
            assert (found.dataset, found.values) == (name, values)


def test_what_is_no_id_is_no_row(book, now):
    assert find_row("0" * 64, book, now) is None
    assert find_row("abc", book, now) is None
    assert find_row("not hexadecimal", book, now) is None


def test_the_beginning_of_several_ids_is_refused(book, now, monkeypatch):
    monkeypatch.setattr("herdbook.target._MIN_DIGITS", 1)
    with pytest.raises(BookError, match=r"rows begin so, such as .*; give more digits"):
        find_row("a", book, now)
