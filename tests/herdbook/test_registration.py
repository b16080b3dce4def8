import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook.chain import canonical_line
from herdbook.claims import Standing
from herdbook.errors import ClaimError
from herdbook.files import canonical_json, digest_bytes
from herdbook.registration import (
    Conditions,
    amended,
    conditions,
    ever_registered,
    is_registered,
    parse_register,
    read_register,
    register,
    standing,
    standings,
    write_register,
)
from tests import lab
from tests.herdbook.test_claims import PLAIN
from tests.herdbook.test_judging import hypotheses

NOW = Conditions(params="p", policies="e", analysis="a")
(CLAIM,) = hypotheses().claims
(CHANGED,) = hypotheses({"metric": "offspring_distinct_2", "direction": "less"}).claims


def registered(*steps):
    """The register after these claims, each with the results that existed then."""
    found = []
    for claim, evidence in steps:
        found.append(register(claim, NOW, evidence, found))
    return found


def test_a_line_holds_the_whole_claim_its_digest_and_what_it_is_judged_by(tmp_path):
    (one,) = registered((CLAIM, []))
    write_register([one], tmp_path / "register.jsonl")
    line = json.loads((tmp_path / "register.jsonl").read_text())
    assert line == {
        "schema": 1, "number": 1, "previous": "0" * 64, "id": CLAIM.id, "claim": CLAIM.document, "results_existed": [],
        "claim_digest": digest_bytes(canonical_json(CLAIM.document).encode()),
        "conditions": {"params": "p", "policies": "e", "analysis": "a"},
    }  # fmt: skip
    assert line["claim"]["positive_control"] == PLAIN["controls"][0]
    assert read_register(tmp_path / "register.jsonl") == [one]
    assert (str(one.contrast.treatment), one.seeds) == ("replace g3", ("s3", "s4", "s5"))


def test_no_file_is_an_empty_register(tmp_path):
    assert read_register(tmp_path / "register.jsonl") == parse_register("") == []


def test_a_claim_registered_before_its_results_is_registered():
    assert standing(CLAIM, registered((CLAIM, [])), NOW) == Standing(registered=True)


def test_a_claim_without_a_registration_is_exploratory():
    assert standing(CLAIM, [], NOW) == Standing(registered=False, reasons=("it was never registered",))


def test_a_claim_changed_after_its_registration_is_exploratory_and_says_in_what():
    found = standing(CHANGED, registered((CLAIM, [])), NOW)
    assert found.reasons == ("it was changed after its registration 1: direction, metric",)
    assert not found.registered


@pytest.mark.parametrize(("field", "words"), [("params", "parameters"), ("policies", "policies"), ("analysis", "analysis")])
def test_other_conditions_make_a_claim_exploratory(field, words):
    found = standing(CLAIM, registered((CLAIM, [])), NOW.model_copy(update={field: "other"}))
    assert found == Standing(registered=False, reasons=(f"the {words} were changed after its registration 1",))


def test_results_that_existed_make_a_claim_exploratory_whatever_was_registered_before():
    found = standing(CLAIM, registered((CLAIM, ["a lock", "a cache", "a file"])), NOW)
    assert found.reasons == ("results existed when it was registered: a lock; a cache and 1 more",)
    assert not standing(CHANGED, registered((CLAIM, []), (CHANGED, ["a lock"])), NOW).registered


def test_the_last_registration_counts_and_what_it_amends_is_told():
    register_ = registered((CLAIM, []), (CHANGED, []))
    assert standing(CHANGED, register_, NOW).registered
    assert standing(CLAIM, register_, NOW).reasons == ("it was changed after its registration 2: direction, metric",)
    assert (amended(CLAIM.id, register_), amended("another", register_)) == ([1], [])
    assert ever_registered(register_) == {CLAIM.digest, CHANGED.digest}
    assert standings([CLAIM], register_, NOW) == {CLAIM.id: standing(CLAIM, register_, NOW)}


def test_to_register_what_is_registered_already_is_refused_until_something_changes():
    before = registered((CLAIM, []))
    with pytest.raises(ClaimError, match="registered already"):
        register(CLAIM, NOW, [], before)
    other = NOW.model_copy(update={"policies": "other"})
    assert register(CLAIM, other, [], before).number == 2
    assert [is_registered(CLAIM, now, before) for now in (NOW, other)] == [True, False]


def damaged(change):
    """The text of a register of two lines after a change to the object of the last."""
    lines = [one.link for one in registered((CLAIM, []), (CHANGED, []))]
    change(lines[1])
    return "".join(f"{canonical_line(line)}\n" for line in lines)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda line: line["claim"].update(sentence="Something else."), "its claim is not the one"),
        (lambda line: line.update(id="another"), "its claim is not the one"),
        (lambda line: line.update(claim_digest="0"), "its claim is not the one"),
        (lambda line: line.update(number=3), "must be number 2"),
        (lambda line: line.update(schema=2), "is of schema 2, this version reads 1"),
        (lambda line: line.pop("schema"), "is of schema None"),
        (lambda line: line.pop("conditions"), "conditions: Field required"),
        (lambda line: line.update(results_existed="none"), "results_existed"),
        (lambda line: line.update(more=1), "more: Extra inputs"),
        (lambda line: line["conditions"].update(more="x"), "conditions.more: Extra inputs"),
    ],
)
def test_a_line_that_is_no_registration_is_named(change, words):
    with pytest.raises(ClaimError, match=rf"^r\.jsonl: line 2: .*{words}"):
        parse_register(damaged(change), "r.jsonl")


@settings(max_examples=25)
@given(st.lists(st.sampled_from([CLAIM, CHANGED]), max_size=6))
def test_any_register_is_read_as_it_was_written(claims):
    found = []
    for claim in claims:
        if not is_registered(claim, NOW, found):
            found.append(register(claim, NOW, [], found))
    assert parse_register("".join(f"{canonical_line(one.link)}\n" for one in found)) == found


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory):
    return lab.build(tmp_path_factory.mktemp("lab"))


def changed(root, path, text):
    """The conditions while a file holds another text."""
    before = path.read_text() if path.exists() else None
    path.write_text(text)
    try:
        return conditions(root)
    finally:
        path.unlink() if before is None else path.write_text(before)


def test_conditions_hold_while_only_seeds_and_generations_are_added(laboratory):
    now, path = conditions(laboratory), laboratory / "params.yaml"
    document = yaml.safe_load(path.read_text())
    document["seeds"].append("s6")
    document["generations"].append("g4")
    document["bred"].append("g4")
    document["births"].append({"parent": "g3", "child": "g4"})
    assert changed(laboratory, path, yaml.safe_dump(document)) == now
    document["train"]["epochs"] += 1
    assert changed(laboratory, path, yaml.safe_dump(document)) == now.model_copy(
        update={"params": changed(laboratory, path, yaml.safe_dump(document)).params}
    )
    assert changed(laboratory, path, yaml.safe_dump(document)) != now


def test_conditions_are_of_policies_and_of_the_code_of_the_analysis_alone(laboratory):
    now = conditions(laboratory)
    policy, code = laboratory / "expectations/human_rows.yaml", laboratory / "herdbook/judgement.py"
    assert changed(laboratory, policy, policy.read_text() + "\n").policies != now.policies
    assert changed(laboratory, laboratory / "expectations/new.yaml", "").policies != now.policies
    assert changed(laboratory, laboratory / "expectations/README.md", "words") == now
    assert changed(laboratory, code, code.read_text() + "\n").analysis != now.analysis
    assert changed(laboratory, laboratory / "herdbook/elsewhere.py", "") == now


def test_the_same_files_elsewhere_are_the_same_conditions(laboratory, tmp_path):
    assert conditions(lab.build(tmp_path / "other")) == conditions(laboratory)


@pytest.mark.parametrize("text", ["train: [", "- a list", "train: .nan", "train: 2026-01-01"])
def test_params_that_cannot_be_read_are_refused(laboratory, text):
    with pytest.raises(ClaimError, match=r"params\.yaml: cannot be read"):
        changed(laboratory, laboratory / "params.yaml", text)
