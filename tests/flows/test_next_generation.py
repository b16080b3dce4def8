import importlib
import shutil
from pathlib import Path

import pytest

from herdbook.errors import HerdbookError
from tests.pipeline import ROOT


@pytest.fixture
def flow(tmp_path, monkeypatch):
    """The module, in a folder of its own with the default parameters, where git makes no difficulties."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    module = importlib.import_module("flows.next_generation")
    monkeypatch.setattr(module, "demand_proposable", lambda root, branch: None)
    return module


def fail(message: str):
    def breed_here(jobs: int | None) -> None:
        assert "g4]" in Path("params.yaml").read_text()
        raise HerdbookError(message)

    return breed_here


def test_a_run_that_cannot_begin_leaves_the_parameters_as_they_were(flow, monkeypatch):
    before = Path("params.yaml").read_text()
    monkeypatch.setattr(flow, "breed_here", fail("no corpus"))
    with pytest.raises(HerdbookError, match="no corpus"):
        flow._grow(None)
    assert Path("params.yaml").read_text() == before


def test_an_edit_that_a_person_made_meanwhile_is_kept(flow, monkeypatch):
    def breed_here(jobs: int | None) -> None:
        Path("params.yaml").write_text("edited")
        raise HerdbookError("stopped")

    monkeypatch.setattr(flow, "breed_here", breed_here)
    with pytest.raises(HerdbookError):
        flow._grow(None)
    assert Path("params.yaml").read_text() == "edited"


def test_a_branch_that_exists_is_told_before_anything_is_bred(flow, monkeypatch):
    def refuse(root: Path, branch: str) -> None:
        raise HerdbookError(f"branch {branch} exists")

    monkeypatch.setattr(flow, "demand_proposable", refuse)
    monkeypatch.setattr(flow, "breed_here", fail("it was bred"))
    before = Path("params.yaml").read_text()
    with pytest.raises(HerdbookError, match="branch herdbook/g4 exists"):
        flow._grow(None)
    assert Path("params.yaml").read_text() == before
