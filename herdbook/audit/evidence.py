"""What lies there: the bytes of a snapshot as an audit weighs them, each file read and hashed once."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from herdbook.audit.finding import Finding, finding
from herdbook.audit.lock import Claim, Weight
from herdbook.contents import contents
from herdbook.errors import FileError
from herdbook.hashing import CHUNK_BYTES
from herdbook.layout import BENCHMARKS, PRETRAINED
from herdbook.phases import Advance, Begin, unseen
from herdbook.snapshot import MissingError, Snapshot

Level = Literal["records", "hashes", "rows"]
Sha256 = str

_DATA = frozenset({".parquet", ".safetensors", ".gguf"})  # left alone at level records


@dataclass(frozen=True)
class _File:
    md5: str
    sha256: Sha256
    num_bytes: int


@dataclass
class Evidence:
    """The files of a snapshot at one level of audit; `outs` are the outputs of its present stages, as recorded.

    Answers herdbook.entering with facts (its Source). Of what is not read at this level, or is missing, it
    repeats what the book says, which is put into `said`, `said_contents`."""

    snapshot: Snapshot
    level: Level
    outs: Mapping[Path, Claim]
    said: dict[Path, dict[str, Any]] = field(default_factory=dict)  # {sha256, num_bytes} by file
    said_contents: dict[Path, Any] = field(default_factory=dict)  # by table of rows
    missing: dict[Path, str] = field(default_factory=dict)  # why, by file
    _files: dict[Path, _File] = field(default_factory=dict)
    _json: dict[Path, Any] = field(default_factory=dict)
    _below: dict[Path, list[Path]] = field(default_factory=dict)
    _contents: dict[Sha256, Any] = field(default_factory=dict)

    def reads(self, path: Path) -> bool:
        """Whether the bytes of a file are looked at."""
        return self.level != "records" or path.suffix not in _DATA

    def local(self, path: Path) -> Path:
        """Where the bytes of a file are to be had; MissingError, once noted in `missing`."""
        if path in self.missing:
            raise MissingError(path, self.missing[path])
        beside = self.snapshot.root / path
        if {PRETRAINED, BENCHMARKS} & set(path.parents) and path not in self.snapshot.tracked and beside.is_file():
            return beside  # of no version: git ignores it
        try:
            return self.snapshot.local(path)
        except (MissingError, OSError) as error:
            raise self._note(path, error) from error

    def _note(self, path: Path, error: Exception) -> MissingError:
        why = str(error).removeprefix(f"{path}: ")
        self.missing[path] = why
        return MissingError(path, why)

    def measure(self, paths: Iterable[Path], begin: Begin = unseen) -> None:
        """Hash files, side by side; those of the same bytes in DVC's cache once."""
        wanted = [path for path in dict.fromkeys(paths) if path not in self._files and path not in self.missing and self.reads(path)]
        places: dict[Path, Path] = {}
        advance = begin("where files lie", len(wanted))
        for path in wanted:
            with suppress(MissingError):  # noted
                places[path] = self.local(path)
            advance(1)
        distinct = sorted(set(places.values()), key=_size, reverse=True)
        advance = begin("hashing", sum(map(_size, distinct)))
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            hashed = dict(zip(distinct, pool.map(partial(_hashed, advance=advance), distinct), strict=True))
        for path, place in places.items():
            if isinstance(found := hashed[place], _File):
                self._files[path] = found
            else:
                self._note(path, found)

    def weigh(self, path: Path) -> Weight | None:
        """A file or a folder as DVC would record it; None where something of it is missing or not read."""
        inside = self.inside(path)
        self.measure(inside)
        weighed = {file.relative_to(path).as_posix(): self._files[file] for file in inside if file in self._files}
        if not inside or len(weighed) < len(inside):
            return None
        if self.is_file(path):
            (file,) = weighed.values()
            return Weight(file.md5, file.num_bytes, None)
        listed = json.dumps([{"md5": weighed[name].md5, "relpath": name} for name in sorted(weighed)])  # as corpus.dvc_digest
        md5 = hashlib.md5(listed.encode(), usedforsecurity=False).hexdigest() + ".dir"
        return Weight(md5, sum(file.num_bytes for file in weighed.values()), len(weighed))

    def is_file(self, path: Path) -> bool:
        """Whether a path is one file rather than a folder of them."""
        if path in self.outs:
            return self.outs[path].weight.num_files is None
        if path in self.snapshot.tracked or (self.snapshot.commit is None and (self.snapshot.root / path).is_file()):
            return True
        around = self._around(path)
        return around is not None and path in self.below(around)

    def _around(self, path: Path) -> Path | None:
        """The output that a path lies in."""
        return next((top for top in path.parents if top in self.outs), None)

    def inside(self, path: Path) -> list[Path]:
        """A file itself, the files of a folder."""
        return [path] if self.is_file(path) else self.below(path)

    def below(self, folder: Path) -> list[Path]:
        """The files of a folder of the project, as they lie there, or as they were recorded or committed; sorted."""
        if folder not in self._below:
            self._below[folder] = sorted(set(self._listed(folder)))
        return self._below[folder]

    def _listed(self, folder: Path) -> Iterator[Path]:
        if self.snapshot.commit is None or folder in (PRETRAINED, BENCHMARKS):
            for path in (self.snapshot.root / folder).rglob("*"):
                if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":  # as .dvcignore says
                    yield path.relative_to(self.snapshot.root)
        yield from (path for path in self.snapshot.tracked if folder in path.parents)
        if around := self._around(folder):
            yield from (path for path in self.below(around) if folder in path.parents)
        for out in [folder] if folder in self.outs else [out for out in self.outs if folder in out.parents]:
            if self.snapshot.commit is None and (self.snapshot.root / out).exists():
                continue  # listed above
            if self.snapshot.commit is not None and any(out in path.parents for path in self.snapshot.tracked):
                continue  # an output that DVC does not cache and git carries: listed above
            yield from [out] if self.is_file(out) else self._recorded(out)

    def _recorded(self, out: Path) -> list[Path]:
        try:
            return self.snapshot.files_below(out)
        except MissingError as error:
            self._note(out, error)
            return []

    def files(self, path: Path) -> dict[str, dict[str, Any]]:
        """See entering.Source."""
        inside = self.inside(path)
        if not inside:
            raise self._note(path, MissingError(path, f"not in {self.snapshot.label}"))
        self.measure(inside)
        return {path.name if file == path else file.relative_to(path).as_posix(): self._told(file) for file in inside}

    def _told(self, path: Path) -> dict[str, Any]:
        if file := self._files.get(path):
            return {"sha256": file.sha256, "num_bytes": file.num_bytes}
        return self.said.get(path, {"sha256": "unknown", "num_bytes": 0})

    def sha256(self, path: Path) -> Sha256:
        """See entering.Source."""
        self.measure([path])
        return str(self._told(path)["sha256"])

    def json(self, path: Path) -> Any:
        """See entering.Source."""
        if path not in self._json:
            try:
                self._json[path] = json.loads(self.read(path))
            except (ValueError, RecursionError) as error:
                raise FileError(f"{path}: not JSON ({error}); restore it with dvc checkout") from error
        return self._json[path]

    def read(self, path: Path) -> bytes:
        """The bytes of a small file."""
        try:
            return self.local(path).read_bytes()
        except OSError as error:
            raise self._note(path, error) from error

    def contents(self, path: Path) -> Any:
        """See entering.Source."""
        if self.level != "rows":
            return self.said_contents.get(path)
        if (key := self.sha256(path)) not in self._contents:
            try:
                self._contents[key] = contents(self.local(path))
            except FileError as error:
                raise error if isinstance(error, MissingError) else FileError(f"{path}: not a whole parquet file of rows") from error
        return self._contents[key]

    def lacking(self) -> Iterator[list[Finding]]:
        """What is missing, of all the files that were asked for."""
        yield from ([] for _ in self._files)
        for path, why in sorted(self.missing.items()):
            yield [finding(path, why, "missing")]


def file_at(path: Path, name: str) -> Path:
    """Where a file of an artefact at `path` lies, by its name in the entry; the artefact itself may be one file."""
    return path if path.name == name and path.suffix else path / name


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _hashed(path: Path, advance: Advance) -> _File | OSError:
    """Both digests of a file in one pass."""
    md5, sha256, num_bytes = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    try:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK_BYTES):
                md5.update(chunk)
                sha256.update(chunk)
                num_bytes += len(chunk)
                advance(len(chunk))
    except OSError as error:
        return error
    return _File(md5.hexdigest(), sha256.hexdigest(), num_bytes)
