import json
from functools import partial

import pytest
import typer

from herdbook import cli_claims
from herdbook.errors import ClaimError
from herdbook.layout import JOURNAL, JOURNAL_INDEX, VERDICT_RECORD
from herdbook.registration import read_register
from tests import lab
from tests.herdbook.test_judging import CLEAR
from tests.miniature import commit

ID = lab.ID
app = typer.Typer()
cli_claims.add_to(app)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return lab.build(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def root(built, tmp_path, monkeypatch):
    return lab.entered(built, tmp_path, monkeypatch)


said = partial(lab.said, app)


def told():
    return json.loads(said("claims", "--json"))


def test_register_appends_the_claim_says_under_which_number_and_writes_the_index(root):
    printed = said("register")
    assert printed == f"{ID}: registered as number 1, digest {lab.claim_of(root).digest[:12]}\ncommit journal before you breed\n"
    (one,) = read_register()
    assert (one.claim_digest, one.results_existed) == (lab.claim_of(root).digest, ())
    assert f"| 1 | {ID} | Replaced sets lose more than accumulated ones. | registered, not yet published |" in JOURNAL_INDEX.read_text()


def test_register_records_a_claim_whose_results_exist_and_says_what_that_means(root):
    lab.write_lock(root, lab.STAGE)
    assert f"{ID}: recorded as number 1, EXPLORATORY, because results exist: dvc.lock records train@replace-s3-g1" in said("register", ID)
    assert read_register()[0].results_existed == ("dvc.lock records train@replace-s3-g1",)
    assert told()[0]["exploratory_because"] == ["results existed when it was registered: dvc.lock records train@replace-s3-g1"]


@pytest.mark.parametrize("command", ["register", "claims", "publish"])
def test_outside_a_project_each_command_says_where_to_run_it(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ClaimError, match=r"hypotheses\.yaml: not in .*; run this in the folder of a project"):
        said(command)


def test_register_takes_all_that_is_not_registered_as_it_stands(root):
    said("register")
    assert said("register") == "nothing to register: each claim is registered as it stands\n"
    lab.write_hypotheses(root, {}, {"id": "another"}, {"id": "a-third"})
    assert said("register", "a-third").startswith("a-third: registered as number 2")
    lab.write_params(
        root, train={"epochs": 4, "batch_rows": 16, "learning_rate": 0.004, "warmup_share": 0.1, "weight_decay": 0.1, "device": "auto"}
    )
    assert [line.split(",")[0] for line in said("register").splitlines()[:3]] == [
        f"{name}: registered as number {number}" for number, name in enumerate([ID, "another", "a-third"], 3)
    ]
    assert [one.number for one in read_register()] == [1, 2, 3, 4, 5]


def test_register_refuses_what_is_registered_already_and_writes_nothing(root):
    said("register")
    lab.write_hypotheses(root, {}, {"id": "another"})
    before = (root / "journal/register.jsonl").read_bytes()
    with pytest.raises(ClaimError, match="registered already"):
        said("register", "another", ID)
    assert (root / "journal/register.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"contrast": {"treatment": "replaced g3", "control": "accumulate g3"}}, "replaced is none of regimes in params.yaml"),
        (
            {"contrast": {"treatment": "replace g4", "control": "accumulate g3"}},
            r"g4 is none of generations in params.yaml \(g0, g1, g2, g3\)",
        ),
        ({"seeds": ["s3", "s9"]}, r"s9 is none of seeds in params.yaml \(s3, s4, s5\); add it there"),
    ],
)
def test_register_refuses_a_claim_on_what_is_not_bred(root, changes, words):
    lab.write_hypotheses(root, {"id": "fine"}, changes)
    with pytest.raises(ClaimError, match=rf"^{ID}: {words}"):
        said("register")
    assert read_register() == []


def test_register_refuses_a_claim_whose_control_is_not_bred(root):
    path = root / "hypotheses.yaml"
    path.write_text(path.read_text().replace("replace g3\n    control: replace g0", "replace g3\n    control: gone g0"))
    with pytest.raises(ClaimError, match=f"^{ID}: control replace-degrades: gone is none of regimes"):
        said("register")


@pytest.mark.parametrize(
    "change",
    [
        {"metric": "offspring_distinct_2"},
        {"direction": "less"},
        {"equivalence": [-0.1, 0.1]},
        {"seeds": ["s3", "s4"]},
        {"stopping": {"looks": [2, 3]}},
        {"exclusions": "not_bred"},
        {"contrast": {"treatment": "replace g2", "control": "accumulate g2"}},
        {"contrast": {"treatment": "replace g3", "control": "anchored g3"}},
        {"id": "another"},
    ],
)
def test_whatever_is_changed_after_the_results_is_marked_and_registering_it_anew_does_not_help(root, change):
    said("register")
    commit(root, "registered")
    lab.write_lock(root, *(f"train@{regime}-{seed}-g1" for regime in ("replace", "accumulate") for seed in ("s3", "s4", "s5")))
    commit(root, "bred")
    assert told()[0]["registered"]
    lab.write_hypotheses(root, change)
    assert not told()[0]["registered"]
    assert "EXPLORATORY" in said("register")
    assert not told()[0]["registered"]
    lab.write_hypotheses(root)
    assert told()[0]["registered"] == (change == {"id": "another"})  # its own registration is still the last of its id


@pytest.mark.parametrize("command", ["register", "publish"])
def test_a_name_that_is_no_claim_is_refused(root, command):
    lab.judge(root, CLEAR)
    with pytest.raises(ClaimError, match=rf"^nothing: no claim of hypotheses.yaml; there are {ID}"):
        said(command, "nothing")


def test_claims_are_shown_with_standing_and_verdict(root):
    assert told() == [
        {
            "id": ID, "sentence": "Replaced sets lose more than accumulated ones.", "registered": False, "registration": None,
            "exploratory_because": ["it was never registered"], "verdict": None, "in_words": "not judged yet: herdbook run",
        }
    ]  # fmt: skip
    assert "EXPLORATORY: it was never registered" in said("claims")
    said("register")
    lab.judge(root, CLEAR)
    assert (told()[0]["registered"], told()[0]["verdict"]) == (True, "supported")
    shown = said("claims")
    assert "registered as number 1" in shown
    assert "supported: replace g3 is 2" in shown


def test_an_id_stands_on_one_line_however_narrow_the_terminal(root, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert ID in said("claims").splitlines()


@pytest.mark.parametrize("columns", [30, 60, 80, 90, 200])
def test_no_word_of_a_verdict_is_lost_whatever_the_width_of_the_terminal(root, monkeypatch, columns):
    lab.judge(root, CLEAR)
    monkeypatch.setenv("COLUMNS", str(columns))
    claim, shown = told()[0], "".join(said("claims").split())
    for words in (claim["sentence"], claim["in_words"], *claim["exploratory_because"]):
        assert "".join(words.split()) in shown


def test_a_verdict_on_an_earlier_form_of_a_claim_is_not_shown_as_its_own(root):
    lab.judge(root, CLEAR)
    lab.write_hypotheses(root, {"smallest_effect": 0.6})
    assert told()[0]["verdict"] is None


def test_publish_says_what_it_wrote(root):
    said("register")
    lab.judge(root, CLEAR)
    assert said("publish") == f"journal/{ID}.md: supported, published as number 1\n"
    assert said("publish", ID) == f"journal/{ID}.md: supported, as published before\n"
    assert "published: supported |" in JOURNAL_INDEX.read_text()
    assert (JOURNAL / f"{ID}.json").is_file()


def test_publish_marks_what_is_exploratory(root):
    lab.judge(root, CLEAR)
    assert said("publish") == f"journal/{ID}.md: supported, EXPLORATORY, published as number 1\n"


def test_publish_without_verdicts_says_what_to_run(root):
    with pytest.raises(Exception, match=rf"{VERDICT_RECORD}: not found; run the stage that writes it"):
        said("publish")


def test_what_register_and_publish_wrote_is_told_as_json_too(root):
    (registered,) = json.loads(said("register", "--json"))
    assert (registered["id"], registered["number"]) == (ID, 1)
    assert json.loads(said("register", "--json")) == []
    lab.judge(root, CLEAR)
    (published,) = json.loads(said("publish", "--json"))
    assert (published["id"], published["verdict"], published["is_new"]) == (ID, "supported", True)


@pytest.mark.parametrize("command", ["register", "claims", "publish"])
def test_each_help_has_an_example(command):
    assert f"Example: herdbook {command}" in said(command, "--help")
