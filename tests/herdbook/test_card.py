import json
from dataclasses import replace
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard, ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from herdbook.card import facts
from herdbook.card_page import page
from herdbook.entry import ROW_KINDS
from herdbook.errors import BookError
from herdbook.files import digest, write_table
from herdbook.snapshot import book_of, snapshot

MODEL, CURATED, TRAINING = "replace/s0/g1/model", "replace/s0/g1/curated", "replace/s0/g1/training"
HOSTILE = [
    "<script>alert(1)</script>",
    "x](javascript:alert(1)) [y](https://evil.example) ![z](https://evil.example/z.png)",
    "a | b | c\n---\nlicense: mit\n# heading\n```\n<img src=x onerror=alert(1)>",
    "'\"\n---\n\n...\n--- !!python/object/apply:os.system ['true']",
    "\u202egnp.exe\u2066\x1b[2J\x9b2J\x00\ud800",
    "`code` **bold** ~~gone~~ $x$ &lt;b&gt; {{ 7 * 7 }} {% raw %}",
]


@pytest.fixture(scope="module")
def opened(bred):
    with snapshot(bred) as now:
        yield book_of(now), now


def told(opened, target):
    book, now = opened
    return facts(target, book, now)


def recorded(bred, path):
    return json.loads((bred / path).read_text())


# What a card tells.


def test_a_model_is_told_with_its_root_entry_size_and_loss_beside_that_of_its_founder(opened, bred):
    book, _ = opened
    found = told(opened, MODEL)
    assert (found["root"], found["entry"]) == (recorded(bred, "reports/book.json")["root"], book.ids[MODEL])
    assert found["model"]["num_parameters"] == recorded(bred, "runs/replace/s0/g1/model/making.json")["num_parameters"]
    for whose, path in (("this model", "replace/s0/g1"), ("its founder", "founder/s0/g0")):
        loss = recorded(bred, f"records/{path}/loss.json")
        assert found["loss"][whose]["held_out_loss_nats"] == loss["held_out_loss_nats"]
    assert set(told(opened, "founder/s0/g0/model")["loss"]) == {"this model"}


def test_figures_stand_beside_those_of_human_text(opened, bred):
    distinct = next(figure for figure in told(opened, MODEL)["figures"] if figure["name"] == "distinct_2")
    paths = {"its training text": "replace/s0/g1/training", "what it writes": "replace/s0/g1/offspring", "human text": "human"}
    assert distinct["values"] == {whose: recorded(bred, f"records/{path}/profile.json")["distinct_2"] for whose, path in paths.items()}


def test_rules_that_were_not_passed_are_told_with_what_was_observed_and_allowed(opened, bred):
    rules = {rule["rule"]: rule for rule in told(opened, MODEL)["rules"] if rule["dataset"] == TRAINING}
    broken = [rule for rule in recorded(bred, "records/replace/s0/g1/training/receipt.json")["rules"] if rule["status"] != "passed"]
    assert broken
    for rule in broken:
        assert rules[rule["rule"]]["gate"] == "waive"
    text = page(facts(MODEL, *opened))
    assert f"{broken[0]['observed']:.4g}" in text
    assert "Waived: the training of g1 broke" in text


def test_the_lineage_leads_from_it_to_the_corpus_and_every_line_has_its_entry(opened):
    book, _ = opened
    lineage = told(opened, MODEL)["lineage"]
    assert (lineage[0]["name"], lineage[-1]["name"]) == (MODEL, "corpus")
    assert all(each["entry"] == book.ids[each["name"]] for each in lineage)
    places = {each["name"]: place for place, each in enumerate(lineage)}
    assert all(places[parent["name"]] > places[each["name"]] for each in lineage for parent in each["parents"])


def test_synthetic_shares_are_of_rows_and_of_tokens(opened):
    book, now = opened
    composition = {"human": {"rows": 1, "tokens": 30}, "g0": {"rows": 1, "tokens": 5}, "g1": {"rows": 2, "tokens": 5}}
    entry = book.entries[TRAINING]
    mixed = {**entry, "contents": {**entry["contents"], "composition": composition}}
    found = facts(TRAINING, replace(book, entries={**book.entries, TRAINING: mixed}), now)
    assert found["synthetic_share"] == {"rows": 0.75, "tokens": 0.25}
    assert "75.0% of rows, 25.0% of tokens" in page(found)


@pytest.mark.parametrize(
    ("target", "licence"), [("human/train", "cc-by-sa-3.0"), ("corpus", "cc-by-sa-3.0"), (CURATED, "unknown"), (MODEL, "unknown")]
)
def test_a_licence_is_stated_of_human_text_alone(opened, target, licence):
    text = page(facts(target, *opened))
    kind = ModelCard if target == MODEL else DatasetCard
    assert kind(text).data.license == licence
    assert "licence *CC BY-SA 3.0*" in text


def test_documents_are_those_that_the_text_descends_from(opened, bred):
    for target, side in ((MODEL, "train"), (CURATED, "train"), ("human/held_out", "held_out")):
        titles = pq.read_table(bred / f"runs/human/{side}_documents.parquet")["title"].to_pylist()
        assert [each["title"] for source in told(opened, target)["sources"] for each in source["documents"]] == sorted(titles)


# Its form.


@pytest.mark.parametrize("target", [MODEL, "founder/s0/g0/model"])
def test_huggingface_hub_reads_the_card_of_a_model(opened, target):
    data = ModelCard(page(facts(target, *opened))).data
    assert (data.library_name, data.pipeline_tag, data.model_name) == ("transformers", "text-generation", target)
    assert {result.metric_name: result.metric_value for result in data.eval_results} == {
        name: value for name, value in told(opened, target)["loss"]["this model"].items() if value is not None
    }


@pytest.mark.parametrize("target", ["corpus", "human/train_documents", "human/held_out", TRAINING, "replace/s0/g1/offspring", CURATED])
def test_huggingface_hub_reads_the_card_of_a_dataset(opened, target):
    data = DatasetCard(page(facts(target, *opened))).data
    assert data.configs[0]["config_name"] == "default"
    assert data.configs[0]["data_files"][0]["split"] == ("test" if target == "human/held_out" else "train")


def test_nothing_of_a_card_is_empty(opened):
    book, now = opened
    for name, entry in book.entries.items():
        if entry["kind"] in ("model", "corpus", "documents", *ROW_KINDS) and entry["status"] == "bred":
            text = page(facts(name, book, now))
            assert "(empty)" not in text
            assert "\n\n\n" not in text


def test_the_same_book_gives_the_same_bytes_from_workspace_commit_or_copy(opened, project):
    text = page(facts(MODEL, *opened))
    for revision in (None, "HEAD"):
        with snapshot(project, revision) as now:
            assert page(facts(MODEL, book_of(now), now)) == text


# Refusals.


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("curated/s0/g1/model", "curated/s0/g1/model: was not bred, so there is nothing to publish; see herdbook trace"),
        ("founder/s0/g0/scores", "of kind scores, cards are of models bred here and of datasets of text; such as "),
        ("human/base", "of kind base, cards are of models bred here"),
        ("replace/s0/g1/modle", "did you mean"),
    ],
)
def test_what_has_no_card_is_refused(opened, target, message):
    with pytest.raises(BookError, match=message):
        page(facts(target, *opened))


@pytest.mark.parametrize(
    "path", ["records/replace/s0/g1/loss.json", "records/human/profile.json", "runs/human/train_documents.parquet"]
)  # fmt: skip
def test_a_record_of_other_bytes_is_refused(project, path):
    found = (project / path).read_bytes()
    (project / path).unlink()
    (project / path).write_bytes(found + b" ")
    with snapshot(project) as now, pytest.raises(BookError, match=f"{path}: sha256 is .* the book names .*; run herdbook audit"):
        page(facts(MODEL, book_of(now), now))


# Hostile text.


class _Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.targets = [], []
        self.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))

    def handle_starttag(self, tag, attributes):
        self.targets += [value for name, value in attributes if name in ("href", "src")]
        if tag != "code":  # a name of odd characters is no code
            self.tags.append((tag, [name for name, _ in attributes]))


def poisoned(value, poison):
    """The same facts, every text in them replaced, but for those that code chose."""
    kept = {"is_model", "kind", "split", "tables", "files", "name", "verdict", "language", "root", "entry", "digest"}
    if isinstance(value, dict):
        return {key: inner if key in kept - {"name"} else poisoned(inner, poison) for key, inner in value.items()}
    if isinstance(value, list):
        return [poisoned(inner, poison) for inner in value]
    return poison if isinstance(value, str) else value


def head_and_body(text):
    _, head, body = text.split("---\n", 2)
    return head, body


@pytest.mark.parametrize("target", [MODEL, TRAINING, "human/train"])
@pytest.mark.parametrize("poison", HOSTILE)
def test_hostile_text_changes_neither_the_structure_of_a_page_nor_its_metadata(opened, target, poison):
    found = told(opened, target)
    hostile, harmless = (page(poisoned(found, text)) for text in (poison, "x"))
    assert all(character.isprintable() or character == "\n" for character in hostile)
    kind = ModelCard if found["is_model"] else DatasetCard
    bad, good = (kind(text).data.to_dict() for text in (hostile, harmless))
    assert list(bad) == list(good)
    assert {key: bad[key] for key in ("tags", "license")} == {key: good[key] for key in ("tags", "license")}
    assert _Tags(head_and_body(hostile)[1]).tags == _Tags(head_and_body(harmless)[1]).tags


@pytest.fixture(scope="module")
def small(opened):
    """Facts of every kind, few of each, so that a page is made in a blink."""
    found = told(opened, MODEL)
    few = {name: found[name][:2] for name in ("lineage", "rules", "figures")}
    sources = [{**source, "documents": source["documents"][:2]} for source in found["sources"]]
    return found | few | {"sources": sources, "files": dict(list(found["files"].items())[:1])}


def test_no_text_at_all_changes_the_structure_of_a_page(small):
    harmless = _Tags(ModelCard(page(poisoned(small, "x"))).text).tags

    @settings(max_examples=25, deadline=None)
    @given(st.text(alphabet=st.one_of(st.sampled_from(" #-+=*_`<>[]()|~!&\\'\"1.:\n\t"), st.characters()), min_size=1))
    def check(poison):
        assert _Tags(ModelCard(page(poisoned(small, poison))).text).tags == harmless

    check()


def test_only_addresses_of_the_web_are_links(opened):
    found = told(opened, MODEL)
    urls = ["javascript:alert(1)", "https://a.example/x y", "https://a.example/<b>", "https://a.example/\u202ex", "data:text/html,x", ""]
    documents = [{"title": "t", "url": url} for url in [*urls, "https://a.example/A_(b)"]]
    text = page({**found, "sources": [{"source": "s", "licence": "l", "documents": documents}]})
    assert _Tags(ModelCard(text).text).targets == ["https://a.example/A_(b)"]


def test_a_hostile_title_of_the_corpus_is_inert(project):
    path = project / "runs/human/train_documents.parquet"
    table = pq.read_table(path)
    write_table(
        path, table.set_column(table.column_names.index("title"), "title", [["<b>x</b>](javascript:1)\u202e\n# y"] * table.num_rows])
    )
    with snapshot(project) as now:
        book = book_of(now)
        entry = book.entries["human/train_documents"]
        files = {path.name: {"sha256": digest(path), "num_bytes": path.stat().st_size}}
        text = page(facts(MODEL, replace(book, entries={**book.entries, entry["name"]: {**entry, "files": files}}), now))
    found = _Tags(ModelCard(text).text)
    assert ("b", []) not in found.tags
    assert found.targets == []
    assert "&lt;b&gt;x&lt;/b&gt;\\](javascript:1)\\\\u202e\\\\n# y" in text
