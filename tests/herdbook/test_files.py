import errno
import os
import resource

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from herdbook import files
from herdbook.errors import FileError
from herdbook.schema import CORPUS, ROWS
from tests.rows import rows_of

TABLE = rows_of("a", 3)


@pytest.fixture
def small_files():
    """No file of this process may grow beyond 100 kB: the kernel refuses, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_folder(path, names):
    with files.written_aside(path) as aside:
        aside.mkdir()
        for name in names:
            (aside / name).write_text(name)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_file_is_written_with_its_parents_and_nothing_else_is_left(tmp_path):
    files.write_text(tmp_path / "a/b/c.txt", "é\n")
    assert contents(tmp_path) == {"a/b/c.txt": "é\n"}
    assert (tmp_path / "a/b/c.txt").read_bytes() == "é\n".encode()


def test_a_folder_replaces_the_folder_before_it_whole(tmp_path):
    write_folder(tmp_path / "d", ["old", "both"])
    write_folder(tmp_path / "d", ["both", "new"])
    assert contents(tmp_path) == {"d/both": "both", "d/new": "new"}


def test_nothing_is_at_the_path_until_writing_ended(tmp_path):
    with files.written_aside(tmp_path / "a.txt") as aside:
        aside.write_text("half")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_text() == "half"


def test_an_error_while_writing_passes_through_and_leaves_what_stood_there(tmp_path):
    files.write_text(tmp_path / "a.txt", "before")
    with pytest.raises(ZeroDivisionError), files.written_aside(tmp_path / "a.txt") as aside:
        aside.write_text(f"half {1 // 0}")
    assert contents(tmp_path) == {"a.txt": "before"}


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("write", [lambda path: files.write_text(path, "new"), lambda path: write_folder(path, ["new"])])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_full_disk_is_one_line_and_leaves_what_stood_there(tmp_path, monkeypatch, call, write, is_first):
    if not is_first:
        write(tmp_path / "out")
    before = contents(tmp_path)
    monkeypatch.setattr(os, call, full)
    with pytest.raises(FileError, match=r"out: cannot be written \(No space left on device\)") as caught:
        write(tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == len({name.split("/")[0] for name in before})


def test_an_old_folder_returns_when_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    write_folder(tmp_path / "out", ["old"])
    replace = os.replace
    monkeypatch.setattr(
        os, "replace", lambda a, b: full() if os.fspath(a).endswith("/out") and os.fspath(b).endswith("/out") else replace(a, b)
    )
    with pytest.raises(FileError, match="No space left"):
        write_folder(tmp_path / "out", ["new"])
    assert contents(tmp_path) == {"out/old": "old"}


def test_a_device_without_room_is_refused(tmp_path):
    def write():
        with files.written_aside(tmp_path / "a.txt") as aside:
            aside.symlink_to("/dev/full")
            aside.write_text("x")

    with pytest.raises(FileError, match="No space left on device"):
        write()
    assert list(tmp_path.iterdir()) == []


def write_weights(path, noise):
    with files.written_aside(path) as aside:
        save_file({"weights": np.frombuffer(noise.encode(), dtype=np.uint8)}, aside)


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize(
    "write",
    [files.write_text, lambda path, noise: files.write_table(path, pa.table({"text": list(noise)})), write_weights],
    ids=["text", "table", "weights"],
)
def test_a_file_that_the_kernel_cuts_short_never_appears(tmp_path, write):
    with pytest.raises(FileError, match="File too large"):
        write(tmp_path / "out", os.urandom(400_000).hex())
    assert list(tmp_path.iterdir()) == []


def test_a_parent_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(FileError, match=r"a/b: cannot be written"):
        files.write_text(tmp_path / "a/b", "x")


def test_json_is_sorted_indented_and_ends_with_a_newline(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": [1, None], "a": "é"})
    assert (tmp_path / "a.json").read_bytes() == '{\n  "a": "é",\n  "b": [\n    1,\n    null\n  ]\n}\n'.encode()
    assert files.read_json(tmp_path / "a.json") == {"a": "é", "b": [1, None]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_refuses_what_it_cannot_say_and_rounding_makes_it_null(tmp_path, value):
    with pytest.raises(ValueError, match="Out of range"):
        files.write_json(tmp_path / "a.json", {"x": value})
    assert list(tmp_path.iterdir()) == []
    assert files.rounded(value) is None


def test_figures_are_recorded_to_ten_digits():
    assert files.rounded(2 / 3) == 0.6666666667
    assert files.rounded(123456789012.0) == 123456789000.0


@pytest.mark.parametrize(("content", "message"), [(None, "not found; run the stage"), ("{", "not JSON"), ("\udcff", "not JSON")])
def test_json_that_cannot_be_read_is_one_line(tmp_path, content, message):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(FileError, match=message):
        files.read_json(path)


def test_the_same_table_gives_the_same_bytes_however_it_was_made(tmp_path):
    again = pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)]).replace_schema_metadata({"pandas": "x"})
    for name, table in (("a", TABLE), ("b", TABLE), ("c", again.combine_chunks())):
        files.write_table(tmp_path / name, table)
    assert len({files.digest(tmp_path / name) for name in "abc"}) == 1


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_a_table_comes_back_as_it_was_written(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("table") / "a.parquet"
    table = pa.Table.from_pylist([dict.fromkeys(CORPUS.names, text) for text in texts], schema=CORPUS)
    files.write_table(path, table)
    assert files.read_table(path, CORPUS).equals(table)


def test_reading_gives_the_schemas_columns_in_its_order(tmp_path):
    files.write_table(tmp_path / "a.parquet", TABLE.select(list(reversed(ROWS.names))).append_column("extra", pa.nulls(3)))
    assert files.read_table(tmp_path / "a.parquet", ROWS).equals(TABLE)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "not found; run the stage"),
        (lambda path: path.write_bytes(path.read_bytes()[:-20]), "not a whole parquet file"),
        (lambda path: path.write_bytes(b""), "not a whole parquet file"),
        (lambda path: files.write_table(path, TABLE.drop_columns("text")), "no column 'text'; found id, generation"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line(tmp_path, damage, message):
    path = tmp_path / "a.parquet"
    files.write_table(path, TABLE)
    damage(path)
    with pytest.raises(FileError, match=message) as caught:
        files.read_table(path, ROWS)
    assert "\n" not in str(caught.value)


def test_a_column_of_another_type_is_one_line(tmp_path):
    path = tmp_path / "a.parquet"
    files.write_table(path, TABLE.set_column(TABLE.column_names.index("index"), "index", pa.array(["x"] * 3)))
    with pytest.raises(FileError, match="index"):
        files.read_table(path, ROWS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", "line 4, column 3: key 'b' stands twice"),
        ("1: a\n0x1: b\n", "line 2, column 1: key '0x1' stands twice"),
        ("a: [1\nb: 2\n", "line 2, column 2: while parsing a flow sequence: "),
        ("a: 2001-99-99\n", "month must be in 1..12"),
        ("a: \0\n", "unacceptable character"),
        ("a: {b: 2020-01-01}\n", "a.b: is of the type date, must be text"),
        ("a: [1, !!binary aGVsbG8=]\n", "a.1: is of the type bytes, must be text"),
        ("a: !!set {b}\n", "a: is of the type set, must be text"),
        ("a: !!pairs [b: 1]\n", "a.0: is of the type tuple, must be text"),
        ('a: "b\\0c"\n', "a: holds the character NUL"),
        ("a: &c {b: [*c]}\n", "a.b.0: is an alias of what it stands in"),
        ("&c [*c]\n", "0: is an alias of what it stands in"),
        ("2020-01-01\n", "the document: is of the type date"),
    ],
)
def test_what_is_no_strict_yaml_is_told_with_its_line(text, told):
    with pytest.raises(yaml.YAMLError) as caught:
        files.strict_yaml(text)
    assert str(caught.value).startswith(told)


def test_an_alias_may_stand_in_many_places_and_costs_one_look():
    lines = ["a0: &a0 [1]"] + [f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]" for n in range(60)]  # 2**60 places
    assert files.strict_yaml("\n".join(lines))["a1"] == [[1], [1]]


def test_what_is_merged_into_a_mapping_may_hold_the_keys_that_it_has():
    text = "base: &b {x: 1, z: 0}\ntop:\n  inner: &c {<<: *b, x: 2}\nd: {<<: *c, y: 3}\n"
    assert files.strict_yaml(text)["d"] == {"x": 2, "y": 3, "z": 0}


def test_a_digest_is_sha256_of_bytes_and_of_sorted_names_and_digests(tmp_path):
    write_folder(tmp_path / "d", ["b", "a"])
    a, b = files.digest_bytes(b"a"), files.digest_bytes(b"b")
    assert a == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert files.digest(tmp_path / "d/a") == a
    assert files.digest(tmp_path / "d") == files.digest_bytes(f"a\0{a}\nb\0{b}\n".encode())


def test_a_digest_of_nothing_is_refused(tmp_path):
    with pytest.raises(FileError, match="not found"):
        files.digest(tmp_path / "nothing")
