"""The command line: `herdbook --help`."""

import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from herdbook import cli_book, cli_claims, cli_curate, cli_hub, cli_project, interrupt
from herdbook.cli_book import Json
from herdbook.errors import CorpusError, HerdbookError, one_line
from herdbook.layout import CORPUS, PARAMS, RECORDS, RUNS

app = typer.Typer(
    help="Breed generations of language models on synthetic text, every dataset inspected before it trains.", no_args_is_help=True
)
messages = Console(stderr=True, highlight=False)


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        print(version("herdbook"))
        raise typer.Exit


@app.callback()
def program(
    is_asked: Annotated[bool, typer.Option("--version", help="Print the version and exit.", callback=_tell_version, is_eager=True)] = False,
) -> None:
    """What stands before a command."""


@app.command()
def corpus(
    replace: Annotated[
        bool, typer.Option("--replace", help="Write a corpus whose bytes differ from data.dvc; then run dvc add data.")
    ] = False,
    params: Annotated[Path, typer.Option(help="The file whose section corpus names the source.")] = PARAMS,
    as_json: Json = False,
) -> None:
    """Write the human corpus to data/ from the source that params.yaml names.

    Example: herdbook corpus"""
    from herdbook.corpus import dvc_digest, gather, recorded_digest, write_corpus
    from herdbook.params import read_params
    from herdbook.phases import phases

    settings = read_params(params)
    source = settings.corpus
    recorded = recorded_digest(CORPUS.with_suffix(".dvc"))
    said: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        with phases(f"reading {source.path or source.source}") as begin:
            table = gather(source, said.append, begin, settings.task)
        for message in said:
            messages.print(message, markup=False)
        write_corpus(table, Path(folder, "data"))
        found = dvc_digest(Path(folder, "data"))
        if recorded not in (None, found) and not replace:
            raise CorpusError(
                f"{CORPUS}: the source gives md5 {found}, but {CORPUS}.dvc records {recorded}; nothing was written: "
                "to adopt the new corpus run herdbook corpus --replace, then dvc add data"
            )
        write_corpus(table, CORPUS)
    num_words = sum(len(text.split()) for text in table["text"].to_pylist())
    if as_json:
        told = {"folder": str(CORPUS), "num_documents": table.num_rows, "num_words": num_words, "md5": found, "recorded": recorded}
        print(json.dumps(told, sort_keys=True, indent=2))
        return
    state = "the version that data.dvc records" if found == recorded else "a new version: run dvc add data"
    print(f"{CORPUS}: {table.num_rows} documents, {num_words} words, md5 {found}, {state}")


@app.command()
def run(
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Stages at a time, one thread each; by default as many as there are cores.")
    ] = None,
) -> None:
    """Make the corpus if it is missing, run the pipeline, and print what came out.

    Exit status: 0 where every lineage was bred, 3 where a gate ended one, 5 where a calibration failed, 1 on an error,
    130 when interrupted.

    Example: herdbook run --jobs 2"""
    from herdbook.params import read_params

    read_params(PARAMS)
    if not (CORPUS / "manifest.json").exists():
        corpus()
    # Flows import this package, so it starts them as a program of their own.
    os.execv(sys.executable, [sys.executable, "-m", "flows", *(["--jobs", str(jobs)] if jobs else [])])


@app.command()
def prune(as_json: Json = False) -> None:
    """Remove from runs/ and records/ what belongs to no regime, seed or generation of params.yaml.

    DVC's cache keeps what stages wrote; anything else that lies there is gone.

    Example: herdbook prune"""
    from herdbook.params import read_params
    from herdbook.run import prune as prune_stale

    removed = prune_stale(read_params(PARAMS))
    if as_json:
        print(json.dumps([path.as_posix() for path in removed], indent=2))
        return
    for path in removed:
        print(one_line(f"{path}: removed"))
    if not removed:
        print(f"nothing to remove: all of {RUNS} and {RECORDS} belongs to {PARAMS}")


cli_book.add_to(app)
cli_curate.add_to(app)
cli_claims.add_to(app)
cli_project.add_to(app)
cli_hub.add_to(app)


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr and exit status 1, or 2 where the words typed are wrong; Ctrl-C 130."""
    try:
        status = app(sys.argv[1:] or ["--help"], prog_name="herdbook", standalone_mode=False)
    except typer.TyperException as error:
        print(_misused(error), file=sys.stderr)
        sys.exit(2)
    except HerdbookError as error:
        print(f"herdbook: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        what = f"{error.filename or 'a file'}: {error.strerror or error}"
        print(one_line(f"herdbook: {what}; allow it or mend it, then ask again"), file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        interrupt.end()
    if status == interrupt.INTERRUPTED:  # what typer makes of Ctrl-C
        interrupt.end()
    sys.exit(status)


def _misused(error: typer.TyperException) -> str:
    """A fault in the words of a command, in one line."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "herdbook"
    message = getattr(error, "message", None) or str(error)
    if hasattr(error, "format_message"):
        message = error.format_message()
    return one_line(f"herdbook: {message.replace('Value error, ', '').rstrip('.')}; see {command} --help")
