"""The commands that read the book: trace, audit, replay, diff, log, export, verify."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text

from herdbook import complete
from herdbook.book import Book
from herdbook.errors import FileError, one_line
from herdbook.open_book import open_book
from herdbook.phases import Begin, phases
from herdbook.snapshot import Snapshot, commit_of, snapshot, uncommitted

Rev = Annotated[
    str | None,
    typer.Option("--rev", help="A git revision; without it the workspace, as it lies there.", autocompletion=complete.revisions),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Target = Annotated[
    str,
    typer.Argument(
        help="A name such as replace/s3/g2/model, a path, a digest or its beginning, or the id of a row.", autocompletion=complete.targets
    ),
]
Format = Literal["openlineage", "prov", "croissant", "slsa", "json"]

FOUND = 4  # exit status: the command ran, and what it looked at is not in order
_SHOWN = 3  # of the files that differ from the last commit
messages = Console(stderr=True, highlight=False)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (trace, audit, replay, diff, log, export, verify):
        app.command()(command)


@contextmanager
def _opened(rev: str | None, begin: Begin) -> Iterator[tuple[Snapshot, Book]]:
    with snapshot(Path.cwd(), rev) as now:
        yield now, open_book(now, begin)


def _print(as_json: bool, value: Any, drawn: Any) -> None:
    if as_json:
        print(json.dumps(value, sort_keys=True, indent=2))  # ASCII, so that no text can steer a terminal
    else:
        # A tree's lines are never broken: a broken one reads as two, and to look for where to break takes longer than the trace.
        Console(highlight=False).print(drawn, soft_wrap=isinstance(drawn, Text))


def trace(target: Target, rev: Rev = None, as_json: Json = False) -> None:
    """Show what a dataset, a model, a file or a row descends from, down to the documents that people wrote.

    Exit status 4 where a file that it read is not what the book says.

    Example: herdbook trace replace/s3/g2/model"""
    from herdbook import trace as core

    with phases(f"tracing {target}") as begin, _opened(rev, begin) as (now, book):
        found = core.trace(target, book, now, begin)
    _print(as_json, core.as_json(found), core.drawn(found))
    if found.altered:
        raise typer.Exit(FOUND)


def audit(
    level: Annotated[
        Literal["records", "hashes", "rows"],
        typer.Option(help="records: the book, receipts and lock alone; hashes: also every byte; rows: also every figure, from the rows."),
    ] = "rows",
    rev: Rev = None,
    as_json: Json = False,
) -> None:
    """Check that everything is what the book says: bytes, entries, receipts, waivers, counts, the lock. Exit status 4 on any finding.

    Example: herdbook audit --rev HEAD~1"""
    from herdbook import audit as core

    if rev is None and (changed := uncommitted(Path.cwd())):
        names = ", ".join(map(one_line, changed[:_SHOWN])) + (f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else "")
        messages.print(f"the workspace is audited as it lies here; not committed: {names}", markup=False, soft_wrap=True)
    with snapshot(Path.cwd(), rev) as now, phases("auditing") as begin:
        report = core.audit(now, level, begin)
    _print(as_json, core.as_json(report), core.drawn(report))
    if report.findings:
        raise typer.Exit(FOUND)


def replay(target: Target, rev: Rev = None, as_json: Json = False) -> None:
    """Rebuild a dataset or a model from its recorded inputs, elsewhere, and compare bytes. Exit status 4 where they differ.

    Example: herdbook replay replace/s3/g2/curated"""
    from herdbook import replay as core

    with phases(f"rebuilding {target}") as begin, _opened(rev, begin) as (now, book):
        found = core.replay(target, book, now, begin)
    _print(as_json, core.as_json(found), core.drawn(found))
    if not found.is_identical:
        raise typer.Exit(FOUND)


def diff(
    old: Annotated[str, typer.Argument(metavar="REV1", help="A git revision.", autocompletion=complete.revisions)],
    new: Annotated[
        str | None, typer.Argument(metavar="[REV2]", help="Another one; without it the workspace.", autocompletion=complete.revisions)
    ] = None,
    target: Annotated[
        str | None,
        typer.Argument(metavar="[TARGET]", help="One dataset or model; without it all that changed.", autocompletion=complete.targets),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show which datasets and models changed between two revisions, because of what, and by how much.

    Example: herdbook diff HEAD~1 HEAD replace/s3/g2/training"""
    from herdbook import versions as core

    if new and target is None and commit_of(Path.cwd(), new) is None:
        new, target = None, new
    with phases("comparing two books") as begin, snapshot(Path.cwd(), old) as before, snapshot(Path.cwd(), new) as now:
        found = core.diff(before, now, target, begin)
    _print(as_json, core.as_json(found), core.drawn(found, target))


def log(target: Target, rev: Rev = None, as_json: Json = False) -> None:
    """List the versions of a dataset or model over git history, with their digests and verdicts.

    Example: herdbook log curated/s3/g3/curated"""
    from herdbook import history as core

    with phases(f"looking for {target}") as begin:
        found = core.log(Path.cwd(), target, rev, begin)
    _print(as_json, core.as_json(found), core.drawn(found))


def export(
    target: Annotated[
        str | None,
        typer.Argument(help="One dataset or model with its ancestors; without it the whole book.", autocompletion=complete.targets),
    ] = None,
    format: Annotated[Format, typer.Option("--format", help="What to write it as; docs/exports.md tells what each holds.")] = "json",
    rev: Rev = None,
    output: Annotated[Path | None, typer.Option(dir_okay=False, help="The file to write; without it the terminal.")] = None,
    url: Annotated[str | None, typer.Option(help="openlineage: the address to send the events to.")] = None,
) -> None:
    """Write the book in the form of another standard, or send it to a catalogue of datasets.

    Example: herdbook export --format prov replace/s3/g2/model --output model.prov.json"""
    from herdbook import exports
    from herdbook.files import write_text

    if url is not None and format != "openlineage":
        raise typer.BadParameter("only openlineage is sent; leave --url out, or use --format openlineage", param_hint="--url")
    with phases("writing the book") as begin, _opened(rev, begin) as (now, book):
        document = exports.export(format, book, now, target)
        if url is not None and isinstance(document, list):
            exports.openlineage.send(document, url, begin)
    if url is not None:
        messages.print(f"{len(document)} events sent")
    elif output is not None:
        if not output.parent.is_dir():
            raise FileError(f"{output}: there is no folder {output.parent}; make it, or name another file")
        write_text(output, exports.as_text(document))
        messages.print(f"{output}: written", markup=False)
    else:
        print(exports.as_text(document), end="")


def verify(
    attestation: Annotated[Path, typer.Argument(help="A file of attestations/.")],
    key: Annotated[Path, typer.Option(help="The public key, in PEM, of who should have signed it.")],
) -> None:
    """Check who signed the attestation of a run, and print what it states.

    Example: herdbook verify attestations/ROOT-RUN.json --key public.pem"""
    from herdbook import attest

    print(json.dumps(attest.verify(attestation, key), sort_keys=True, indent=2))
