"""The versions of one dataset or model over git history."""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from herdbook.book import entry_path
from herdbook.entry import Entry, parse_entry
from herdbook.errors import BookError, FileError, one_line
from herdbook.layout import BOOK, LOCK
from herdbook.open_book import open_book
from herdbook.phases import Begin, unseen
from herdbook.snapshot import Snapshot, snapshot
from herdbook.target import find
from herdbook.versions import verdict_of

if TYPE_CHECKING:
    from rich.table import Table

_DIGITS = 12  # of a digest or a commit, as people are shown it
_AUTHOR = 12  # characters of a line, so that the subject has some
_STAGE = re.compile(r"(?m)^(?=  [^\s-])")  # where the record of a stage begins in dvc.lock


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of an artefact, and the oldest of the commits in a row that have it."""

    commit: str
    date: str  # of the commit, ISO 8601
    author: str
    subject: str
    md5: str  # of the output that holds it, as dvc.lock has it
    digest: str | None  # sha256 of its bytes, as the book has it; None where that commit has no book at hand
    verdict: str | None  # of its inspection; None where it has none, or where it is not at hand
    depth: float | None


def log(root: Path, target: str, revision: str | None = None, begin: Begin = unseen) -> list[Version]:
    """The versions of the artefact that `target` names, newest first, over the commits that touched dvc.lock.

    Commits in a row with the same bytes and verdict are one version; those without a lock, or whose lock has
    no such artefact, are left out. Raises BookError where the book knows no such target, or git no commit."""
    with snapshot(root, revision) as now:
        book = open_book(now, begin)
        entry = book.entries[find(target, book, now)]
        commits = _commits(root, now.commit or "HEAD")
        locks = _locks(root, [commit["commit"] for commit in commits])
        states: dict[str | None, dict[str, Any] | None] = {None: None}
        advance = begin(f"versions of {LOCK}", len({*locks} - {None}))
        for lock in locks:
            if lock not in states:
                states[lock] = _state(_git(root, "cat-file", "blob", lock or ""), entry, now)
                advance(1)
    pairs = [(commit, states[lock]) for commit, lock in zip(commits, locks, strict=True)]
    return _merged([Version(**{**commit, **state}) if state else None for commit, state in pairs])


def _commits(root: Path, revision: str) -> list[dict[str, str]]:
    """The commits that touched dvc.lock, newest first."""
    fields = ("commit", "date", "author", "subject")
    said = _git(root, "log", "-z", "--format=%H%x1f%cI%x1f%an%x1f%s", revision, "--", LOCK.as_posix()).decode(errors="replace")
    return [dict(zip(fields, line.split("\x1f", len(fields) - 1), strict=True)) for line in said.split("\0") if line]


def _locks(root: Path, commits: Sequence[str]) -> list[str | None]:
    """The name that git has for the lock of each commit; None where it has none."""
    asked = "".join(f"{commit}:./{LOCK}\n" for commit in commits).encode()
    lines = _git(root, "cat-file", "--batch-check=%(objectname)", asked=asked).decode().splitlines()
    return [None if line.endswith(" missing") else line for line in lines]


def _git(root: Path, *words: str, asked: bytes | None = None) -> bytes:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, check=False, input=asked)
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())[:200]
        raise BookError(f"git {words[0]}: {said}; so there is no history to look through")
    return done.stdout


def _state(lock: bytes, entry: Entry, now: Snapshot) -> dict[str, Any] | None:
    """What a lock, and the book of its time, say of an artefact; None where it had none."""
    path, inspection = Path(entry["path"]), entry["inspection"]
    receipt = Path(inspection["receipt"]["path"]) if inspection else None
    outs = {BOOK, *_tops(path), *(_tops(receipt) if receipt else ())}
    recorded = _recorded(lock.decode(errors="replace"), outs, set() if entry["stage"]["command"] else {path})
    md5 = next((recorded[top] for top in _tops(path) if top in recorded), None)
    if md5 is None:
        return None
    with suppress(FileError, BookError):
        then = parse_entry(_bytes_then(entry_path(entry["name"]), recorded, now), "the book of then")
        return {"md5": md5, "digest": then["digest"], "verdict": verdict_of(then), "depth": (then["contents"] or {}).get("depth")}
    verdict = None
    with suppress(FileError, ValueError, AttributeError):
        verdict = json.loads(_bytes_then(receipt, recorded, now)).get("status") if receipt else None
    return {"md5": md5, "digest": None, "verdict": verdict, "depth": None}


def _tops(path: Path) -> list[Path]:
    """A path and the folders it lies in, nearest first."""
    return [path, *path.parents[:-1]]


def _recorded(text: str, outs: set[Path], deps: set[Path]) -> dict[Path, str]:
    """The md5 that a lock records for each of these outputs and dependencies; none where the lock is broken.

    A lock of 200 stages takes 0.3 s to parse, so only the stages that name one of them are."""
    parts = {"deps": deps, "outs": outs}
    lines = {part: [f"    - path: {path.as_posix()}\n" for path in paths] for part, paths in parts.items()}
    stages = [stage for stage in _STAGE.split(text) if any(line in _part(stage, part) for part in parts for line in lines[part])]
    try:
        parsed = yaml.load("".join(stages), Loader=yaml.CSafeLoader) or {}
        items = [(Path(item["path"]), item["md5"], part) for part in parts for stage in parsed.values() for item in stage.get(part, ())]
        return {path: str(md5) for path, md5, part in items if path in parts[part]}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}


def _part(stage: str, part: str) -> str:
    """The text of a stage from its list of deps, or of outs, to its end."""
    return stage.partition(f"\n    {part}:\n")[2]


def _bytes_then(path: Path, recorded: Mapping[Path, str], now: Snapshot) -> bytes:
    """The bytes of a file as a lock records them; FileError where it does not, or where they cannot be had."""
    for top in _tops(path):
        if top in recorded and (md5 := now.listing(top, recorded[top]).get(path)):
            return now.object_of(path, md5).read_bytes()
    raise FileError(f"{path}: not recorded")


def _merged(versions: Sequence[Version | None]) -> list[Version]:
    """The versions, those in a row that are the same as one; None stands where there was none."""
    merged: list[Version] = []
    newer: Version | None = None
    for version in versions:
        if version and newer and _is_same(newer, version):
            known = {name: getattr(newer, name) or getattr(version, name) for name in ("digest", "verdict", "depth")}
            merged[-1] = newer = replace(version, **known)
            continue
        if version:
            merged.append(version)
        newer = version
    return merged


def _is_same(newer: Version, older: Version) -> bool:
    """Whether two commits in a row have the same bytes and, as far as a book knows it, verdict."""
    if newer.digest is None or older.digest is None:
        return newer.md5 == older.md5
    return (newer.digest, newer.verdict) == (older.digest, older.verdict)


def drawn(versions: Sequence[Version]) -> "Table":
    """Versions for a terminal, a line each."""
    from rich import box
    from rich.table import Column, Table
    from rich.text import Text

    whole = (Column(name, no_wrap=True) for name in ("commit", "date", "digest", "verdict", "depth"))
    table = Table(*whole, Column("author", max_width=_AUTHOR), "subject", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for version in versions:
        digest = version.digest[:_DIGITS] if version.digest else f"md5 {version.md5[:_DIGITS]}"
        depth = "-" if version.depth is None else f"{version.depth:.3g}"
        cells = (version.commit[:_DIGITS], version.date[:10], digest, version.verdict or "-", depth, version.author, version.subject)
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def as_json(versions: Sequence[Version]) -> list[dict[str, Any]]:
    """Versions as plain values."""
    return [asdict(version) for version in versions]
