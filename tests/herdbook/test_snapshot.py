import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from herdbook.errors import BookError, FileError
from herdbook.remote import Remote
from herdbook.snapshot import MissingError, book_of, snapshot, uncommitted
from tests import miniature

TRACKED = Path("params.yaml")
FILE = Path("runs/human/train.parquet")
IN_A_FOLDER = Path("runs/replace/s0/g1/model/model.safetensors")


@pytest.mark.parametrize("path", [TRACKED, FILE, IN_A_FOLDER, Path("data/corpus.parquet"), Path("dvc.lock"), Path("data.dvc")])
def test_a_revision_gives_the_bytes_that_were_committed_whatever_lies_in_the_workspace(project, path):
    before = (project / path).read_bytes()
    (project / path).unlink()
    (project / path).write_bytes(b"stages: {}\n" if path.suffix in (".lock", ".dvc") else b"altered")
    with snapshot(project, "HEAD") as then:
        assert then.read(path) == before
    with snapshot(project) as now:
        assert now.read(path) != before


def test_an_output_that_is_missing_from_the_workspace_is_found_in_the_cache(project):
    before = (project / IN_A_FOLDER).read_bytes()
    shutil.rmtree(project / IN_A_FOLDER.parent)
    with snapshot(project) as now:
        assert now.read(IN_A_FOLDER) == before
        assert IN_A_FOLDER in now.files_below(IN_A_FOLDER.parent)
        assert (now.folder(IN_A_FOLDER.parent) / IN_A_FOLDER.name).read_bytes() == before
    assert not (project / IN_A_FOLDER).exists()


@pytest.fixture
def clone(project, tmp_path):
    """A fresh clone whose data lies in a DVC remote only."""
    store = tmp_path / "store"
    miniature.run(project, "-m", "dvc", "remote", "add", "--default", "store", str(store))
    miniature.run(project, "-m", "dvc", "push", "-q")
    miniature.commit(project, "a remote")
    root = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(project), str(root)], check=True)
    shutil.rmtree(project)
    return root


def test_in_a_fresh_clone_single_files_come_from_the_remote_and_nothing_is_written(clone):
    with snapshot(clone, "HEAD") as then:
        assert hashlib.md5(then.read(IN_A_FOLDER)).hexdigest() == then.md5_of(IN_A_FOLDER)
        assert book_of(then).entries
    with snapshot(clone) as now:
        assert now.read(FILE)[:4] == b"PAR1"
    assert not (clone / ".dvc/cache").exists()
    assert not (clone / "runs").exists()


def test_an_object_of_other_bytes_in_the_remote_is_refused(clone, tmp_path):
    with snapshot(clone) as now:
        md5 = now.md5_of(FILE)
        stored = tmp_path / "store/files/md5" / md5[:2] / md5[2:]
        stored.chmod(0o644)
        stored.write_bytes(b"other")
        with pytest.raises(MissingError, match="the remote gives bytes of md5"):
            now.read(FILE)
        stored.unlink()
        with pytest.raises(MissingError, match=f"{FILE}: md5 {md5[:12]} is neither in DVC's cache nor in a remote"):
            now.read(FILE)


def test_without_a_remote_a_missing_object_is_told_in_one_line(bred, tmp_path):
    with pytest.raises(FileError) as refused:
        Remote(bred).fetch("0" * 32, tmp_path / "object")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "object").exists()


def test_revisions_and_files_that_do_not_exist_are_told(bred, tmp_path):
    with pytest.raises(BookError, match="no-such: git knows no such revision"), snapshot(bred, "no-such"):
        pass
    with pytest.raises(BookError, match="--output: git knows no such revision"), snapshot(bred, "--output"):
        pass
    for revision in (None, "HEAD"):
        with snapshot(bred, revision) as then, pytest.raises(MissingError, match=r"nothing\.txt: not in"):
            then.read(Path("nothing.txt"))
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "a").write_text("a")
    miniature.commit(tmp_path, "no pipeline")
    with snapshot(tmp_path, "HEAD") as then, pytest.raises(BookError, match=r"HEAD: has no dvc\.lock"):
        book_of(then)


@pytest.mark.parametrize("text", ["", "stages: [", "- a", "stages: 3"])
def test_a_lock_that_cannot_be_read_is_told_in_one_line(project, text):
    (project / "dvc.lock").write_text(text)
    with snapshot(project) as now, pytest.raises(BookError, match=r"dvc\.lock: cannot be read as a lock.*git checkout"):
        now.lock  # noqa: B018


def test_what_differs_from_the_last_commit_is_named(project):
    assert uncommitted(project) == []
    (project / "params.yaml").write_text("changed")
    (project / "new file").write_text("new")
    assert uncommitted(project) == ["params.yaml", "new file"]


@pytest.mark.parametrize(
    ("record", "text"),
    [("dvc.lock", text) for text in ("{", "a: 1", "stages: {x: 1}", "stages: {x: {outs: [3]}}", "stages: {x: {outs: [{path: a}]}}")]
    + [("data.dvc", text) for text in ("{", "- a", "outs: 3", "outs: [{path: a}]")],
)
def test_records_of_another_form_are_told_in_one_line(project, record, text):
    (project / record).write_text(text)
    with snapshot(project) as now, pytest.raises(BookError, match=rf"^{record}: cannot be read as a lock \("):
        now.md5_of(Path("runs/nothing"))


@pytest.mark.parametrize("md5", ["../../../../etc/passwd", "xx/etc/hostname", "0" * 31, "A" * 32, ""])
def test_what_is_no_md5_never_becomes_a_path(bred, md5):
    with snapshot(bred) as now, pytest.raises(MissingError, match="which is no md5"):
        now.object_of(Path("runs/x"), md5)


def test_a_folder_manifest_leads_nowhere_else(bred):
    with snapshot(bred) as now:
        manifest = now._scratch / "objects" / ("0" * 32 + ".dir")
        manifest.parent.mkdir()
        manifest.write_text('[{"md5": "/etc/hostname", "relpath": "a"}, {"md5": "x", "relpath": "../../b"}]')
        listed = now.listing(Path("runs/x"), "0" * 32 + ".dir")
        assert list(listed) == [Path("runs/x/a")]
        with pytest.raises(MissingError, match="which is no md5"):
            now.object_of(Path("runs/x/a"), listed[Path("runs/x/a")])
