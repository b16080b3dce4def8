"""Tests compute as stages do: the environment is pinned before any numeric library is imported. What is dear to make
is made once and shared by all workers; files that take long come first, so that the workers end together."""

import fcntl
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from herdbook.numeric import PINS

os.environ.update(PINS)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs without it, and they their children

LONG = (
    "flows/test_breed.py", "test_end_to_end.py", "test_curation.py", "herdbook/test_replay.py", "flows/test_pipeline.py",
    "herdbook/test_audit.py", "herdbook/test_versions.py", "docs/test_own.py", "test_docs.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes first; with --no-loadscope-reorder workers keep to this order."""
    here = Path(__file__).parent
    place = {here / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """A function that gives the folder of a name, made by the first worker that asks for it; only to be read."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, make: Callable[[Path], object]) -> Path:
        root, aside = folder / name, folder / f"{name}.making"
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not root.is_dir():
                aside.mkdir()
                make(aside)
                aside.rename(root)
        return root

    return made


@pytest.fixture(scope="session")
def unbred(shared: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The whole project in miniature, nothing run; only to be read."""
    from tests import miniature

    return shared("unbred", miniature.build)


@pytest.fixture(scope="session")
def bred(unbred: Path, shared: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The miniature bred as a first run breeds it, watched, and committed to git; only to be read.

    HERDBOOK_BRED names one that lies ready, beside what tests.watched wrote of its run."""
    from tests import miniature, watched

    def make(root: Path) -> None:
        miniature.copy(unbred, root)
        watched.run(root, root.with_name(watched.RECORD), "flows", "--jobs", "2")
        miniature.commit(root, "bred")

    ready = os.environ.get("HERDBOOK_BRED")
    return Path(ready) if ready else shared("bred", make)


@pytest.fixture(scope="session")
def reproduced(unbred: Path, shared: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The miniature as plain `dvc repro` leaves it; only to be read."""
    from tests import miniature

    def make(root: Path) -> None:
        miniature.copy(unbred, root)
        miniature.repro(root)

    return shared("reproduced", make)


@pytest.fixture(scope="session")
def changed(reproduced: Path, shared: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The miniature as plain `dvc repro` left it, committed, and once more where the recipe of replace keeps 149 rows in place
    of 150, committed; `changed.txt` beside it is what the second repro said. Only to be read."""
    from tests import miniature

    def make(root: Path) -> None:
        miniature.copy(reproduced, root)
        miniature.commit(root, "bred")
        params = miniature.parameters()
        params["regimes"]["replace"]["recipe"]["num_rows"] = 149
        miniature.write_params(root, params)
        root.with_name("changed.txt").write_text(miniature.repro(root))
        miniature.commit(root, "149 rows")

    return shared("changed", make)


@pytest.fixture
def project(bred: Path, tmp_path: Path) -> Path:
    """A copy of `bred` to be changed."""
    from tests import miniature

    root = tmp_path / "project"
    miniature.copy(bred, root)
    return root


@pytest.fixture(scope="session")
def preloaded() -> None:
    """The process that `forked` forks from, started before a test says where temporary folders go."""
    from tests import forked

    forked.preload()


@pytest.fixture
def forked(preloaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replays run their stages in forks: the same code and bytes, without seconds of imports for each."""
    from herdbook import rerun
    from tests import forked

    monkeypatch.setattr(rerun, "_python", forked.python)
