"""Put files of the working tree on a branch of their own, without touching the branch that is checked out."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from herdbook.errors import HerdbookError


def demand_proposable(root: Path, branch: str) -> None:
    """Raise HerdbookError where `propose` could not make `branch`: it exists, or git does not know who commits."""
    if _git(root, "branch", "--list", branch):
        raise HerdbookError(f"branch {branch} exists; merge it, or delete it with git branch -D {branch}")
    _git(root, "var", "GIT_COMMITTER_IDENT")


def propose(root: Path, branch: str, after: str, files: Sequence[str], message: str) -> str:
    """Commit `files` as they lie in `root` to a new `branch`; the commit.

    It grows from `after`, where that branch descends from HEAD, else from HEAD: so proposals stack. The working
    tree, the index and HEAD stay as they are. Raises HerdbookError where git refuses, or where the branch exists."""
    demand_proposable(root, branch)
    parent = _git(root, "rev-parse", "--verify", "HEAD")
    if _git(root, "branch", "--list", after, "--contains", parent):
        parent = _git(root, "rev-parse", after)
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "GIT_INDEX_FILE": f"{folder}/index"}
        _git(root, "read-tree", parent, environment=environment)
        _git(root, "add", "--", *files, environment=environment)
        tree = _git(root, "write-tree", environment=environment)
    commit = _git(root, "commit-tree", tree, "-p", parent, "-m", message)
    _git(root, "branch", branch, commit)
    return commit


def _git(root: Path, *words: str, environment: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=root, env=environment, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise HerdbookError("git: not found; install it") from error
    except subprocess.CalledProcessError as error:
        raise HerdbookError(f"git {words[0]}: {' '.join(error.stderr.split())}") from error
    return done.stdout.strip()
