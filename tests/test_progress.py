"""What commands count beforehand: each phase with a total ends when all of it is done."""

import pyarrow.parquet as pq
import pytest

from herdbook import hub
from herdbook.corpus import gather
from herdbook.doctor import examine
from herdbook.explain import explain
from herdbook.history import log
from herdbook.new_project import create
from herdbook.open_book import open_book
from herdbook.params import Corpus
from herdbook.replay import replay
from herdbook.snapshot import book_of, snapshot
from herdbook.status import status
from herdbook.trace import trace
from herdbook.versions import diff
from tests.miniature import ROOT
from tests.terminal import Kept

MODEL, OFFSPRING, CURATED = (f"replace/s0/g1/{name}" for name in ("model", "offspring", "curated"))


@pytest.fixture
def kept():
    """Phases, held to their totals when the test is over."""
    found = Kept()
    yield found
    assert found.totals
    assert found.unlike == []


@pytest.fixture(params=[None, "HEAD"])
def opened(request, bred):
    with snapshot(bred, request.param) as now:
        yield book_of(now), now


def size_of(bred, *paths):
    return [(bred / path).stat().st_size for path in paths]


def test_the_files_of_a_book(opened, bred, kept):
    open_book(opened[1], kept)
    assert kept.totals == {"files of the book": sum(path.is_file() for path in (bred / "book").rglob("*"))}


def test_a_trace_of_a_row_and_an_explanation_of_it(opened, bred, kept):
    table = f"runs/{OFFSPRING}/rows.parquet"
    row = pq.read_table(bred / table, columns=["id"])["id"][0].as_py()
    trace(row, *opened, kept)
    assert [kept.totals[f"hashing {path}"] for path in (table, "data/corpus.parquet")] == size_of(bred, table, "data/corpus.parquet")
    assert kept.totals["tables of rows"] == kept.totals["where tables lie"] > 1
    explain(row, *opened, kept)
    assert kept.totals["curated sets"] == 1


def test_a_folder_for_the_hub(opened, bred, tmp_path, kept):
    hub.prepare(MODEL, tmp_path / "published", *opened, kept)
    names = ("README.md", "SHA256SUMS", "herdbook/book.json")  # written, not copied
    copied = [path for path in (tmp_path / "published").rglob("*") if path.is_file()]
    others = sum(path.stat().st_size for path in copied if path.relative_to(tmp_path / "published").as_posix() not in names)
    assert kept.totals["copied and hashed"] == others


def test_a_replay_of_what_draws_a_bar_and_of_what_is_inspected_too(bred, kept):
    laying, comparing, running = "laying out what it reads", "comparing what it wrote", "stages sample replace s0 g1"
    with snapshot(bred) as now:
        assert replay(OFFSPRING, book_of(now), now, kept).is_identical
        assert [phase for phase, _ in kept.phases] == [laying, running, running, comparing]
        assert kept.totals[running] == 100
        assert replay(CURATED, book_of(now), now, kept).is_identical
    making, inspecting = "stages curate replace s0 g1", "stages validate offspring replace s0 g1"
    assert [phase for phase, _ in kept.phases][4:] == [laying, making, comparing, laying, inspecting, comparing]


def test_a_status(bred, monkeypatch, kept):
    monkeypatch.chdir(bred)
    assert len(status(kept).stages) == kept.totals["stages"]


def test_a_difference_and_a_log(bred, kept):
    with snapshot(bred, "HEAD") as then, snapshot(bred) as now:
        assert diff(then, now, None, kept) == []
    log(bred, MODEL, None, kept)
    assert [phase for phase, _ in kept.phases].count("files of the book") == 3
    assert kept.totals["versions of dvc.lock"] == 1


TEXTS = {"a.txt": "one text", "b.txt": "another text", "c.jsonl": '{"text": "a third"}\n\n'}
SOURCE = Corpus(source="files", path="texts", config=None, split=None, column="text", licence="CC0-1.0", num_problems=7)


@pytest.fixture
def texts(tmp_path):
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_corpus_of_files(texts, kept):
    gather(SOURCE.model_copy(update={"path": str(texts)}), begin=kept)
    assert kept.totals == {"bytes of files": sum(map(len, TEXTS.values()))}


def test_a_corpus_of_a_saved_dataset(texts, kept):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"text": list(TEXTS.values())}).save_to_disk(texts / "saved")
    gather(SOURCE.model_copy(update={"source": "huggingface", "path": str(texts / "saved")}), begin=kept)
    assert kept.totals == {"rows": 3}


def test_a_corpus_of_problems(kept):
    gather(SOURCE.model_copy(update={"source": "task"}), begin=kept, task={"family": "sort_digits", "num_digits": 3})
    assert kept.totals == {"problems": 7}


def test_the_default_corpus(kept):
    gather(SOURCE.model_copy(update={"source": "wikipedia"}), begin=kept)
    assert list(kept.totals) == ["bytes of the dump"]


def test_a_new_project_with_a_corpus_of_its_own(texts, tmp_path_factory, kept):
    create(ROOT, tmp_path_factory.mktemp("new") / "herd", texts, "CC0-1.0", small=True, begin=kept)
    assert [phase for phase, _ in kept.phases] == ["bytes of files", "files, git and DVC"]


def test_a_look_at_machine_and_project(kept):
    assert len(list(examine(kept))) > kept.totals["machine and project"] > 5
