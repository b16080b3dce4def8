import json

import pytest

from herdbook.book import entry_path, read_book
from herdbook.errors import BookError, FileError
from herdbook.report import herd
from tests import records as made
from tests.page import run_here


def nodes_here():
    return herd.section(run_here()).data["herd-data"]["nodes"]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("corpus", ("human", "corpus")),
        ("human/train", ("human", "train")),
        ("founder/s0/g0/offspring/top_k_50", ("founder/s0", "offspring/top_k_50")),
        ("replace/s0/g1/model", ("replace/s0/g1", "model")),
    ],
)
def test_every_entry_stands_in_one_node(name, place):
    assert herd.placed(name) == place


def test_the_tree_has_a_node_for_human_text_each_founder_and_each_generation(project):
    generations = {f"{regime}/{seed}/g{number}" for regime in ("replace", "curated") for seed in ("s0", "s1") for number in range(3)}
    assert nodes_here().keys() == {"human", "founder/s0", "founder/s1"} | generations


def test_a_generation_shows_its_entries_its_parents_and_what_it_was_made_of(project):
    book = read_book(lambda path: path.read_bytes())
    node = nodes_here()["replace/s1/g2"]
    parts = ["training", "model", "offspring", "curated"]
    assert node["entries"] == [[part, book.ids[f"replace/s1/g2/{part}"], "bred"] for part in parts]
    assert ["offspring", "replace/s1/g1", "curated"] in node["parents"]
    assert ["scores", "founder/s1", "scores"] in node["parents"]
    assert all(parent != "replace/s1/g2" for _, parent, _ in node["parents"])
    assert (node["composition"], node["human_share"], node["depth"], node["sources"]) == ({"g1": [20, 200]}, 0.0, 2.0, ["offspring"])
    assert node["counts"]["num_out"] == 15


def test_the_first_generation_is_made_of_human_text_alone(project):
    node = nodes_here()["curated/s0/g0"]
    assert (node["human_share"], node["sources"]) == (1.0, ["human"])
    assert ["offspring", "founder/s0", "offspring/top_k_50"] in node["parents"]


def test_a_share_is_of_tokens_not_of_rows(project):
    path = project / entry_path("replace/s0/g2/training")
    entry = json.loads(path.read_text())
    entry["contents"] = {"num_rows": 3, "num_tokens": 400, "depth": 1.5, "composition": {"human": {"rows": 2, "tokens": 100}}}
    assert herd.bred(run_here().generations[2], {entry["name"]: entry}, "replace/s0/g2")["human_share"] == 0.25


def test_a_generation_shows_its_verdicts_as_the_gate_gave_them(project):
    made.write(project / "records/replace/s0/g1/training/receipt.json", made.receipt("training", made.rule()))
    made.write(project / "records/curated/s0/g1/offspring/receipt.json", made.receipt("offspring", made.rule()))
    made.write_not_bred(project / "records/curated/s0/g2")
    nodes = nodes_here()
    assert nodes["replace/s0/g1"]["verdicts"] == {"training": "waived", "offspring": "passed"}
    assert nodes["curated/s0/g1"]["verdicts"] == {"training": "passed", "offspring": "failed"}
    stopped = nodes["curated/s0/g2"]
    assert stopped["verdicts"] == {"training": "not bred", "offspring": "not bred"}
    assert stopped["why"] == "the offspring of g1 broke distinct_2: expect_column_min_to_be_between"
    assert "composition" not in stopped


def test_a_book_that_is_not_whole_is_refused(project):
    path = project / entry_path("replace/s0/g1/model")
    path.write_text(path.read_text().replace("bred", "bled"))
    with pytest.raises(BookError, match=r"replace/s0/g1/model.json: sha256 is"):
        nodes_here()
    path.unlink()
    with pytest.raises(FileError, match=r"replace/s0/g1/model.json: cannot be read .*dvc repro book"):
        nodes_here()
