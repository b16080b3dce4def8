import importlib

import pytest
import yaml

from flows.schedule import read_deployments
from herdbook.errors import FileError
from tests.pipeline import ROOT


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch):
    """Prefect keeps what it writes when imported out of the home of whoever runs the tests."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))


@pytest.mark.parametrize("entry", read_deployments(ROOT / "prefect.yaml"), ids=lambda entry: entry["entrypoint"])
def test_each_deployment_names_a_flow_with_these_parameters(entry):
    import inspect

    path, _, name = entry["entrypoint"].partition(":")
    found = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)
    assert set(entry["parameters"]) == set(inspect.signature(found.fn).parameters)
    assert entry["concurrency_limit"]["limit"] == 1


@pytest.mark.parametrize("text", ["", "deployments: 3", "deployments: [3]", "{", "name: x"])
def test_a_file_without_a_list_of_deployments_is_refused(tmp_path, text):
    (tmp_path / "prefect.yaml").write_text(text)
    with pytest.raises(FileError, match="no list of deployments"):
        read_deployments(tmp_path / "prefect.yaml")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(FileError, match="not found; run in the folder"):
        read_deployments(tmp_path / "prefect.yaml")


def test_the_example_automation_of_the_documents_is_one():
    from prefect.events.schemas.automations import AutomationCore

    text = (ROOT / "docs/operating.md").read_text()
    (example,) = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])["automations"]
    example["actions"][0]["deployment_id"] = "00000000-0000-0000-0000-000000000000"
    assert AutomationCore(**example).trigger.expect == {"herdbook.gate.failed"}
