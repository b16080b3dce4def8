"""Run the pipeline with DVC and show how far it is."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from herdbook.errors import HerdbookError
from herdbook.layout import CODE, FOUNDER, HUMAN, RECORDS, RUNS
from herdbook.params import Params

_STAGE = re.compile(r"(?:Running stage|Stage) '(?P<name>[^']+)'(?P<how>.*)")


def stage_names(root: Path) -> list[str]:
    """All stages of the pipeline at `root`, matrices expanded."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            return sorted(stage.addressing for stage in repo.index.stages if stage.cmd)
    except DvcException as error:
        raise HerdbookError(
            f"{root}: DVC cannot read the pipeline ({' '.join(str(error).split())}); correct dvc.yaml or params.yaml"
        ) from error


def stale(params: Params) -> list[Path]:
    """Folders of runs/ and records/ that belong to no regime, seed or generation of the parameters, sorted."""
    wanted = {FOUNDER: ("g0",)} | {regime: params.generations for regime in params.regimes}
    found: list[Path] = []
    for lineage in sorted(path for top in (RUNS, RECORDS) if top.is_dir() for path in top.iterdir() if path.is_dir()):
        if lineage.name in (CODE.name, HUMAN):
            continue
        if lineage.name not in wanted:
            found.append(lineage)
            continue
        for seed in sorted(lineage.iterdir()):
            if seed.name in params.seeds and seed.is_dir():
                found.extend(path for path in sorted(seed.iterdir()) if path.name not in wanted[lineage.name])
            else:
                found.append(seed)
    return found


def prune(params: Params) -> list[Path]:
    """Remove what `stale` finds; the removed paths. What stages wrote of it is still in DVC's cache."""
    removed = stale(params)
    for path in removed:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return removed


def reproduce(console: Console, root: Path) -> None:
    """Run `dvc repro` at `root`, with a bar for people and a line a stage for logs.

    Raises HerdbookError naming the stage that failed, after printing what it said."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "dvc", "repro"]
    total = len(stage_names(root))
    with subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        said = _show(console, process.stdout, total)
    if process.returncode:
        console.print(*said, sep="\n", markup=False, highlight=False)
        raise HerdbookError("the pipeline stopped at the stage above; mend it and run again, what is finished is kept")


def _show(console: Console, lines: Iterable[str], total: int) -> list[str]:
    """Follow DVC's output; return the lines since the last stage began."""
    said: list[str] = []
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("dvc repro", total=total)
        number = 0
        for name, how, line in _stages(lines):
            if name is None:
                said.append(line)
                continue
            said = []
            progress.update(bar, completed=number, description=name)
            number += 1
            if not console.is_terminal and not how:
                console.print(f"[{number}/{total}] {name}", markup=False, highlight=False)
        progress.update(bar, completed=total)
    return said


def _stages(lines: Iterable[str]) -> Iterator[tuple[str | None, str, str]]:
    """(stage, what DVC says of it, line) for lines that begin a stage, (None, "", line) for the others."""
    for line in lines:
        line = line.rstrip("\n")
        if match := _STAGE.match(line):
            yield match["name"], match["how"].removeprefix(":"), line
        elif line.strip():
            yield None, "", line
