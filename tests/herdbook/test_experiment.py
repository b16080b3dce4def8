import subprocess
from pathlib import Path

import pytest
import yaml

from herdbook.amounts import rows_at
from herdbook.errors import HerdbookError, ParamsError
from herdbook.experiment import EXPERIMENTS, SHARED, create
from herdbook.grow import with_one_more_generation
from herdbook.params import read_params
from tests.parameters import ROOT, document


def tracked_experiments():
    return sorted(path for path in (ROOT / EXPERIMENTS).iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", tracked_experiments(), ids=lambda folder: folder.name)
def test_an_experiment_has_no_copy_of_what_the_project_shares(folder):
    for name in SHARED:
        if name != "expectations" or (folder / name).is_symlink():  # policies may be an experiment's own
            assert (folder / name).is_symlink(), name
            assert (folder / name).resolve() == (ROOT / name).resolve()
    assert (folder / ".dvc/plots").is_symlink()
    assert (folder / ".dvc/plots/regimes.json").samefile(ROOT / ".dvc/plots/regimes.json")
    listed = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    own = {Path(line).relative_to(folder.relative_to(ROOT)).parts[0] for line in listed.splitlines()} - set(SHARED)
    assert own <= {".dvc", "data.dvc", "dvc.lock", "expectations", "hypotheses.yaml", "journal", "params.yaml", "published.yaml", "reports"}


@pytest.mark.parametrize("path", sorted((ROOT / EXPERIMENTS).glob("*/published.yaml")), ids=lambda path: path.parent.name)
def test_the_published_size_differs_in_sizes_and_starts_alone(path):
    small, published = read_params(path.parent / "params.yaml"), read_params(path)
    assert list(small.regimes) == list(published.regimes)
    assert list(small.decodings) == list(published.decodings)
    for name, regime in small.regimes.items():
        other = published.regimes[name]
        assert (regime.weights, regime.compute, regime.gate) == (other.weights, other.compute, other.gate)
        assert sizeless(regime.decoding) == sizeless(other.decoding)
        assert (regime.budget_rows is None) == (other.budget_rows is None)
    assert len(published.generations) > len(small.generations)


def sizeless(decoding):
    return decoding.model_dump(exclude={"num_rows"})


@pytest.mark.parametrize("name", ["params.yaml", "published.yaml"])
def test_grown_sets_are_as_large_as_those_of_accumulate(name):
    params = read_params(ROOT / EXPERIMENTS / "gerstgrasser-2024" / name)
    one, grown = params.regimes["replace"].recipe.num_rows, params.regimes["replace_grown"]
    assert grown.recipe.num_rows == grown.decoding.num_rows
    for child in range(1, 4):  # accumulate trains generation n on human text and n sets
        assert rows_at(grown.recipe.num_rows, child - 1) == params.prepare.num_blocks + child * one


@pytest.fixture
def project(tmp_path):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document()))
    (tmp_path / "data.dvc").write_text("outs: []\n")
    return tmp_path


def test_a_new_experiment_has_the_parameters_it_was_given_and_links_to_the_rest(project):
    changed = document(train={"epochs": 1})
    folder = create(project, "short", changed)
    assert yaml.safe_load((folder / "params.yaml").read_text()) == changed
    assert all((folder / name).is_symlink() for name in (*SHARED, ".dvc/plots"))
    assert (folder / ".dvc/plots").resolve() == project / ".dvc/plots"
    assert (folder / "data.dvc").read_text() == "outs: []\n"


def test_an_experiment_of_another_corpus_starts_without_a_record_of_one(project):
    folder = create(project, "other", document(corpus={"source": "files", "path": "texts"}))
    assert not (folder / "data.dvc").exists()


def test_a_generation_can_be_added_to_the_parameters_of_an_experiment(project):
    text = (create(project, "grown", document()) / "params.yaml").read_text()
    assert with_one_more_generation(text)[1] == "g4"


@pytest.mark.parametrize("name", ["", "Upper", "../out", "a/b", "1st", "a_b"])
def test_a_name_that_is_none_is_refused(project, name):
    with pytest.raises(HerdbookError, match="no name of an experiment"):
        create(project, name, document())
    assert not (project / EXPERIMENTS).exists()


def test_an_experiment_is_never_overwritten(project):
    create(project, "once", document())
    with pytest.raises(HerdbookError, match="is there already"):
        create(project, "once", document())


def test_parameters_that_are_not_whole_make_no_experiment(project):
    with pytest.raises(ParamsError):
        create(project, "broken", {**document(), "seeds": ["s0", "s0"]})
    assert not (project / EXPERIMENTS / "broken").exists()
