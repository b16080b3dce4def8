import json

import pytest

from herdbook.calibration.check import NAMES, Check, Outcome, results
from herdbook.errors import ParamsError
from herdbook.files import digest
from herdbook.layout import CALIBRATION
from stages import calibrate
from tests.parameters import write_params

SMALL = {
    "gaussian": {"seed": 0, "num_batches": 3, "settings": [{"num_dimensions": 2, "labs_per_batch": 2, "num_iterations": 3}]},
    "mixture": {"seed": 0, "num_rows": 60, "num_lineages": 2, "num_iterations": 2, "num_late_iterations": 2},
    "discrete": {"seed": 0, "num_states": 3, "num_rows": 5, "num_batches": 3, "labs_per_batch": 4, "num_iterations": 4},
    "digits": {"seed": 0, "images": None, "num_rows": 120, "num_lineages": 1, "num_iterations": 2, "num_steps": 3},
    "regression": {"seed": 0, "num_features": 2, "num_rows": 8, "num_batches": 3, "labs_per_batch": 4, "num_iterations": 2},
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    write_params(tmp_path / "params.yaml", calibrate=SMALL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(name):
    calibrate.main([name])
    return json.loads((CALIBRATION / name / "result.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_a_calibration_writes_its_checks_with_their_settings_and_the_same_bytes_again(project, name):
    found = made(name)
    assert (found["name"], found["settings"]) == (name, SMALL[name])
    assert found["passed"] == all(check["passed"] for check in found["checks"])
    assert set(found["checks"][0]) == {"what", "source", "expected", "found", "interval", "passed", "in_words"}
    first = digest(CALIBRATION / name)
    made(name)
    assert digest(CALIBRATION / name) == first


def test_another_seed_gives_other_figures(project):
    found = made("regression")
    write_params(project / "params.yaml", calibrate=SMALL | {"regression": SMALL["regression"] | {"seed": 1}})
    assert made("regression")["checks"][0]["found"] != found["checks"][0]["found"]


def test_digits_come_with_a_sheet(project):
    made("digits")
    assert sorted(path.name for path in (CALIBRATION / "digits").iterdir()) == ["first_lineage.png", "result.json"]


def test_a_figure_outside_its_interval_is_a_result(project, monkeypatch):
    outside = Check("a figure", "a paper", 1.0, 3.0, 0.0, 2.0)
    monkeypatch.setattr(calibrate.regression, "calibrate", lambda settings: Outcome([outside], []))
    found = made("regression")
    assert not found["passed"]
    assert found["checks"][0]["interval"] == [0.0, 2.0]


def test_all_results_are_read_in_their_order(project, monkeypatch):
    check = Check("a figure", "a paper", 1.0, 1.0, 0.0, 2.0)
    monkeypatch.setattr(calibrate, "calibrate", lambda name, settings: Outcome([check], []))
    for name in reversed(NAMES):
        made(name)
    assert [found["name"] for found in results()] == list(NAMES)


@pytest.mark.parametrize(
    ("args", "message"),
    [(["poisson"], "'poisson', must be one of gaussian"), ([], "must be the NAME"), (["digits", "x"], "must be the NAME")],
)
def test_an_unknown_calibration_is_refused_with_the_known_ones(project, args, message):
    with pytest.raises(ParamsError, match=message):
        calibrate.main(args)
