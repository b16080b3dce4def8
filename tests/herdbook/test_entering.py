import json
from pathlib import Path

import pytest
import yaml

from herdbook.artefacts import artefacts
from herdbook.entering import Workspace, broken_links, make_book, make_entry
from herdbook.entry import entry_id, parse_entry, weights_of
from herdbook.errors import BookError, FileError
from herdbook.files import canonical_json, digest, read_json, write_json
from herdbook.layout import MAKING
from herdbook.models import weights_digest
from herdbook.params import parse_params


@pytest.fixture
def made(project, monkeypatch):
    """The entries of a bred project, in its folder."""
    monkeypatch.chdir(project)
    document = yaml.safe_load((project / "params.yaml").read_text())
    return make_book(parse_params(document), document), document


def artefact(name, document):
    return next(each for each in artefacts(parse_params(document)) if each.name == name)


def test_an_entry_says_what_a_model_is_made_of_by_which_code_and_under_which_waiver(made):
    entries, _ = made
    model, training = entries["replace/s0/g1/model"], entries["replace/s0/g1/training"]
    assert model["digest"] == digest(Path(model["path"]))
    assert {parent["role"]: parent["entry"] for parent in model["parents"]} == {
        "training": entry_id(training), "start": entry_id(entries["human/base"]),
    }  # fmt: skip
    assert model["stage"]["command"] == "python -m stages train replace s0 g1"
    assert model["stage"]["parameters"]["regimes.replace.gate"] == "waive"
    assert model["stage"]["code"]["stage"] == "train"
    assert model["environment"]["pins"]["ATEN_CPU_CAPABILITY"] == "avx2"
    assert model["environment"]["device"] == "cpu"
    assert training["inspection"]["verdict"] == "waived"
    assert model["waivers"] == [{"dataset": "training", "generation": "g1", "rules": training["inspection"]["broken"]}]
    assert training["contents"]["composition"].keys() == {"g0"}


def test_a_generation_that_was_not_bred_has_an_entry_that_says_why(made):
    entries, _ = made
    stopped = [entry for entry in entries.values() if entry["status"] == "not bred"]
    assert stopped
    assert all(entry["stopped_by"]["rules"] and entry["contents"] is None for entry in stopped)


def test_an_entry_is_named_by_its_text_and_every_field_counts(made):
    entries, _ = made
    entry = entries["replace/s0/g1/offspring"]
    ids = {entry_id({**entry, field: "other"}) for field in entry}
    assert len(ids | {entry_id(entry)}) == len(entry) + 1
    assert parse_entry(canonical_json(entry).encode(), "here") == json.loads(canonical_json(entry))


def test_a_model_is_called_what_its_rows_call_it(made):
    entries, _ = made
    model = entries["replace/s0/g1/model"]
    assert weights_of(model) == weights_digest(Path(model["path"]))
    assert weights_of(model) == read_json_of(entries["replace/s0/g1/offspring"])["model"]


def read_json_of(entry):
    return read_json(Path(entry["path"]) / MAKING)


@pytest.mark.parametrize("name", ["replace/s0/g1/training", "replace/s0/g1/model", "replace/s0/g1/offspring", "replace/s0/g1/curated"])
def test_what_was_made_from_other_bytes_than_lie_there_is_not_entered(made, name):
    entries, document = made
    each = artefact(name, document)
    making = read_json(each.path / MAKING)
    if "parents" in making:
        making["parents"][0]["digest"] = "0" * 64
    else:
        making["training" if "training" in making else "model"] = "0" * 64
    (each.path / MAKING).unlink()
    write_json(each.path / MAKING, making)
    with pytest.raises(BookError, match=rf"{each.path}: making.json says that it was made from .* 000000000000, which no parent is; run"):
        make_entry(each, entries, document)


@pytest.mark.parametrize(
    ("name", "key"), [("training", "parents"), ("model", "training"), ("offspring", "founder"), ("curated", "parents")]
)
def test_what_a_stage_does_not_say_it_read_is_no_way_round(made, name, key):
    entries, _ = made
    entry = entries[f"replace/s0/g1/{name}"]
    making = {told: value for told, value in read_json_of(entry).items() if told != key}
    assert any("does not say from which" in line for line in broken_links(entry, making, entries))


def test_adopted_rows_are_those_of_the_founder(made):
    entries, _ = made
    adopted = entries["replace/s0/g0/offspring"]
    making = read_json_of(adopted)
    assert broken_links(adopted, making, entries) == []
    other = {**adopted, "files": {**adopted["files"], "rows.parquet": {"sha256": "0" * 64, "num_bytes": 1}}}
    assert broken_links(other, making, entries) != []


def test_a_folder_without_files_is_missing(tmp_path):
    with pytest.raises(FileError, match="not found; run the stage that writes it"):
        Workspace().files(tmp_path / "nothing")
