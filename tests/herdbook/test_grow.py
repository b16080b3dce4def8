import pytest
import yaml

from herdbook.errors import ParamsError
from herdbook.grow import with_one_more_generation
from tests.pipeline import ROOT

TEXT = (ROOT / "params.yaml").read_text()


def test_the_default_parameters_grow_by_one_generation_and_keep_all_else():
    grown, child = with_one_more_generation(TEXT)
    before, after = yaml.safe_load(TEXT), yaml.safe_load(grown)
    assert child == "g4"
    assert after.pop("generations") == [*before.pop("generations"), "g4"]
    assert after.pop("bred") == [*before.pop("bred"), "g4"]
    assert after.pop("births") == [*before.pop("births"), {"parent": "g3", "child": "g4"}]
    assert after == before
    assert [line for line in TEXT.splitlines() if "#" in line] == [line for line in grown.splitlines() if "#" in line]


def test_they_grow_again_and_past_g9():
    text = TEXT
    for number in range(4, 12):
        text, child = with_one_more_generation(text)
        assert child == f"g{number}"


def test_a_founder_alone_gets_its_first_generation():
    head = TEXT[: TEXT.index("generations: [")]
    grown, child = with_one_more_generation(head + "generations: [g0]\nbred: []\nbirths: []\n")
    assert child == "g1"
    assert yaml.safe_load(grown)["births"] == [{"parent": "g0", "child": "g1"}]


def test_lists_written_another_way_are_left_to_a_person():
    text = TEXT.replace("generations: [g0, g1, g2, g3]", "generations:\n- g0\n- g1\n- g2\n- g3")
    with pytest.raises(ParamsError, match="add g4 to each by hand"):
        with_one_more_generation(text)
