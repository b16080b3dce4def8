"""What is bred opens in the tools of others: as it lies in runs/, and as `herdbook hub` lays it out."""

import re
import socket

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from herdbook import hub
from herdbook.schema import ROWS, TRAINING
from herdbook.snapshot import book_of, snapshot

MODEL, CURATED, TRAINING_SET = "replace/s0/g1/model", "replace/s0/g1/curated", "replace/s0/g1/training"
TABLES = {
    "runs/human/train.parquet": ROWS,
    "runs/replace/s0/g1/training/rows.parquet": TRAINING,
    "runs/replace/s0/g1/offspring/rows.parquet": ROWS,
    "runs/replace/s0/g1/curated/rows.parquet": ROWS,
}
ARROW = {"string": "VARCHAR", "int32": "INTEGER", "double": "DOUBLE"}  # and what DuckDB calls them


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No tool may ask anybody, and all keep what they make of a table here."""

    def refused(*address):
        raise AssertionError(f"connects to {address}")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    import datasets

    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.fixture
def published(bred, tmp_path):
    """A function that puts a target into a folder."""

    def made(target):
        with snapshot(bred) as now:
            hub.prepare(target, tmp_path / "published", book_of(now), now)
        return tmp_path / "published"

    return made


def shown(folder):
    """What the three lines of a card print."""
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert len(code.splitlines()) == 3
    printed = []
    exec(code.replace("FOLDER", str(folder)), {"print": printed.append})  # of a card that was made here just now
    return printed[0]


# Models.


def generated(folder):
    from transformers import pipeline

    model = pipeline("text-generation", model=str(folder))
    return [model("The ", max_new_tokens=8, do_sample=False)[0]["generated_text"] for _ in range(2)]


@pytest.mark.parametrize("path", ["replace/s0/g1", "founder/s0/g0"])
def test_a_model_writes_in_a_pipeline_as_it_lies_in_runs(bred, path):
    first, second = generated(bred / "runs" / path / "model")
    assert first.startswith("The ")
    assert len(first) > len("The ")
    assert first == second


def test_a_model_writes_in_a_pipeline_as_its_card_says(published):
    assert shown(published(MODEL)).startswith("The ")


def test_a_published_model_writes_what_the_one_in_runs_writes(bred, published):
    assert generated(published(MODEL)) == generated(bred / "runs/replace/s0/g1/model")


# Datasets.


def rows_of(path):
    return pq.read_table(path).to_pylist()


@pytest.mark.parametrize("path", TABLES)
def test_datasets_reads_a_table_as_it_lies(bred, path):
    from datasets import load_dataset

    found = load_dataset("parquet", data_files=str(bred / path), split="train")
    assert {name: str(found.features.arrow_schema.field(name).type) for name in found.column_names} == {
        field.name: str(field.type).replace("element", "item") for field in TABLES[path]
    }
    assert found.to_list() == rows_of(bred / path)


@pytest.mark.parametrize("path", TABLES)
def test_pandas_reads_a_table_as_it_lies(bred, path):
    found = pd.read_parquet(bred / path)
    assert list(found.columns) == TABLES[path].names
    assert (found["num_tokens"].dtype, found["depth"].dtype) == ("int32", "float64")
    expected = rows_of(bred / path)
    assert found["text"].tolist() == [row["text"] for row in expected]
    assert [tokens.tolist() for tokens in found["tokens"]] == [row["tokens"] for row in expected]


@pytest.mark.parametrize("path", TABLES)
def test_polars_reads_a_table_as_it_lies(bred, path):
    found = pl.read_parquet(bred / path)
    assert found.schema["tokens"] == pl.List(pl.Int32)
    assert (found.schema["text"], found.schema["index"], found.schema["nll_nats"]) == (pl.String, pl.Int32, pl.Float64)
    assert found.to_dicts() == rows_of(bred / path)


@pytest.mark.parametrize("path", TABLES)
def test_duckdb_reads_a_table_as_it_lies(bred, path):
    with duckdb.connect() as database:
        found = database.sql("from read_parquet($path)", params={"path": str(bred / path)})
        types = dict(zip(found.columns, map(str, found.types), strict=True))
        assert types.pop("tokens") == "INTEGER[]"
        assert types == {field.name: ARROW[str(field.type)] for field in TABLES[path] if field.name != "tokens"}
        assert [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()] == rows_of(bred / path)


def test_a_dataset_opens_as_its_card_says(bred, published):
    assert shown(published(CURATED)) == rows_of(bred / "runs/replace/s0/g1/curated/rows.parquet")[0]


def test_other_tables_of_a_dataset_are_loaded_by_name(bred, published):
    from datasets import load_dataset

    found = load_dataset(str(published(TRAINING_SET)), "pool", split="train")
    assert found.to_list() == rows_of(bred / "runs/replace/s0/g1/training/pool.parquet")


def test_tables_without_rows_lie_in_the_folder_and_have_no_name_to_be_loaded_by(published):
    from datasets import get_dataset_config_names

    folder = published(CURATED)
    assert pq.read_metadata(folder / "data/hands.parquet").num_rows == 0
    assert get_dataset_config_names(str(folder)) == ["default"]


def test_held_out_rows_are_a_test_split_and_nothing_else(published):
    from datasets import load_dataset

    assert list(load_dataset(str(published("human/held_out")))) == ["test"]
