"""Colours of the page against what they stand on, by the contrast ratio of WCAG 2.2 (success criteria 1.4.3 and 1.4.11)."""

import re

import pytest

from herdbook.report.chart import NUM_COLOURS
from herdbook.report.page import HERE

STYLE = (HERE / "page.css.j2").read_text()
LIGHT, DARK = (
    dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", block)) for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
)
TEXTS = ("ink", "muted", "link", "passed", "waived", "failed", "errored", "not-bred")
GRAPHICS = [f"regime-{number}" for number in range(NUM_COLOURS)]


def luminance(colour):
    """Relative luminance of #rrggbb, from 0 to 1 (WCAG 2.2, definition)."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """From 1 (the same) to 21 (black on white)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_measure_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the well-known grey that just fails


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("names", "least"), [(TEXTS, 4.5), (GRAPHICS, 3)], ids=["text", "graphics"])
def test_colours_can_be_told_from_what_they_stand_on(scheme, names, least):
    found = {(name, ground): contrast(scheme[name], scheme[ground]) for name in names for ground in ("paper", "card")}
    assert {pair: ratio for pair, ratio in found.items() if ratio < least} == {}


def test_the_schemes_name_the_same_colours_and_templates_use_no_others():
    assert LIGHT.keys() == DARK.keys()
    for path in HERE.glob("*.j2"):
        text = path.read_text().replace(STYLE, "")
        assert not re.search(r"(?:color|fill|stroke|background)[^;{]*#[0-9a-f]{3,6}\b", text), path.name
