import hashlib
import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook import corpus
from herdbook.errors import CorpusError, FileError
from herdbook.params import Corpus
from herdbook.schema import CORPUS

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def source(path, **changes):
    keys = {"source": "files", "path": str(path), "config": None, "split": None, "column": "text", "licence": None, "num_problems": None}
    return Corpus(**{**keys, **changes})


def gathered(path, **changes):
    return corpus.gather(source(path, **changes)).to_pylist()


def written(folder, files):
    """`folder` holding these files: bytes, text, a list of records (.jsonl) or a mapping of columns (.parquet)."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            pq.write_table(pa.table(content), path)
        elif isinstance(content, list):
            path.write_text("".join(json.dumps(record) + "\n" for record in content))
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_a_document_of_a_file_has_id_title_text_source_licence_and_url(tmp_path):
    rows = gathered(written(tmp_path / "mine", {"a.txt": "one", "b/c.TXT": "two", "skipped.md": "three"}), licence="CC0-1.0")
    shared = {"source": "mine", "licence": "CC0-1.0", "url": ""}
    ids = {text: hashlib.sha256(text.encode()).hexdigest() for text in ("one", "two")}
    assert rows == sorted(rows, key=lambda row: row["id"])
    assert {row["title"]: row for row in rows} == {
        "a.txt": {"id": ids["one"], "title": "a.txt", "text": "one", **shared},
        "b/c.TXT": {"id": ids["two"], "title": "b/c.TXT", "text": "two", **shared},
    }


def test_records_and_tables_take_the_named_column_and_title(tmp_path):
    folder = written(
        tmp_path,
        {
            "a.jsonl": [{"body": "one", "title": "One"}, {"body": "two", "n": 3}],
            "b.parquet": {"title": ["Three", None], "body": ["three", "four"], "n": [1, 2]},
        },
    )
    titles = {row["text"]: row["title"] for row in gathered(folder, column="body")}
    assert titles == {"one": "One", "two": "a.jsonl:2", "three": "Three", "four": "b.parquet:2"}


def test_string_types_of_parquet_are_all_text(tmp_path):
    large, coded = pa.array(["one", "two"], pa.large_string()), pa.array(["three", "four"]).dictionary_encode()
    folder = written(tmp_path, {"a.parquet": {"text": large}, "b.parquet": {"text": coded}})
    assert {row["text"] for row in gathered(folder)} == {"one", "two", "three", "four"}


def test_a_folder_named_as_a_partition_adds_no_column(tmp_path):
    folder = written(tmp_path, {"text=x/a.parquet": {"text": ["one", "two"]}})
    assert {row["text"] for row in gathered(folder)} == {"one", "two"}


def test_repeated_and_blank_documents_are_left_out_and_counted(tmp_path):
    said: list[str] = []
    folder = written(tmp_path, {"a.jsonl": [{"text": text} for text in ("one", "one", " \n", "two", "", "one")]})
    table = corpus.gather(source(folder), said.append)
    assert table.num_rows == 2
    assert said == ["2 of 6 documents are blank and are left out", "2 of 6 documents repeat another and are left out"]
    assert {row["title"] for row in table.to_pylist()} == {"a.jsonl:1", "a.jsonl:4"}


@pytest.mark.parametrize(
    "text",
    ["x " * 2_500_000, "a\0b", "שלום עולם مرحبا", "<script>alert(1)</script>&amp;", "\u202eevil\x1b[2J", "a\r\nb\u2028c", "|[x](y)|`"],
    ids=["5 MB line", "NUL", "right to left", "HTML", "controls", "line ends", "Markdown"],
)
def test_hostile_text_is_kept_as_it_stands_in_every_format(tmp_path, text):
    files = {"a.txt": text, "b.jsonl": [{"text": text + "b"}], "c.parquet": {"text": [text + "c"]}}
    assert {row["text"] for row in gathered(written(tmp_path, files))} == {text, text + "b", text + "c"}


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path):
    folder = written(tmp_path, {"a.txt": b"\xef\xbb\xbfone", "b.jsonl": b'\xef\xbb\xbf{"text": "two"}'})
    assert {row["text"] for row in gathered(folder)} == {"one", "two"}


BAD = {
    "not UTF-8": ({"a.txt": b"caf\xe9"}, r"a\.txt: byte 3 is not UTF-8; convert"),
    "jsonl not UTF-8": ({"a.jsonl": b'{"text": "\xff"}'}, r"a\.jsonl: byte 10 is not UTF-8"),
    "malformed line": ({"a.jsonl": b'{"text": "one"}\n{"text": \n'}, r"a\.jsonl: line 2 is not JSON"),
    "deep line": ({"a.jsonl": b"[" * 100_000}, r"a\.jsonl: line 1 is not JSON"),
    "line of a list": ({"a.jsonl": [["text"]]}, r"a\.jsonl: line 1 has no 'text'; found list; set corpus\.column"),
    "line without text": ({"a.jsonl": [{"body": "one"}]}, r"a\.jsonl: line 1 has no 'text'; found body; set corpus\.column"),
    "null line": ({"a.jsonl": [{"text": None}]}, r"the text of 'a\.jsonl:1' is null, must be a string"),
    "number line": ({"a.jsonl": [{"text": 3}]}, r"the text of 'a\.jsonl:1' is of type int, must be a string"),
    "half a surrogate pair": ({"a.jsonl": b'{"text": "\\ud800"}'}, r"'a\.jsonl:1' holds half a surrogate pair"),
    "table without text": ({"a.parquet": {"body": ["one"]}}, r"a\.parquet: no column 'text'; found body; set corpus\.column"),
    "null in a table": ({"a.parquet": {"text": ["one", None]}}, r"the text of 'a\.parquet:2' is null, must be a string"),
    "numbers in a table": ({"a.parquet": {"text": [1, 2]}}, r"the text of 'a\.parquet:1' is of type int, must be a string"),
    "bytes in a table": ({"a.parquet": {"text": [b"one"]}}, r"the text of 'a\.parquet:1' is of type bytes, must be a string"),
    "table not UTF-8": (
        {"a.parquet": {"text": pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers())}},
        r"a\.parquet: a text of column 'text' is not UTF-8",
    ),
    "no parquet": ({"a.parquet": b""}, r"a\.parquet: not a whole parquet file"),
    "one document": ({"a.txt": "one"}, "1 documents, at least 2 are needed"),
    "one distinct document": ({"a.txt": "one", "b.txt": "one"}, "1 of 2 documents left, at least 2 are needed"),
    "blank documents": ({"a.txt": "", "b.txt": " \n"}, "0 of 2 documents left, at least 2 are needed"),
    "empty table": ({"a.parquet": {"text": pa.array([], pa.string())}}, "0 documents, at least 2 are needed"),
    "no document": ({"a.md": "one"}, r"no \.txt, \.jsonl or \.parquet file; put documents there"),
}


@pytest.mark.parametrize(("files", "message"), BAD.values(), ids=BAD)
def test_text_that_cannot_be_used_is_one_line(tmp_path, files, message):
    with pytest.raises(CorpusError, match=message) as caught:
        gathered(written(tmp_path, files))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["text", "title"])
def test_a_table_with_a_column_twice_is_refused(tmp_path, name):
    table = pa.table([["one"], ["two"], ["three"]], names=[name, name, "title" if name == "text" else "text"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match=rf"a\.parquet: has 2 columns '{name}', must have one"):
        gathered(tmp_path)


def test_a_truncated_table_is_refused(tmp_path):
    path = written(tmp_path, {"a.parquet": {"text": ["one", "two"]}}) / "a.parquet"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CorpusError, match=r"a\.parquet: not a whole parquet file"):
        gathered(tmp_path)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"nothing: not a folder; set corpus\.path"):
        gathered(tmp_path / "nothing")


def test_documents_are_never_read_from_where_the_corpus_goes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("data", "data/mine", "."):
        written(tmp_path / folder, {"a.txt": "one", "b.txt": "two"})
        with pytest.raises(CorpusError, match="overlaps data"):
            gathered(folder)


@settings(deadline=None, max_examples=50)
@given(st.lists(ANY_TEXT, max_size=8))
def test_every_document_is_kept_or_counted(tmp_path_factory, texts):
    folder = written(tmp_path_factory.mktemp("any"), {"a.jsonl": [{"text": text} for text in texts]})
    distinct = {text for text in texts if text.strip()}
    if len(distinct) < 2:
        with pytest.raises(CorpusError, match="at least 2 are needed"):
            gathered(folder)
    else:
        assert {row["text"] for row in gathered(folder)} == distinct


# Datasets.


def save_dataset(path, **splits):
    import datasets

    made = {name: datasets.Dataset.from_dict(columns) for name, columns in splits.items()}
    (datasets.DatasetDict(made) if len(made) > 1 else next(iter(made.values()))).save_to_disk(path)
    return path


@pytest.fixture
def no_bars():
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()


@pytest.mark.usefixtures("no_bars")
def test_a_split_of_a_saved_dataset_is_read(tmp_path):
    path = save_dataset(
        tmp_path / "saved", train={"body": ["one", "two"], "title": ["One", None]}, test={"body": ["three", "four"], "title": [None] * 2}
    )
    rows = gathered(path, source="huggingface", split="train", column="body", licence="CC0-1.0")
    assert {(row["title"], row["text"], row["source"], row["licence"]) for row in rows} == {
        ("One", "one", "saved", "CC0-1.0"),
        ("row 1", "two", "saved", "CC0-1.0"),
    }
    for split in (None, "validation"):
        with pytest.raises(CorpusError, match=f"corpus.split is {split!r}, must be one of train, test; set it"):
            gathered(path, source="huggingface", split=split, column="body")


@pytest.mark.usefixtures("no_bars")
def test_a_saved_dataset_without_splits_needs_none(tmp_path):
    path = save_dataset(tmp_path / "saved", only={"text": ["one", "two"], "n": [1, 2]})
    assert len(gathered(path, source="huggingface")) == 2
    for changes, message in (({"split": "train"}, "corpus.split is 'train'"), ({"column": "body"}, "no column 'body'; found text, n")):
        with pytest.raises(CorpusError, match=message):
            gathered(path, source="huggingface", **changes)
    with pytest.raises(CorpusError, match="the text of 'row 0' is of type int"):
        gathered(path, source="huggingface", column="n")


@pytest.mark.usefixtures("no_bars")
def test_a_dataset_that_the_library_loads_itself_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = written(tmp_path / "tables", {"train.parquet": {"text": ["one", "two", "three"]}})
    assert len(gathered(folder, source="huggingface", split="train")) == 3
    with pytest.raises(CorpusError, match="Unknown split"):
        gathered(folder, source="huggingface", split="test")


@pytest.mark.usefixtures("no_bars")
def test_a_broken_dataset_is_one_line(tmp_path):
    path = save_dataset(tmp_path / "saved", only={"text": ["one", "two"]})
    for damaged in path.glob("*.arrow"):
        damaged.write_bytes(damaged.read_bytes()[:50])
    with pytest.raises(CorpusError, match="no such dataset, or broken") as caught:
        gathered(path, source="huggingface")
    assert "\n" not in str(caught.value)


def test_a_missing_extra_names_the_command_that_adds_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(CorpusError, match=r"pip install 'herdbook\[huggingface\]'"):
        gathered(tmp_path, source="huggingface")


# What is written.


def table(*texts, **keys):
    row = {"title": "T", "source": "s", "licence": "l", "url": "", **keys}
    return pa.Table.from_pylist([{**row, "id": hashlib.sha256(text.encode()).hexdigest(), "text": text} for text in texts], schema=CORPUS)


def test_a_corpus_comes_back_as_it_was_written_and_twice_the_same(tmp_path):
    for name in ("a", "b"):
        corpus.write_corpus(table("one", "two two"), tmp_path / name)
    assert corpus.read_corpus(tmp_path / "a").equals(table("one", "two two"))
    assert corpus.dvc_digest(tmp_path / "a") == corpus.dvc_digest(tmp_path / "b")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(corpus.FILES)


def test_attribution_counts_and_names_what_has_a_url_and_means_nothing_in_markdown(tmp_path):
    both = pa.concat_tables([table("one two", title="<b>[A](x)", url="https://x.org/A", source="*s*"), table("three")])
    assert corpus.attribution(both) == (
        "# Human corpus\n\n2 documents, 3 words.\n\n"
        "## \\*s\\*\n\nLicence: l\n\n- &lt;b&gt;\\[A\\](x) <https://x.org/A>\n\n## s\n\nLicence: l\n"
    )


def test_the_attribution_of_wikipedia_says_which_licence_and_what_was_changed():
    said = corpus.attribution(table("one", url="https://en.wikipedia.org/wiki/T", licence="CC BY-SA 3.0"))
    assert "<https://creativecommons.org/licenses/by-sa/3.0/>" in said
    assert "Changed here:" in said


def test_a_strangers_file_is_not_lost(tmp_path):
    corpus.write_corpus(table("one", "two"), tmp_path / "data")
    (tmp_path / "data/notes.txt").write_text("mine")
    with pytest.raises(CorpusError, match=r"data: holds 'notes\.txt', allowed are README\.md, corpus\.parquet, manifest\.json; move it"):
        corpus.write_corpus(table("one", "three"), tmp_path / "data")
    assert (tmp_path / "data/notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", corpus.FILES)
def test_a_corpus_that_lacks_a_file_is_refused(tmp_path, name):
    corpus.write_corpus(table("one", "two"), tmp_path / "data")
    (tmp_path / "data" / name).unlink()
    with pytest.raises(CorpusError, match=f"{name}: not found; make the corpus with herdbook corpus"):
        corpus.read_corpus(tmp_path / "data")


def test_a_corpus_of_other_bytes_than_its_manifest_records_is_refused(tmp_path):
    for name in ("a", "b"):
        corpus.write_corpus(table("one", name), tmp_path / name)
    (tmp_path / "a/corpus.parquet").write_bytes((tmp_path / "b/corpus.parquet").read_bytes())
    with pytest.raises(CorpusError, match="but its manifest records"):
        corpus.read_corpus(tmp_path / "a")


def test_the_digest_of_a_folder_is_the_one_that_dvc_records(tmp_path):
    written(tmp_path / "data", {"b.txt": "two", "a/ü.txt": "one", "a.txt": "", "Z": "z"})
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    for words in (["init", "-q", "--no-scm"], ["add", "-q", "data"]):
        subprocess.run([sys.executable, "-m", "dvc", *words], cwd=tmp_path, env=environment, check=True)
    assert corpus.dvc_digest(tmp_path / "data") == corpus.recorded_digest(tmp_path / "data.dvc")
    corpus.check_version(tmp_path / "data")
    (tmp_path / "data/b.txt").write_text("other")
    with pytest.raises(CorpusError, match=r"records \w+\.dir; to adopt the new corpus run dvc add"):
        corpus.check_version(tmp_path / "data")


def test_there_is_no_recorded_digest_without_a_record(tmp_path):
    assert corpus.recorded_digest(tmp_path / "data.dvc") is None


@pytest.mark.parametrize("content", [b"", b"outs: []", b"outs: [{path: data}]", b"- 1", b"a: [", b"\xff"])
def test_a_broken_record_is_refused(tmp_path, content):
    (tmp_path / "data.dvc").write_bytes(content)
    with pytest.raises(FileError, match=r"data\.dvc: not a \.dvc file"):
        corpus.recorded_digest(tmp_path / "data.dvc")


TASK = {"family": "sort_digits", "num_digits": 3}


def test_a_corpus_of_problems_holds_distinct_true_ones_the_same_each_time():
    table, again = (corpus.gather(source("unused", source="task", num_problems=40), task=TASK) for _ in range(2))
    assert table.equals(again)
    texts = table["text"].to_pylist()
    assert len(set(texts)) == 40
    assert all(text[4:] == "".join(sorted(text[:3])) for text in texts)
    assert set(table["source"].to_pylist()) == {"herdbook.tasks.sort_digits"}


def test_the_tests_of_a_user_are_read_in_every_format_and_each_once(tmp_path):
    written(tmp_path, {"a.txt": "one test", "b.jsonl": [{"text": "another test"}, {"text": "one test"}], "c.parquet": {"text": ["third"]}})
    (tmp_path / "README.md").write_text("no test")
    assert sorted(corpus.read_benchmarks(tmp_path)["text"].to_pylist()) == ["another test", "one test", "third"]


def test_no_tests_are_an_empty_table(tmp_path):
    assert corpus.read_benchmarks(tmp_path).num_rows == 0


def test_a_test_that_cannot_be_read_is_one_line(tmp_path):
    written(tmp_path, {"a.jsonl": "{broken"})
    with pytest.raises(CorpusError, match="line 1 is not JSON"):
        corpus.read_benchmarks(tmp_path)
