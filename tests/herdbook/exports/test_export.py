import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from herdbook.errors import BookError
from herdbook.exports import FORMATS, as_text, export
from herdbook.files import canonical_json, digest_bytes
from herdbook.snapshot import book_of, snapshot

TARGET = "replace/s0/g1/curated"


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_book_gives_the_same_bytes_wherever_it_lies(bred, project, format):
    texts = []
    for root in (bred, project):
        with snapshot(root) as now:
            texts += [as_text(export(format, book_of(now), now, TARGET)) for _ in range(2)]
    assert len(set(texts)) == 1
    assert str(bred) not in texts[0]


@pytest.mark.parametrize("format", FORMATS)
def test_a_commit_gives_the_bytes_that_its_workspace_gave(project, format):
    with snapshot(project) as now:
        text = as_text(export(format, book_of(now), now, TARGET))
    for path in ("runs", "records", "book", "data"):
        shutil.rmtree(project / path)
    with snapshot(project, "HEAD") as then:
        assert as_text(export(format, book_of(then), then, TARGET)) == text


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"croissant"}))
def test_the_whole_book_is_the_default(opened, format):
    book, now = opened
    text = as_text(export(format, book, now))
    assert all(name in text for name in ("replace/s0/g1/model", "curated/s0/g0/training"))
    assert len(as_text(export(format, book, now, TARGET))) < len(text)


@pytest.mark.parametrize("format", FORMATS)
def test_documents_are_ascii_and_hold_no_text_of_rows(opened, bred, format):
    book, now = opened
    text = as_text(export(format, book, now, TARGET))
    assert text.isascii()
    assert not any(ord(c) < 32 and c != "\n" for c in text)
    rows = pq.read_table(bred / "runs/replace/s0/g1/curated/rows.parquet")["text"].to_pylist()
    assert not any(json.dumps(row)[1:-1] in text for row in rows if len(row) > 20)


@pytest.mark.parametrize("target", ["runs/replace/s0/g1/curated/rows.parquet", "./runs/replace/s0/g1/curated/"])
def test_a_target_may_be_a_path(opened, target):
    book, now = opened
    assert export("json", book, now, target) == export("json", book, now, TARGET)


def test_a_target_may_be_a_digest(opened):
    book, now = opened
    assert export("json", book, now, book.ids[TARGET][:20]) == export("json", book, now, TARGET)


def test_an_unknown_format_names_those_there_are(opened):
    with pytest.raises(BookError, match="xml: no such format; allowed: openlineage, prov, croissant, slsa, json"):
        export("xml", *opened)


def test_an_unknown_target_is_refused(opened):
    book, now = opened
    with pytest.raises(BookError, match="did you mean"):
        export("prov", book, now, "replace/s0/g1/modle")


def test_the_json_document_can_be_checked_with_its_root_alone(opened):
    book, now = opened
    found = json.loads(as_text(export("json", book, now, TARGET)))
    assert digest_bytes(canonical_json(found["index"]).encode()) == found["root"] == book.root
    for name, entry in found["entries"].items():
        assert digest_bytes(canonical_json(entry).encode()) == found["index"]["entries"][name]
    for stage, code in found["code"].items():
        assert digest_bytes(canonical_json(code).encode()) == found["index"]["code"][stage]
    assert {"corpus", TARGET} <= set(found["entries"])
    assert "curated/s0/g0/training" not in found["entries"]


def test_an_index_that_changes_meanwhile_is_told(project):
    with snapshot(project) as now:
        book = book_of(now)
        Path(project, "book/index.json").write_text("{}")
        with pytest.raises(BookError, match=r"book/index\.json: has changed since it was read"):
            export("json", book, now)
