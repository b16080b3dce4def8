import copy
import json
import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook.claims import Standing, parse_hypotheses
from herdbook.files import canonical_json
from herdbook.judging import judge_family
from tests.herdbook.test_claims import PLAIN

REGISTERED = Standing(registered=True)
CHANGED = Standing(registered=False, reasons=("it was changed after its registration",))
CLAIM = PLAIN["claims"][0]
ID = CLAIM["id"]
METRIC = CLAIM["metric"]


def hypotheses(*claims, **controls):
    """The plain file with a claim for each mapping of changes, and with these changes to its controls by kind."""
    document = copy.deepcopy(PLAIN)
    document["claims"] = [{**copy.deepcopy(CLAIM), **changes} for changes in claims or ({},)]
    for control in document["controls"]:
        control.update(controls.get(control["kind"], {}))
    return parse_hypotheses(yaml.safe_dump(document), "h.yaml")


def lines(differences, *, first=3, base=5.0, **others):
    """Lines in which replace g3 lies above accumulate g3 by these, from seed `first` on, and controls hold."""
    found = []
    for number, difference in enumerate(differences, first):
        for regime, generation, value in (
            ("replace", 0, 1.0),
            ("accumulate", 0, 1.0),
            ("accumulate", 3, base),
            ("replace", 3, base + difference),
        ):
            found.append({"regime": regime, "seed": f"s{number}", "generation": generation, "status": "bred", METRIC: value, **others})
    return found


def line_of(rows, regime, seed, generation):
    return next(row for row in rows if (row["regime"], row["seed"], row["generation"]) == (regime, seed, generation))


def judged(rows, given=None, standings=None, num=1, **others):
    given = given or hypotheses()
    standings = {claim.id: REGISTERED for claim in given.claims} if standings is None else standings
    return judge_family(given, rows, standings, num, **others)


def first(rows, **others):
    return judged(rows, **others)["claims"][0]


CLEAR = [1.9, 2.0, 2.1]


def test_a_clear_effect_is_supported_and_told_with_its_interval_first():
    found = first(lines(CLEAR))
    assert (found["verdict"], found["exploratory"], found["void_because"], found["because"]) == ("supported", False, [], [])
    assert found["in_words"] == (
        "supported: replace g3 is 2 [1.75, 2.25] nats above accumulate g3 over 3 seeds "
        "(held_out_loss_nats; bounds -0.2 and 0.2; adjusted p 0.001)"
    )
    assert found["pairs"][0] == {"seed": "s3", "treatment": 6.9, "control": 5.0, "difference": 1.9}
    assert found["p"]["adjusted"] == found["p"]["claim"] == pytest.approx(2 * found["p"]["supported"])


def test_an_effect_the_other_way_is_refuted_and_told_as_a_size():
    found = first(lines([-1.9, -2.0, -2.1]))
    assert found["verdict"] == "refuted"
    assert "replace g3 is 2 [1.75, 2.25] nats below accumulate g3" in found["in_words"]


def test_no_effect_is_equivalent_where_it_is_shown_and_inconclusive_where_it_is_not():
    assert first(lines([0.01, -0.02, 0.01]))["verdict"] == "equivalent"
    found = first(lines([0.9, -0.8, 0.1]))
    assert (found["verdict"], found["because"]) == ("inconclusive", [])
    assert found["in_words"].endswith(
        f"this design shows effects from {found['power']['detectable']:.3g} on in 80% of cases, "
        f"and 0.5 needs {found['power']['seeds_needed']} seeds"
    )


def test_the_document_is_json_and_depends_on_no_order():
    given = hypotheses({"id": "b"}, {"id": "a"})
    rows = lines([0.5, 0.1, 2.0])
    document = judged(rows, given)
    assert json.loads(canonical_json(document)) == document
    assert [claim["id"] for claim in document["claims"]] == ["a", "b"]
    assert judged(list(reversed(rows)), given) == document


def test_registered_claims_share_the_level_by_holm():
    # alone p is about .024; in a family of two equal ones twice that, and beside a much clearer one once
    weak = {"metric": "weak"}
    rows = [{**row, "weak": 5.0 + (row["regime"] == "replace") * (1 + 0.2 * int(row["seed"][1:]))} for row in lines(CLEAR)]
    alone = judged(rows, hypotheses({"id": "w", **weak}))["claims"][0]["p"]
    two = judged(rows, hypotheses({"id": "v", **weak}, {"id": "w", **weak}))["claims"]
    beside = judged(rows, hypotheses({"id": "clear"}, {"id": "w", **weak}))["claims"]
    assert alone["adjusted"] == alone["claim"]
    assert [claim["p"]["adjusted"] for claim in two] == pytest.approx([2 * alone["claim"]] * 2)
    assert [claim["p"]["adjusted"] for claim in beside] == pytest.approx([2 * beside[0]["p"]["claim"], alone["claim"]])


def test_claims_that_were_registered_once_count_although_they_are_gone():
    found = judged(lines(CLEAR), num=10)
    assert found["family"] == {"size": 10, "num_ever_registered": 10, "registered": [ID]}
    assert found["claims"][0]["p"]["adjusted"] == pytest.approx(10 * found["claims"][0]["p"]["claim"])
    assert judged(lines(CLEAR), num=60)["claims"][0]["verdict"] == "inconclusive"


def test_a_claim_that_is_not_registered_is_judged_alone_and_marked():
    given = hypotheses({"id": "a"}, {"id": "b"})
    found = judged(lines(CLEAR), given, {"a": REGISTERED, "b": CHANGED})
    a, b = found["claims"]
    assert (a["exploratory"], b["exploratory"], b["exploratory_because"]) == (False, True, list(CHANGED.reasons))
    assert (a["verdict"], b["verdict"], b["p"]["adjusted"]) == ("supported", "supported", b["p"]["claim"])
    assert b["in_words"].startswith("supported, exploratory: ")
    assert found["family"]["registered"] == ["a"]


def test_a_claim_of_which_nothing_is_known_is_exploratory():
    found = first(lines(CLEAR), standings={})
    assert (found["exploratory"], found["exploratory_because"]) == (True, ["nothing is known of its registration"])


BROKEN_CONTROLS = [
    ({"positive": {"must": {"above": 9.0}}}, "replace-degrades failed: replace g3 is 6 nats above replace g0 on the mean of 3 seeds"),
    ({"negative": {"contrast": {"treatment": "replace g3", "control": "replace g0"}}}, "same-founder failed: "),
    ({"positive": {"seeds": ["s3", "s9"]}}, "replace-degrades could not be checked: there is no line of replace g3 for seed s9"),
    ({"negative": {"metric": "other"}}, "same-founder could not be checked: other of replace g0 for seed s3 is no number"),
]


@pytest.mark.parametrize(("controls", "words"), BROKEN_CONTROLS)
def test_a_control_that_does_not_hold_voids_the_claims_that_rest_on_it(controls, words):
    found = first(lines(CLEAR), given=hypotheses(**controls))
    assert (found["verdict"], found["p"]["adjusted"]) == ("inconclusive", None)
    assert found["void_because"][0].startswith(f"control {words}")
    assert found["in_words"].startswith(f"inconclusive: void, control {words}")
    assert "as measured, replace g3 is 2 [1.75, 2.25] nats above accumulate g3" in found["in_words"]


def test_controls_are_on_record_whether_they_hold_or_not():
    held = judged(lines(CLEAR))["controls"]
    assert [(control["id"], control["holds"], control["mean"]) for control in held] == [
        ("replace-degrades", True, 6.0),
        ("same-founder", True, 0.0),
    ]
    assert (
        held[0]["in_words"] == "held: replace g3 is 6 nats above replace g0 on the mean of 3 seeds (held_out_loss_nats; must be above 0.5)"
    )
    assert held[1]["in_words"].endswith("must be within -0.01 and 0.01)")
    failed = judged(lines(CLEAR), hypotheses(positive={"must": {"above": 6.0}}))["controls"]
    assert failed[0]["holds"] is False


def test_a_failed_calibration_voids_every_claim():
    found = judged(lines(CLEAR), hypotheses({"id": "a"}, {"id": "b"}), calibration_failed=["mixture", "gaussian"])
    assert [claim["verdict"] for claim in found["claims"]] == ["inconclusive"] * 2
    assert found["claims"][1]["void_because"] == ["calibration gaussian failed", "calibration mixture failed"]
    assert found["claims"][0]["in_words"].startswith("inconclusive: void, calibration gaussian failed, and 1 more")


def test_a_void_claim_helps_no_other():
    given = hypotheses({"id": "a"}, {"id": "b", "seeds": ["s3", "s4", "s9"]})
    assert [claim["verdict"] for claim in judged(lines(CLEAR), given)["claims"]] == ["supported", "inconclusive"]
    assert judged(lines(CLEAR), given)["claims"][0]["p"]["adjusted"] == pytest.approx(2 * first(lines(CLEAR))["p"]["claim"])


@pytest.mark.parametrize(
    ("damage", "because"),
    [
        (lambda rows: rows.remove(line_of(rows, "accumulate", "s4", 3)), "there is no line of accumulate g3 for seed s4"),
        (lambda rows: line_of(rows, "replace", "s4", 3).update({METRIC: None}), f"{METRIC} of replace g3 for seed s4 is no number"),
        (lambda rows: line_of(rows, "replace", "s4", 3).pop(METRIC), f"{METRIC} of replace g3 for seed s4 is no number"),
        (lambda rows: line_of(rows, "replace", "s4", 3).update({METRIC: math.nan}), f"{METRIC} of replace g3 for seed s4 is no number"),
        (lambda rows: line_of(rows, "replace", "s4", 3).update({METRIC: "2"}), f"{METRIC} of replace g3 for seed s4 is no number"),
        (lambda rows: line_of(rows, "accumulate", "s5", 3).update(status="not bred"), "accumulate g3 of seed s5 was not bred"),
    ],
)
def test_what_is_missing_makes_a_claim_inconclusive_and_is_told(damage, because):
    rows = lines(CLEAR)
    damage(rows)
    found = first(rows, given=hypotheses(positive={"seeds": ["s3", "s5"]}, negative={"seeds": ["s3", "s5"]}))
    assert (found["verdict"], found["because"], found["effect"], found["p"], found["power"]) == (
        "inconclusive",
        [because],
        None,
        None,
        None,
    )
    assert found["in_words"] == f"inconclusive: {because}"


def test_pairs_that_were_not_bred_are_dropped_where_that_was_declared():
    rows = lines([1.9, 2.0, 2.1, -50.0])
    line_of(rows, "replace", "s6", 3).update({"status": "not bred", METRIC: None})
    seeds = ["s3", "s4", "s5", "s6"]
    dropped = first(rows, given=hypotheses({"exclusions": "not_bred", "seeds": seeds}))
    assert (dropped["verdict"], dropped["excluded"]) == ("supported", ["replace g3 of seed s6 was not bred"])
    assert [pair["seed"] for pair in dropped["pairs"]] == ["s3", "s4", "s5"]
    assert first(rows, given=hypotheses({"seeds": seeds}))["because"] == ["replace g3 of seed s6 was not bred"]


def test_one_pair_shows_nothing():
    rows = lines([1.9, 2.0])
    line_of(rows, "accumulate", "s4", 3).update(status="not bred")
    two = {"seeds": ["s3", "s4"]}
    found = first(rows, given=hypotheses({"exclusions": "not_bred", **two}, positive=two, negative=two))
    assert (found["verdict"], found["because"]) == (
        "inconclusive",
        ["accumulate g3 of seed s4 was not bred", "fewer than 2 pairs are left"],
    )


LOOKS = {"seeds": [f"s{n}" for n in range(3, 9)], "stopping": {"looks": [3, 6]}}


def test_the_first_look_that_reaches_a_verdict_gives_it():
    found = first(lines(CLEAR), given=hypotheses(LOOKS))
    assert (found["verdict"], found["num_seeds"], found["because"]) == ("supported", 3, [])
    assert found["p"]["adjusted"] == pytest.approx(2 * found["p"]["claim"])  # the price of two looks
    assert "decided at the look at 3 of 6 seeds" in found["notes"][0]
    later = first(lines([*CLEAR, -9.0, -9.0, -9.0]), given=hypotheses(LOOKS))
    assert (later["verdict"], later["num_seeds"], later["effect"]) == ("supported", 3, found["effect"])


def test_a_later_look_is_taken_where_the_first_shows_nothing():
    found = first(lines([2.0, 1.0, 0.1, 1.5, 1.4, 1.6]), given=hypotheses(LOOKS))
    assert (found["verdict"], found["num_seeds"], len(found["pairs"])) == ("supported", 6, 6)
    assert [look["num_seeds"] for look in found["looks"]] == [3, 6]
    assert found["looks"][0]["p"] > 0.025 > found["looks"][1]["p"]


def test_a_look_waits_for_all_its_seeds():
    found = first(lines([2.0, 1.0, 0.1, 1.5, 1.4]), given=hypotheses(LOOKS))
    assert (found["verdict"], found["num_seeds"], found["looks"][1]["p"]) == ("inconclusive", 3, None)
    assert found["because"][0] == "there is no line of replace g3 for seed s8"
    assert "so far, replace g3 is 1.03" in found["in_words"]


def test_looks_without_a_declaration_change_the_claim():
    # three seeds more, after a look, are another claim: another digest, and so no longer the registered one
    three, six = hypotheses().claims[0], hypotheses({"seeds": LOOKS["seeds"]}).claims[0]
    assert three.digest != six.digest


@given(st.lists(st.sampled_from(["gone", "null", "not bred", "bred"]), min_size=12, max_size=12), st.sampled_from(["none", "not_bred"]))
@settings(deadline=None, max_examples=25)
def test_every_claim_gets_exactly_one_verdict_whatever_is_missing(states, exclusions):
    rows = []
    for row, state in zip(lines(CLEAR), states, strict=True):
        if state != "gone":
            rows.append({**row, "status": "not bred" if state == "not bred" else "bred", METRIC: None if state == "null" else row[METRIC]})
    found = first(rows, given=hypotheses({"exclusions": exclusions}))
    assert found["verdict"] in ("supported", "inconclusive")
    assert found["verdict"] == "supported" or found["because"] or found["void_because"]
    assert found["in_words"].isprintable()
