import errno
import io
import json
import os
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
import yaml

from herdbook import cli
from herdbook.corpus import dvc_digest
from herdbook.layout import CORPUS
from tests.parameters import write_params


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose corpus is the folder mine/ of two documents; the working directory."""
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path / "params.yaml", corpus={"source": "files", "path": "mine", "licence": "CC0-1.0"})
    (tmp_path / "mine").mkdir()
    for name, text in (("a.txt", "one"), ("b.txt", "two two")):
        (tmp_path / "mine" / name).write_text(text)
    return tmp_path


def herdbook(monkeypatch, *words):
    """The exit status of `herdbook WORDS`."""
    monkeypatch.setattr(sys, "argv", ["herdbook", *words])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code or 0


def record(project, digest):
    (project / "data.dvc").write_text(yaml.safe_dump({"outs": [{"md5": digest, "size": 1, "nfiles": 3, "hash": "md5", "path": "data"}]}))


def state(folder):
    return {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in folder.rglob("*")}


def refused(monkeypatch, capsys, project, *words):
    """The one line with which `herdbook corpus WORDS` refuses, after checking that it changed nothing."""
    before = state(project)
    assert herdbook(monkeypatch, "corpus", *words) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("herdbook: ")
    assert said.err.count("\n") == 1
    assert state(project) == before
    return said.err


def test_a_corpus_is_written_and_counted(project, monkeypatch, capsys):
    assert herdbook(monkeypatch, "corpus") == 0
    assert capsys.readouterr().out == f"data: 2 documents, 3 words, md5 {dvc_digest(CORPUS)}, a new version: run dvc add data\n"
    assert sorted(pq.read_table("data/corpus.parquet")["text"].to_pylist()) == ["one", "two two"]
    assert "Licence: CC0-1.0" in (project / "data/README.md").read_text()
    assert sorted(path.name for path in project.iterdir()) == ["data", "mine", "params.yaml"]


def test_a_corpus_and_what_is_pruned_are_told_as_json_too(project, monkeypatch, capsys):
    assert herdbook(monkeypatch, "corpus", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"folder": "data", "num_documents": 2, "num_words": 3, "md5": dvc_digest(CORPUS), "recorded": None}
    (project / "runs/strange").mkdir(parents=True)
    herdbook(monkeypatch, "prune", "--json")
    assert json.loads(capsys.readouterr().out) == ["runs/strange"]


def test_the_recorded_corpus_is_written_again_and_called_so(project, monkeypatch, capsys):
    herdbook(monkeypatch, "corpus")
    record(project, digest := dvc_digest(CORPUS))
    before = {path.name: path.read_bytes() for path in CORPUS.iterdir()}
    for path in CORPUS.iterdir():
        path.unlink()
    capsys.readouterr()
    assert herdbook(monkeypatch, "corpus") == 0
    assert capsys.readouterr().out == f"data: 2 documents, 3 words, md5 {digest}, the version that data.dvc records\n"
    assert {path.name: path.read_bytes() for path in CORPUS.iterdir()} == before


def test_other_bytes_than_recorded_are_reported_with_both_digests_and_written_only_when_told(project, monkeypatch, capsys):
    herdbook(monkeypatch, "corpus")
    record(project, old := dvc_digest(CORPUS))
    (project / "mine/c.txt").write_text("three")
    capsys.readouterr()
    said = refused(monkeypatch, capsys, project)
    assert f"data.dvc records {old}" in said
    assert "herdbook corpus --replace, then dvc add data" in said
    assert herdbook(monkeypatch, "corpus", "--replace") == 0
    new = dvc_digest(CORPUS)
    assert f"the source gives md5 {new}" in said
    assert new != old
    assert "a new version: run dvc add data" in capsys.readouterr().out


def test_documents_left_out_are_counted_for_people(project, monkeypatch, capsys):
    (project / "mine/c.txt").write_text("one")
    assert herdbook(monkeypatch, "corpus") == 0
    assert "1 of 3 documents repeat another and are left out\n" in capsys.readouterr().err


def test_another_file_of_parameters_may_be_named(project, monkeypatch):
    (project / "params.yaml").rename("other.yaml")
    assert herdbook(monkeypatch, "corpus", "--params", "other.yaml") == 0
    assert (project / "data/corpus.parquet").is_file()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.txt", b"\xff", "c.txt: byte 0 is not UTF-8"),
        ("c.jsonl", b"{", "c.jsonl: line 1 is not JSON"),
        ("c.jsonl", b'{"text": null}', "is null, must be a string"),
        ("c.parquet", b"PAR1", "c.parquet: not a whole parquet file"),
        ("c.jsonl", b'{"\\u001b[2J\\n\\u202e": 1}', r"line 1 has no 'text'; found \x1b[2J\n\u202e; set corpus.column"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_bad_text_is_one_line_and_changes_nothing(project, monkeypatch, capsys, name, content, message, is_first):
    if not is_first:
        herdbook(monkeypatch, "corpus")
        capsys.readouterr()
    (project / "mine" / name).write_bytes(content)
    assert message in refused(monkeypatch, capsys, project)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--params", "none.yaml"], "none.yaml: cannot be read (No such file"),
        (["--params", "mine/a.txt"], "mine/a.txt: the document is 'one': Input should be"),
    ],
)
def test_parameters_that_cannot_be_used_are_one_line(project, monkeypatch, capsys, words, message):
    assert message in refused(monkeypatch, capsys, project, *words)


def test_a_folder_name_that_means_markup_is_only_a_name(project, monkeypatch, capsys):
    write_params(project / "params.yaml", corpus={"source": "files", "path": "[/red]"})
    assert "[/red]: not a folder" in refused(monkeypatch, capsys, project)


def test_a_full_disk_leaves_the_corpus_that_stood_there(project, monkeypatch, capsys):
    herdbook(monkeypatch, "corpus")
    capsys.readouterr()
    (project / "mine/c.txt").write_text("three")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = {path.name: path.read_bytes() for path in CORPUS.iterdir()}
    monkeypatch.setattr(os, "fsync", full)
    assert herdbook(monkeypatch, "corpus") == 1
    assert "cannot be written (No space left on device)" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in CORPUS.iterdir()} == before
    assert sorted(path.name for path in project.iterdir()) == ["data", "mine", "params.yaml"]


def test_progress_is_shown_on_a_terminal_only(project, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, is_shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(cli, "messages", cli.Console(stderr=True, highlight=False, color_system=None))
        assert herdbook(monkeypatch, "corpus") == 0
        assert ("reading mine" in stream.getvalue()) == is_shown


def test_the_command_line_starts_and_traces_without_heavy_libraries():
    heavy = {"torch", "transformers", "pandas", "datasets", "gensim", "dvc", "pyarrow.compute", "rich.progress"}
    code = f"import sys, herdbook.cli, herdbook.trace; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
