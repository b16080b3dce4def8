"""Pages of docs/own are followed as a reader would: from top to bottom, each block done to a project.

A block with a title is a file of that path: of a diff, the change to it; of params.yaml, the keys to set there. A block of
console has commands and what they say, `...` standing for anything; titled "refused", the last must fail. Other blocks are only read."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.miniature import ROOT, write_params

REFUSED = "refused"
_FENCE = re.compile(r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<body>.*?)^```$', re.MULTILINE | re.DOTALL)
_SHOWN_ONLY = ("text",)
_WHOLE = {"task", "teacher"}  # sections whose keys depend on each other: a page gives all of them


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    language: str
    title: str | None
    body: str


def blocks(name: str) -> list[Block]:
    """The fenced blocks of docs/own/NAME.md, in order; every fence of the page is among them."""
    text = (ROOT / "docs/own" / f"{name}.md").read_text(encoding="utf-8")
    found = [Block(**match.groupdict()) for match in _FENCE.finditer(text)]
    assert text.count("\n```") == 2 * len(found), f"docs/own/{name}.md has a fence that no reader of this module sees"
    return found


def follow(told: Iterable[Block], root: Path, replaced: Mapping[str, str] | None = None) -> None:
    """Do what blocks say, one after another, in the project at `root`; `replaced` are words that the test puts others in place of."""
    for block in told:
        body = block.body
        for theirs, ours in (replaced or {}).items():
            body = body.replace(theirs, ours)
        do(Block(block.language, block.title, body), root)


def do(block: Block, root: Path) -> None:
    """Do what one block says."""
    if block.language == "console":
        found = list(commands(block.body))
        for number, (command, said) in enumerate(found, 1):
            run(root, command, said, is_refused=block.title == REFUSED and number == len(found))
    elif block.language == "diff":
        subprocess.run(["git", "apply", "--recount", "-"], cwd=root, input=block.body, text=True, check=True)
    elif block.title and Path(block.title).name == "params.yaml":
        path = root / block.title
        document, changes = yaml.safe_load(path.read_text()), yaml.safe_load(block.body)
        write_params(path.parent, merged({**document, **dict.fromkeys(_WHOLE & changes.keys())}, changes))
    elif block.title:
        path = root / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.body, encoding="utf-8")
    else:
        assert block.language in _SHOWN_ONLY, f"a block of {block.language} without a title: nobody tests it"


def commands(body: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block, its continued lines joined, and what it is to say."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        number = next(n for n, line in enumerate(lines, 1) if not line.endswith("\\"))
        yield "\n".join(line.removeprefix("> ") for line in lines[:number]), "\n".join(lines[number:])


def run(root: Path, command: str, said: str = "", is_refused: bool = False) -> None:
    """Run a line of shell at `root`; it must end as told, and say what it is to say and no more."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(root),  # as where the project itself was installed: commands run its code
        "COLUMNS": "100",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert (done.returncode != 0) == is_refused, f"$ {command}\n{done.stdout}"
    wanted = ".*".join(map(re.escape, said.strip().split("...")))
    assert re.fullmatch(wanted, done.stdout.strip(), re.DOTALL), f"$ {command}\n{done.stdout}\nbut the page says\n{said}"


def merged(document: dict, changes: dict) -> dict:
    """A document in which these keys have other values; mappings are merged, all else is replaced."""
    both = {key for key in changes if isinstance(changes[key], dict) and isinstance(document.get(key), dict)}
    return {**document, **changes, **{key: merged(document[key], changes[key]) for key in both}}
