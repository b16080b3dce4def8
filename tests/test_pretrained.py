"""A herd whose models start from weights that somebody brought: they are traced down to those, audited and made once more."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from herdbook.audit import audit
from herdbook.files import digest
from herdbook.replay import replay
from herdbook.snapshot import book_of, snapshot
from herdbook.target import candidates
from herdbook.trace import drawn, trace
from tests import miniature
from tests.miniature import commit, parameters, repro, run, write_params

MODEL = "replace/s0/g1/model"
GIVEN = Path("pretrained/tiny/model.safetensors")


@pytest.fixture(scope="module")
def project(bred, tmp_path_factory):
    """The miniature of one regime, bred from a tiny local Llama with random weights, and committed."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    root = tmp_path_factory.mktemp("pretrained") / "project"
    miniature.copy(bred, root)
    shutil.copytree(root / "runs/human/base", root / GIVEN.parent)  # of the same shape and tokenizer, which a model must bring along
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(root / GIVEN.parent)).save_pretrained(root / GIVEN.parent)
    params = parameters()
    params["model"]["pretrained"] = GIVEN.parent.name
    params["regimes"] = {"replace": {**params["regimes"]["replace"], "start": "pretrained"}}
    write_params(root, params)
    run(root, "-m", "herdbook", "prune")
    repro(root)
    commit(root, "from pretrained weights")
    return root


@pytest.fixture
def now(project):
    with snapshot(project) as opened:
        yield opened


def test_a_model_is_traced_down_to_the_weights_that_it_started_from(project, now):
    found = trace(MODEL, book_of(now), now)
    assert [name for name, entry in found.ancestors.items() if entry["kind"] == "weights"] == ["pretrained"]
    assert found.ancestors["pretrained"]["files"]["tiny/model.safetensors"]["sha256"] == digest(project / GIVEN)
    assert "steps from pretrained weights" in drawn(found).plain
    assert "weights: pretrained" in drawn(found).plain


def test_the_weights_are_found_by_path_and_by_digest_with_the_base_that_copied_them(project, now):
    book, copied = book_of(now), ["pretrained", "human/base"]
    assert candidates("pretrained", book, now) == candidates(GIVEN.as_posix(), book, now) == ["pretrained"]
    assert candidates(digest(project / GIVEN), book, now) == copied
    assert candidates(hashlib.md5((project / GIVEN).read_bytes()).hexdigest(), book, now) == copied[1:]  # DVC keeps outputs alone


@pytest.mark.parametrize("revision", [None, "HEAD"])
def test_an_audit_finds_nothing(project, revision):
    with snapshot(project, revision) as then:
        assert audit(then, "rows").findings == []


def test_an_audit_finds_other_weights(project):
    before = (project / GIVEN).read_bytes()
    (project / GIVEN).write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    with snapshot(project) as now:
        assert str(GIVEN) in {finding.path for finding in audit(now, "hashes").findings}
    (project / GIVEN).write_bytes(before)


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("target", ["human/base", MODEL])
def test_what_descends_from_them_is_made_once_more(now, target):
    found = replay(target, book_of(now), now)
    assert found.is_identical, json.dumps(found.facts, default=str)
