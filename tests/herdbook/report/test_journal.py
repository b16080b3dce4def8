from dataclasses import replace

import pytest

from herdbook.registration import Registration
from herdbook.report import journal
from tests.herdbook.test_claims import PLAIN
from tests.page import run_here

CLAIM = PLAIN["claims"][0]
ID = CLAIM["id"]


def registration(number, digest="d" * 64, existed=(), name=ID):
    conditions = dict.fromkeys(("params", "policies", "analysis"), "c" * 64)
    return Registration.model_validate(
        {
            "number": number, "previous": "0" * 64, "id": name, "claim": {**CLAIM, "id": name}, "claim_digest": digest,
            "conditions": conditions, "results_existed": existed,
        }
    )  # fmt: skip


@pytest.fixture
def told(project):
    """What the section says of registrations where a run judged the claim of this digest."""

    def say(*registrations, digest="d" * 64):
        claim = {"id": ID, "digest": digest, "verdict": "supported", "exploratory": True, "exploratory_because": ["of this"]}
        run = replace(run_here(), registrations=registrations, judged={"claims": [claim], "controls": []})
        return journal.section(run).context["registrations"]

    return say


def test_a_registration_has_the_verdict_of_the_run_that_judged_exactly_its_claim(told):
    (one,) = told(registration(1))
    assert (one["verdict"], one["exploratory"], one["why"]) == ("supported", True, "of this")


def test_registrations_stand_in_the_order_in_which_they_were_made_and_the_last_of_a_claim_counts(told):
    first, second = told(registration(1, "e" * 64), registration(2))
    assert (first["number"], first["verdict"], first["why"]) == (1, None, "superseded by number 2")
    assert second["verdict"] == "supported"


def test_a_claim_that_the_run_judged_in_another_form_or_not_at_all_has_no_verdict(told):
    (changed,) = told(registration(1), digest="f" * 64)
    assert (changed["verdict"], changed["why"]) == (None, "judged in another form than this one")
    (dropped,) = told(registration(1, name="another"))
    assert dropped["why"] == "not claimed by hypotheses.yaml as this run read it"


def test_results_that_existed_before_are_named(told):
    assert told(registration(1, existed=("runs/x",)))[0]["existed"] == ["runs/x"]
