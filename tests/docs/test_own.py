"""The pages of docs/own are worked through: what they tell to write is written, what they tell to run is run and says what they say."""

import re
import shutil
import subprocess
from importlib.util import module_from_spec, spec_from_file_location

import pytest
import yaml

from herdbook.files import digest_bytes, read_json, read_table, write_table
from herdbook.params import read_params
from herdbook.schema import ROWS
from tests import miniature
from tests.docs.gguf_file import write_gguf
from tests.docs.pages import blocks, do, follow, run
from tests.miniature import ROOT, commit, write_params
from tests.teacher_server import completion, served


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where each test finds a project of its own; one place, so that stages share one preloaded process."""
    return tmp_path_factory.mktemp("own") / "project"


@pytest.fixture
def root(bred, place):
    """The miniature as it was bred, to be changed."""
    shutil.rmtree(place, ignore_errors=True)
    miniature.copy(bred, place)
    return place


def parted(name, is_first):
    """The blocks of a page before one, and from it on."""
    told = blocks(name)
    number = next(number for number, block in enumerate(told) if is_first(block))
    return told[:number], told[number:]


def test_own_corpus(root):
    follow(blocks("corpus"), root)


def test_own_regime(root):
    follow(blocks("regime"), root)


def test_own_step(root):
    follow(blocks("step"), root)


def test_own_expectation(root):
    follow(blocks("expectation"), root)
    assert 0 < read_json(root / "records/replace/s0/g1/training/profile.json")["unseen_mass"] < 1


def test_a_measure_and_its_rule_are_under_twenty_lines():
    written = {block.title: block for block in blocks("expectation") if block.title and block.language in ("python", "diff")}
    counted = [title for title in written if title != "show.py" and not title.startswith("tests/")]
    assert {"herdbook/unseen.py", "herdbook/profile.py", "expectations/training_profile.yaml"} <= set(counted)
    assert sum(map(num_lines, (written[title] for title in counted))) < 20


def num_lines(block):
    lines = block.body.splitlines()
    return len(lines) if block.language == "python" else sum(line.startswith("+") and not line.startswith("+++") for line in lines)


def test_own_model(root):
    from safetensors.numpy import load_file

    pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    folder, packed = parted("model", lambda block: "mine.gguf" in block.body)
    follow(folder, root)
    given = load_file(root / "pretrained/mine/model.safetensors")
    do(packed[0], root)
    for is_quantised, most in ((False, 1e-7), (True, 1e-3)):  # weights are of the size .02
        write_gguf(root / "pretrained/mine", root / "pretrained/mine.gguf", is_quantised)
        run(root, "python -m stages prepare", "...")
        found = load_file(root / "runs/human/base/model.safetensors")
        assert max(abs(found[name] - given[name]).max() for name in given) <= most
    follow(packed[1:], root)


def test_own_subject(root):
    shutil.copytree(ROOT / "experiments/verified/expectations", root / "experiments/verified/expectations")
    follow(blocks("subject"), root)


def test_own_teacher(root, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    offspring = root / "runs/replace/s0/g1/offspring/rows.parquet"
    write_table(offspring, read_table(offspring, ROWS).slice(0, 20))  # each is asked about twice
    asking, again = parted("teacher", lambda block: block.title == "again")
    with served(lambda asked: completion(f"better words {digest_bytes(asked.user.encode())[:6]}")) as server:
        other = {"http://127.0.0.1:8080/v1": server.url}
        follow(asking, root, other)
        assert {asked.headers["authorization"] for asked in server.asked} == {"Bearer a-key-of-yours"}
        record = (root / "runs/replace/s0/g1/curated/teacher.jsonl").read_text()
        assert "a-key-of-yours" not in record
        assert len(record.splitlines()) == len(server.asked) > 0
    follow(again, root, other)


HOSTILE = "<script>alert(1)</script> @everyone ``` [a](https://example.org) | # **b**"
CLAIM = {
    "id": "hostile", "sentence": HOSTILE, "collapse": "population_risk", "source": {"cite": "nobody", "replicates": False},
    "use_case": "A test.", "proposed": "A test.", "contrast": {"treatment": "replace g1", "control": "replace g0"},
    "metric": "held_out_loss_nats", "estimator": "mean_t", "direction": "greater", "smallest_effect": 1.0, "equivalence": [-0.25, 0.25],
    "seeds": ["s0", "s1"], "stopping": "fixed", "exclusions": "none", "positive_control": "degrades", "negative_control": "same",
}  # fmt: skip


@pytest.fixture
def workflow():
    (block,) = (block for block in blocks("ci") if block.title == ".github/workflows/breed.yml")
    return yaml.safe_load(block.body)


def test_the_workflow_pins_its_actions_and_may_do_no_more_than_it_must(workflow):
    steps = {name: job["steps"] for name, job in workflow["jobs"].items()}
    used = [step["uses"] for job in steps.values() for step in job if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action) for action in used)
    assert workflow["permissions"] == {}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == {
        "breed": {"contents": "read"},
        "comment": {"pull-requests": "write"},
    }
    assert not any("checkout" in step.get("uses", "") for step in steps["comment"])  # who may write runs no code of a pull request
    assert not any("${{" in step.get("run", "") for job in steps.values() for step in job)  # words of others reach the shell as variables


def test_one_generation_of_the_default_parameters_can_be_bred(workflow, tmp_path):
    script = next(step["run"] for step in workflow["jobs"]["breed"]["steps"] if step.get("name") == "what breeds one generation")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    run(tmp_path, next(line for line in script.splitlines() if line.startswith("sed ")))
    params = read_params(tmp_path / "params.yaml")
    assert (params.generations, params.bred) == (("g0", "g1"), ("g1",))


def test_text_in_a_comment_means_nothing(tmp_path):
    for block in blocks("ci"):
        if block.language == "python":
            do(block, tmp_path)
    spec = spec_from_file_location("comment", tmp_path / ".github/comment.py")
    comment = module_from_spec(spec)
    spec.loader.exec_module(comment)
    assert comment.code("a `` b\n<b>") == "``` a `` b <b> ```"
    assert comment.code("\u202e\x1b[2J") == "` \\u202e\\x1b[2J `"
    assert comment.lines_of(["x"], [["a|b"]]) == ["| x |", "| --- |", "| ` a\\|b ` |"]
    assert comment.cut(["1234", "1234", "1234"], 10) == ["1234", "1234", "", "and 1 more: see `dvc metrics diff`"]


def test_own_ci(root, workflow, tmp_path, monkeypatch):
    base = git(root, "rev-parse", "HEAD")
    for block in blocks("ci"):
        if block.title:
            do(block, root)
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["regimes"]["replace"]["recipe"]["steps"] = [{"name": "length", "min_tokens": 10}]
    write_params(root, params)
    shared = {key: CLAIM[key] for key in ("contrast", "metric", "seeds")} | {"sentence": "A control."}
    controls = [
        {**shared, "id": "degrades", "kind": "positive", "must": {"above": 0.0}},
        {**shared, "id": "same", "kind": "negative", "must": {"within": [-9.0, 9.0]}},
    ]
    claims = {**yaml.safe_load((root / "hypotheses.yaml").read_text()), "controls": controls, "claims": [CLAIM]}
    (root / "hypotheses.yaml").write_text(yaml.safe_dump(claims))
    head = commit(root, "a pull request")
    for name, value in {"BASE": base, "HEAD": head, "RUNNER_TEMP": str(tmp_path), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}.items():
        monkeypatch.setenv(name, value)
    for step in workflow["jobs"]["breed"]["steps"]:
        if "run" in step and step["name"] != "install":
            run(root, step["run"], "...")
    said = (root / "told/comment.md").read_text()
    assert (tmp_path / "summary").read_text() == said
    assert re.search(r"\n\d+ means changed:\n\n\| figure \| before \| after \| change \|\n", said)
    assert "| ` replace.g1.held_out_loss_nats.mean ` |" in said
    assert "| ` replace ` | ` g1 ` |" in said
    assert (root / "told/index.html").is_file()
    assert (root / "told/plots/index.html").is_file()
    (line,) = (line for line in said.splitlines() if "script" in line)
    fence, inside = re.match(r"- (`+) (.*?) \1: ", line).groups()
    assert fence == "````"
    assert inside == HOSTILE


def git(root, *words):
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()
