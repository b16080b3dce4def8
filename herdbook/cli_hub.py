"""The commands for the Hugging Face Hub: card, hub."""

import json
from pathlib import Path
from typing import Annotated

import typer

from herdbook.cli_book import Json, Rev, Target
from herdbook.errors import one_line
from herdbook.phases import phases


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(card)
    app.command()(hub)


def card(
    target: Target,
    output: Annotated[Path | None, typer.Option(dir_okay=False, help="The file to write; without it the terminal.")] = None,
    rev: Rev = None,
    as_json: Json = False,
) -> None:
    """Write the card of a model or dataset: what the Hugging Face Hub shows as README.md.

    Example: herdbook card replace/s3/g2/model --output README.md"""
    from herdbook.card import facts
    from herdbook.card_page import page
    from herdbook.files import write_text
    from herdbook.open_book import open_book
    from herdbook.snapshot import snapshot

    with phases(f"writing the card of {target}") as begin, snapshot(Path.cwd(), rev) as now:
        found = facts(target, open_book(now, begin), now)
    text = json.dumps(found, sort_keys=True, indent=2) + "\n" if as_json else page(found)
    if output is None:
        print(text, end="")
    else:
        write_text(output, text)


def hub(
    target: Target,
    folder: Annotated[Path, typer.Argument(help="A new or an empty folder.")],
    upload: Annotated[
        str | None, typer.Option("--upload", metavar="OWNER/NAME", help="Upload it to this repository, made where it is missing.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make the repository one that only its owner sees.")] = False,
    rev: Rev = None,
    as_json: Json = False,
) -> None:
    """Write a model or dataset as a folder for the Hugging Face Hub, every byte checked, and upload it where that is asked for.

    The token is that of HF_TOKEN or of hf auth login, the endpoint that of HF_ENDPOINT.

    Example: herdbook hub replace/s3/g2/curated published/curated"""
    from herdbook import hub as core
    from herdbook.open_book import open_book
    from herdbook.snapshot import snapshot

    if private and upload is None:
        raise typer.BadParameter("only an upload is private; leave --private out, or give --upload OWNER/NAME", param_hint="--private")
    if upload is not None:
        core.check_repository(upload)
    with snapshot(Path.cwd(), rev) as now, phases(f"copying to {folder}") as begin:
        told = core.prepare(target, folder, open_book(now, begin), now, begin)
    commit = core.upload(folder, upload, told["is_model"], private) if upload is not None else None
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    if as_json:
        result = {"folder": str(folder), "name": told["name"], "root": told["root"], "entry": told["entry"]}
        print(json.dumps({**result, "num_files": len(files), "num_bytes": size, "commit": commit}, sort_keys=True, indent=2))
        return
    print(one_line(f"{folder}: {told['name']}, {len(files)} files, {size} bytes, root {told['root'][:12]}"))
    if commit is not None:
        print(one_line(f"{upload}: uploaded as {commit}"))
