from dataclasses import replace
from pathlib import Path

import pytest

from herdbook.errors import BookError
from herdbook.exports.executions import executions, files_of, read_receipt
from herdbook.files import digest
from herdbook.snapshot import book_of, snapshot


def test_each_artefact_that_a_stage_made_is_made_once_and_after_its_inputs(opened):
    book, _ = opened
    made = {"corpus"}
    for run in executions(book):
        assert {entry["name"] for _, entry in run.inputs} <= made
        names = {entry["name"] for entry in run.outputs}
        assert not names & made
        made |= names
    assert made == set(book.entries)


def test_each_inspected_dataset_is_inspected_once(opened):
    book, _ = opened
    found = [run.inspected["name"] for run in executions(book) if run.inspected]
    assert sorted(found) == sorted(
        name for name, entry in book.entries.items() if entry["inspection"] and entry["inspection"]["verdict"] != "not bred"
    )


def test_a_target_brings_its_ancestors_alone_under_the_ids_that_they_have_in_the_whole_book(opened):
    book, _ = opened
    whole = {run.name: run.run_id for run in executions(book)}
    part = {run.name: run.run_id for run in executions(book, "replace/s0/g0/curated")}
    assert part.items() <= whole.items()
    assert set(part) == {
        "prepare", "validate human", "train founder s0 g0", "sample founder s0 g0", "adopt replace s0", "curate replace s0 g0",
        "validate offspring replace s0 g0",
    }  # fmt: skip
    assert len(set(whole.values())) == len(whole)


def test_a_run_is_the_same_in_a_book_of_more_and_another_with_other_results(opened):
    book, _ = opened
    entries = {name: entry for name, entry in book.entries.items() if not name.startswith("curated/")}
    ids = {run.name: run.run_id for run in executions(book)}
    assert {run.name: run.run_id for run in executions(replace(book, entries=entries, root="0" * 64))}.items() <= ids.items()
    entries["replace/s0/g1/model"] = {**entries["replace/s0/g1/model"], "digest": "0" * 64}
    changed = {run.name for run in executions(replace(book, entries=entries)) if ids[run.name] != run.run_id}
    assert changed == {"train replace s0 g1", "sample replace s0 g1"}


def test_the_paths_of_files_are_those_of_the_project(opened, bred):
    book, _ = opened
    for entry in book.entries.values():
        for path, file in files_of(entry).items():
            assert digest(bred / path) == file["sha256"]


def test_a_receipt_that_the_entry_does_not_name_is_refused(project):
    path = Path("records/human/receipt.json")
    (project / path).write_text((project / path).read_text().replace("passed", "Passed"))
    with snapshot(project) as now, pytest.raises(BookError, match=r"records/human/receipt\.json: sha256 is .* run herdbook audit"):
        read_receipt(book_of(now).entries["human/train"], now)
