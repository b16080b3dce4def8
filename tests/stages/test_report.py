import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook.errors import FileError
from herdbook.figures import FIGURES
from herdbook.layout import PARAMS
from herdbook.params import read_params
from herdbook.records import read_generations
from stages import compare, report
from tests import records as made

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp; {{ 7 * 7 }} <!-- <b>"


class Page(HTMLParser):
    """What a browser would find: elements, the text of scripts, all other text, addresses asked for."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.words, self.attributes, self._in_script = [], [], [], [], False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend(attrs)
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data):
        if self._in_script:
            self.scripts[-1] += data
        else:
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two regimes, two seeds, g0 to g2, all bred and passed; compare has run."""
    made.write_project(tmp_path, {"replace": "waive", "curated": "block"})
    monkeypatch.chdir(tmp_path)
    compare.main([])
    return tmp_path


def rendered(bundle="window.vegaEmbed = null;"):
    """The page as it stands in the working directory, without the charting library."""
    return report.page(report.read_run(read_params(PARAMS)), bundle)


def test_the_report_is_one_file_that_asks_for_nothing_and_holds_the_library_once(project):
    report.main([])
    text = (project / "reports/index.html").read_text(encoding="utf-8")
    assert len(text) < 2_000_000
    page = Page(text)
    assert len(page.scripts) == 3
    assert text.count("window.vegaEmbed=") == 1
    addresses = [value for name, value in page.attributes if name in ("src", "href", "action", "srcset", "data")]
    assert all(address.startswith("#") for address in addresses)
    assert "@import" not in text[: text.index("</style>")]
    assert "url(" not in text[: text.index("</style>")]


def test_the_page_lets_no_script_run_but_its_own(project):
    page = Page(rendered())
    policy = next(value for _, value in page.attributes if value and "default-src" in value)
    assert "default-src 'none'" in policy
    for script in page.scripts[1:]:
        assert f"'{report._hash(script)}'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]


def test_the_root_of_the_book_is_on_the_page(project):
    assert f"5 in all; the root that binds them is {made.BOOK['root']}" in Page(rendered()).text


def test_the_same_records_give_the_same_bytes(project):
    assert rendered() == rendered()


def test_generated_text_is_shown_and_never_becomes_markup(project):
    def page_with(examples):
        for path in (project / "records").glob("*/*/g1/examples.json"):
            made.write(path, examples)
        return Page(rendered())

    page = page_with([{"prompt": HOSTILE, "text": f"{HOSTILE} \0 \u202e"}])
    assert page.text.count(HOSTILE) == 8  # two regimes, two seeds, prompt and text
    assert f"{HOSTILE} ␀ ⟨U+202E⟩" in page.text
    assert page.tags == page_with([{"prompt": "a", "text": "b"}]).tags


def test_what_policies_and_receipts_say_is_escaped_too(project):
    rule = {**made.rule("errored"), "notes": HOSTILE, "error": HOSTILE, "allowed": HOSTILE}
    made.write(project / "records/replace/s0/g1/offspring/receipt.json", made.receipt("offspring", rule))
    page = Page(rendered())
    assert page.text.count(HOSTILE) == 3
    assert len(page.scripts) == 3


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False, allow_infinity=False)))
def test_json_in_a_script_element_is_whole_and_cannot_end_it(value):
    text = report.script_json(value)
    assert not {"<", ">", "&", "\u2028", "\u2029"} & set(text)
    assert json.loads(text) == value


def test_there_is_a_chart_for_every_figure_with_its_numbers_beneath(project):
    page = Page(rendered())
    specs = json.loads(page.scripts[0])
    identities = {value for name, value in page.attributes if name == "id"}
    assert set(specs) == {figure.column for figure in FIGURES if not figure.column.endswith(("accuracy", "problem_coverage"))}  # no task
    assert set(specs) <= identities
    points = specs["held_out_loss_nats"]["data"]["values"]
    assert {"regime": "replace", "g": 1, "mean": 6.5, "low": 6.0, "high": 7.0, "bred": "2 of 2"} in points
    assert "6.5 (6 to 7)" in page.text


def test_what_was_not_bred_is_said_in_every_part(project):
    for seed in ("s0", "s1"):
        for number in (1, 2):
            made.write_not_bred(project / f"records/curated/{seed}/g{number}")
    compare.main([])
    page = Page(rendered())
    assert "8 were bred and 4 were not bred" in page.text
    assert "not bred from g1 on in s0 and s1: the offspring of g1 broke distinct_2: expect_column_min_to_be_between." in page.text
    assert "No generation after the founder was bred." in page.text
    notes = [layer["data"]["values"] for layer in json.loads(page.scripts[0])["offspring_distinct_2"]["layer"] if "data" in layer][-1]
    assert [note["words"] for note in notes] == ["curated not bred ✕", "✕"]
    examples = page.text[page.text.index("Offspring, generation by generation") :]
    assert examples.count("– not bred") == 4  # two seeds, two generations, one prompt
    gate = page.text[page.text.index("The gate") : page.text.index("Offspring, generation")]
    assert gate.count("the offspring of g1 broke distinct_2: expect_column_min_to_be_between") == 8


def test_the_gate_table_tells_observed_from_allowed(project):
    made.write(project / "records/replace/s1/g2/training/receipt.json", made.receipt("training", made.rule(observed=0.061)))
    made.write(project / "records/replace/s1/g1/training/receipt.json", made.receipt("training", made.rule("errored", severity="critical")))
    made.write(project / "records/replace/s0/g2/training/receipt.json", made.receipt("training", made.rule(severity="warning")))
    text = Page(rendered()).text
    assert re.search(r"! waived ?distinct_2: expect_column_min_to_be_between ?0\.061 ?>= 0\.22 \(human_distinct_2 \* 0\.8\)", text)
    assert "could not be evaluated: there is no column 'distinct_2'" in text
    assert re.search(r"✓ passed ?distinct_2: expect_column_min_to_be_between \(warning only\)", text)


def test_a_prompt_stands_once_with_what_each_generation_wrote(project):
    twice = [{"prompt": "Once", "text": "one"}, {"prompt": "Once", "text": "two"}, {"prompt": "Then", "text": "three"}]
    for number, examples in enumerate((twice, twice[1:], [])):
        made.write(project / f"records/replace/s0/g{number}/examples.json", examples)
    params = read_params(PARAMS)
    lineage = read_generations({"replace": "waive", "curated": "block"}, params.seeds, params.generations)[:3]
    assert report.examples_of(lineage) == [
        {"prompt": "Once", "texts": ["one", "two", None]},
        {"prompt": "Once", "texts": ["two", None, None]},
        {"prompt": "Then", "texts": ["three", "three", None]},
    ]


def test_a_run_without_examples_says_so(project):
    for path in (project / "records").glob("*/*/*/examples.json"):
        made.write(path, [])
    assert "No examples: sample.num_examples is 0." in Page(rendered()).text


@pytest.mark.parametrize("change", ["seeds", "missing"])
def test_figures_of_another_run_are_refused(project, change):
    path = project / "reports/generations.csv"
    if change == "missing":
        path.unlink()
    else:
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(FileError, match=r"reports/generations.csv: .*run dvc repro compare"):
        report.main([])
    assert not (project / "reports/index.html").exists()


def test_stale_records_are_refused_before_anything_is_written(project):
    made.write(project / "records/replace/s0/g9/loss.json", {})
    with pytest.raises(FileError, match="herdbook prune"):
        report.main([])
    assert not (project / "reports/index.html").exists()
