"""An audit of claims: a register and a journal as they should be, and after somebody laid hands on them."""

import json
import subprocess

import pytest
from typer.testing import CliRunner

from herdbook.audit.evidence import Evidence
from herdbook.audit.journal import Journal
from herdbook.chain import canonical_line, linked
from herdbook.files import canonical_json, read_json
from herdbook.layout import JOURNAL, JOURNAL_INDEX, PUBLICATIONS, REGISTER, VERDICT_RECORD
from herdbook.snapshot import snapshot
from tests import lab
from tests.herdbook.test_cli_claims import app
from tests.herdbook.test_judging import CLEAR
from tests.herdbook.test_past import git
from tests.miniature import commit

ID = lab.ID
ITEMS = ("entries", "history", "verdicts")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A laboratory that did all in its order: registered, committed, bred, judged, published, committed."""
    root = lab.build(tmp_path_factory.mktemp("lab"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr("herdbook.journal_figure.svg", lambda result: "<svg/>\n")
        called("register")
        commit(root, "registered")
        lab.write_lock(root, lab.STAGE, "train@accumulate-s3-g1")
        lab.judge(root, CLEAR)
        called("publish")
        commit(root, "bred and published")
    return root


@pytest.fixture
def root(built, tmp_path, monkeypatch):
    return lab.entered(built, tmp_path, monkeypatch)


def called(*words):
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, (done.output, done.exception)


def audited(root, *items, revision=None):
    """Findings of these items, and how many things each of them looked at."""
    with snapshot(root, revision) as now:
        journal = Journal(now, Evidence(now, "records", {}))
        told = {item: list(getattr(journal, item)()) for item in items or ITEMS}
    return [found for lists in told.values() for one in lists for found in one], [len(lists) for lists in told.values()]


def found(root, *items, revision=None):
    return [(finding.path, finding.what) for finding in audited(root, *items, revision=revision)[0]]


def only(root, *items, revision=None):
    """The one finding there is."""
    ((path, what),) = found(root, *items, revision=revision)
    return f"{path}: {what}"


@pytest.mark.parametrize("revision", [None, "HEAD"])
def test_a_laboratory_that_did_all_in_its_order_has_no_findings(root, revision):
    assert audited(root, revision=revision) == ([], [6, 3, 2])


def test_a_revision_is_audited_as_it_was_whatever_was_done_since(root):
    (root / PUBLICATIONS).unlink()
    lab.write_params(root, train={})
    assert found(root, revision="HEAD") == []
    assert audited(root, revision="HEAD~1")[1][1] == 3
    assert found(root, "entries", "history", revision="HEAD~1") == []


def test_a_project_without_claims_has_nothing_to_check(root):
    for path in ("hypotheses.yaml", REGISTER):
        (root / path).unlink()
    assert audited(root) == ([], [0, 0, 0])
    commit(root, "no claims")
    assert audited(root, revision="HEAD") == ([], [0, 0, 0])


def test_a_laboratory_that_claims_but_registered_nothing_is_in_order(tmp_path):
    root = lab.build(tmp_path / "new")
    lab.judge(root, CLEAR)
    assert found(root) == []


@pytest.mark.parametrize("suffix", ["md", "json", "svg"])
def test_an_entry_that_was_altered_or_removed_is_named(root, suffix):
    path = JOURNAL / f"{ID}.{suffix}"
    before = path.read_text()
    path.write_text(before + " ")
    assert only(root).startswith(f"{path}: sha256")
    path.unlink()
    assert only(root).startswith(f"{path}: not there, journal/journal.jsonl says that it was published")


def test_what_no_line_names_is_a_finding_and_notes_are_not(root):
    for name in ("notes/a.md", "notes/more/b.txt", "triumph.md"):
        (JOURNAL / name).parent.mkdir(parents=True, exist_ok=True)
        (JOURNAL / name).write_text("x")
    assert (
        only(root)
        == "journal/triumph.md: lies there, but no line of journal/journal.jsonl names it; remove it, or publish what it belongs to"
    )
    commit(root, "a triumph")
    assert only(root, revision="HEAD").startswith("journal/triumph.md")


def test_an_index_that_hides_a_registration_is_a_finding(root):
    JOURNAL_INDEX.write_text(JOURNAL_INDEX.read_text().replace(f"| 1 | [{ID}]({ID}.md)", "| 1 | nothing"))
    assert only(root).startswith("journal/README.md: is not the index")
    JOURNAL_INDEX.unlink()
    assert only(root).startswith("journal/README.md: is not the index")


def test_a_claim_that_was_dropped_without_the_index_telling_it_is_a_finding(root):
    lab.write_hypotheses(root, {"id": "another"})
    assert {path for path, _ in found(root)} == {str(JOURNAL_INDEX), str(VERDICT_RECORD)}


def rewritten(path, change):
    """Write a chain anew, whole, after a change to the objects of its lines."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    chain = []
    for line in lines:
        chain.append(linked(chain, line))
    path.write_text("".join(f"{canonical_line(one)}\n" for one in chain))


def test_a_register_whose_chain_breaks_is_named_with_its_line(root):
    lab.write_hypotheses(root, {}, {"id": "another"})
    called("register")
    REGISTER.write_text(REGISTER.read_text().replace('"results_existed":[]', '"results_existed":["x"]', 1))
    told = [what for path, what in found(root) if path == str(REGISTER)]
    assert any(what.startswith("line 2: number 2 after") for what in told)
    assert "line 1 was changed or removed by the workspace, a line once committed stays as it is" in told


def test_a_journal_whose_chain_breaks_is_named_with_its_line(root):
    PUBLICATIONS.write_text(PUBLICATIONS.read_text()[:-1])
    assert f"{PUBLICATIONS}: line 1 has no end, so something was cut off; restore it: git checkout {PUBLICATIONS}" in {
        f"{path}: {what}" for path, what in found(root)
    }


@pytest.mark.parametrize("path", [REGISTER, PUBLICATIONS])
@pytest.mark.parametrize("change", [lambda lines: lines.clear(), lambda lines: lines[0].update(note="x")])
def test_a_chain_that_was_written_anew_as_a_whole_shows_against_history(root, path, change):
    rewritten(path, change)
    assert (str(path), "line 1 was changed or removed by the workspace, a line once committed stays as it is") in found(root, "history")
    gone = commit(root, "as it always was")
    wanted = (str(path), f"line 1 was changed or removed by commit {gone[:12]}, a line once committed stays as it is")
    assert wanted in found(root, "history")
    assert wanted in found(root, "history", revision="HEAD")
    git(root, "checkout", "-q", "HEAD~1", "--", str(path))
    commit(root, "restored")
    assert wanted in found(root, "history")


def test_a_register_that_was_removed_is_a_finding(root):
    REGISTER.unlink()
    told = found(root)
    assert any(path == str(REGISTER) and what.startswith("not there, though there is hypotheses.yaml") for path, what in told)
    assert (str(REGISTER), "line 1 was changed or removed by the workspace, a line once committed stays as it is") in told


def test_lines_that_a_merge_dropped_are_named_with_the_merge(root):
    git(root, "checkout", "-q", "-b", "side")
    lab.write_hypotheses(root, {}, {"id": "another"})
    called("register")
    commit(root, "another claim")
    git(root, "checkout", "-q", "-")
    git(root, "merge", "-q", "--no-ff", "-s", "ours", "-m", "never mind", "side")
    merge = git(root, "rev-parse", "HEAD")
    assert (
        only(root, "history") == f"{REGISTER}: line 2 was changed or removed by commit {merge[:12]}, a line once committed stays as it is"
    )


def late(number, commit_):
    return (
        f"{REGISTER}: line {number} ({ID}) says that no results existed, but {commit_} has train@replace-s3-g1 in dvc.lock, "
        "and no commit before it has the line; so the claim is exploratory"
    )


@pytest.fixture
def new(tmp_path, monkeypatch):
    """A laboratory that has claimed, and neither registered nor bred."""
    root = lab.build(tmp_path / "new")
    monkeypatch.chdir(root)
    return root


def test_results_in_the_workspace_of_an_uncommitted_registration_are_a_finding(new):
    called("register")
    assert found(new, "history") == []
    lab.write_lock(new, lab.STAGE)
    assert only(new, "history") == late(1, "the workspace")
    (new / "dvc.lock").unlink()
    commit(new, "registered")
    lab.write_lock(new, lab.STAGE)
    assert found(new, "history") == []


def test_a_registration_committed_together_with_its_results_is_a_finding(new):
    called("register")
    lab.write_lock(new, lab.STAGE)
    both = commit(new, "all at once")
    assert only(new, "history") == only(new, "history", revision="HEAD") == late(1, f"commit {both[:12]}")


def test_a_registration_forged_after_its_results_is_a_finding(new):
    lab.write_lock(new, lab.STAGE)
    bred = commit(new, "bred")
    called("register")
    rewritten(REGISTER, lambda lines: lines[0].update(results_existed=[]))
    commit(new, "registered, of course before")
    assert only(new, "history") == late(1, f"commit {bred[:12]}")


def test_a_registration_that_says_that_results_existed_says_the_truth(new):
    lab.write_lock(new, lab.STAGE)
    commit(new, "bred")
    called("register")
    commit(new, "recorded")
    assert found(new, "history") == []


def test_results_on_another_branch_that_does_not_descend_from_the_registration_are_a_finding(new):
    main = git(new, "branch", "--show-current")
    git(new, "checkout", "-q", "-b", "trial")
    lab.write_lock(new, lab.STAGE)
    trial = commit(new, "a look")
    git(new, "checkout", "-q", main)
    called("register")
    rewritten(REGISTER, lambda lines: lines[0].update(results_existed=[]))
    commit(new, "registered")
    assert only(new, "history") == late(1, f"commit {trial[:12]}")


def test_results_merged_from_a_branch_after_the_registration_are_in_order(new):
    main = git(new, "branch", "--show-current")
    called("register")
    commit(new, "registered")
    git(new, "checkout", "-q", "-b", "breeding")
    lab.write_lock(new, lab.STAGE)
    commit(new, "bred")
    git(new, "checkout", "-q", main)
    git(new, "merge", "-q", "--no-ff", "-m", "merged", "breeding")
    assert found(new, "history") == []


def test_an_experiment_in_a_folder_has_a_history_of_its_own(new, monkeypatch):
    lab.write_lock(new, lab.STAGE)
    commit(new, "the project bred")
    inner = lab.build(new / "experiments/inner")
    subprocess.run(["rm", "-rf", str(inner / ".git")], check=True)
    monkeypatch.chdir(inner)
    called("register")
    commit(new, "the experiment registered")
    lab.write_lock(inner, lab.STAGE)
    commit(new, "and bred")
    lab.judge(inner, CLEAR)
    assert found(inner) == []


def test_where_history_was_cut_off_or_is_none_what_cannot_be_told_is_missing(root, tmp_path_factory):
    shallow = tmp_path_factory.mktemp("clones") / "shallow"
    git(root, "clone", "-q", "--depth", "1", root.as_uri(), str(shallow))
    (finding,) = audited(shallow)[0]
    assert (finding.path, finding.kind) == (str(REGISTER), "missing")
    assert "git fetch --unshallow" in finding.what
    subprocess.run(["rm", "-rf", str(root / ".git")], check=True)
    (finding,) = audited(root)[0]
    assert (finding.path, finding.kind) == (str(REGISTER), "missing")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda one: one["claims"][0].update(exploratory=True, exploratory_because=["x"]),
            "says exploratory, by the register it is registered",
        ),
        (lambda one: one["claims"][0].update(exploratory_because=["x"]), "says registered, by the register it is registered"),
        (lambda one: one["claims"][0].update(digest="0"), f"the verdict on {ID} is on another claim"),
        (lambda one: one.update(claims=[]), f"has no verdict on {ID}"),
        (
            lambda one: one["family"].update(num_ever_registered=0),
            "is adjusted for 0 claims that were ever registered, journal/register.jsonl has 1",
        ),
        (lambda one: one["claims"][0].update(verdict="refuted"), f"the verdict on {ID} is refuted, reports/generations.csv gives"),
        (lambda one: one["claims"][0]["pairs"][0].update(treatment=0.5), "or other figures"),
        (lambda one: one.pop("claims"), "not of the form that such a file has"),
    ],
)
def test_a_verdict_that_is_not_as_claim_and_register_have_it_is_a_finding(root, change, words):
    judged = read_json(VERDICT_RECORD)
    change(judged)
    VERDICT_RECORD.write_text(canonical_json(judged))
    assert words in only(root)
    commit(root, "judged otherwise")
    assert words in only(root, revision="HEAD")


def test_parameters_policies_and_analysis_that_were_changed_since_are_found_in_the_verdicts(root):
    policy = root / "expectations/human_rows.yaml"
    policy.write_text(policy.read_text() + "\n")
    assert "by the register it is exploratory (the policies were changed after its registration 1)" in only(root)
    commit(root, "milder policies")
    assert "by the register it is exploratory" in only(root, revision="HEAD")
