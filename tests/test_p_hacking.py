"""Whoever has looked at results tries to end with `supported`, by the real commands in a real repository: register, compare, report,
publish. bench/labs.py measures how often hacks would succeed; here each is shown to end with no such verdict, or with a mark on it."""

import copy
import html
import json
import shutil
from functools import partial

import pytest
import yaml

from herdbook.audit.evidence import Evidence
from herdbook.audit.journal import Journal
from herdbook.cli import app
from herdbook.errors import ClaimError
from herdbook.files import read_json, strict_yaml, write_table
from herdbook.layout import (
    BOOK_ROOT,
    FOUNDER,
    HUMAN_PROFILE,
    HUMAN_RECEIPT,
    HUMAN_TRAIN,
    JOURNAL,
    JOURNAL_INDEX,
    LOCK,
    PARAMS,
    REGISTER,
    REPORT,
    VERDICT_RECORD,
    Place,
)
from herdbook.results_before import training
from herdbook.snapshot import snapshot
from stages import compare, report
from tests import lab
from tests import records as made
from tests.herdbook.test_claims import PLAIN
from tests.herdbook.test_past import git
from tests.miniature import commit, write_params
from tests.rows import rows_of

ID = lab.ID
REGIMES = ("replace", "accumulate", "anchored")
SEEDS = ["s3", "s4", "s5"]
ALMOST = [0.27, 0.35, 0.43, 0.42, 0.5, 0.4, 0.48]  # nats by seed; the first three are above the bound of .2 with p .08
RARE = {"metric": "offspring_tail_coverage", "direction": "less", "equivalence": [-0.01, 0.01], "smallest_effect": 0.05}
LOOSE = {"equivalence": [-0.01, 0.01]}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A laboratory of three regimes, in which nothing is bred yet."""
    root = lab.build(tmp_path_factory.mktemp("lab"))
    regimes = strict_yaml((root / PARAMS).read_text())["regimes"]
    lab.write_params(root, regimes={name: regimes[name] for name in REGIMES})
    made.write_calibrations(root)
    made.write(root / HUMAN_PROFILE, {**made.profile(0.5), **dict.fromkeys(made.NLL)})
    made.write(root / HUMAN_RECEIPT, made.receipt("human"))
    made.write(root / "records/human/split.json", {})
    write_table(root / HUMAN_TRAIN, rows_of("d", 1, text="one two three"))
    made.write(root / BOOK_ROOT, made.BOOK)
    commit(root, "three regimes")
    return root


@pytest.fixture
def fresh(built, tmp_path, monkeypatch):
    """Such a laboratory as the working directory."""
    return entered(built, tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def looked_at(built, tmp_path_factory):
    """It has registered the plain claim, bred, and seen that it is not supported."""
    with pytest.MonkeyPatch.context() as patch:
        root = entered(built, tmp_path_factory.mktemp("looked"), patch)
        registered_and_bred(root)
    return root


@pytest.fixture
def root(looked_at, tmp_path, monkeypatch):
    """Such a laboratory as the working directory."""
    return entered(looked_at, tmp_path, monkeypatch)


def entered(made_before, copy, patch):
    patch.setattr("vl_convert.javascript_bundle", lambda *words, **options: "")  # no test here looks at a chart
    return lab.entered(made_before, copy, patch)


said = partial(lab.said, app)


def breed(root, differences=ALMOST, not_bred=()):
    """Records and lock of every generation that params.yaml names, committed: replace g3 lies above accumulate g3 by these nats.

    Other figures and contrasts are clear: who looks for an effect finds one."""
    params = strict_yaml((root / PARAMS).read_text())
    for number, seed in enumerate(params["seeds"]):
        founder, wobble = Place(FOUNDER, seed, "g0"), number / 100
        made.write(founder.loss, made.loss(4.0))
        made.write(founder.examples, {"top_k_50": made.EXAMPLES})
        nats = {
            "replace": (4.0, 6.0 + wobble, 7.0 + 3 * wobble, 5.0 + differences[number]),
            "accumulate": (4.0, 4.5, 4.8, 5.0),
            "anchored": (4.0, 3.9, 3.8, 3.0 + wobble),
        }
        for regime in params["regimes"]:
            for generation, value in enumerate(nats.get(regime.removesuffix("_again"), nats["replace"])):
                folder = root / f"records/{regime}/{seed}/g{generation}"
                made.write_rows(root, Place(regime, seed, f"g{generation}"), "one two")
                if (regime, seed, generation) in not_bred:
                    made.write_not_bred(folder)
                else:
                    made.write_bred(folder, value, (0.4 if regime.startswith("accumulate") else 0.2 + wobble) / (generation + 1))
    made.write_book(root)
    bred = [Place(regime, seed, g) for regime in params["regimes"] for seed in params["seeds"] for g in ("g0", *params["bred"])]
    lab.write_lock(root, *dict.fromkeys(training(place) for place in bred))
    commit(root, "bred")


def registered_and_bred(root, *claims, **herd):
    """What an honest laboratory does, up to the look at its verdicts; those."""
    lab.write_hypotheses(root, *claims)
    said("register")
    commit(root, "registered")
    breed(root, **herd)
    compare.main([])
    return verdicts()


def verdicts():
    return {result["id"]: result for result in read_json(VERDICT_RECORD)["claims"]}


def ended(root, name=ID):
    """The verdict on a claim as everything that is shown to people tells it, and whether all of them mark it as exploratory.

    Judges, reports and publishes anew; fails where they do not agree."""
    compare.main([])
    report.main([])
    printed = next(line for line in said("publish").splitlines() if line.startswith(f"{JOURNAL}/{name}.md"))
    result = verdicts()[name]
    page, entry = (JOURNAL / f"{name}.md").read_text(), read_json(JOURNAL / f"{name}.json")
    (listed,) = [one for one in json.loads(said("claims", "--json")) if one["id"] == name]
    shown = " ".join(said("claims").split())
    seen = " ".join(html.unescape(REPORT.read_text()).split())
    index = JOURNAL_INDEX.read_text()
    assert {result["verdict"], entry["verdict"], listed["verdict"]} == {result["verdict"]}
    assert f"**Verdict: {result['verdict']}.**" in page
    assert f"{result['in_words']}." in seen
    assert result["in_words"] == listed["in_words"]
    assert f"published: {result['verdict']}" in index
    marks = {
        "verdicts.json": result["exploratory"],
        "its words": result["in_words"].startswith(f"{result['verdict']}, exploratory"),
        "its reasons": bool(result["exploratory_because"]),
        "the report": all(f"Exploratory: {because}." in seen for because in result["exploratory_because"] or ["no reason"]),
        "the page": "**EXPLORATORY**, not confirmatory" in page,
        "its title": page.split("\n")[0].endswith("(exploratory)"),
        "the entry": entry["exploratory"],
        "the index": f"published: {result['verdict']}, EXPLORATORY" in index,
        "publish": f"{result['verdict']}, EXPLORATORY" in printed,
        "claims": not listed["registered"],
        "the table of claims": "EXPLORATORY:" in shown,
    }
    assert len(set(marks.values())) == 1, marks
    return result["verdict"], result["exploratory"]


def marked(result):
    """The verdict of a result that is marked."""
    assert result["exploratory"]
    assert result["exploratory_because"]
    return result["verdict"]


def audited(root):
    with snapshot(root, None) as now:
        journal = Journal(now, Evidence(now, "records", {}))
        return [finding.what for item in ("entries", "history", "verdicts") for found in getattr(journal, item)() for finding in found]


def test_a_laboratory_that_changes_nothing_ends_without_support_and_without_a_mark(root):
    assert verdicts()[ID]["verdict"] == "inconclusive"
    assert ended(root) == ("inconclusive", False)
    assert audited(root) == []


def test_support_without_a_mark_is_for_who_registered_before(fresh):
    registered_and_bred(fresh, RARE)
    assert ended(fresh) == ("supported", False)


CHANGES = {
    "another metric": RARE,
    "another treatment": {"contrast": {"treatment": "anchored g3", "control": "accumulate g3"}, "direction": "less"},
    "another control": {"contrast": {"treatment": "replace g3", "control": "anchored g3"}},
    "an earlier generation": {"contrast": {"treatment": "replace g2", "control": "accumulate g2"}},
    "a regime against itself": {"contrast": {"treatment": "replace g2", "control": "replace g1"}},
    "looser bounds": LOOSE,
    "looks declared after looking": {**LOOSE, "stopping": {"looks": [2, 3]}},
    "exclusions": {**LOOSE, "exclusions": "not_bred"},
    "another sentence": {**LOOSE, "sentence": "What we meant from the beginning."},
    "another id": {**LOOSE, "id": "another"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_claim_that_is_changed_after_looking_is_supported_with_a_mark_only(root, change):
    name = change.get("id", ID)
    lab.write_hypotheses(root, change)
    compare.main([])
    assert marked(verdicts()[name]) == "supported"
    assert "EXPLORATORY" in said("register")
    assert ended(root, name) == ("supported", True)


def test_a_claim_that_is_registered_again_as_it_was_gains_nothing(root):
    with pytest.raises(ClaimError, match="registered already"):
        said("register", ID)
    lab.write_hypotheses(root, {"sentence": "Something else."})
    said("register")
    lab.write_hypotheses(root)
    assert "EXPLORATORY" in said("register")
    assert ended(root) == ("inconclusive", True)


def grow(root, *seeds):
    """More seeds in params.yaml, bred."""
    params = strict_yaml((root / PARAMS).read_text())
    write_params(root, {**params, "seeds": [*params["seeds"], *seeds]})
    breed(root)


@pytest.mark.parametrize("seeds", [[*SEEDS, "s6", "s7"], ["s4", "s5", "s7"]], ids=["one-more-until-it-works", "those-that-work-best"])
def test_seeds_that_are_added_or_chosen_after_looking_are_marked(root, seeds):
    grow(root, "s6", "s7")
    assert ended(root) == ("inconclusive", False)
    lab.write_hypotheses(root, {"seeds": seeds})
    assert "EXPLORATORY" in said("register")
    assert ended(root) == ("supported", True)


def test_a_seed_that_is_hidden_leaves_its_claim_undecided(root):
    params = strict_yaml((root / PARAMS).read_text())
    write_params(root, {**params, "seeds": ["s4", "s5"]})
    said("prune")
    assert ended(root) == ("inconclusive", False)


def test_a_claim_on_new_seeds_alone_is_another_one_that_its_family_pays_for(root):
    params = strict_yaml((root / PARAMS).read_text())
    write_params(root, {**params, "seeds": [*SEEDS, "s6", "s7", "s8"]})
    lab.write_hypotheses(root, {"seeds": ["s6", "s7", "s8"]})
    assert "EXPLORATORY" not in said("register")
    commit(root, "registered with new seeds")
    breed(root, [*ALMOST[:3], 0.33, 0.42, 0.44])
    assert ended(root) == ("inconclusive", False)
    assert read_json(VERDICT_RECORD)["family"]["size"] == 2
    assert verdicts()[ID]["p"]["claim"] <= 0.05 < verdicts()[ID]["p"]["adjusted"]


def test_a_register_that_is_deleted_is_not_begun_anew_while_a_commit_has_it(root):
    (root / REGISTER).write_text("")
    commit(root, "we begin")
    with pytest.raises(ClaimError, match=r"journal/register\.jsonl: line 1 is not what commit"):
        said("register")


@pytest.mark.parametrize("forget", ["its-commits", "all-of-git"])
def test_a_register_that_is_begun_anew_knows_what_was_bred(root, forget):
    if forget == "its-commits":
        git(root, "reset", "-q", "--soft", git(root, "rev-list", "--max-parents=0", "HEAD"))
    if forget == "all-of-git":
        shutil.rmtree(root / ".git")
        git(root, "init", "-q")
    (root / REGISTER).write_text("")
    lab.write_hypotheses(root, LOOSE)
    commit(root, "we begin")
    assert "EXPLORATORY" in said("register")
    assert ended(root) == ("supported", True)


def test_neither_the_workspace_nor_the_branch_need_hold_results_for_them_to_be_known(root):
    git(root, "reset", "-q", "--hard", git(root, "rev-list", "--max-parents=0", "HEAD"))
    lab.write_hypotheses(root, LOOSE)
    assert not (root / LOCK).exists()
    assert "EXPLORATORY, because results exist: dvc.lock of commit" in said("register")


MANY = [{**LOOSE, "id": f"try-{number}", "sentence": f"Try number {number}."} for number in range(5)]


def test_the_best_of_many_registered_claims_pays_for_all_of_them(fresh):
    registered_and_bred(fresh, *MANY)
    lab.write_hypotheses(fresh, MANY[0])
    assert said("register").startswith("nothing to register")
    assert ended(fresh, "try-0") == ("inconclusive", False)
    assert verdicts()["try-0"]["p"]["claim"] <= 0.05 < verdicts()["try-0"]["p"]["adjusted"]
    lab.write_hypotheses(fresh, {**MANY[0], "id": "the-only-one"})
    assert "EXPLORATORY" in said("register")
    assert ended(fresh, "the-only-one") == ("supported", True)


def test_lines_that_are_cut_from_the_register_are_named_by_the_audit_and_nothing_is_published_on_it(fresh):
    registered_and_bred(fresh, *MANY)
    (fresh / REGISTER).write_text((fresh / REGISTER).read_text().split("\n")[0] + "\n")
    lab.write_hypotheses(fresh, MANY[0])
    compare.main([])
    assert "line 2 was changed or removed by the workspace, a line once committed stays as it is" in audited(fresh)
    for command in ("register", "publish"):
        with pytest.raises(
            ClaimError, match=r"journal/register.jsonl: line 2 is not what commit \w{12} has.*git checkout \w{12} -- journal"
        ):
            said(command)


def test_exclusions_that_are_changed_after_looking_are_marked(fresh):
    params, seeds = strict_yaml((fresh / PARAMS).read_text()), [*SEEDS, "s6"]
    write_params(fresh, {**params, "seeds": seeds})
    claim = {**LOOSE, "seeds": seeds}
    assert registered_and_bred(fresh, claim, not_bred=[("replace", "s6", 3)])[ID]["verdict"] == "inconclusive"
    assert ended(fresh) == ("inconclusive", False)
    lab.write_hypotheses(fresh, {**claim, "exclusions": "not_bred"})
    assert "EXPLORATORY" in said("register")
    assert ended(fresh) == ("supported", True)


def drop_regime(root):
    params = strict_yaml((root / PARAMS).read_text())
    write_params(root, {**params, "regimes": {name: params["regimes"][name] for name in ("replace", "accumulate")}})
    said("prune")


def loosen_policy(root):
    path = root / "expectations/training_rows.yaml"
    path.write_text(path.read_text() + "\n")


def change_analysis(root):
    path = root / "herdbook/judgement.py"
    path.write_text(path.read_text() + "\n")


@pytest.mark.parametrize("change", [drop_regime, loosen_policy, change_analysis])
def test_other_regimes_policies_or_analyses_than_were_registered_are_marked(fresh, change):
    assert registered_and_bred(fresh, RARE)[ID]["verdict"] == "supported"
    change(fresh)
    assert ended(fresh) == ("supported", True)
    assert "EXPLORATORY" in said("register")
    assert ended(fresh) == ("supported", True)


def test_a_level_that_is_raised_after_looking_is_marked(root):
    document = copy.deepcopy(PLAIN)
    document["alpha"] = 0.1
    (root / "hypotheses.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    assert "EXPLORATORY" in said("register")
    assert ended(root) == ("supported", True)


def test_a_regime_under_another_name_is_known_by_the_side_that_it_is_compared_with(root):
    params = strict_yaml((root / PARAMS).read_text())
    write_params(root, {**params, "regimes": {name.replace("replace", "substitute"): it for name, it in params["regimes"].items()}})
    said("prune")
    document = yaml.safe_load(yaml.safe_dump(PLAIN).replace("replace g", "substitute g"))
    document["claims"][0] |= LOOSE
    (root / "hypotheses.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    assert "EXPLORATORY" in said("register")
    commit(root, "registered under another name")
    breed(root)
    assert ended(root) == ("supported", True)


def rename_both(root, keeps_old, **seeds):
    """Copies of both regimes under other names, beside the old ones or in place of them, and a claim on the copies."""
    params = strict_yaml((root / PARAMS).read_text())
    copies = {f"{name}_again": params["regimes"][name] for name in ("replace", "accumulate")}
    write_params(root, {**params, "regimes": {**(params["regimes"] if keeps_old else {}), **copies}})
    said("prune")
    document = yaml.safe_load(yaml.safe_dump(PLAIN).replace("replace g", "replace_again g").replace("accumulate g", "accumulate_again g"))
    document["claims"][0] |= {**LOOSE, **seeds}
    (root / "hypotheses.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


@pytest.mark.parametrize("forget", ["nothing", "the-old-regimes", "the-lock", "all-of-git"])
def test_both_regimes_under_other_names_are_known_by_their_definition(root, forget):
    if forget == "the-lock":
        (root / LOCK).unlink()
    if forget == "all-of-git":
        shutil.rmtree(root / ".git")
        git(root, "init", "-q")
        (root / REGISTER).write_text("")
    rename_both(root, keeps_old=forget != "the-old-regimes")
    commit(root, "other names")
    assert "_again is)" in said("register")
    commit(root, "registered under other names")
    breed(root)
    assert ended(root) == ("supported", True)


def test_a_line_that_denies_results_under_other_names_is_named_by_the_audit(root, monkeypatch):
    rename_both(root, keeps_old=True)
    monkeypatch.setattr("herdbook.results_before.evidence", lambda root, claim: [])
    said("register")
    commit(root, "registered by a hand that looked nowhere")
    breed(root)
    compare.main([])
    (what,) = [what for what in audited(root) if "no results existed" in what]
    assert "line 2" in what
    assert "of a regime defined as" in what


def test_new_seeds_are_new_results_of_regimes_under_any_name(root):
    params = strict_yaml((root / PARAMS).read_text())
    write_params(root, {**params, "seeds": [*SEEDS, "s6", "s7", "s8"]})
    rename_both(root, keeps_old=True, seeds=["s6", "s7", "s8"])
    assert "EXPLORATORY" not in said("register")
