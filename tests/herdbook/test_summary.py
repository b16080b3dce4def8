import copy

import pytest
from rich.console import Console

from herdbook.calibration.check import Check, Outcome, result
from herdbook.summary import Row, calibration_table, closing_table, num_stopped, table, verdict_lines

FIGURE = {"mean": 5.0618, "std": 0.01149}
NOTHING = {"mean": None, "std": None}
NAMES = ("held_out_loss_nats", "offspring_distinct_2", "offspring_tail_coverage", "training_depth_mean")


def entry(figure=FIGURE, num_bred=3, **verdicts):
    counts = {"passed": 0, "waived": 0, "failed": 0, "errored": 0, "not bred": 0, **(verdicts or {"passed": 3})}
    return {"num_seeds": 3, "num_seeds_bred": num_bred, "training_verdicts": counts, "offspring_verdicts": counts} | dict.fromkeys(
        NAMES, figure
    )


METRICS = {
    "curated": {
        "g0": entry(),
        "g1": entry({"mean": 1.0, "std": None}, 1, passed=1, **{"not bred": 2}),
        "g2": entry(NOTHING, 0, **{"not bred": 3}),
    }
}


def test_the_closing_table_has_a_line_a_generation_with_mean_and_spread():
    assert table(METRICS) == [
        Row("curated", "g0", "5.062±0.011", "5.062±0.011", "5.062±0.011", "5.06±0.01", "passed", "passed"),
        Row("curated", "g1", "1.000", "1.000", "1.000", "1.00", "1 passed, 2 not bred", "1 passed, 2 not bred"),
        Row("curated", "g2", "-", "-", "-", "-", "not bred", "not bred"),
    ]


def test_generations_stand_in_the_order_of_their_numbers():
    generations = {f"g{number}": entry() for number in (0, 1, 10, 2)}
    assert [row.generation for row in table({"replace": generations})] == ["g0", "g1", "g2", "g10"]


def test_what_was_not_bred_is_counted():
    assert num_stopped(METRICS) == 5


def test_making_the_table_changes_nothing():
    before = copy.deepcopy(METRICS)
    table(METRICS)
    assert before == METRICS


@pytest.mark.parametrize("width", [80, 120])
def test_no_figure_is_cut_on_a_terminal_of_eighty_columns(width):
    console = Console(width=width, record=True, file=None, quiet=False)
    with console.capture() as shown:
        console.print(closing_table({"accumulate": METRICS["curated"]}))
    assert shown.get().count("5.062±0.011") == 3
    assert "…" not in shown.get()


def test_calibrations_stand_with_what_lies_outside_its_interval():
    checks = [Check("slope", "a paper", 1.0, found, 0.0, 2.0) for found in (1.5, 3.0)]
    drawn = calibration_table([result("regression", {}, Outcome(checks, [])), result("discrete", {}, Outcome(checks[:1], []))])
    cells = [list(map(str, column.cells)) for column in drawn.columns]
    assert cells[:3] == [["regression", "discrete"], ["2", "1"], ["1", "1"]]
    assert cells[3] == ["slope: found 3, known 1, allowed 0 to 2, which is outside.", "-"]


def test_a_verdict_is_a_line_that_cannot_steer_a_terminal():
    lines = verdict_lines({"claims": [{"id": "tails", "in_words": "supported: replace is \x1b[31m above"}]})
    assert [line.plain for line in lines] == ["tails: supported: replace is \\x1b[31m above"]
