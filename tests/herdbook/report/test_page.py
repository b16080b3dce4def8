import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook.report import page
from tests import records as made
from tests.page import HOSTILE, Page, rendered


def test_the_page_lets_no_script_run_but_its_own_and_no_text_become_one(project):
    found = Page(rendered())
    policy = next(value for _, value in found.attributes if value and "default-src" in value)
    allowed = policy.split("script-src")[1].split(";")[0].split()
    assert "default-src 'none'" in policy
    assert allowed == [f"'{page.script_hash(found.scripts[number])}'" for number in range(len(found.blocks) - 1, len(found.scripts))]
    assert len(set(allowed)) == len(allowed)


def test_the_root_of_the_book_is_on_the_page(project):
    assert f"{made.BOOK['num_entries']} in all; the root that binds them is {made.BOOK['root']}" in Page(rendered()).text


def test_the_same_records_give_the_same_bytes(project):
    assert rendered() == rendered()


def test_every_section_is_in_the_navigation(project):
    found = Page(rendered())
    identities = [value for name, value in found.attributes if name == "id"]
    links = [value[1:] for name, value in found.attributes if name == "href"]
    assert links == ["main", *(module.__name__.rpartition(".")[2] for module in page.SECTIONS)]
    assert set(links) <= set(identities)
    assert len(identities) == len(set(identities))


def test_scripts_write_text_as_text_alone():
    for path in page.HERE.glob("*.js.j2"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|createContextualFragment", path.read_text())


def test_no_section_trusts_a_text(project):
    """Nothing but what the page itself renders is marked as safe."""
    for path in (*page.HERE.glob("*.j2"), *page.HERE.glob("*.py")):
        if path.name != "page.py":
            assert not re.search(r"Markup|\| *safe|autoescape", path.read_text()), path.name


def test_what_policies_receipts_claims_and_calibrations_say_is_inert(project):
    plain = Page(rendered())
    hostile = f"{HOSTILE} \0 \u202e"
    rule = {**made.rule("errored"), **dict.fromkeys(("notes", "error", "allowed", "observed"), hostile)}
    made.write(project / "records/replace/s0/g1/offspring/receipt.json", made.receipt("offspring", rule))
    calibration = project / "reports/calibration/digits/result.json"
    result = json.loads(calibration.read_text())
    result["checks"][0]["what"] = hostile
    made.write(calibration, result)
    judged = json.loads((project / "reports/verdicts.json").read_text())
    judged["controls"] = []
    judged["claims"] = [
        {
            "id": "a", "digest": "d", "verdict": hostile, "exploratory": True, "exploratory_because": [hostile], "void_because": [hostile],
            "notes": [hostile], "in_words": hostile, "effect": None,
            "document": {"sentence": hostile, "equivalence": [-1, 1], "seeds": [hostile]},
        }
    ]  # fmt: skip
    made.write(project / "reports/verdicts.json", judged)
    found = Page(rendered())
    assert len(found.scripts) == len(plain.scripts)
    assert "img" not in found.tags
    assert not {"\0", "\u202e"} & set(found.text)
    assert found.text.count(f"{HOSTILE} ␀ ⟨U+202E⟩") >= 9
    receipts = found.block("receipts")
    assert "<" not in receipts
    (line,) = json.loads(receipts)["lines"]
    assert line[2:] == [f"{HOSTILE} ␀ ⟨U+202E⟩"] * 3


def test_what_the_register_says_is_inert(project):
    from herdbook.chain import linked
    from herdbook.files import canonical_json, digest_bytes
    from herdbook.registration import Registration, write_register
    from tests.herdbook.test_claims import PLAIN

    claim = {**PLAIN["claims"][0], "sentence": f"{HOSTILE} \u202e"}
    values = {
        "id": claim["id"],
        "claim": claim,
        "claim_digest": digest_bytes(canonical_json(claim).encode()),
        "conditions": dict.fromkeys(("params", "policies", "analysis"), "c" * 64),
        "results_existed": (f"{HOSTILE} of before",),
    }
    write_register([Registration.model_validate(linked([], values))])
    text = Page(rendered()).text
    assert f"{HOSTILE} ⟨U+202E⟩" in text
    assert f"Exploratory: results existed ({HOSTILE} of before)." in text


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False, allow_infinity=False)))
def test_json_in_a_script_element_is_whole_and_cannot_end_it(value):
    text = page.script_json(value)
    assert not {"<", ">", "&"} & set(text)
    assert json.loads(text) == value


@settings(deadline=None, max_examples=50)
@given(st.recursive(st.text() | st.integers() | st.none(), lambda part: st.lists(part) | st.dictionaries(st.text(), part)))
def test_what_is_made_inert_once_stays_as_it_is(value):
    assert page.inert(page.inert(value)) == page.inert(value)


def test_what_was_not_bred_is_said_in_every_part(project):
    from stages import compare

    for seed in ("s0", "s1"):
        for number in (1, 2):
            made.write_not_bred(project / f"records/curated/{seed}/g{number}")
    compare.main([])
    found = Page(rendered())
    assert "8 were bred and 4 were not bred" in found.text
    assert "not bred from g1 on in s0 and s1: the offspring of g1 broke distinct_2: expect_column_min_to_be_between." in found.text
    assert "No generation after the founder was bred." in found.text
    gate = found.text[found.text.index("The gate") :]
    assert gate.count("T – not bred") == 4
