"""`dvc plots` shows the lines of the report, and what the DVC extension of VS Code asks for is there, in a clone without a run."""

import csv
import json
import re
import shutil
import subprocess

import pytest
import yaml

from herdbook.figures import FIGURES, GROUPS
from herdbook.layout import GENERATIONS, METRICS
from herdbook.report.chart import NUM_COLOURS, SHAPES
from tests import miniature
from tests.miniature import ROOT, commit

OF_A_SUBJECT = GROUPS["How well it answers"]  # columns that only problems with answers have
CHARTED = [figure for figure in FIGURES if figure not in OF_A_SUBJECT]
TEMPLATES = {"free": "regimes", "from zero": "regimes_from_zero", "log": "regimes_log"}
PLOTS = {name: body for plot in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"] for name, body in plot.items()}


def template(name):
    return json.loads((ROOT / f".dvc/plots/{name}.json").read_text())


def test_every_figure_of_the_report_is_a_plot_with_its_title_and_scale_in_its_order():
    assert list(PLOTS) == [figure.column for figure in CHARTED]
    for figure in CHARTED:
        assert PLOTS[figure.column] == {
            "template": TEMPLATES[figure.scale],
            "title": figure.title,
            "x": "generation",
            "y": {str(GENERATIONS): figure.column},
        }


def test_templates_differ_in_the_scale_alone():
    given = [template(name) for name in TEMPLATES.values()]
    assert [one["layer"][0]["encoding"]["y"].pop("scale") for one in given] == [
        {"zero": False},
        {"zero": True},
        {"type": "log", "nice": False},
    ]
    assert given[0] == given[1] == given[2]


def test_regimes_have_the_colours_and_the_shapes_of_the_report_in_its_order():
    css = (ROOT / "herdbook/report/page.css.j2").read_text()
    colours = dict(re.findall(r"--regime-(\d): (#[0-9a-f]{6})", css[: css.index("@media")]))
    found = template("regimes")
    assert found["encoding"]["color"]["scale"]["range"] == [colours[str(number)] for number in range(NUM_COLOURS)]
    assert found["layer"][-1]["encoding"]["shape"]["scale"]["range"] == list(SHAPES)
    assert found["encoding"]["color"]["sort"] is None  # the order of the table, which is that of params.yaml


def rendered(figure, lines):
    """The specification that DVC makes of a plot over these lines of the table."""
    from dvc_render.vega import VegaRenderer

    body = PLOTS[figure.column]
    properties = {"template": body["template"], "title": body["title"], "x": "generation", "y": figure.column}
    data = [{**line, "rev": "workspace"} for line in lines]
    return VegaRenderer(data, "plot", template_dir=str(ROOT / ".dvc/plots"), **properties).get_filled_template()


def committed():
    return list(csv.DictReader((ROOT / GENERATIONS).read_text().splitlines()))


@pytest.mark.parametrize("figure", CHARTED, ids=lambda figure: figure.column)
def test_a_filled_template_compiles(figure):
    import vl_convert

    spec = rendered(figure, committed())
    assert "DVC_METRIC" not in json.dumps({**spec, "data": None})
    assert vl_convert.vegalite_to_vega(spec)["marks"]


def line(seed, generation, value):
    return {"regime": "replace", "seed": seed, "generation": str(generation), "held_out_loss_nats": value}


def test_a_point_is_the_mean_of_the_seeds_that_were_bred_and_generations_stand_in_the_order_of_numbers():
    import vl_convert

    lines = [line("s0", 2, "9.5"), line("s1", 2, "10.5"), line("s2", 2, ""), line("s0", 10, "11")]
    said = re.findall('aria-label="([^"]*)"', vl_convert.vegalite_to_svg(rendered(CHARTED[0], lines)))
    assert [label for label in said if "seeds" in label] == [
        "generation: 2; mean: 10; regime: replace; rev: workspace; least seed: 9.5; greatest seed: 10.5; seeds: 2",
        "generation: 10; mean: 11; regime: replace; rev: workspace; least seed: 11; greatest seed: 11; seeds: 1",
    ]
    assert "X-axis titled 'generation' for a linear scale with values from 2 to 10" in said


ASKED = {
    "plots-split": ["plots", "show", "--json", "--split", "-o", ".dvc/tmp/plots"],
    "plots-diff": ["plots", "diff", "HEAD~1", "--json"],
    "metrics": ["metrics", "show", "--json"],
    "metrics-diff": ["metrics", "diff", "HEAD~1", "--json"],
    "experiments": ["exp", "show", "--json"],
}
ASK = """
import json, os, sys
from dvc.cli import main
for name, words in json.loads(sys.argv[1]).items():
    os.dup2(os.open(f"{name}.json", os.O_WRONLY | os.O_CREAT), 1)
    assert main(words) == 0, name
    sys.stdout.flush()
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What DVC answers in a clone in which nothing was run, whose last commit changed one figure."""
    root = tmp_path_factory.mktemp("clone")
    for path in ("dvc.yaml", ".dvcignore", ".gitignore", str(GENERATIONS), str(METRICS)):
        (root / path).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, root / path)
    shutil.copytree(ROOT / ".dvc", root / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "config.local"))
    miniature.write_params(root, miniature.parameters())  # fewer stages to read, each command reads them all
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    commit(root, "before")
    metrics = json.loads((root / METRICS).read_text())
    metrics["replace"]["g1"]["held_out_loss_nats"]["mean"] = 99.5
    (root / METRICS).write_text(json.dumps(metrics))
    table = (root / GENERATIONS).read_text()
    (root / GENERATIONS).write_text(table.replace(committed()[0]["held_out_loss_nats"], "99.5"))
    commit(root, "after")
    miniature.run(root, "-c", ASK, json.dumps(ASKED))
    return {name: json.loads((root / f"{name}.json").read_text()) for name in ASKED}


def test_the_extension_finds_each_plot_with_its_data_apart(answers):
    found = answers["plots-split"]
    assert list(found["data"]) == list(PLOTS)
    assert "errors" not in found
    (plot,) = found["data"]["held_out_loss_nats"]
    assert len(plot["anchor_definitions"]["<DVC_METRIC_DATA>"]) == len(committed())
    assert "<DVC_METRIC_DATA>" in json.dumps(plot["content"])


def test_two_revisions_are_drawn_in_one_plot(answers):
    found = answers["plots-diff"]
    assert list(found["data"]) == list(PLOTS)
    assert "errors" not in found
    (plot,) = found["data"]["held_out_loss_nats"]
    values = [(one["rev"], one["held_out_loss_nats"]) for one in plot["content"]["data"]["values"]]
    assert len(values) == 2 * len(committed())
    assert ("workspace", "99.5") in values
    assert ("HEAD~1", committed()[0]["held_out_loss_nats"]) in values


def test_metrics_are_those_of_the_report_and_differ_where_they_were_changed(answers):
    shown = answers["metrics"][""]["data"][str(METRICS)]["data"]
    assert shown["replace"]["g1"]["held_out_loss_nats"]["mean"] == 99.5
    before = json.loads((ROOT / METRICS).read_text())["replace"]["g1"]["held_out_loss_nats"]["mean"]
    (change,) = answers["metrics-diff"][str(METRICS)].items()
    assert change == ("replace.g1.held_out_loss_nats.mean", {"old": before, "new": 99.5, "diff": pytest.approx(99.5 - before)})


def test_the_table_of_experiments_has_metrics_and_parameters(answers):
    workspace = answers["experiments"][0]["data"]
    assert workspace["metrics"][str(METRICS)]["data"]["replace"]["g1"]["held_out_loss_nats"]["mean"] == 99.5
    assert workspace["params"]["params.yaml"]["data"]["seeds"] == ["s0"]
