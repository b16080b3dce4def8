from pathlib import Path

import pytest

from herdbook import code
from herdbook.code import closure, demand_recorded, fingerprint, read_pins
from herdbook.errors import CodeError
from herdbook.files import write_json
from herdbook.layout import CODE
from tests.pipeline import ROOT

STAGE = """
import math
import torch
from herdbook import models

def main(args):
    from herdbook.inner import thing
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A stage that imports one module, one inside a function, and torch; and a module that nobody imports."""
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "stages/train.py": STAGE,
        "stages/train.page.j2": "{{ text }}",
        "herdbook/models.py": "import yaml\n",
        "herdbook/inner.py": "from herdbook.deep import x\n",
        "herdbook/deep.py": "x = 1\n",
        "herdbook/cli.py": "import typer\n",
        "constraints.txt": "torch==2.13.0  # the model\nPyYAML==6.0.3\ntyper==0.29.2\n",
    }.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    return tmp_path


def recorded(project) -> dict:
    found = fingerprint("train", project)
    write_json(CODE / "train.json", found)
    return found


def test_a_fingerprint_holds_what_a_stage_imports_anywhere_and_transitively(project):
    found = fingerprint("train", project)
    assert list(found["modules"]) == [
        "herdbook/deep.py", "herdbook/inner.py", "herdbook/models.py", "stages/train.page.j2", "stages/train.py",
    ]  # fmt: skip
    assert found["packages"] == {"pyyaml": "6.0.3", "torch": "2.13.0"}


@pytest.mark.parametrize(
    ("path", "text", "is_other"),
    [
        ("herdbook/deep.py", "x = 2\n", True),
        ("stages/train.page.j2", "{{ other }}", True),
        ("constraints.txt", "torch==2.14.0\nPyYAML==6.0.3\ntyper==0.29.2\n", True),
        ("herdbook/cli.py", "import typer, sys\n", False),
        ("constraints.txt", "torch==2.13.0\nPyYAML==6.0.3\ntyper==0.30.0\nruff==1\n", False),
    ],
)
def test_it_changes_with_what_the_stage_runs_and_with_nothing_else(project, path, text, is_other):
    before = fingerprint("train", project)
    Path(path).write_text(text)
    assert (fingerprint("train", project) != before) is is_other


def test_a_package_without_a_pin_is_refused(project):
    Path("constraints.txt").write_text("torch==2.13.0\n")
    with pytest.raises(CodeError, match="does not pin pyyaml, which stage train imports"):
        fingerprint("train", project)


def test_a_stage_whose_code_is_on_record_may_run(project):
    recorded(project)
    demand_recorded("train")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda: Path("herdbook/deep.py").write_text("x = 2"), "herdbook/deep.py: not the code that runs/code/train.json records"),
        (lambda: Path("herdbook/deep.py").unlink(), "herdbook/deep.py: not the code"),
        (lambda: (CODE / "train.json").unlink(), "runs/code/train.json: not found"),
        (lambda: (CODE / "train.json").write_text("{"), "not JSON"),
    ],
)
def test_a_stage_whose_code_is_not_on_record_is_refused(project, damage, message):
    recorded(project)
    damage()
    with pytest.raises(Exception, match=message):
        demand_recorded("train")


def test_another_version_of_a_package_than_the_pinned_one_is_refused(project, monkeypatch):
    recorded(project)
    monkeypatch.setattr(code.metadata, "version", lambda name: {"torch": "2.13.0+cpu", "pyyaml": "5.0"}[name])
    with pytest.raises(CodeError, match=r"pyyaml 5\.0 is installed, constraints\.txt pins 6\.0\.3"):
        demand_recorded("train")


def test_the_installed_packages_of_this_project_are_the_pinned_ones():
    pins = read_pins(ROOT / "constraints.txt")
    for stage in ("train", "validate", "report"):
        for package, pinned in fingerprint(stage, ROOT)["packages"].items():
            assert code.installed(package) == pinned == pins[package]


def test_the_report_may_change_without_a_model_being_retrained():
    modules = {path.name for path in closure(ROOT / "stages/train.py", ROOT)}
    assert "training.py" in modules
    assert not {"report.py", "cli.py", "chart.py", "profile.py"} & modules
