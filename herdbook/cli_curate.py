"""The commands about curation and experiments: curate, recipe ablate, experiment."""

import csv
import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from herdbook import complete
from herdbook.cli_book import Json, Rev
from herdbook.errors import HerdbookError, one_line
from herdbook.interrupt import INTERRUPTED
from herdbook.layout import GENERATIONS, PARAMS
from herdbook.phases import phases

if TYPE_CHECKING:
    from herdbook.ablation import Effect
    from herdbook.explain import Explanation

_STDERR = 2  # its descriptor
recipe = typer.Typer(help="What the steps of a recipe are worth.\n\nExample: herdbook recipe ablate curated", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(curate)
    app.command()(experiment)
    recipe.command()(ablate)
    recipe.callback()(lambda: None)  # a group even while it has but one command
    app.add_typer(recipe, name="recipe")


def curate(
    explain: Annotated[str, typer.Option("--explain", metavar="ROW", help="The id of a row, or its beginning.")],
    rev: Rev = None,
    as_json: Json = False,
) -> None:
    """Tell which steps of its recipe a row met, and why it was kept or dropped.

    Example: herdbook curate --explain 3f9a1c"""
    from herdbook.explain import explain as core
    from herdbook.open_book import open_book
    from herdbook.snapshot import snapshot

    with phases(f"looking for {explain}") as begin, snapshot(Path.cwd(), rev) as now:
        found = core(explain, open_book(now, begin), now, begin)
    if as_json:
        print(json.dumps([asdict(each) for each in found], sort_keys=True, indent=2))
        return
    for each in found:
        _show(each)


def _show(each: "Explanation") -> None:
    from rich.table import Table
    from rich.text import Text

    drawn = Table("step", "settings", "result", title=Text(one_line(f"{each.dataset}: {each.fate}")), title_justify="left")
    for met in each.met:
        settings = ", ".join(f"{name} {value}" for name, value in met.settings.items())
        drawn.add_row(*(Text(one_line(text)) for text in (met.step, settings, met.result)))
    console = Console(highlight=False)
    console.print(drawn)
    for hand in each.hands:
        parents = ", ".join(parent[:12] for parent in hand["parents"])
        console.print(Text(one_line(f"{hand['step']} by {hand['by']} of {parents}: {hand['note']}")))


def experiment(name: Annotated[str, typer.Argument(help="Of the new folder experiments/NAME.")], as_json: Json = False) -> None:
    """Make an experiment with the parameters of params.yaml, to be changed there: own parameters, lock and results, shared code.

    Example: herdbook experiment wider-models"""
    from herdbook.experiment import create
    from herdbook.files import strict_yaml
    from herdbook.params import read_params

    read_params(PARAMS)  # says what is wrong with it
    folder = create(Path.cwd(), name, strict_yaml(PARAMS.read_text(encoding="utf-8")))
    if as_json:
        print(json.dumps({"folder": str(folder), "params": str(folder / PARAMS)}, sort_keys=True, indent=2))
    else:
        print(f"{folder}: change {folder / PARAMS}, then make run EXPERIMENT={name}")


def ablate(
    regime: Annotated[
        str, typer.Argument(help="Of params.yaml, bred already: its recipe is taken apart.", autocompletion=complete.regimes)
    ],
    jobs: Annotated[int | None, typer.Option(min=1, help="Stages at a time.")] = None,
    as_json: Json = False,
) -> None:
    """Breed a regime once without each step of its recipe, at an equal budget of tokens, and tabulate what each step does.

    The experiment is experiments/ablate-REGIME; run again, it goes on where it was.

    Example: herdbook recipe ablate curated --jobs 2"""
    from herdbook.ablation import effects
    from herdbook.params import read_params

    folder = _laid(regime)
    if not (folder / "data").is_dir() and not _checked_out(folder):
        _run(folder, "corpus")
    _run(folder, "run", *(["--jobs", str(jobs)] if jobs else []))
    with (folder / GENERATIONS).open(encoding="utf-8", newline="") as file:
        found = effects(csv.DictReader(file), list(read_params(folder / PARAMS).regimes)[1:])
    if as_json:
        print(json.dumps([asdict(effect) for effect in found], sort_keys=True, indent=2))
    else:
        Console(highlight=False).print(_drawn(found))


def _laid(regime: str) -> Path:
    """The folder of the experiment, made where there is none."""
    from herdbook.ablation import ablated
    from herdbook.experiment import EXPERIMENTS, create
    from herdbook.files import strict_yaml
    from herdbook.open_book import open_book
    from herdbook.params import read_params
    from herdbook.snapshot import snapshot

    name = f"ablate-{regime.replace('_', '-')}"
    if (folder := EXPERIMENTS / name).is_dir():
        return folder
    params = read_params(PARAMS)
    if regime not in params.regimes:
        raise HerdbookError(f"{regime}: no regime of {PARAMS}; there are {', '.join(params.regimes)}")
    with snapshot(Path.cwd()) as now:
        entries = open_book(now).entries
    training = entries.get(wanted := f"{regime}/{params.seeds[0]}/g1/training")
    if training is None or training["status"] != "bred":
        raise HerdbookError(
            f"{wanted} was not bred, so there is no training set whose size could be kept; make run first, or choose another"
        )
    document = strict_yaml(PARAMS.read_text(encoding="utf-8"))
    return create(Path.cwd(), name, ablated(document, regime, training["contents"]["composition"]))


def _checked_out(folder: Path) -> bool:
    """Whether DVC's cache has the corpus that data.dvc records."""
    if not (folder / "data.dvc").is_file():
        return False
    words = [sys.executable, "-m", "dvc", "checkout", "--quiet", "data.dvc"]
    return subprocess.run(words, cwd=folder, check=False, capture_output=True).returncode == 0 and (folder / "data").is_dir()


def _run(folder: Path, *words: str) -> None:
    """Run herdbook in the folder, what it says on stderr, so that stdout has but the table; Ctrl-C is the child's to answer."""
    from herdbook.run import LINEAGES_STOPPED

    with subprocess.Popen([sys.executable, "-m", "herdbook", *words], cwd=folder, stdout=_STDERR) as child:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to both, and the child sees its stages end
        try:
            status = child.wait()
        finally:
            signal.signal(signal.SIGINT, before)
    if status == INTERRUPTED:
        sys.exit(INTERRUPTED)  # it has said so itself
    if status not in (0, LINEAGES_STOPPED):
        raise HerdbookError(f"{folder}: herdbook {words[0]} ended with status {status}; see above")


def _drawn(found: "list[Effect]") -> Any:
    from rich.table import Table

    caption = "whole recipe less recipe without the step, at the last generation bred, mean over seeds (loss by seed in brackets)"
    drawn = Table("step", "held-out loss (nats)", "distinct-2", "tail coverage", caption=caption, caption_justify="left")
    for effect in found:
        seeds = ", ".join(f"{loss:+.3f}" for loss in effect.loss_by_seed)
        loss = f"{effect.held_out_loss_nats:+.3f} ({seeds})"
        drawn.add_row(effect.step, loss, f"{effect.distinct_2:+.4f}", f"{effect.tail_coverage:+.4f}")
    return drawn
