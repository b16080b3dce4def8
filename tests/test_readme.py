"""README and the documents agree with the code and with the committed figures."""

import json
import re

import pytest
import typer
import yaml

from herdbook.cli import app
from tests.pipeline import PIPELINE, ROOT, module_of
from tests.readme import BLOCKS, with_results

README = (ROOT / "README.md").read_text()
COMMANDS = sorted(typer.main.get_command(app).commands)


@pytest.mark.parametrize("document", BLOCKS)
def test_the_results_that_a_document_tells_are_those_committed(document):
    assert with_results(document) == (ROOT / document).read_text(), "run `python -m tests.readme`"


def test_human_distinct_2_is_that_of_the_committed_measurement():
    measured = json.loads((ROOT / "bench/bounds.json").read_text())["human"]["distinct_2"]
    assert f"distinct-2 of about {measured:.2f}" in README


def test_the_number_of_stages_is_that_of_the_lock():
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    assert f"the {len(lock)} stages" in README


def test_the_minutes_that_both_runners_take_are_those_measured():
    measured = json.loads((ROOT / "bench/pipeline.json").read_text())
    flow, repro = (round(measured[name]["wall_seconds"] / 60) for name in ("flow", "dvc_repro"))
    assert f"breeds for {flow} minutes" in README
    assert f"one after another: {repro} minutes" in README
    assert measured["is_lock_unchanged"]


@pytest.mark.parametrize(
    ("line", "method"),
    [
        ("`near_duplicate`, minhash", "minhash"),
        ("`near_duplicate`, exact", "exact"),
        ("`decontaminate`", "decontaminate"),
        ("rensa alone", "rensa"),
    ],
)
def test_the_figures_of_a_million_rows_are_those_measured(line, method):
    found = json.loads((ROOT / "bench/curate.json").read_text())["sets"]["1000000"][method]
    figures = [round(found["seconds"]), round(found["cpu_seconds"]), found["peak_memory_mib"], found["recall"], found["precision"]]
    assert f"| {line} | {' | '.join(map(str, figures))} |" in (ROOT / "docs/curation.md").read_text()


def test_the_size_of_the_default_model_is_that_which_was_trained():
    from transformers import AutoConfig, AutoModelForCausalLM

    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    config = AutoConfig.for_model(
        params["model"]["architecture"], vocab_size=params["prepare"]["vocabulary_size"], **params["model"]["config"]
    )
    size = AutoModelForCausalLM.from_config(config).num_parameters()
    assert f"{size / 1e6:.2f} M parameters" in README


@pytest.mark.parametrize("module", sorted({module_of(stage) for stage in PIPELINE}))
def test_every_stage_is_named(module):
    assert f"`{module}`" in README


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_named_and_its_help_ends_with_an_example(command):
    assert re.search(rf"`(herdbook )?{command}\b[^`]*`", README)
    assert re.search(rf"Example: herdbook {command}\b", typer.main.get_command(app).commands[command].help)


@pytest.mark.parametrize(
    "document", ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")), "CHANGELOG.md"]
)
def test_every_link_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / document).read_text()):
        assert ((ROOT / document).parent / target).exists(), target


def test_every_dependency_has_its_reason():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *(name for extra in project["optional-dependencies"].values() for name in extra)]
    decisions = (ROOT / "docs/decisions.md").read_text()
    for requirement in named:
        name = re.split("[<>=]", requirement)[0]
        if not name.startswith("herdbook["):
            assert re.search(rf"\b{re.escape(name)}\b", decisions), name
