"""Curation end to end: rows that steps wrote, a teacher, a mixture, and problems, from params.yaml to the audit."""

import json
import shutil
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from herdbook.artefacts import artefacts
from herdbook.audit import audit
from herdbook.audit.curation import curated_findings
from herdbook.audit.evidence import Evidence
from herdbook.audit.lock import as_dvc_writes
from herdbook.audit.tables import read_held_out, read_rows
from herdbook.errors import BookError
from herdbook.experiment import link
from herdbook.explain import explain
from herdbook.files import digest, digest_bytes, read_json, write_table
from herdbook.params import parse_params
from herdbook.phases import unseen
from herdbook.replay import replay
from herdbook.snapshot import book_of, snapshot
from herdbook.trace import trace
from tests import forked, miniature
from tests.teacher_server import ENDPOINT, completion, served

CURATED = "written/s0/g0/curated"
STEPS = [
    {"name": "length", "min_tokens": 4},
    {"name": "revise", "max_tokens": 12},
    {"name": "edit", "num_rows": 20, "min_probability": 0.001, "top_k": 8},
    {"name": "match", "keep_share": 0.9, "num_bins": 4},
]
MIXTURE = {
    "num_tokens": 1500,
    "sources": [{"source": "offspring", "fraction": 0.25, "epochs": 2.5}, {"source": "human", "fraction": 0.75, "epochs": 1.0}],
}


def reply(asked):
    """Criticises, then rewrites: what it says depends on what it was shown."""
    return completion(f"better words {digest_bytes(asked.user.encode())[:6]} <script>alert(1)</script>")


@contextmanager
def opened(root):
    with snapshot(root) as now:
        yield now, book_of(now)


def parameters(url: str) -> dict:
    params = miniature.parameters()
    regime = params["regimes"]["replace"]
    regime["decoding"]["num_rows"] = 30
    params["decodings"] = {"few": regime["decoding"]}
    recipe = {"num_rows": 40, "steps": STEPS}
    params["regimes"] = {"written": {**regime, "recipe": recipe, "mixture": MIXTURE}}
    params["teacher"] = {**ENDPOINT, "url": url, "max_tokens": 20}
    return params


@pytest.fixture(scope="module")
def laid_out(unbred, tmp_path_factory):
    """A function that lays out a copy of the miniature, nothing run."""

    def lay(name):
        root = tmp_path_factory.mktemp(name) / "project"
        miniature.copy(unbred, root)
        return root

    return lay


def inherit(bred, root, folder):
    """Let what all miniatures make alike lie in a folder of the project at `root` already: calibrations and fingerprints of the code."""
    shutil.copytree(bred / ".dvc/cache", root / ".dvc/cache", dirs_exist_ok=True)
    for path in ("reports/calibration", "runs/code"):
        shutil.copytree(bred / path, folder / path)
    stages = yaml.safe_load((bred / "dvc.lock").read_text())["stages"]
    alike = {name: stage for name, stage in stages.items() if name.split("@")[0] in ("calibrate", "code")}
    (folder / "dvc.lock").write_bytes(as_dvc_writes({"schema": "2.0", "stages": alike}))


@pytest.fixture(scope="module")
def written(laid_out, bred):
    """A regime whose recipe writes rows, bred with a teacher that is gone afterwards."""
    root = laid_out("written")
    inherit(bred, root, root)
    with served(reply) as server:
        miniature.write_params(root, parameters(server.url))
        miniature.repro(root)
        num_asked = len(server.asked)
    miniature.commit(root, "bred")
    return root, num_asked


def counts(root):
    return read_json(root / "records/written/s0/g0/counts.json")


def test_every_row_is_accounted_for(written):
    root, num_asked = written
    found = counts(root)
    assert found["num_added"] > 20  # revisions, and edited human rows
    assert num_asked > 0
    left = found["num_out"] + found["num_surplus"] + found["num_remade"] + sum(found["rejected"].values())
    assert found["num_in"] + found["num_added"] == left


def test_the_audit_of_rows_that_steps_wrote_finds_nothing(written):
    with snapshot(written[0]) as now:
        assert audit(now, "rows").findings == []


def test_a_teacher_that_is_gone_is_not_missed(written):
    root, _ = written
    once = digest(root / "runs" / CURATED)
    miniature.repro(root, "--force", "--single-item", "curate@written-s0-g0")
    shutil.rmtree(root / ".dvc/tmp/herdbook-teacher")
    miniature.repro(root, "--force", "--single-item", "curate@written-s0-g0")  # from what dvc.lock records
    assert digest(root / "runs" / CURATED) == once


def row_by(root, step):
    hands = pq.read_table(root / "runs" / CURATED / "hands.parquet").to_pylist()
    kept = set(pq.read_table(root / "runs" / CURATED / "rows.parquet", columns=["id"])["id"].to_pylist())
    return next(hand for hand in hands if hand["step"] == step and hand["id"] in kept)


def test_a_trace_of_a_revised_row_shows_each_hand_it_went_through(written):
    root, _ = written
    hand = row_by(root, "revise")
    with opened(root) as (now, book):
        found = trace(hand["id"], book, now)
    assert [told["step"] for told in found.row["hands"]] == ["revise", "revise"]
    assert {told["by"] for told in found.row["hands"]} == {f"teacher/{ENDPOINT['model']}"}
    assert found.row["hands"][0]["parents"] == hand["parents"]
    assert found.row["written_by"] == f"teacher/{ENDPOINT['model']}"
    assert found.row["depth"] == 2.0  # the founder's offspring, and one pass through the teacher


def test_a_trace_of_an_edited_row_names_the_human_row_and_the_model_that_edited_it(written):
    root, _ = written
    hand = row_by(root, "edit")
    with opened(root) as (now, book):
        found = trace(hand["id"], book, now)
    (told,) = found.row["hands"]
    assert told["by"] == "founder/s0/g0/model"
    human = pq.read_table(root / "runs/human/train.parquet", columns=["id"])["id"].to_pylist()
    assert set(told["parents"]) <= set(human)
    assert found.documents


def test_a_row_is_explained_by_the_steps_that_it_met(written):
    root, _ = written
    offspring = pq.read_table(root / "runs/written/s0/g0/offspring/rows.parquet", columns=["id"])["id"].to_pylist()
    with opened(root) as (now, book):
        told = list(chain.from_iterable(explain(row, book, now) for row in offspring[:12]))
        edited = explain(row_by(root, "edit")["id"], book, now)
    assert {each.dataset for each in told} == {CURATED}
    remade = [each for each in told if each.fate == "made into another row by revise"]
    assert remade
    assert [met.step for met in remade[0].met] == ["length", "revise"]
    assert (edited[0].fate, edited[0].hands[0]["step"]) == ("kept", "edit")
    assert [(met.step, met.result) for met in edited[0].met] == [("edit", "wrote it"), ("match", "passed")]


def test_a_rejected_row_is_explained_up_to_the_step_that_rejected_it(written):
    root, _ = written
    rejected = pq.read_table(root / "runs" / CURATED / "rejected.parquet").to_pylist()[0]
    with opened(root) as (now, book):
        (told,) = explain(rejected["id"], book, now)
    assert told.fate == rejected["reason"]
    assert told.met[-1].step == rejected["reason"].split(".")[0]
    assert told.met[-1].result == f"rejected: {rejected['reason']}"
    said = miniature.run(root, "-m", "herdbook", "curate", "--explain", rejected["id"])
    assert rejected["reason"] in said


def test_a_row_of_people_met_no_recipe(written):
    root, _ = written
    human = pq.read_table(root / "runs/human/train.parquet", columns=["id"])["id"][0].as_py()
    with opened(root) as (now, book), pytest.raises(BookError, match="which no recipe curates"):
        explain(human, book, now)


def test_a_mixture_is_realised_within_one_percent_and_its_rows_are_numbered_by_pass(written):
    root, _ = written
    rows = pq.read_table(root / "runs/written/s0/g1/training/rows.parquet", columns=["id", "pass", "num_tokens", "model"])
    told = read_json(root / "runs/written/s0/g1/training/making.json")["mixture"]
    assert abs(told["offspring"]["fraction"] - 0.25) < 0.01
    assert max(rows["pass"].to_pylist()) == 2
    assert sum(rows["num_tokens"].to_pylist()) == told["offspring"]["num_tokens"] + told["human"]["num_tokens"]
    assert read_json(root / "records/written/s0/g1/training/profile.json")["mixture_gap"] < 0.01


def test_a_mixture_that_was_tampered_with_is_found(written, tmp_path):
    root = tmp_path / "tampered"
    miniature.copy(written[0], root)
    path = root / "runs/written/s0/g1/training/making.json"
    making = read_json(path)
    making["mixture"]["human"]["num_tokens"] += 1
    path.unlink()
    path.write_text(json.dumps(making))
    with snapshot(root) as now:
        assert any("making.json" in str(finding.path) for finding in audit(now, "rows").findings)


TASK = {"family": "sort_digits", "num_digits": 2}


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("hands.parquet", lambda told: told.set_column(1, "step", pa.array(["magic"] * told.num_rows)), "does not have"),
        ("hands.parquet", lambda told: told.slice(0, 0), "no rows of its offspring"),
        ("hands.parquet", lambda told: told.set_column(2, "parents", pa.array([[]] * told.num_rows, told["parents"].type)), "parents"),
        (
            "hands.parquet",
            lambda told: told.set_column(3, "by", pa.array([by.replace("tiny", "huge") for by in told["by"].to_pylist()])),
            "the parameters name another teacher",
        ),
    ],
)
def test_hands_that_were_forged_are_found(written, name, change, message):
    root, _ = written
    with snapshot(root) as now:
        params = parse_params(yaml.safe_load((root / "params.yaml").read_text()))
        artefact = next(made for made in artefacts(params) if made.path == Path("runs", CURATED))
        evidence = Evidence(now, "rows", {})
        held_out = read_held_out(root / "runs/human/held_out_documents.parquet")
        own = {path: read_rows(root / path, held_out, True, unseen("")) for path in (artefact.rows, artefact.path / "rejected.parquet")}
        offspring = Path("runs/written/s0/g0/offspring/rows.parquet")
        given = read_rows(root / offspring, held_out, True, unseen(""))
        table = pq.read_table(root / artefact.path / name)
        told = [found.what for found in curated_findings(artefact, own, given, offspring, params, evidence)]
        assert told == []
        other = root / "other.parquet"
        write_table(other, change(table))
        local = evidence.local
        evidence.local = lambda path: other if path.name == name else local(path)  # type: ignore[method-assign]
        told = [found.what for found in curated_findings(artefact, own, given, offspring, params, evidence)]
        other.unlink()
    assert any(message in what for what in told), told


@pytest.fixture(scope="module")
def solved(laid_out, bred):
    """Problems in an experiment of its own, verified and by plurality."""
    root = laid_out("solved")
    params = miniature.parameters()
    regime = params["regimes"]["replace"]
    decoding = {**regime["decoding"], "num_rows": 400, "top_k": 0}
    params |= {"task": TASK, "decodings": {"often": decoding}}
    params["corpus"] |= {"source": "task", "path": None, "num_problems": 100}
    params["prepare"] |= {
        "num_held_out_documents": 20, "num_blocks": 80, "num_held_out_blocks": 20, "vocabulary_size": 257, "near_duplicate_jaccard": None,
    }  # fmt: skip
    params["sample"] |= {"prompt_tokens": 3, "keeps_prompt": True}
    params["train"] |= {"epochs": 60, "learning_rate": 0.01}
    params["regimes"] = {
        name: {**regime, "decoding": decoding, "recipe": {"num_rows": 20, "steps": [step]}}
        for name, step in {
            "verified": {"name": "verify"},
            "plurality": {"name": "plurality", "min_samples": 2, "min_share": 0.1, "drop_unanimous": False},
        }.items()
    }
    folder = root / "experiments" / "sorting"
    folder.mkdir(parents=True)
    link(folder)
    inherit(bred, root, folder)
    shutil.copytree(bred / ".prefect", folder / ".prefect")  # Prefect's database: making one takes long
    (folder / "expectations").unlink()
    shutil.copytree(miniature.ROOT / "experiments/verified/expectations", folder / "expectations")
    policy = folder / "expectations/human_profile.yaml"
    policy.write_text(policy.read_text().replace("min_value: 0.95", "min_value: 0.5"))  # 80 problems do not hold every kind
    miniature.write_params(folder, params)
    miniature.claim_nothing(folder)
    miniature.run(folder, "-m", "herdbook", "corpus")
    miniature.run(folder, "-m", "dvc", "add", "-q", "data")
    forked.serve(folder)
    miniature.run(folder, "-m", "flows", "--jobs", "2")
    miniature.commit(root, "bred")
    return folder


def test_an_experiment_runs_in_its_own_folder_and_touches_nothing_else(solved):
    lock = yaml.safe_load((solved / "dvc.lock").read_text())["stages"]
    assert "train@verified-s0-g1" in lock
    assert miniature.ran(miniature.repro(solved)) == set()
    root = solved.parents[1]
    assert not (root / "dvc.lock").exists()
    assert not (root / "runs").exists()


def test_answers_are_measured_and_the_verified_are_right(solved):
    metrics = read_json(solved / "reports/metrics.json")
    first = metrics["verified"]["g0"]
    assert 0 <= first["held_out_accuracy"]["mean"] <= 1
    texts = pq.read_table(solved / "runs/verified/s0/g0/curated/rows.parquet", columns=["text"])["text"].to_pylist()
    assert texts
    assert all(text[3:] == "".join(sorted(text[:2])) for text in texts)
    assert first["offspring_answer_accuracy"]["mean"] == 1.0
    assert "Right answers to new problems" in (solved / "reports/index.html").read_text()


def test_the_audit_of_an_experiment_finds_nothing_here_and_at_its_commit(solved):
    for revision in (None, "HEAD"):
        with snapshot(solved, revision) as now:
            assert audit(now, "rows").findings == []


def test_a_row_chosen_by_plurality_names_all_answers_that_were_given(solved):
    hands = pq.read_table(solved / "runs/plurality/s0/g0/curated/hands.parquet").to_pylist()
    kept = set(pq.read_table(solved / "runs/plurality/s0/g0/curated/rows.parquet", columns=["id"])["id"].to_pylist())
    hand = next(hand for hand in hands if hand["id"] in kept and len(hand["parents"]) > 1)
    with opened(solved) as (now, book):
        found = trace(hand["id"], book, now)
    told = next(told for told in found.row["hands"] if told["dataset"] == "plurality/s0/g0/curated")
    assert (told["step"], told["parents"], told["by"]) == ("plurality", hand["parents"], "plurality")


@pytest.mark.usefixtures("forked")
def test_replay_makes_a_dataset_of_an_experiment_once_more(solved):
    with snapshot(solved, "HEAD") as now:
        assert replay("verified/s0/g0/curated", book_of(now), now).is_identical


@pytest.mark.usefixtures("forked")
def test_replay_asks_no_teacher_again(written):
    with opened(written[0]) as (now, book):
        assert replay(CURATED, book, now).is_identical
