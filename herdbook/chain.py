"""Files that only grow: a JSON object a line, numbered from 1, each naming the line before it by sha256.

A line that is changed, removed or moved breaks the chain there. Lines cut off at the end, and a chain that is written anew
as a whole, break nothing; those show against git's history (herdbook/audit/journal.py). No line holds a time: the commit
that brought it dates it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from herdbook.errors import ClaimError
from herdbook.files import canonical_json, digest_bytes, write_text

FIRST = "0" * 64  # what the first line names as the line before it

Link = Mapping[str, Any]


def canonical_line(value: Link) -> str:
    """A JSON object as one line: sorted keys, ASCII, finite numbers only, no line break."""
    return json.dumps(json.loads(canonical_json(value)), sort_keys=True, separators=(",", ":"))


def parse_chain(text: str, where: str) -> list[dict[str, Any]]:
    """The objects of a chain, oldest first; ClaimError names the first line that is none or that breaks it."""
    found: list[dict[str, Any]] = []
    previous = FIRST
    lines = text.split("\n")
    for number, line in enumerate(lines[:-1], 1):
        place = f"{where}: line {number}"
        try:
            link = json.loads(line)
            is_canonical = isinstance(link, dict) and canonical_line(link) == line
        except (ValueError, RecursionError):
            is_canonical = False
        if not is_canonical:
            raise ClaimError(f"{place}: is no JSON object as herdbook writes them, so it was altered; restore it: git checkout {where}")
        if link.get("number") != number or link.get("previous") != previous:
            raise ClaimError(
                f"{place}: number {str(link.get('number'))[:12]} after {str(link.get('previous'))[:12]}, must be number {number} after "
                f"{previous[:12]}, so it or the line before it was altered, moved or removed; restore them: git checkout {where}"
            )
        found.append(link)
        previous = digest_bytes(line.encode())
    if lines[-1]:
        raise ClaimError(f"{where}: line {len(lines)} has no end, so something was cut off; restore it: git checkout {where}")
    return found


def read_chain(path: Path) -> list[dict[str, Any]]:
    """The objects of a chain in a file; none where there is no file. ClaimError as parse_chain."""
    try:
        text = path.read_bytes().decode("utf-8")  # as it is: read_text would hide carriage returns
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise ClaimError(f"{path}: cannot be read ({error}); restore it: git checkout {path}") from error
    return parse_chain(text, path.as_posix())


def linked(before: Sequence[Link], value: Link) -> dict[str, Any]:
    """The next object of a chain: `value`, numbered and with the digest of the line before."""
    previous = digest_bytes(canonical_line(before[-1]).encode()) if before else FIRST
    return {**value, "number": len(before) + 1, "previous": previous}


def write_chain(path: Path, links: Sequence[Link]) -> None:
    """Write a chain whole, or leave the one that is there."""
    write_text(path, "".join(f"{canonical_line(link)}\n" for link in links))
