"""The project as it is in the workspace, or as it was at a git revision: every file of it, wherever its bytes lie.

Tracked files come from git, outputs from the workspace, from DVC's cache or, one by one, from its remote.
Nothing is checked out and nothing in the workspace is touched."""

import configparser
import json
import posixpath
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from herdbook.book import Book, read_book
from herdbook.errors import BookError, FileError
from herdbook.layout import BOOK, BOOK_ROOT, CORPUS, LOCK
from herdbook.remote import Remote

CORPUS_RECORD = CORPUS.with_suffix(".dvc")
_LINK = "120000"  # the mode that git gives a symbolic link
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


@dataclass
class Snapshot:
    """Files of the project at `root`; `commit` is None for the workspace. Made by `snapshot`."""

    root: Path
    commit: str | None
    label: str  # how a person named it
    _scratch: Path
    _remote: Remote
    _outs: dict[str, dict[str, Any]] | None = None
    _manifests: dict[str, dict[str, str]] = field(default_factory=dict)
    _origins: dict[Path, str] | None = None

    @property
    def lock(self) -> Mapping[str, Any]:
        """The stages of dvc.lock by name; BookError where there are none."""
        try:
            stages = _yaml(LOCK, self.read(LOCK)).get("stages")
        except MissingError as error:
            raise BookError(f"{self.label}: has no {LOCK}, so no pipeline was run there; choose another revision") from error
        if not isinstance(stages, dict):
            raise BookError(f"{LOCK}: cannot be read as a lock (it has no stages); git checkout {LOCK}")
        return stages

    def read(self, path: Path) -> bytes:
        """The bytes of a file, a path of the project; MissingError where they cannot be had."""
        return self.local(path).read_bytes()

    def local(self, path: Path) -> Path:
        """A file on this machine with the bytes of `path`, not to be written to; MissingError where there is none."""
        if self.commit is None and (self.root / path).is_file():
            return self.root / path
        if path in self.tracked:
            return self._from_git(path)
        if (md5 := self.md5_of(path)) is not None:
            return self.object_of(path, md5)
        raise MissingError(path, f"not in {self.label}, and no output that {LOCK} knows")

    @property
    def tracked(self) -> frozenset[Path]:
        """The files that git has at the revision, behind links too; none for the workspace, where they lie."""
        return frozenset(self._tracked())

    def _tracked(self) -> dict[Path, str]:
        """Each file that git has at the revision, and its path there: another one where an experiment links to its project."""
        if self._origins is None:
            self._origins = {}
            for path, is_link in self._listed() if self.commit else ():
                self._origins |= self._behind(path) if is_link else {Path(path): path}
        return self._origins

    def _listed(self, *paths: str) -> list[tuple[str, bool]]:
        """(path, whether it is a link) of the files at or below `paths`, or of all, as seen from the project."""
        done = _git(self.root, "ls-tree", "-r", "-z", self.commit or "", "--", *paths)
        lines = [line.split("\t", 1) for line in done.stdout.decode(errors="surrogateescape").split("\0") if line]
        return [(path, head.startswith(_LINK)) for head, path in lines]

    def _behind(self, link: str) -> dict[Path, str]:
        """The files of the repository that a link names, under its own name."""
        named = _git(self.root, "cat-file", "blob", f"{self.commit}:./{link}").stdout.decode(errors="surrogateescape")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(link), named))
        if posixpath.isabs(named):
            return {}
        return {Path(link, posixpath.relpath(path, target)): path for path, is_link in self._listed(target) if not is_link}

    def md5_of(self, path: Path) -> str | None:
        """The md5 that dvc.lock (data.dvc for the corpus) records for a file; None for what is no output."""
        if path in (LOCK, CORPUS_RECORD):
            return None
        outs = self._recorded()
        for top in (path, *path.parents):
            if (out := outs.get(top.as_posix())) is not None:
                if top == path:
                    return None if out["md5"].endswith(".dir") else str(out["md5"])
                return self._manifest(top, out["md5"]).get(path.relative_to(top).as_posix())
        return None

    def recorded_md5(self, path: Path) -> str | None:
        """The md5 that dvc.lock records for a whole output, a file or a folder (its manifest's, .dir left off)."""
        out = self._recorded().get(path.as_posix())
        return str(out["md5"]).removesuffix(".dir") if out else None

    def outs_below(self, folder: Path) -> dict[Path, str]:
        """The recorded md5 of each output below a folder."""
        return {Path(path): str(out["md5"]) for path, out in self._recorded().items() if folder in Path(path).parents}

    def folder(self, path: Path) -> Path:
        """A folder on this machine with the files of an output folder, not to be written to; MissingError where one cannot be had."""
        if self.commit is None and (self.root / path).is_dir():
            return self.root / path
        copy = self._scratch / "folders" / path
        for file in self.files_below(path):
            target = copy / file.relative_to(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.local(file), target)
        if not copy.is_dir():
            raise MissingError(path, f"not in {self.label}")
        return copy

    def files_below(self, folder: Path) -> list[Path]:
        """The files of an output folder, sorted, as they lie in the workspace or as they were recorded."""
        if self.commit is None and (self.root / folder).is_dir():
            found = (path for path in (self.root / folder).rglob("*") if path.is_file())
            return sorted(path.relative_to(self.root) for path in found)
        out = self._recorded().get(folder.as_posix())
        return sorted(folder / name for name in self._manifest(folder, out["md5"])) if out else []

    def listing(self, path: Path, md5: str) -> dict[Path, str]:
        """The md5 of a file, or of each file of a folder (an md5 ending in .dir), by path, whatever lies in the workspace."""
        if not md5.endswith(".dir"):
            return {path: md5}
        return {path / name: own for name, own in self._manifest(path, md5).items()}

    def object_of(self, path: Path, md5: str) -> Path:
        """The object of DVC's cache, or a copy of it that is fetched from the remote."""
        if not _MD5.fullmatch(md5):  # it is about to be a path
            raise MissingError(path, f"its record names {md5[:40]!r}, which is no md5")
        if (cached := cache_of(self.root) / "files" / "md5" / md5[:2] / md5[2:]).is_file():
            return cached
        if (fetched := self._scratch / "objects" / md5).is_file():
            return fetched
        try:
            self._remote.fetch(md5, fetched)
        except FileError as error:
            raise MissingError(path, f"md5 {md5[:12]} is neither in DVC's cache nor in a remote ({error})") from error
        return fetched

    def _recorded(self) -> dict[str, dict[str, Any]]:
        if self._outs is None:
            outs = _outs_of(LOCK, self.lock.values())
            with suppress(MissingError):  # a project may have no corpus yet
                outs += _outs_of(CORPUS_RECORD, [_yaml(CORPUS_RECORD, self.read(CORPUS_RECORD))])
            self._outs = {out["path"]: out for out in outs}
        return self._outs

    def _manifest(self, folder: Path, md5: str) -> dict[str, str]:
        """The md5 of each file of a recorded folder, by its name there."""
        if md5 not in self._manifests:
            try:
                listed = json.loads(self.object_of(folder, md5).read_bytes())
                self._manifests[md5] = {entry["relpath"]: entry["md5"] for entry in listed if ".." not in Path(entry["relpath"]).parts}
            except (ValueError, KeyError, TypeError) as error:
                raise MissingError(folder, f"DVC's list of its files, md5 {md5[:12]}, cannot be read ({error})") from error
        return self._manifests[md5]

    def _from_git(self, path: Path) -> Path:
        copy = self._scratch / "tracked" / path
        if not copy.is_file():
            done = _git(self.root, "show", f"{self.commit}:./{self._tracked()[path]}")
            if done.returncode:
                raise MissingError(path, f"not in {self.label}")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(done.stdout)
        return copy


def _yaml(path: Path, text: bytes) -> dict[str, Any]:
    """The mapping in one of DVC's own files; BookError where it is none."""
    try:
        value = yaml.load(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BookError(f"{path}: cannot be read as a lock ({' '.join(str(error).split())[:200]}); git checkout {path}") from error
    if not isinstance(value, dict):
        raise BookError(f"{path}: cannot be read as a lock (it is no mapping); git checkout {path}")
    return value


def _outs_of(record: Path, stages: Iterable[Any]) -> list[dict[str, Any]]:
    """The outputs that stages record, each with its path and md5; BookError where one is of another form."""
    try:
        outs = [out for stage in stages for out in stage.get("outs", ())]
        are_whole = all(isinstance(out["path"], str) and isinstance(out["md5"], str) for out in outs)
    except (AttributeError, KeyError, TypeError):
        are_whole = False
    if not are_whole:
        raise BookError(f"{record}: cannot be read as a lock (outputs without path or md5); git checkout {record}")
    return outs


class MissingError(FileError):
    """A file of a snapshot cannot be had: neither in the workspace nor in DVC's cache or remote."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


@contextmanager
def snapshot(root: Path, revision: str | None = None) -> Iterator[Snapshot]:
    """The workspace at `root`, or one git revision of it; BookError where git does not know the revision."""
    commit = None if revision is None else commit_of(root, revision)
    if revision is not None and commit is None:
        raise BookError(f"{revision}: git knows no such revision here; git log --oneline lists them")
    with tempfile.TemporaryDirectory(prefix="herdbook-") as scratch:
        yield Snapshot(root, commit, revision or "the workspace", Path(scratch), Remote(root))


def commit_of(root: Path, revision: str) -> str | None:
    """The commit that a revision names; None where git knows none such."""
    done = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    return None if done.returncode else done.stdout.decode().strip()


def book_of(now: Snapshot) -> Book:
    """The book of the workspace or of a revision; BookError where the pipeline had none there."""
    try:
        return read_book(now.read)
    except MissingError as error:
        if now.recorded_md5(BOOK):
            raise
        if now.commit is None:
            raise BookError(f"{now.label} has no book; write it with dvc repro book") from error
        first = since(now.root, BOOK_ROOT)
        known = f"; the first one is in {first}" if first else ""
        raise BookError(f"{now.label}: its pipeline wrote no book{known}; choose a revision that has one") from error


def uncommitted(root: Path) -> list[str]:
    """Tracked files that differ from the last commit, and untracked ones, as git status names them."""
    done = _git(root, "status", "--porcelain", "--no-renames", "-z", "--", ".")
    return [line[3:] for line in done.stdout.decode(errors="replace").split("\0") if line] if done.returncode == 0 else []


def since(root: Path, path: Path) -> str | None:
    """The oldest commit that has a tracked file, as its short name and day; None where none has."""
    done = _git(root, "log", "--diff-filter=A", "--format=%h of %cs", "--", path.as_posix())
    return next(iter(done.stdout.decode().splitlines()[::-1]), None)


def cache_of(root: Path) -> Path:
    """Where DVC keeps objects, as .dvc/config or .dvc/config.local says."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    config.read([root / ".dvc/config", root / ".dvc/config.local"], encoding="utf-8")
    return (root / ".dvc" / config.get("cache", "dir", fallback="cache")).resolve()


def _git(root: Path, *words: str) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(["git", *words], cwd=root, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise BookError("git: not found; install it to look at revisions") from error
