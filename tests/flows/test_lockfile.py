import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flows.lockfile import _renumbered, in_order, read_lock, stage_text, write_lock
from herdbook.audit.lock import other_bytes
from herdbook.errors import FileError
from tests.pipeline import ROOT


def test_each_piece_of_the_committed_lock_is_what_dumping_its_stage_gives():
    pieces = read_lock(ROOT / "dvc.lock")
    entries = yaml.load((ROOT / "dvc.lock").read_text(), Loader=yaml.CSafeLoader)["stages"]
    assert list(pieces) == list(entries)
    for name in list(pieces)[::29]:
        assert _renumbered(stage_text(name, entries[name]), count(1)) == _renumbered(pieces[name], count(1))


def test_a_lock_written_from_its_pieces_has_the_same_bytes(tmp_path):
    pieces = read_lock(ROOT / "dvc.lock")
    write_lock(tmp_path / "dvc.lock", pieces, list(pieces))
    assert (tmp_path / "dvc.lock").read_bytes() == (ROOT / "dvc.lock").read_bytes()


def test_dvc_writes_the_same_bytes_as_the_pieces(tmp_path):
    from dvc.utils.serialize import dump_yaml

    entries = {
        name: {"cmd": f"python {'very ' * 30}long {name}", "outs": [{"path": f"a b/{name}", "md5": "0" * 32, "size": 1}]}
        for name in ("b@x-1", "a")
    }
    for entry in entries.values():  # as an alias in params.yaml makes them
        entry["params"] = {
            "params.yaml": {"decodings": {"a": (shared := {"k": 50, "l": [1]}), "b": shared}, "regime": shared, "other": [shared]}
        }
        # written first and met again last: numbers go by the second meeting
        entry["deps"] = [{"late": (late := {"k": 1})}, {"early": (early := {"k": 2})}, {"again": early}, {"last": late}]
    dump_yaml(str(tmp_path / "theirs"), {"schema": "2.0", "stages": entries})
    pieces = {name: stage_text(name, entry) for name, entry in entries.items()}
    write_lock(tmp_path / "ours", pieces, ["b@x-1", "a"])
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert b"&id006" in (tmp_path / "ours").read_bytes()
    write_lock(tmp_path / "again", read_lock(tmp_path / "theirs"), ["b@x-1", "a"])
    assert (tmp_path / "again").read_bytes() == (tmp_path / "theirs").read_bytes()


LOCKS = ["dvc.lock", *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("experiments/*/dvc.lock"))]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_committed_lock_is_as_dvc_writes_it(lock):
    text = (ROOT / lock).read_bytes()
    assert other_bytes(text, yaml.load(text, Loader=yaml.CSafeLoader)) is None


def test_the_ordered_mappings_that_dvc_makes_are_mappings():
    """In a process of its own: DVC teaches the library about them when it first writes anything."""
    code = (
        "from collections import OrderedDict; from flows.lockfile import stage_text; print(stage_text('a', OrderedDict(cmd='b')), end='')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "  a:\n    cmd: b\n"


def test_no_lock_has_no_pieces(tmp_path):
    assert read_lock(tmp_path / "dvc.lock") == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "schema: '2.0'\n",
        "stages:\n  a:\n    cmd: b\n",
        "schema: '2.0'\nstages:\n  a:\n    cmd: b",
        "schema: '2.0'\nstages:\n    a: b\n",
    ],
)
def test_a_lock_that_dvc_did_not_write_whole_is_refused(tmp_path, text):
    (tmp_path / "dvc.lock").write_text(text)
    with pytest.raises(FileError, match="restore it: git checkout"):
        read_lock(tmp_path / "dvc.lock")


def test_a_lock_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "dvc.lock").write_bytes(b"schema: '2.0'\nstages:\n  a\xff:\n    cmd: b\n")
    with pytest.raises(FileError, match=r"cannot be read \(.*\); restore it: git checkout"):
        read_lock(tmp_path / "dvc.lock")
    (tmp_path / "dvc.lock").unlink()
    (tmp_path / "dvc.lock").mkdir()
    with pytest.raises(FileError, match=r"cannot be read \(.*Is a directory.*\); restore it: git checkout"):
        read_lock(tmp_path / "dvc.lock")


def test_new_stages_follow_old_ones_in_the_order_of_the_plan():
    assert in_order({"new", "old", "gone", "newer"}, ["gone", "old"], ["old", "new", "newer"]) == ["gone", "old", "new", "newer"]


@given(st.permutations(list("abcdef")), st.integers(0, 6))
def test_the_order_does_not_depend_on_what_ended_first(ended, killed_at):
    """A run that was killed and went on leaves the order of one that was not."""
    before, plan = ["x", "c"], list("abcdef")
    once = in_order({*ended, "x", "c"}, before, plan)
    half = in_order({*ended[:killed_at], "x", "c"}, before, plan)
    assert [name for name in once if name in half] == half


def test_a_lock_is_replaced_in_one_step(tmp_path, monkeypatch):
    path = tmp_path / "dvc.lock"
    write_lock(path, {"a": "  a:\n    cmd: b\n"}, ["a"])
    before = path.read_bytes()

    def full(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(FileError, match="No space left"):
        write_lock(path, {"a": "  a:\n    cmd: c\n"}, ["a"])
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["dvc.lock"]
