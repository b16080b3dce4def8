import subprocess
from pathlib import Path

import pytest

from herdbook.errors import ClaimError
from herdbook.past import read_past
from tests.miniature import commit

A, B = Path("a.txt"), Path("b.txt")


def git(root, *words):
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def root(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main")
    return tmp_path


def held(root, path, *revisions, tip=None):
    return read_past(root, [A, B], *revisions, tip=tip).read(path, bytes.decode)


def written(root, text, path=A):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)
    return commit(root, f"{path} is {text}")


def test_each_commit_that_changed_a_file_has_what_the_files_held(root):
    first = written(root, "one")
    written(root, "else", Path("c.txt"))
    second = written(root, "two", B)
    (root / A).unlink()
    third = commit(root, "a is gone")
    past = read_past(root, [A, B], "--all")
    assert list(past.commits) == [first, second, third]
    assert [past.commits[name].parents for name in past.commits] == [(), (first,), (second,)]
    assert past.read(A, bytes.decode) == {first: "one", second: "one"}
    assert past.read(B, bytes.decode) == {second: "two", third: "two"}


def test_a_side_whose_change_a_merge_dropped_is_there(root):
    base = written(root, "one")
    git(root, "checkout", "-q", "-b", "side")
    side = written(root, "results")
    git(root, "checkout", "-q", "main")
    git(root, "merge", "-q", "--no-ff", "-s", "ours", "-m", "dropped", "side")
    merge = git(root, "rev-parse", "HEAD")
    assert held(root, A, tip=merge) == {base: "one", side: "results", merge: "one"}
    assert read_past(root, [A], tip=merge).commits[merge].parents == (base, side)


def test_a_tip_that_changed_nothing_follows_the_nearest_commit_that_did(root):
    first = written(root, "one")
    tip = written(root, "else", Path("c.txt"))
    past = read_past(root, [A, B], tip=tip)
    assert past.commits[tip].parents == (first,)
    assert past.read(A, bytes.decode) == {first: "one", tip: "one"}


def test_a_folder_of_a_repository_has_a_history_of_its_own(root):
    written(root, "above")
    own = written(root, "below", Path("experiments/x/a.txt"))
    assert held(root / "experiments/x", A, "--all") == {own: "below"}


def test_what_was_amended_away_is_in_the_reflog(root):
    written(root, "one")
    gone = written(root, "results")
    git(root, "reset", "-q", "--hard", "HEAD~1")
    assert gone not in held(root, A, "--all")
    assert held(root, A, "--all", "--reflog")[gone] == "results"


def test_equal_contents_are_read_once_and_many_in_turns(root):
    for number in range(5):
        written(root, "same" if number % 2 else f"{number}\n" * 3)
    read = []
    read_past(root, [A], "--all").read(A, read.append)
    assert sorted(read) == sorted([b"same", *(f"{number}\n".encode() * 3 for number in (0, 2, 4))])


def test_a_repository_without_commits_has_no_past(root):
    assert read_past(root, [A], "--all", "--reflog").commits == {}
    assert read_past(root, [A]).commits == {}


def test_no_repository_and_a_shallow_clone_are_refused(root, tmp_path_factory):
    with pytest.raises(ClaimError, match="keep the project in a git repository"):
        read_past(tmp_path_factory.mktemp("bare"), [A], "--all")
    for text in ("one", "two"):
        written(root, text)
    shallow = tmp_path_factory.mktemp("clones") / "shallow"
    git(root, "clone", "-q", "--depth", "1", root.as_uri(), str(shallow))
    with pytest.raises(ClaimError, match="git fetch --unshallow"):
        read_past(shallow, [A], "--all")
