"""What a few files of the project held at every commit of git's history."""

import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from herdbook.errors import ClaimError
from herdbook.snapshot import commit_of

_AT_A_TIME = 64  # contents that git is asked for at once: a lock of 200 stages is 400 kB

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Commit:
    """A commit that changed one of the files, that merges others, or that was asked for by name."""

    parents: tuple[str, ...]  # the nearest such commits before it; the files are at each as at the parent that leads there
    blobs: Mapping[Path, str]  # git's name for what each file holds; nothing of a file that it has not


@dataclass(frozen=True)
class Past:
    """The commits of a history by their names, parents first."""

    root: Path
    commits: Mapping[str, Commit]

    def read(self, path: Path, reader: Callable[[bytes], _Read]) -> dict[str, _Read]:
        """What `reader` makes of a file at each commit that has it; equal contents are read once."""
        named = {name: commit.blobs[path] for name, commit in self.commits.items() if path in commit.blobs}
        made = {blob: reader(content) for blob, content in _contents(self.root, sorted(set(named.values())))}
        return {name: made[blob] for name, blob in named.items()}


def read_past(root: Path, paths: Sequence[Path], *revisions: str, tip: str | None = None) -> Past:
    """The history of files of the project at `root` over what git rev-list knows as `revisions`, and the commit `tip`.

    A project may be a folder of its repository. Raises ClaimError where there is no git, or history was cut off (a shallow clone)."""
    if _git(root, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise ClaimError("git: this clone is shallow, so what came first cannot be told; fetch the rest: git fetch --unshallow")
    words = ("--topo-order", "--reverse", "--full-history", "--parents", *revisions, *([tip] if tip else []), "--", *map(str, paths))
    # Without --full-history a merge hides the side whose changes it dropped; with --parents no merge is left out.
    lines = [line.split() for line in _git(root, "rev-list", *words).decode().splitlines()] if revisions or tip else []
    parents = {name: tuple(before) for name, *before in lines}
    if tip and tip not in parents:  # it changed none of them, so they are as at the nearest commit before it that did
        parents[tip] = tuple(_git(root, "rev-list", "--topo-order", "--max-count=1", tip, "--", *map(str, paths)).decode().split())
    blobs = _blobs(root, parents, paths)
    return Past(root, {name: Commit(before, found) for (name, before), found in zip(parents.items(), blobs, strict=True)})


def lines_of(content: bytes) -> tuple[str, ...]:
    """The whole lines of a file; what is no UTF-8 is shown as such."""
    return tuple(content.decode(errors="replace").split("\n")[:-1])


def demand_grown(root: Path, path: Path) -> None:
    """ClaimError unless a file of lines still begins with all that it held at every commit before."""
    lying = root / path
    now = lines_of(lying.read_bytes()) if lying.is_file() else ()
    for commit, before in read_past(root, [path], tip=commit_of(root, "HEAD")).read(path, lines_of).items():
        number = next((number for number, line in enumerate(before, 1) if now[number - 1 : number] != (line,)), None)
        if number is not None:
            raise ClaimError(
                f"{path}: line {number} is not what commit {commit[:12]} has, and a line once committed stays as it is; "
                f"restore it: git checkout {commit[:12]} -- {path}"
            )


def _blobs(root: Path, commits: Mapping[str, object], paths: Sequence[Path]) -> Iterator[dict[Path, str]]:
    asked = "".join(f"{commit}:./{path.as_posix()}\n" for commit in commits for path in paths).encode()
    said = iter(_git(root, "cat-file", "--batch-check=%(objecttype) %(objectname)", asked=asked).decode().splitlines())
    for _ in commits:
        found = {path: next(said).split() for path in paths}
        yield {path: words[1] for path, words in found.items() if words[0] == "blob"}


def _contents(root: Path, blobs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for number in range(0, len(blobs), _AT_A_TIME):
        asked = blobs[number : number + _AT_A_TIME]
        said = _git(root, "cat-file", "--batch", asked="".join(f"{blob}\n" for blob in asked).encode())
        start = 0
        for blob in asked:
            first = said.index(b"\n", start) + 1  # of the content, after a line "NAME TYPE SIZE"
            last = first + int(said[start:first].split()[2])
            yield blob, said[first:last]
            start = last + 1


def _git(root: Path, *words: str, asked: bytes | None = None) -> bytes:
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, check=False, input=asked)
    except FileNotFoundError as error:
        raise ClaimError("git: not found; install it, for registrations are dated by commits") from error
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())[:200]
        raise ClaimError(f"git {words[0]}: {said}; registrations are dated by commits, so keep the project in a git repository: git init")
    return done.stdout
