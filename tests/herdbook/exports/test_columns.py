import pyarrow.parquet as pq
import pytest

from herdbook.entry import ROW_KINDS
from herdbook.exports.columns import MEANING, Tables, origins, table_path
from herdbook.schema import CORPUS, ROWS


@pytest.fixture(scope="module")
def told(opened):
    """(entry, its origins) of every table."""
    book, now = opened
    tables = Tables(now)
    found = []
    for entry in book.entries.values():
        if (columns := tables.columns(entry)) is not None:
            found.append((entry, origins(entry, list(book.parents(entry)), columns.names)))
    return found


@pytest.fixture(scope="module")
def read(opened):
    """A table of an entry, by column."""
    _, now = opened
    return lambda entry: pq.read_table(now.local(table_path(entry)))


def test_columns_are_those_of_the_file(opened, told):
    _, now = opened
    for entry, _ in told:
        assert Tables(now).columns(entry).names == pq.read_schema(now.local(table_path(entry))).names


def test_a_column_said_to_be_taken_over_holds_nothing_but_what_its_origins_hold(told, read):
    num_checked = 0
    for entry, found in told:
        for name, come in found.fields.items():
            if {origin.how for origin in come} == {"IDENTITY"}:
                held = {str(value) for origin in come for value in read(origin.entry)[origin.column].to_pylist()}
                assert {str(value) for value in read(entry)[name].to_pylist()} <= held, (entry["name"], name)
                num_checked += 1
    assert num_checked > 50


def test_a_row_taken_over_has_the_values_that_it_had(told, read):
    for entry, found in told:
        if entry["kind"] in ROW_KINDS and set(found.fields) >= {"id", "text", "nll_nats"}:
            rows = {row["id"]: row for row in read(entry).to_pylist()}
            for name, come in found.fields.items():
                held = {}
                for origin in come:
                    table = read(origin.entry)
                    held |= dict(zip(table["id"].to_pylist(), table[origin.column].to_pylist(), strict=True))
                assert all(held[key] == row[name] for key, row in rows.items()), (entry["name"], name)


def test_every_column_that_decided_on_rows_is_one_of_its_table(told, read):
    for _, found in told:
        for origin in [*found.rows, *(origin for come in found.fields.values() for origin in come)]:
            assert origin.column in read(origin.entry).column_names


def test_what_a_model_wrote_comes_from_no_column(told):
    sampled = [found for entry, found in told if entry["kind"] == "offspring" and entry["regime"] in ("founder", "replace")]
    written = [found for found in sampled if "text" not in found.fields]
    assert written
    assert all(set(found.fields) <= {"document", "prompt"} for found in written)


def test_every_column_of_rows_and_of_the_corpus_has_a_meaning():
    assert set(ROWS.names) | set(CORPUS.names) <= set(MEANING)
