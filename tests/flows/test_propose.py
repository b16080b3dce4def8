import subprocess

import pytest

from flows.propose import propose
from herdbook.errors import HerdbookError


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "a")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@b.c")
    git(tmp_path, "init", "-q", "-b", "main")
    for name in ("params.yaml", "dvc.lock", "other"):
        (tmp_path / name).write_text("old\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "begin")
    for name in ("params.yaml", "dvc.lock", "other"):
        (tmp_path / name).write_text("new\n")
    return tmp_path


def git(root, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout


def test_only_the_named_files_are_on_the_branch_and_nothing_else_has_moved(repository):
    git(repository, "add", "other")
    before = git(repository, "status", "--porcelain"), git(repository, "rev-parse", "HEAD")
    commit = propose(repository, "herdbook/g1", "herdbook/g0", ["params.yaml", "dvc.lock"], "Breed g1")
    assert git(repository, "rev-parse", "herdbook/g1").strip() == commit
    assert git(repository, "diff", "--name-only", "HEAD", "herdbook/g1").split() == ["dvc.lock", "params.yaml"]
    assert git(repository, "show", "herdbook/g1:params.yaml") == "new\n"
    assert (git(repository, "status", "--porcelain"), git(repository, "rev-parse", "HEAD")) == before


def test_proposals_stack_until_they_are_overtaken(repository):
    first = propose(repository, "herdbook/g1", "herdbook/g0", ["params.yaml"], "Breed g1")
    second = propose(repository, "herdbook/g2", "herdbook/g1", ["dvc.lock"], "Breed g2")
    assert git(repository, "rev-parse", f"{second}^").strip() == first
    git(repository, "commit", "-aqm", "another way")
    third = propose(repository, "herdbook/g3", "herdbook/g2", ["params.yaml"], "Breed g3")
    assert git(repository, "rev-parse", f"{third}^") == git(repository, "rev-parse", "HEAD")


def test_a_branch_that_exists_is_not_moved(repository):
    propose(repository, "herdbook/g1", "herdbook/g0", ["params.yaml"], "Breed g1")
    with pytest.raises(HerdbookError, match="branch herdbook/g1 exists; merge it"):
        propose(repository, "herdbook/g1", "herdbook/g0", ["params.yaml"], "Breed g1")


def test_outside_a_repository_git_s_words_are_one_line(tmp_path):
    with pytest.raises(HerdbookError, match="git branch: fatal: not a git repository") as caught:
        propose(tmp_path, "herdbook/g1", "herdbook/g0", ["params.yaml"], "Breed g1")
    assert "\n" not in str(caught.value)
