import pytest

from herdbook.errors import FileError
from stages import compare, report
from tests import full_size
from tests import records as made
from tests.page import Page, rendered


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two regimes, two seeds, g0 to g2, all bred and passed; compare has run."""
    made.write_project(tmp_path, {"replace": "waive", "curated": "block"})
    monkeypatch.chdir(tmp_path)
    compare.main([])
    return tmp_path


def test_the_report_is_one_file_that_asks_for_nothing_and_holds_the_library_once(project):
    report.main([])
    text = (project / "reports/index.html").read_text(encoding="utf-8")
    assert len(text) < 2_000_000
    page = Page(text)
    assert text.count("window.vegaEmbed=") == 1
    addresses = [value for name, value in page.attributes if name in ("src", "href", "action", "srcset", "data")]
    assert all(address.startswith("#") for address in addresses)
    style = text[text.index("<style>") : text.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style


@pytest.mark.parametrize("change", ["seeds", "missing"])
def test_figures_of_another_run_are_refused(project, change):
    path = project / "reports/generations.csv"
    if change == "missing":
        path.unlink()
    else:
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(FileError, match=r"reports/generations.csv: .*run dvc repro compare"):
        report.main([])
    assert not (project / "reports/index.html").exists()


def test_stale_records_are_refused_before_anything_is_written(project):
    made.write(project / "records/replace/s0/g9/loss.json", {})
    with pytest.raises(FileError, match="herdbook prune"):
        report.main([])
    assert not (project / "reports/index.html").exists()


def test_a_generation_takes_a_part_of_the_page_of_which_1600_fit_in_15_megabytes(tmp_path, monkeypatch):
    sizes = []
    for num_generations in (1, 3):
        root = tmp_path / str(num_generations)
        root.mkdir()
        monkeypatch.chdir(root)
        full_size.write(root, 2, 1, num_generations)
        sizes.append(len(rendered().encode()))
    assert 2_000 < (sizes[1] - sizes[0]) / 4 < 8_000  # the charting library is 1.5 MB more
