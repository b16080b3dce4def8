import pytest

from herdbook.figures import FIGURES, Figure
from herdbook.report.chart import DASHES, NUM_COLOURS, SHAPES, VEGA_LITE, Band, Point, chart, scales, swatch

LOSS = Figure("held_out_loss_nats", "Held-out loss", "Surprise.", "free")
SHARE = Figure("offspring_distinct_2", "Distinct-2", "Pairs.", "from zero", "distinct_2")
POINTS = [
    Point("replace", 0, 2, 2, 5.0, 4.9, 5.1),
    Point("replace", 1, 2, 2, 6.0, 5.9, 6.1),
    Point("curated", 0, 2, 2, 5.0, 4.9, 5.1),
    Point("curated", 1, 2, 0, None, None, None),
]
REGIMES = ["replace", "curated"]


def notes(spec):
    return [row for layer in spec["layer"] for row in layer.get("data", {}).get("values", ()) if "words" in row]


def test_a_point_holds_the_mean_the_extremes_and_how_many_seeds_were_bred():
    values = chart(LOSS, POINTS, REGIMES, None)["data"]["values"]
    assert values[1] == {"regime": "replace", "g": 1, "mean": 6.0, "low": 5.9, "high": 6.1, "bred": "2 of 2"}
    assert len(values) == 3  # nothing is drawn of what was not bred


def test_a_generation_that_was_not_bred_is_noted_above_the_plot():
    (note,) = notes(chart(LOSS, POINTS, REGIMES, None))
    assert (note["regime"], note["g"], note["words"]) == ("curated", 1, "curated not bred ✕")
    assert note["y"] < 0


def test_the_notes_of_two_regimes_do_not_overlap_and_count_the_seeds():
    points = [Point("replace", 1, 3, 1, 5.0, 5.0, 5.0), Point("curated", 1, 3, 0, None, None, None)]
    found = {note["words"]: note["y"] for note in notes(chart(LOSS, points, REGIMES, None))}
    assert set(found) == {"replace not bred 2 of 3 ✕", "curated not bred ✕"}
    assert len(set(found.values())) == 2


def marks(human):
    return [layer["mark"]["type"] for layer in chart(SHARE, POINTS, REGIMES, human)["layer"] if layer["encoding"].get("x", 0) is None]


def test_human_text_is_a_rule_in_its_band_where_it_has_a_value():
    assert marks(Band(0.275, 0.2, 0.4)) == ["rect", "rule"]
    assert marks(Band(0.275, 0.275, 0.275)) == ["rule"]
    assert marks(None) == []


def test_a_log_scale_is_offered_where_every_value_is_above_0():
    assert scales(SHARE, POINTS, None)["log"] == {"type": "log", "nice": False}
    assert scales(SHARE, [*POINTS, Point("curated", 2, 1, 1, 0.0, 0.0, 0.0)], None)["log"] is None
    assert scales(SHARE, POINTS, Band(0.0, 0.0, 1.0))["log"] is None


def test_a_band_that_reaches_far_does_not_squeeze_the_lines():
    points = [Point("replace", 0, 1, 1, 4.0, 4.0, 4.0), Point("replace", 1, 1, 1, 32.0, 32.0, 32.0)]
    far = Band(8.0, 0.001, 1000.0)
    assert scales(SHARE, points, far)["linear"] == {"zero": True, "nice": True, "domainMax": 32 + 32 / 3}
    low = Point("replace", 2, 1, 1, 28.0, 28.0, 28.0)
    assert scales(LOSS, [points[1], low], Band(29.0, 1.0, 99.0))["linear"] == {
        "zero": False,
        "domainMin": 28 - 4 / 3,
        "domainMax": 32 + 4 / 3,
    }
    log = scales(LOSS, points, far)["log"]
    assert (log["domainMin"], log["domainMax"]) == pytest.approx((2.0, 64.0))
    assert scales(LOSS, points, Band(8.0, 7.0, 9.0))["linear"] == {"zero": False}


@pytest.mark.parametrize(("last", "ticks"), [(0, [0]), (1, [0, 1]), (3, [0, 1, 2, 3]), (20, [0, 3, 6, 9, 12, 15, 18])])
def test_only_whole_generations_are_labelled(last, ticks):
    points = [Point("replace", number, 1, 1, 5.0, 5.0, 5.0) for number in range(last + 1)]
    assert chart(LOSS, points, ["replace"], None)["encoding"]["x"]["axis"]["values"] == ticks


@pytest.mark.parametrize(("human", "baseline"), [(9.0, "top"), (5.5, "bottom"), (0.0, "bottom")])
def test_the_label_of_human_text_keeps_clear_of_the_notes_and_of_the_axis(human, baseline):
    labels = [
        layer["mark"] for layer in chart(SHARE, POINTS[:2], REGIMES, Band(human, human, human))["layer"] if layer["mark"]["type"] == "text"
    ]
    assert [label["baseline"] for label in labels] == [baseline]


def test_regimes_differ_in_colour_dash_and_shape():
    swatches = [swatch(number) for number in range(NUM_COLOURS)]
    for kind in ("colour", "dash", "outline"):
        assert len({getattr(each, kind) for each in swatches}) == NUM_COLOURS
    assert len({swatch(number) for number in range(NUM_COLOURS * len(SHAPES))}) == NUM_COLOURS * len(DASHES)


def test_a_scale_from_zero_of_nothing_but_zeros_still_has_a_height():
    zeros = [Point("replace", 0, 1, 1, 0.0, 0.0, 0.0)]
    assert scales(SHARE, zeros, None)["linear"] == {"domain": [0, 1]}


@pytest.mark.parametrize("human", [None, Band(5.5, 5.0, 9.0)])
@pytest.mark.parametrize("scale", ["from zero", "free", "log"])
def test_the_bundled_library_draws_the_chart_without_a_warning(human, scale):
    import vl_convert

    figure = Figure("column", "Title", "Meaning.", scale)
    spec = {**chart(figure, POINTS, REGIMES, human), "width": 300}
    svg = vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)
    assert "curated not bred ✕" in svg
    assert ">g0<" in svg
    assert ">g1<" in svg
    assert ("human text" in svg) == (human is not None)


def test_a_figure_compares_with_the_human_field_of_its_own_name():
    assert all(figure.human is None or figure.column == f"offspring_{figure.human}" for figure in FIGURES)
    assert len({figure.column for figure in FIGURES}) == len(FIGURES)
