import json

import pytest

from herdbook.figures import FIGURES, Figure
from herdbook.report import charts
from herdbook.report.chart import Band
from tests import records as made
from tests.page import run_here

DISTINCT = next(figure for figure in FIGURES if figure.human == "distinct_2")


def test_there_is_a_chart_for_every_figure_with_its_numbers_beneath(project):
    section = charts.section(run_here())
    specs = section.data["charts-data"]
    assert set(specs) == {figure.column for figure in FIGURES if not figure.column.endswith(("accuracy", "problem_coverage"))}  # no task
    shown = {item["figure"].column: item["rows"] for group in section.context["groups"] for item in group["charts"]}
    assert shown.keys() == specs.keys()
    points = specs["held_out_loss_nats"]["spec"]["data"]["values"]
    assert {"regime": "replace", "g": 1, "mean": 6.5, "low": 6.0, "high": 7.0, "bred": "2 of 2"} in points
    assert shown["held_out_loss_nats"][0]["cells"][1] == "6.5 (6 to 7)"
    json.dumps(specs, allow_nan=False)


def test_what_was_not_bred_is_said_above_its_chart(project):
    from stages import compare

    for seed in ("s0", "s1"):
        for number in (1, 2):
            made.write_not_bred(project / f"records/curated/{seed}/g{number}")
    compare.main([])
    spec = charts.section(run_here()).data["charts-data"]["offspring_distinct_2"]["spec"]
    notes = [layer["data"]["values"] for layer in spec["layer"] if "data" in layer][-1]
    assert [note["words"] for note in notes] == ["curated not bred ✕", "✕"]


@pytest.mark.parametrize(
    ("allowed", "band"),
    [
        ([">= 0.4 (human_distinct_2 * 0.8)", "<= 0.7 (human_distinct_2 * 1.4)"], (0.4, 0.7)),
        ([">= 0.4 (human_distinct_2 * 0.8)", ">= 0.45 (human_distinct_2 * 0.9)"], (0.45, 0.5)),  # the narrower, and no upper bound
        (["<= 5.5e-01 (human_distinct_2 + 0.05)"], (0.5, 0.55)),
        ([">= 0.1 (parent_distinct_2 * 0.8)", ">= 0.1"], (0.5, 0.5)),  # not of human text
        ([">= 0.6 (human_distinct_2 + 0.1)"], (0.5, 0.5)),  # human text itself would not pass: it is in its band all the same
    ],
)
def test_the_band_of_human_text_is_what_the_gate_allows_a_training_set(project, allowed, band):
    rules = [{**made.rule("passed"), "allowed": text} for text in allowed]
    made.write(project / "records/replace/s0/g0/training/receipt.json", made.receipt("training", *rules))
    assert charts.band_of(DISTINCT, run_here()) == Band(0.5, *band)


def test_a_figure_without_human_counterpart_has_no_band(project):
    assert charts.band_of(Figure("held_out_loss_nats", "", "", "free"), run_here()) is None
