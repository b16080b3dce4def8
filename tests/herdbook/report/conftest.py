import pytest

from stages import compare
from tests import records as made


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two regimes, two seeds, g0 to g2, all bred and passed; compare has run. It is the working directory."""
    made.write_project(tmp_path, {"replace": "waive", "curated": "block"})
    monkeypatch.chdir(tmp_path)
    compare.main([])
    return tmp_path
