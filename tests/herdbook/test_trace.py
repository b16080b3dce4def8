import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from herdbook.entry import weights_of
from herdbook.errors import BookError
from herdbook.files import read_json, read_table, write_table
from herdbook.schema import CORPUS
from herdbook.snapshot import book_of, snapshot
from herdbook.tokenizer import load_tokenizer
from herdbook.trace import ancestors_of, as_json, drawn, trace

MODEL = "replace/s0/g1/model"


def shown(found, width=300):
    text = io.StringIO()
    Console(file=text, width=width, highlight=False).print(drawn(found))
    return text.getvalue()


def row_of(root, path, number):
    return pq.read_table(root / path).slice(number, 1).to_pylist()[0]


def test_a_row_is_traced_to_its_model_prompt_training_set_waivers_and_human_document(bred):
    row = row_of(bred, "runs/replace/s0/g1/offspring/rows.parquet", 7)
    with snapshot(bred) as now:
        book = book_of(now)
        found = trace(row["id"], book, now)
    human = {each["id"]: each for each in pq.read_table(bred / "runs/human/train.parquet").to_pylist()}
    prompt = human[row["prompt"]]["tokens"][: read_params_prompt(bred)]
    assert found.row["written_by"] == MODEL
    assert weights_of(book.entries[MODEL]) == row["model"]
    assert found.row["prompt_text"] == load_tokenizer(bred / "runs/human/base").decode([prompt])[0]
    assert found.row["fate"] == ["replace/s0/g1/curated: kept"]
    assert [document["id"] for document in found.documents] == [row["document"]]
    assert {"corpus", "human/train", "founder/s0/g0/model", "replace/s0/g1/training", MODEL} <= set(found.ancestors)
    said = shown(found)
    assert "waived: the training of g1 broke" in said
    assert "CC BY-SA" in said
    assert found.root in json.dumps(as_json(found))


def read_params_prompt(root):
    import yaml

    return yaml.safe_load((root / "params.yaml").read_text())["sample"]["prompt_tokens"]


def test_a_rejected_row_says_which_step_rejected_it(bred):
    rejected = next((path for path in sorted(bred.glob("runs/*/s0/*/curated/rejected.parquet")) if pq.read_metadata(path).num_rows), None)
    assert rejected, "the miniature's recipe rejects some rows"
    row = row_of(rejected.parent, rejected.name, 0)
    with snapshot(bred) as now:
        found = trace(row["id"], book_of(now), now)
    assert any(fate.endswith(f"rejected by {row['reason']}") for fate in found.row["fate"])


def test_a_human_row_was_written_by_a_person(bred):
    row = row_of(bred, "runs/human/train.parquet", 3)
    with snapshot(bred) as now:
        found = trace(row["id"], book_of(now), now)
    assert found.row["written_by"] == "a person"
    assert found.row["prompt"] is None
    assert set(found.ancestors) <= {"corpus", "human/train", "human/train_documents", "human/base"}


def test_ancestors_are_exactly_what_can_be_reached_by_parents(bred):
    with snapshot(bred) as now:
        book = book_of(now)
    found = ancestors_of("replace/s0/g0/training", book)
    assert list(found)[-1] == "replace/s0/g0/training"
    assert not {name for name in found if name.startswith("curated") or "offspring" in name}


def test_a_generation_that_was_not_bred_is_traced_to_the_rule_that_stopped_it(bred):
    with snapshot(bred) as now:
        book = book_of(now)
        name = next(name for name, entry in book.entries.items() if entry["status"] == "not bred")
        assert "not bred: the" in shown(trace(name, book, now))


def test_a_revision_tells_the_same_as_the_workspace_it_was_committed_from(bred):
    row = row_of(bred, "runs/replace/s0/g1/offspring/rows.parquet", 0)["id"]
    with snapshot(bred) as now, snapshot(bred, "HEAD") as then:
        assert as_json(trace(row, book_of(now), now)) == as_json(trace(row, book_of(then), then))


def test_where_a_file_is_missing_it_says_which_and_goes_on(project):
    row = row_of(project, "runs/replace/s0/g1/offspring/rows.parquet", 0)["id"]
    with snapshot(project) as now:
        md5 = now.md5_of(Path("data/corpus.parquet"))
    (project / "data/corpus.parquet").unlink()
    (project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
    with snapshot(project) as now:
        found = trace(row, book_of(now), now)
    assert found.documents == []
    assert found.missing
    assert "not told, for a file is missing: data/corpus.parquet" in shown(found)


HOSTILE = "\x1b[31mred\x1b[0m [bold]loud[/bold] \u202egnp.exe \r\n<script>"


def test_hostile_titles_and_texts_steer_no_terminal(project):
    path = project / "data/corpus.parquet"
    table = read_table(path, CORPUS)
    hostile = table.set_column(1, "title", pa.array([HOSTILE] * table.num_rows))
    path.unlink()
    write_table(path, hostile)
    row = row_of(project, "runs/replace/s0/g1/offspring/rows.parquet", 0)["id"]
    with snapshot(project) as now:
        said = shown(trace(row, book_of(now), now))
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "[bold]loud[/bold]" in said


@pytest.mark.parametrize("target", ["human/train", MODEL, "corpus"])
def test_json_holds_the_entries_themselves(bred, target):
    with snapshot(bred) as now:
        found = as_json(trace(target, book_of(now), now))
    for entry in found["ancestors"]:
        assert entry == read_json(bred / f"book/entries/{entry['name']}.json")


def rewritten(path, **columns):
    """Replace columns of a table, as a forger would who forgets the book."""
    table = pq.read_table(path)
    for name, value in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array([value] * table.num_rows))
    path.unlink()
    write_table(path, table)


def test_a_row_of_a_table_that_was_altered_is_not_to_be_believed(project):
    path = project / "runs/replace/s0/g1/offspring/rows.parquet"
    row = row_of(project, path.relative_to(project), 2)["id"]
    rewritten(path, text="FORGED", model="f" * 64)
    with snapshot(project) as now:
        found = trace(row, book_of(now), now)
    assert found.altered == [found.altered[0]]
    assert found.altered[0].startswith("runs/replace/s0/g1/offspring/rows.parquet: is not what its entry says")
    assert found.row["written_by"] == f"a model that is none of this book ({'f' * 64})"
    assert "not to be believed: runs/replace" in shown(found)


def test_a_row_that_cannot_be_found_because_its_table_is_missing_names_the_table(project):
    path = Path("runs/replace/s0/g1/offspring/rows.parquet")
    row = row_of(project, path, 2)["id"]
    with snapshot(project) as now:
        md5 = now.md5_of(path)
    (project / path).unlink()
    (project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
    with snapshot(project) as now, pytest.raises(BookError, match=rf"1 could not be searched: {path}: "):
        trace(row, book_of(now), now)


def test_a_tokenizer_that_is_none_costs_only_the_text_of_the_prompt(project):
    row = row_of(project, "runs/replace/s0/g1/offspring/rows.parquet", 2)["id"]
    path = project / "runs/human/base/tokenizer.json"
    path.unlink()
    path.write_text("{}")
    with snapshot(project) as now:
        found = trace(row, book_of(now), now)
    assert found.row["prompt_text"] is None
    assert any("tokenizer" in what for what in found.missing + found.altered)


def test_hostile_names_steer_no_terminal():
    from herdbook.trace import Node, Trace

    node = Node("\x1b[31mrole", "\x1b[31mname", ["\x1b[31mfact"])
    said = shown(Trace("\x1b[31mtarget", "root", node, {}, [], None, ["\x1b[31m"], ["\x1b[31m"]))
    assert "\x1b" not in said
