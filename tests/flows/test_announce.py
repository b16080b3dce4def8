import pytest

from flows.announce import receipt_page, shown
from herdbook.layout import Place

RULE = {
    "suite": "offspring_profile", "rule": "expect_column_min_to_be_between", "column": "distinct_2", "severity": "critical",
    "status": "failed", "observed": 0.06, "allowed": ">= 0.22", "error": None, "notes": "Narrowing.",
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "![x](http://elsewhere)",
        "a | b",
        "`code`",
        "# head",
        "a\nb",
        "abc\u202edef",
        "\x1b[31m",
    ],
)
def test_hostile_text_is_shown_and_does_nothing(text):
    out = shown(text)
    assert not set(out) & set("<>\n\u202e\x1b")
    for mark in "[]()`|!#*_":
        assert out.count(mark) == out.count(f"\\{mark}"), out


def test_a_receipt_page_says_rule_observed_and_allowed_of_what_did_not_pass():
    receipt = {
        "kind": "offspring",
        "rules": [
            RULE,
            {**RULE, "column": "tail_share", "status": "passed"},
            {**RULE, "column": None, "status": "errored", "error": "no <rows>"},
        ],
    }
    page = receipt_page(Place("replace", "s0", "g1"), receipt, "failed, so the lineage ends here")
    assert "2 of 3 rules did not pass" in page
    assert "| distinct\\_2 | expect\\_column\\_min\\_to\\_be\\_between | critical | failed | 0\\.06 | &gt;= 0\\.22 | Narrowing\\. |" in page
    assert "tail" not in page
    assert "no &lt;rows&gt;" in page
