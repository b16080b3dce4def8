import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mlcroissant
import pyarrow.parquet as pq
import pytest

from herdbook.errors import BookError
from herdbook.exports import as_text, croissant, export
from herdbook.exports.columns import table_path
from herdbook.files import digest, write_table
from herdbook.snapshot import book_of, snapshot

DATASETS = [
    "corpus", "human/train_documents", "human/train", "human/held_out", "human/reference", "founder/s0/g0/scores",
    "founder/s0/g0/offspring/top_k_50", "replace/s0/g0/training", "replace/s0/g1/training", "replace/s0/g1/offspring",
    "replace/s0/g1/curated",
]  # fmt: skip


def document(opened, target):
    book, now = opened
    return croissant.dataset(book, now, target)


@pytest.mark.parametrize("target", DATASETS)
def test_the_library_finds_nothing_amiss_but_what_only_a_publisher_knows(opened, target):
    issues = mlcroissant.Dataset(jsonld=document(opened, target)).metadata.ctx.issues
    assert not issues.errors
    assert {warning.split('"')[1] for warning in issues.warnings} == {"https://schema.org/datePublished"}


def test_the_validator_of_the_command_line_passes_it(opened, tmp_path):
    path = tmp_path / "croissant.json"
    path.write_text(as_text(document(opened, "replace/s0/g1/curated")))
    command = [str(Path(sys.executable).with_name("mlcroissant")), "validate", "--jsonld", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Done." in done.stderr


def test_its_records_are_the_rows_of_the_file_whose_digest_is_checked(project):
    path = project / "croissant.json"  # its files are named from there
    for target in ("replace/s0/g1/curated", "human/train", "corpus"):
        with snapshot(project) as now:
            book = book_of(now)
            path.write_text(as_text(croissant.dataset(book, now, target)))
        rows = pq.read_table(project / table_path(book.entries[target])).to_pylist()
        records = list(mlcroissant.Dataset(jsonld=path).records("rows"))
        assert len(records) == len(rows)
        for column in ("id", "text"):
            assert [record[f"rows/{column}"].decode() for record in records] == [row[column] for row in rows]
    (project / "data/corpus.parquet").write_bytes((project / "runs/human/train.parquet").read_bytes())
    with pytest.raises(mlcroissant.GenerationError):
        list(mlcroissant.Dataset(jsonld=path).records("rows"))


def test_files_bear_their_digest_and_size(opened):
    book, _ = opened
    for file in document(opened, "replace/s0/g1/curated")["distribution"]:
        recorded = book.entries["replace/s0/g1/curated"]["files"][file["name"]]
        assert (file["sha256"], file["contentSize"]) == (recorded["sha256"], f"{recorded['num_bytes']} B")


def test_every_column_is_a_field_of_its_type(opened):
    fields = {field["name"]: field for field in document(opened, "human/train")["recordSet"][0]["field"]}
    assert {name: field["dataType"] for name, field in fields.items() if name in ("id", "generation", "depth", "tokens")} == {
        "id": "sc:Text", "generation": "cr:Int32", "depth": "cr:Float64", "tokens": "cr:Int32",
    }  # fmt: skip
    assert fields["tokens"]["isArray"]


def test_it_says_what_people_wrote_and_what_models_did(opened):
    human, synthetic = document(opened, "human/train"), document(opened, "replace/s0/g1/offspring")
    assert (human["rai:hasSyntheticData"], synthetic["rai:hasSyntheticData"]) == (False, True)
    assert synthetic["rai:dataCollectionType"] == ["Software Collection"]
    assert "tokens by models of generation 1" in synthetic["description"]
    assert human["license"] == synthetic["license"] == [{"@type": "sc:CreativeWork", "name": "CC BY-SA 3.0"}]


def test_it_says_where_the_dataset_comes_from_and_how_it_was_judged(opened):
    book, _ = opened
    found = document(opened, "replace/s0/g1/training")
    assert found["prov:wasDerivedFrom"][0]["@id"] == f"urn:herdbook:entry:{book.ids['replace/s0/g0/curated']}"
    assert found["prov:wasGeneratedBy"]["prov:label"] == "blend replace s0 g0 g1"
    assert found["rai:dataLimitations"][0].endswith(": waived.")
    assert "Breaks a critical rule: distinct_2: expect_column_max_to_be_between." in found["rai:dataLimitations"]
    assert [line.split(":")[0] for line in found["rai:dataPreprocessingProtocol"]][-1] == "python -m stages blend replace s0 g0 g1"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (None, r"croissant tells of one dataset and none is named; such as herdbook export --format croissant "),
        ("replace/s0/g1/model", "replace/s0/g1/model: is a model, croissant tells of datasets; such as "),
        ("curated/s0/g1/training", "curated/s0/g1/training: was not bred, so there is no dataset; such are "),
    ],
)
def test_what_is_no_dataset_is_refused(opened, target, message):
    book, now = opened
    with pytest.raises(BookError, match=message):
        export("croissant", book, now, target)


def test_a_corpus_that_the_book_does_not_name_gives_no_licence(project):
    path = project / "data/corpus.parquet"
    table = pq.read_table(path)
    write_table(path, table.set_column(table.column_names.index("licence"), "licence", [["public domain"] * table.num_rows]))
    with snapshot(project) as now, pytest.raises(BookError, match=r"data/corpus\.parquet: is not the file that the book names"):
        export("croissant", book_of(now), now, "human/train")


def test_a_hostile_licence_is_inert(project):
    path, hostile = project / "data/corpus.parquet", 'x"}]\x1b[2J\x9b2J\u202e\n</script>'
    table = pq.read_table(path)
    write_table(path, table.set_column(table.column_names.index("licence"), "licence", [[hostile] * table.num_rows]))
    with snapshot(project) as now:
        book = book_of(now)
        corpus = book.entries["corpus"]
        files = {**corpus["files"], path.name: {"sha256": digest(path), "num_bytes": path.stat().st_size}}
        altered = replace(book, entries={**book.entries, "corpus": {**corpus, "files": files}})
        text = as_text(croissant.dataset(altered, now, "human/train"))
    assert text.isascii()
    assert not any(ord(c) < 32 and c != "\n" for c in text)
    assert json.loads(text)["license"] == [{"@type": "sc:CreativeWork", "name": hostile}]
    assert not mlcroissant.Dataset(jsonld=json.loads(text)).metadata.ctx.issues.errors


def test_no_text_of_rows_is_in_it(opened, bred):
    text = as_text(document(opened, "corpus"))
    for row in pq.read_table(bred / "data/corpus.parquet").to_pylist():
        assert json.dumps(row["text"])[1:40] not in text
