import json

import pytest

from herdbook.errors import BookError
from herdbook.files import digest
from stages import book


def test_the_same_bytes_come_out_again(project, monkeypatch):
    monkeypatch.chdir(project)
    before = digest(project / "book"), digest(project / "reports/book.json")
    book.main([])
    assert (digest(project / "book"), digest(project / "reports/book.json")) == before
    told = json.loads((project / "reports/book.json").read_text())
    assert told["num_entries"] == len(list((project / "book/entries").rglob("*.json")))
    assert told["num_not_bred"] > 0


def test_a_changed_word_of_code_gives_another_root(project, monkeypatch):
    monkeypatch.chdir(project)
    before = json.loads((project / "reports/book.json").read_text())["root"]
    path = project / "runs/code/validate.json"
    text = path.read_text()
    path.unlink()
    path.write_text(text.replace("a", "b", 1))
    book.main([])
    assert json.loads((project / "reports/book.json").read_text())["root"] != before


def test_folders_that_the_parameters_do_not_explain_are_refused_and_nothing_is_written(project, monkeypatch):
    monkeypatch.chdir(project)
    before = digest(project / "book")
    (project / "runs/replace/s0/g7").mkdir()
    with pytest.raises(BookError, match=r"runs/replace/s0/g7: of no regime, seed or generation.*herdbook prune"):
        book.main([])
    assert digest(project / "book") == before
