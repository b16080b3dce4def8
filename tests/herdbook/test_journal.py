import copy
import json

import pytest

from herdbook.errors import ClaimError
from herdbook.files import canonical_json, digest_bytes, read_json
from herdbook.journal import index, parse_publications, publish, read_publications
from herdbook.journal_entry import Notes, metadata, parse_notes, replays, title
from herdbook.journal_figure import spec, svg
from herdbook.journal_page import page, text
from herdbook.layout import HYPOTHESES, JOURNAL, JOURNAL_INDEX, PUBLICATIONS, VERDICT_RECORD
from herdbook.registration import conditions, read_register, register, write_register
from tests import lab
from tests.herdbook.test_judging import CLEAR, first, hypotheses, lines
from tests.terminal import Kept

ID = lab.ID
VERDICTS = {"supported": CLEAR, "refuted": [-1.9, -2.0, -2.1], "equivalent": [0.01, -0.02, 0.01], "inconclusive": [0.1, -0.6, 0.3]}
PARTS = ("Use case", "Proposed solution", "Outcome", "Why", "Controls and calibration", "Limits", "Deviations", "Again")
HOSTILE = "<script>alert(1)</script> & [here](javascript:x) *b* `c` | _d_ $e$ ~~f~~"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return lab.build(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def root(built, tmp_path, monkeypatch):
    """A laboratory that is the working directory, without a figure being drawn where a test does not ask for one."""
    return lab.entered(built, tmp_path, monkeypatch, lambda result: "<svg/>\n" if result["pairs"] else None)


def enter(root, *evidence, number=0):
    """Register a claim of the laboratory."""
    before = read_register(root / "journal/register.jsonl")
    write_register([*before, register(lab.claim_of(root, number), conditions(root), evidence, before)], root / "journal/register.jsonl")


def published(root, differences=CLEAR, **others):
    """The page, the entry and whether it is new, of the plain claim where these are its differences."""
    lab.judge(root, differences, **others)
    (found,) = publish([ID])
    return (JOURNAL / f"{ID}.md").read_text(), read_json(JOURNAL / f"{ID}.json"), found


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_is_published_with_the_same_parts(root, verdict):
    enter(root)
    shown, entry, found = published(root, VERDICTS[verdict])
    assert (entry["verdict"], found.publication.verdict, found.is_new) == (verdict, verdict, True)
    assert [line.removeprefix("## ") for line in shown.splitlines() if line.startswith("## ")] == list(PARTS)
    assert f"**Verdict: {verdict}.**" in shown
    assert text(entry["result"]["in_words"]) in shown
    assert shown.splitlines()[2] == "**Registered** before its results, as number 1 of [register.jsonl](register.jsonl)."


def test_the_pages_to_be_published_are_counted_beforehand(root):
    enter(root)
    kept = Kept()
    lab.judge(root, CLEAR)
    publish([], kept)
    assert kept.phases[0] == ("judging anew", None)
    assert kept.totals["pages"] == len(read_json(VERDICT_RECORD)["claims"])
    assert kept.unlike == []


def test_a_claim_that_was_not_registered_says_so_first_and_in_its_title(root):
    shown, entry, found = published(root)
    assert shown.splitlines()[0].endswith("(exploratory)")
    assert shown.splitlines()[2] == "**EXPLORATORY**, not confirmatory: it was never registered."
    assert (entry["registration"], found.publication.exploratory) == (None, True)
    assert entry["metadata"]["title"].endswith("(exploratory)")


@pytest.mark.parametrize(
    ("verdict", "prefix"),
    [("supported", "[Re] R"), ("refuted", "[¬Re] R"), ("equivalent", "[¬Re] R"), ("inconclusive", "[Re, inconclusive] R")],
)
def test_titles_of_replications_are_rescience_s(verdict, prefix):
    assert title(first(lines(VERDICTS[verdict]))).startswith(prefix)


def test_what_replicates_nothing_has_its_sentence_as_title_and_no_source_of_a_replication():
    given = hypotheses({"source": None})
    result = first(lines(CLEAR), given=given)
    assert title(result) == "Replaced sets lose more than accumulated ones"
    assert "replication" not in metadata(result)


def test_metadata_of_a_replication_cite_it():
    found = metadata(first(lines(CLEAR)))
    assert found["type"] == "Replication"
    assert found["replication"] == [
        {"cite": "Gerstgrasser et al. 2024, arXiv 2404.01413, table 2", "url": "https://arxiv.org/abs/2404.01413"}
    ]


def test_replays_are_of_the_last_model_of_each_side_and_seed_founders_once():
    document = first(lines(CLEAR))["document"]
    assert replays(document)[0::3] == ["herdbook replay replace/s3/g3/model", "herdbook replay accumulate/s3/g3/model"]
    founders = {**document, "contrast": {"treatment": "replace g0", "control": "accumulate g0"}, "seeds": ["s3", "s4"]}
    assert replays(founders) == ["herdbook replay founder/s3/g0/model", "herdbook replay founder/s4/g0/model"]


def test_the_page_tells_pairs_estimates_controls_limits_and_how_to_do_it_again(root):
    enter(root)
    shown, entry, _ = published(root)
    assert "| s3 | 6.9 | 5 | 1.9 |" in shown
    assert "- mean difference 2, 95 % interval [1.752, 2.248], 90 % interval" in shown
    assert all(f"- {control['id']}" in shown for control in entry["controls"])
    assert "- calibrations that failed: none" in shown
    assert "of 3 seeds" in shown
    assert "no two-sided p below 0.25" in shown
    assert "herdbook replay accumulate/s5/g3/model\ndvc repro compare" in shown
    assert "ab" * 32 in shown
    assert "Not yet investigated" in shown
    assert "None declared." in shown
    assert f"![The differences by seed, their mean with its interval, and the bounds]({ID}.svg)" in shown


def test_a_void_verdict_and_one_on_nothing_are_published_too(root):
    enter(root)
    shown, entry, _ = published(root, CLEAR[:1])
    assert entry["verdict"] == "inconclusive"
    assert "- so this verdict is void: control" in shown
    (JOURNAL / f"{ID}.svg").unlink()
    shown, entry, found = published(root, [])
    assert "No seed has both figures" in shown
    assert found.publication.svg_sha256 is None
    assert not (JOURNAL / f"{ID}.svg").exists()
    assert "svg" not in shown


def test_notes_are_quoted_deviations_apart_and_no_html_of_theirs_stands(root):
    enter(root)
    notes = root / f"journal/notes/{ID}.md"
    notes.parent.mkdir()
    notes.write_text("# Why\nIt is <b>so</b>.\n\n## Deviations ##\nOne seed was bred twice.\n\n# More\nAnd \u202e*that*.\n")
    shown, entry, _ = published(root)
    assert entry["why"] == "# Why\nIt is <b>so</b>.\n\n# More\nAnd \\u202e*that*."
    assert entry["deviations"] == "One seed was bred twice."
    assert "> # Why\n> It is &lt;b&gt;so&lt;/b&gt;.\n>\n> # More" in shown
    assert "## Deviations\n\n> One seed was bred twice.\n" in shown


def test_notes_without_sections_are_the_why():
    assert parse_notes("Nobody knows.\n") == Notes("Nobody knows.", "")
    assert parse_notes("") == Notes("", "")


def test_text_of_a_claim_is_only_text(root):
    lab.write_hypotheses(root, {"sentence": HOSTILE, "use_case": f"1. {HOSTILE}", "proposed": f"# {HOSTILE}"})
    enter(root)
    shown, _, _ = published(root)
    assert "<script>" not in shown
    assert "](javascript" not in shown.replace("\\](", "")
    assert "1\\. &lt;script" in shown
    assert "\n\\# &lt;script" in shown
    listed = JOURNAL_INDEX.read_text()
    assert "<script>" not in listed
    assert "\\| \\_d\\_" in listed


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("held_out_loss_nats", "held_out_loss_nats"), ("_a_ b_", "\\_a\\_ b\\_"), ("- a", "\\- a"), ("12) a-b", "12\\) a-b"),
        ("3.5 a", "3\\.5 a"), (" # a", "\\# a"),
        ("a & <b>", "a &amp; &lt;b&gt;"), ("a\\b", "a\\\\b"), ("a\nb\x1b[0m", "a\\\\nb\\\\x1b\\[0m"), ("", ""), (7, "7"),
    ],
)  # fmt: skip
def test_marks_of_markdown_are_shown_as_what_they_are(raw, shown):
    assert text(raw) == shown


def test_what_is_published_again_is_the_same_to_the_byte_and_adds_no_line(root):
    enter(root)
    published(root)
    before = {path: path.read_bytes() for path in JOURNAL.rglob("*") if path.is_file()}
    (found,) = publish([])
    assert not found.is_new
    assert {path: path.read_bytes() for path in JOURNAL.rglob("*") if path.is_file()} == before


def test_what_was_altered_is_written_anew_without_a_line(root):
    enter(root)
    shown, _, _ = published(root)
    (JOURNAL / f"{ID}.md").write_text("# [Re] All is well\n")
    assert [done.is_new for done in publish()] == [False]
    assert (JOURNAL / f"{ID}.md").read_text() == shown


def test_a_line_names_its_registration_its_root_and_the_digests_of_its_files(root):
    enter(root)
    published(root)
    published(root, VERDICTS["inconclusive"])
    first_one, second = read_publications()
    assert (second.number, second.registration, second.root, second.verdict) == (2, 1, "ab" * 32, "inconclusive")
    assert second.files == {
        JOURNAL / f"{ID}.{suffix}": digest_bytes((JOURNAL / f"{ID}.{suffix}").read_bytes()) for suffix in ("md", "json", "svg")
    }
    assert second.previous == digest_bytes(PUBLICATIONS.read_bytes().split(b"\n")[0])
    assert first_one.verdict == "supported"


def fates(root):
    return [
        line for line in JOURNAL_INDEX.read_text().splitlines() if line.startswith("| ") and not line.startswith(("| number", "| claim"))
    ]


def test_the_index_tells_how_often_an_entry_was_revised_and_what_it_said_before(root):
    enter(root)
    for differences in (CLEAR, VERDICTS["inconclusive"], VERDICTS["refuted"]):
        published(root, differences)
    assert "published: refuted (revised 2 times; before: inconclusive, supported) |" in fates(root)[0]


def test_the_index_lists_every_registration_with_its_fate(root):
    changes = {name: {"id": name} for name in ("judged", "unjudged", "dropped", "late", "changed", "amended")}
    lab.write_hypotheses(root, *changes.values())
    for number, name in enumerate(changes):
        enter(root, *(["a lock"] if name == "late" else []), number=number)
    changes["amended"] = {"id": "amended", "metric": "held_out_accuracy"}
    lab.write_hypotheses(root, *changes.values())
    enter(root, number=5)
    changes["changed"] = {"id": "changed", "direction": "less"}
    changes["new"] = {"id": "new"}
    lab.write_hypotheses(root, *(change for name, change in changes.items() if name != "dropped"))
    lab.judge(root, CLEAR)
    publish(["judged", "new", "changed"])
    assert [line.split(" | ")[0::3] for line in fates(root)] == [
        ["| 1", "published: supported |"],
        ["| 2", "registered, not yet published |"],
        ["| 3", "registered, not yet published; dropped from hypotheses.yaml |"],
        ["| 4", "exploratory, for results existed; not published |"],
        ["| 5", "registered, not yet published; changed in hypotheses.yaml since |"],
        ["| 6", "superseded by number 7, not published |"],
        ["| 7", "registered, not yet published |"],
        ["| [changed](changed.md)"],
        ["| [new](new.md)"],
    ]
    assert fates(root)[-1] == "| [new](new.md) | published: supported, EXPLORATORY |"


def test_an_entry_whose_page_another_one_replaced_says_so(root):
    enter(root)
    published(root)
    lab.write_hypotheses(root, {"direction": "less"})
    published(root)
    assert "published: supported; its page was replaced by a later one; changed in hypotheses.yaml since |" in fates(root)[0]
    assert "published: refuted, EXPLORATORY (revised once; before: supported)" in fates(root)[1]


def test_an_index_without_registrations_says_that_there_are_none():
    assert "| none yet |" in index({}, [], [])


def test_verdicts_on_other_claims_or_with_another_standing_are_not_published(root):
    enter(root)
    lab.judge(root, CLEAR)
    lab.write_hypotheses(root, {"smallest_effect": 0.6})
    with pytest.raises(ClaimError, match=rf"verdict on {ID} is on another claim than hypotheses.yaml makes; judge anew: dvc repro compare"):
        publish()
    lab.write_hypotheses(root, {"id": "another"})
    with pytest.raises(ClaimError, match="has no verdict on another"):
        publish()
    lab.write_hypotheses(root)
    write_register([], root / "journal/register.jsonl")
    with pytest.raises(ClaimError, match=r"says registered, by the register it is exploratory \(it was never registered\)"):
        publish()
    assert not PUBLICATIONS.exists()


def test_a_verdict_that_somebody_wrote_by_hand_is_not_published_with_another_document(root):
    lab.judge(root, CLEAR)
    judged = read_json(VERDICT_RECORD)
    for change in (lambda one: one["claims"][0]["document"].update(alpha=0.1), lambda one: one["family"].update(num_ever_registered=9)):
        altered = copy.deepcopy(judged)
        change(altered)
        VERDICT_RECORD.write_text(canonical_json(altered))
        with pytest.raises(ClaimError, match="judge anew"):
            publish()
    VERDICT_RECORD.write_text('{"claims": [1]}')
    with pytest.raises(ClaimError, match="not of the form that compare writes"):
        publish()


def test_a_name_that_is_no_claim_is_refused(root):
    lab.judge(root, CLEAR)
    with pytest.raises(ClaimError, match=rf"nothing: no claim of hypotheses.yaml; there are {ID}"):
        publish(["nothing"])


def test_a_broken_journal_is_added_to_by_nobody(root):
    published(root)
    PUBLICATIONS.write_text(PUBLICATIONS.read_text().replace(",", ", "))
    with pytest.raises(ClaimError, match=r"journal/journal\.jsonl: line 1"):
        publish()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("verdict", "proven", "verdict is not as published"), ("schema", 2, "is of schema 2"), ("more", 1, "more is not")],
)
def test_a_line_that_is_no_publication_is_named(root, key, value, words):
    published(root)
    line = json.loads(PUBLICATIONS.read_text()) | {key: value}
    with pytest.raises(ClaimError, match=f"^j: line 1: {words}"):
        parse_publications(json.dumps(line, sort_keys=True, separators=(",", ":")) + "\n", "j")


def test_a_figure_is_the_same_to_the_byte_each_time_and_holds_text_as_text():
    result = first(lines(CLEAR))
    assert svg(result) == svg(copy.deepcopy(result))
    assert "<script" not in svg(result)
    assert "http" not in svg(result).replace("http://www.w3.org", "")


def test_a_figure_shows_seeds_mean_interval_bounds_and_the_smallest_effect_of_interest():
    band, _, claimed, interval, points, mean = (layer["data"]["values"] for layer in spec(first(lines(CLEAR)))["layer"])
    assert band == [{"low": -0.2, "high": 0.2}]
    assert claimed == [{"difference": 0.5}]
    assert [point["difference"] for point in points] == CLEAR
    assert (mean[0]["difference"], interval[0]["low"]) == (2.0, pytest.approx(1.7516, abs=1e-4))
    less = spec(first(lines(CLEAR), given=hypotheses({"direction": "less"})))
    assert less["layer"][2]["data"]["values"] == [{"difference": -0.5}]


def test_a_figure_of_equal_differences_has_no_interval_and_one_of_nothing_is_none():
    equal = first(lines([0.5, 0.5, 0.5]))
    assert spec(equal)["layer"][3]["data"]["values"] == []
    assert svg(first([])) is None


def test_a_page_without_a_source_says_so(root):
    lab.write_hypotheses(root, {"source": None})
    shown, entry, _ = published(root)
    assert "Source: none." in shown
    assert page(entry, None).count("svg") == 0
    assert HYPOTHESES.is_file()
