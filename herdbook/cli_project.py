"""The commands about a project as a whole: status, doctor, new."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from herdbook.cli_book import Json
from herdbook.errors import one_line

if TYPE_CHECKING:
    from rich.table import Table

    from herdbook.doctor import Check

STALE = 6  # exit status: the command ran, and a run would find something to do
_STYLES = {"ok": "green", "warning": "yellow", "problem": "red"}


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (status, doctor, new):
        app.command()(command)


def status(
    seeds: Annotated[bool, typer.Option("--seeds", help="A line for each seed, not one for all of them.")] = False,
    as_json: Json = False,
) -> None:
    """Show what is bred, what is stale and why, what the gate said, and how corpus, claims and book stand. Runs nothing.

    Exit status: 0 where everything is up to date, 6 where a run would find something to do, 1 on an error.

    Example: herdbook status --seeds"""
    from herdbook import status_table
    from herdbook.phases import phases
    from herdbook.status import as_json as told
    from herdbook.status import status as core

    with phases("comparing files with dvc.lock") as begin:
        found = core(begin)
    if as_json:
        print(json.dumps(told(found), sort_keys=True, indent=2))
    else:
        console = Console(highlight=False)
        console.print(status_table.drawn(found, seeds))
        for line in status_table.told(found):
            console.print(line, soft_wrap=True)
    if not found.is_up_to_date:
        raise typer.Exit(STALE)


def doctor(as_json: Json = False) -> None:
    """Check machine, packages, disk, cache, server, corpus and settings, and say how to mend what is wrong.

    Exit status 1 where there is a problem; a warning may be lived with. What environment variables hold is not shown.

    Example: herdbook doctor"""
    from herdbook.doctor import as_json as told
    from herdbook.doctor import examine
    from herdbook.phases import phases

    with phases("looking at") as begin:
        checks = list(examine(begin))
    found = told(checks)
    if as_json:
        print(json.dumps(found, sort_keys=True, indent=2))
    else:
        Console(highlight=False).print(_examined(checks))
    if not found["ready"]:
        raise typer.Exit(1)


def _examined(checks: "list[Check]") -> "Table":
    from rich import box
    from rich.table import Column, Table
    from rich.text import Text

    columns = (Column(name, overflow="fold") for name in ("", "", "found", "to mend it"))
    table = Table(*columns, box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for check in checks:
        cells = (Text(one_line(cell)) for cell in (check.item, check.found, check.fix or ""))
        item, found, fix = cells
        table.add_row(item, Text(check.state, _STYLES[check.state]), found, fix)
    return table


def new(
    folder: Annotated[Path, typer.Argument(help="To be made; may be an empty one.")],
    corpus: Annotated[
        Path | None, typer.Option(file_okay=False, help="A folder of .txt, .jsonl or .parquet files; without it the default corpus.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Of that corpus, written into each of its rows, such as CC0-1.0.")] = None,
    small: Annotated[
        bool, typer.Option("--small", help="Two regimes, two seeds, three generations of 300 rows: some minutes on two cores.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a fresh project from this one: its code and policies, own parameters and corpus, nothing claimed, nothing bred.

    It is a git repository with one commit, unless it lies inside another repository.

    Example: herdbook new ../my-herd --corpus ../my-texts --licence CC0-1.0 --small"""
    from herdbook.new_project import create
    from herdbook.phases import phases

    if licence is not None and corpus is None:
        raise typer.BadParameter("the default corpus has its own; give --corpus, or leave --licence out", param_hint="--licence")
    with phases(f"making {folder}") as begin:
        made = create(Path.cwd(), folder, corpus, licence, small, begin)
    told: dict[str, Any] = {
        "folder": str(made.folder), "commit": made.commit, "repository": made.repository and str(made.repository),
        "num_documents": made.num_documents, "num_words": made.num_words,
    }  # fmt: skip
    if as_json:
        print(json.dumps(told, sort_keys=True, indent=2))
        return
    if made.num_documents is not None:
        print(f"corpus: {made.num_documents} documents, {made.num_words} words")
    if made.commit:
        print(f"git: initialised, first commit {made.commit[:12]}")
    else:
        print(one_line(f"git: the folder lies in the repository {made.repository}, so none was initialised; commit it there"))
    print(one_line(f"{made.folder}: made; cd {made.folder}, claim what you expect (hypotheses.yaml, herdbook register), then herdbook run"))
