import csv
import io
import json
import math
import shutil

import pytest

from herdbook.errors import FileError
from herdbook.figures import FIGURES
from stages import compare
from tests import records as made


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two regimes, two seeds, g0 to g2, all bred and passed."""
    made.write_project(tmp_path, {"replace": "waive", "curated": "block"})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compared(project):
    """The lines by (regime, seed, generation), and the metrics."""
    compare.main([])
    lines = list(csv.DictReader(io.StringIO((project / "reports/generations.csv").read_text())))
    metrics = json.loads((project / "reports/metrics.json").read_text())
    return {(line["regime"], line["seed"], line["generation"]): line for line in lines}, metrics


def test_there_is_a_line_for_every_regime_seed_and_generation_in_the_order_of_the_parameters(project):
    lines, _ = compared(project)
    assert list(lines)[:4] == [("replace", "s0", "0"), ("replace", "s0", "1"), ("replace", "s0", "2"), ("replace", "s1", "0")]
    assert len(lines) == 2 * 2 * 3


def test_a_line_holds_the_recorded_figures(project):
    line = compared(project)[0]["replace", "s1", "2"]
    assert (line["status"], line["training_verdict"], line["offspring_verdict"], line["stopped_by"]) == ("bred", "passed", "passed", "")
    assert float(line["held_out_loss_nats"]) == 5 + 2 + 1
    assert float(line["offspring_distinct_2"]) == pytest.approx(0.4 / 3)
    assert float(line["training_depth_mean"]) == pytest.approx(4 / 3)
    assert (line["num_in"], line["num_out"], line["num_surplus"], line["is_full"], line["rejected_length"]) == ("20", "15", "2", "1", "3")
    assert line["offspring_target_rows"] == ""  # null


def test_floats_are_written_with_ten_significant_digits():
    lines = [
        {"regime": "r", "seed": "s0", "generation": 0, "status": "bred", "held_out_loss_nats": 1 / 3, "offspring_repetition": math.nan}
    ]
    assert compare.csv_text(lines).splitlines()[1] == "r,s0,0,bred,,,,0.3333333333,"


def test_the_columns_stand_in_one_order_whatever_the_records_hold():
    one, other = {"offspring_b": 1, "training_a": 2, "held_out_x": 3, "odd": 4}, {"rejected_length": 5}
    header = compare.csv_text([one, other]).splitlines()[0]
    assert header == compare.csv_text([other, one]).splitlines()[0]
    assert header.split(",")[7:] == ["held_out_x", "rejected_length", "training_a", "offspring_b", "odd"]


def test_mean_and_sample_standard_deviation_are_over_the_seeds(project):
    _, metrics = compared(project)
    assert metrics["replace"]["g1"]["held_out_loss_nats"] == {"mean": 6.5, "std": 0.7071067812}  # of 6 and 7: sqrt(1 / 2)
    assert metrics["replace"]["g1"]["offspring_distinct_2"] == {"mean": 0.2, "std": 0.0}


@pytest.mark.parametrize(
    ("values", "mean", "std"), [([], None, None), ([3.0], 3.0, None), ([None, 3.0], 3.0, None), ([1.0, 2.0, 6.0], 3.0, 2.645751311)]
)
def test_what_was_not_measured_counts_neither_in_mean_nor_in_spread(values, mean, std):
    assert compare.mean_and_std(values) == {"mean": mean, "std": std}


@pytest.mark.parametrize(("status", "waived", "blocked"), [("failed", "waived", "failed"), ("errored", "waived", "errored")])
def test_a_breach_is_waived_under_waive_and_named_under_block(project, status, waived, blocked):
    for regime in ("replace", "curated"):
        made.write(project / f"records/{regime}/s0/g1/offspring/receipt.json", made.receipt("offspring", made.rule(status)))
    lines, metrics = compared(project)
    assert lines["replace", "s0", "1"]["offspring_verdict"] == waived
    assert lines["curated", "s0", "1"]["offspring_verdict"] == blocked
    assert lines["curated", "s0", "1"]["status"] == "bred"
    assert metrics["replace"]["g1"]["offspring_verdicts"] == {"passed": 1, "waived": 1, "failed": 0, "errored": 0, "not bred": 0}


def test_a_generation_that_was_not_bred_has_no_figures_and_says_what_stopped_it(project):
    for number in (1, 2):
        made.write_not_bred(project / f"records/curated/s0/g{number}")
    lines, metrics = compared(project)
    line = lines["curated", "s0", "2"]
    assert (line["status"], line["training_verdict"], line["offspring_verdict"]) == ("not bred",) * 3
    assert line["stopped_by"] == "distinct_2: expect_column_min_to_be_between"
    assert {value for name, value in line.items() if name not in compare._LEADING} == {""}
    entry = metrics["curated"]["g2"]
    assert (entry["num_seeds"], entry["num_seeds_bred"]) == (2, 1)
    assert entry["held_out_loss_nats"] == {"mean": 8.0, "std": None}  # seed s1 alone


def test_a_training_set_that_the_gate_stopped_keeps_its_figures_but_is_not_in_the_means(project):
    folder = project / "records/curated/s0/g2"
    made.write_not_bred(folder)
    made.write(folder / "training/profile.json", made.profile(0.9))
    made.write(folder / "training/receipt.json", made.receipt("training", made.rule()))
    lines, metrics = compared(project)
    line = lines["curated", "s0", "2"]
    assert (line["status"], line["training_verdict"], line["offspring_verdict"]) == ("not bred", "failed", "not bred")
    assert line["training_distinct_2"] == "0.9"
    assert metrics["curated"]["g2"]["training_human_token_share"]["mean"] == pytest.approx(0.4 / 3)


def test_metrics_are_numbers_or_null_and_hold_every_charted_figure(project):
    def leaves(value):
        return [leaf for part in value.values() for leaf in leaves(part)] if isinstance(value, dict) else [value]

    _, metrics = compared(project)
    assert all(leaf is None or type(leaf) in (int, float) for leaf in leaves(metrics))
    assert {figure.column for figure in FIGURES} <= set(metrics["replace"]["g0"])


def test_the_same_records_give_the_same_bytes(project):
    compare.main([])
    first = [path.read_bytes() for path in sorted((project / "reports").glob("*.*"))]
    compare.main([])
    assert first == [path.read_bytes() for path in sorted((project / "reports").glob("*.*"))]


@pytest.mark.parametrize(
    ("stray", "remedy"),
    [
        ("records/removed/s0/g0/loss.json", "records/removed: .*herdbook prune$"),
        ("records/replace/s7/g0/loss.json", "records/replace/s7: .*herdbook prune$"),
        ("records/replace/s0/g3/loss.json", "records/replace/s0/g3: .*herdbook prune$"),
        ("records/replace/s0/g2/odd.json", "records/replace/s0/g2/odd.json: .*rm -r records/replace/s0/g2/odd.json$"),
        ("records/human/odd.json", "records/human/odd.json: .*rm -r records/human/odd.json$"),
        ("records/odd.json", "records/odd.json: .*herdbook prune$"),
    ],
)
def test_a_record_that_the_parameters_do_not_name_is_refused_with_the_command_that_removes_it(project, stray, remedy):
    made.write(project / stray, {})
    with pytest.raises(FileError, match=remedy):
        compare.main([])
    assert not (project / "reports/metrics.json").exists()


def test_a_missing_record_is_named(project):
    (project / "records/replace/s1/g1/counts.json").unlink()
    with pytest.raises(FileError, match=r"records/replace/s1/g1/counts.json: not found, but params.yaml names it; run dvc repro"):
        compare.main([])


def test_a_missing_tree_is_named(project):
    shutil.rmtree(project / "records")
    with pytest.raises(FileError, match=r"not found, but params\.yaml names it"):
        compare.main([])


@pytest.mark.parametrize(("text", "reason"), [("[1]", "holds a list, must be a JSON object"), ("{", "not JSON")])
def test_a_record_that_cannot_be_read_is_named(project, text, reason):
    (project / "records/replace/s1/g1/loss.json").write_text(text)
    with pytest.raises(FileError, match=f"records/replace/s1/g1/loss.json: {reason}"):
        compare.main([])
