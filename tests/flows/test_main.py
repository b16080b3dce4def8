import pytest

from flows.__main__ import tell
from herdbook.run import CALIBRATION_FAILED, LINEAGES_STOPPED
from stages import compare
from tests import records as made


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two regimes, all bred; nothing is compared yet."""
    made.write_project(tmp_path, {"replace": "waive", "curated": "block"})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_ends_with_calibrations_table_book_and_report(project, capsys):
    compare.main([])
    assert tell() == 0
    said = capsys.readouterr().out
    assert [said.index(word) for word in ("regression", "replace", "root abab", "report:")] == sorted(
        said.index(word) for word in ("regression", "replace", "root abab", "report:")
    )


def test_a_calibration_outside_its_interval_fails_the_run_though_all_is_told(project, capsys):
    made.write_calibrations(project, failed=["digits"])
    compare.main([])
    assert tell() == CALIBRATION_FAILED
    said = capsys.readouterr().out
    assert "calibration failed: digits; no verdict stands" in said
    assert "replace" in said


def test_a_lineage_that_its_gate_ended_has_a_status_of_its_own(project):
    made.write_not_bred(project / "records/curated/s1/g2")
    compare.main([])
    assert tell() == LINEAGES_STOPPED
