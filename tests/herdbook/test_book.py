import json

import pytest

from herdbook.book import INDEX, code_path, entry_path, read_book
from herdbook.entry import entry_id
from herdbook.errors import BookError
from herdbook.files import canonical_json, digest_bytes
from herdbook.layout import BOOK_ROOT
from herdbook.snapshot import book_of, snapshot


def files_of(root):
    """Every file of a book by its path."""
    return {path.relative_to(root): path.read_bytes() for path in (root / "book").rglob("*.json")}


def test_the_root_stands_for_every_entry_and_all_code(bred):
    files = files_of(bred)
    book = read_book(files.__getitem__)
    assert book.root == digest_bytes(files[INDEX]) == json.loads((bred / BOOK_ROOT).read_text())["root"]
    assert all(entry_id(entry) == book.ids[name] for name, entry in book.entries.items())
    assert set(files) == {INDEX, *(entry_path(name) for name in book.entries), *(code_path(stage) for stage in book.code)}
    for path in files:
        changed = {**files, path: files[path] + b" "}
        if path == INDEX:
            assert read_book(changed.__getitem__).root != book.root
        else:
            with pytest.raises(BookError, match=f"^{path}: sha256 is"):
                read_book(changed.__getitem__)


def test_entries_name_their_parents_entries(bred):
    book = read_book(files_of(bred).__getitem__)
    for name, entry in book.entries.items():
        for parent in entry["parents"]:
            assert parent["entry"] == book.ids[parent["name"]], name
    roles = [role for role, _ in book.parents(book.entries["replace/s0/g1/model"])]
    assert roles == ["training", "start"]


def forged(files, name, **changes):
    """The files of a book in which one entry is changed, and the index with it."""
    entry = {**json.loads(files[entry_path(name)]), **changes}
    index = json.loads(files[INDEX])
    index["entries"][name] = entry_id(entry)
    return {**files, entry_path(name): canonical_json(entry).encode(), INDEX: canonical_json(index).encode()}


def test_a_parent_that_is_missing_or_a_descendant_is_refused(bred):
    files = files_of(bred)
    lost = [{"role": "corpus", "name": "elsewhere", "entry": "0" * 64}]
    with pytest.raises(BookError, match=r"human/train_documents\.json: its parent elsewhere has no entry"):
        read_book(forged(files, "human/train_documents", parents=lost).__getitem__)
    itself = [{"role": "corpus", "name": "replace/s0/g1/model", "entry": "0" * 64}]
    with pytest.raises(BookError, match="descends from itself"):
        read_book(forged(files, "human/train_documents", parents=itself).__getitem__)


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"entries": 1, "code": 2}', b'{"entries": {}}', b"\xff\xfe"])
def test_an_index_that_is_none_is_refused(bred, text):
    with pytest.raises(BookError, match=f"{INDEX}: not an index"):
        read_book({**files_of(bred), INDEX: text}.__getitem__)


def test_a_book_of_a_newer_schema_is_refused(bred):
    files = files_of(bred)
    index = {**json.loads(files[INDEX]), "schema": 9}
    with pytest.raises(BookError, match="a book of schema 9"):
        read_book({**files, INDEX: canonical_json(index).encode()}.__getitem__)


def test_the_book_of_a_revision_is_that_of_the_workspace_it_was_committed_from(bred):
    with snapshot(bred) as now, snapshot(bred, "HEAD") as then:
        assert book_of(now) == book_of(then)
