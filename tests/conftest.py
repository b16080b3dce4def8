"""Tests compute as stages do: the environment is pinned before any numeric library is imported."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from herdbook.numeric import PINS

os.environ.update(PINS)


@pytest.fixture(scope="session")
def bred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole project in miniature, bred and committed to git; only to be read. HERDBOOK_BRED names one that lies ready."""
    from tests import miniature

    if ready := os.environ.get("HERDBOOK_BRED"):
        return Path(ready)
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # workers share one, and the first makes it
    with (shared / "bred.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root = shared / "bred"
        if not root.is_dir():
            aside = shared / "breeding"
            aside.mkdir()
            miniature.build(aside)
            miniature.run(aside, "-m", "flows", "--jobs", "2", status=miniature.STOPPED)
            miniature.commit(aside, "bred")
            aside.rename(root)
    return root


@pytest.fixture
def project(bred: Path, tmp_path: Path) -> Path:
    """A copy of `bred` to be changed."""
    root = tmp_path / "project"
    shutil.copytree(bred, root, symlinks=True)
    return root
