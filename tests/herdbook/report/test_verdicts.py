import re
from dataclasses import replace

import pytest

from herdbook.report import verdicts
from herdbook.report.page import page
from tests.herdbook.test_claims import PLAIN
from tests.page import run_here

EFFECT = {"interval_95": [1.0, 3.0], "mean": 2.0}


def test_a_picture_has_everything_where_it_is_by_hand():
    """From -1 to 3, and a twentieth of these 4 on either side: 4.4 wide, from -1.2."""
    drawn = verdicts.strip(EFFECT, (-1, 1))
    assert drawn.zero == pytest.approx(100 * 1.2 / 4.4, abs=0.01)
    assert drawn.negligible == pytest.approx((100 * 0.2 / 4.4, 50), abs=0.01)
    assert drawn.interval == pytest.approx((50, 100 * 4.2 / 4.4), abs=0.01)
    assert drawn.mean == pytest.approx(100 * 3.2 / 4.4, abs=0.01)
    assert drawn.in_words == "mean 2, 95 % interval 1 to 3; negligible between -1 and 1"


@pytest.mark.parametrize("effect", [None, {**EFFECT, "interval_95": None}])
def test_where_there_is_no_interval_nothing_is_drawn(effect):
    assert verdicts.strip(effect, (-1, 1)) is None


@pytest.mark.parametrize("effect", [EFFECT, None])
def test_a_card_tells_the_claim_s_name_its_seeds_and_its_picture(project, effect):
    document = {**PLAIN["claims"][0], "id": "<b>", "seeds": ["s0", "s1"], "equivalence": [-1, 1]}
    claim = {
        "id": "<b>", "document": document, "effect": effect, "verdict": "supported", "exploratory": False, "exploratory_because": [],
        "void_because": [], "notes": [], "in_words": "supported", "digest": "d" * 64,
    }  # fmt: skip
    told = page(replace(run_here(), judged={"claims": [claim], "controls": [], "family": {"size": 1}}), "")
    assert "<code>&lt;b&gt;</code>, 2 seeds: s0, s1" in told
    assert len(re.findall('<svg class="strip".*aria-label="mean 2, 95 % interval', told)) == (1 if effect else 0)
