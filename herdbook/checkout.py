"""A temporary checkout in which one stage can run: its code, its parameters and exactly its recorded inputs.

Each input is the bytes of the md5 that dvc.lock names, wherever they still lie; what the workspace holds in
their place now does not matter, and what nobody declared is not there. Everything else is only read."""

import hashlib
import io
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from herdbook.artefacts import resolved
from herdbook.corpus import dvc_digest
from herdbook.errors import BookError, FileError
from herdbook.files import strict_yaml
from herdbook.layout import CONSTRAINTS, LOCK, PARAMS, Place
from herdbook.phases import Begin, unseen
from herdbook.snapshot import MissingError, Snapshot

_PARTS = (Path("herdbook"), Path("stages"), PARAMS, CONSTRAINTS)  # all that a stage reads besides its inputs


def lay(parameters: Mapping[str, Any], inputs: Mapping[Path, str], snapshot: Snapshot, checkout: Path, begin: Begin = unseen) -> list[Path]:
    """Put there what a stage reads: code, these parameters by dotted key, and its inputs by md5. The inputs that cannot be had.

    Code is that of the revision, or as it lies in the workspace; MissingError where there is none."""
    lay_part = _lay_from_workspace if snapshot.commit is None else _lay_from_git
    for part in _PARTS:
        lay_part(part, snapshot, checkout)
    _set_parameters(parameters, checkout)
    advance, missing = begin("laying out what it reads", len(inputs)), []
    for path, md5 in inputs.items():
        if not _lay(path, md5, snapshot, checkout):
            missing.append(path)
        advance(1)
    return missing


def lay_answers(place: Place, snapshot: Snapshot, checkout: Path) -> None:
    """Put there what a teacher answered, where one was asked, so that nobody is asked again."""
    with suppress(FileError):
        _copy(snapshot.local(place.taught), checkout / place.asked)


def _set_parameters(wanted: Mapping[str, Any], checkout: Path) -> None:
    """Make params.yaml there give `wanted`, by dotted key, where it does not already: it may have changed since."""
    path = checkout / PARAMS
    document = strict_yaml(path.read_text(encoding="utf-8"))
    with suppress(KeyError, TypeError):
        if resolved(tuple(wanted), document) == wanted:
            return
    for key, value in wanted.items():
        *tops, last = key.split(".")
        section = document
        for top in tops:
            section = section.setdefault(top, {})
        section[last] = value
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _lay(path: Path, md5: str, snapshot: Snapshot, checkout: Path) -> bool:
    target = _inside(checkout, path)
    for source in (_lay_from_workspace, _lay_from_git, _lay_objects, _lay_parts):  # a remote is asked last
        with suppress(FileError, OSError):
            source(path, snapshot, checkout, md5)
            if _md5(target) == md5:
                return True
        shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    return False


def _lay_objects(path: Path, snapshot: Snapshot, checkout: Path, md5: str) -> None:
    for name, own in snapshot.listing(path, md5).items():
        _copy(snapshot.object_of(name, own), _inside(checkout, name))


def _lay_parts(path: Path, snapshot: Snapshot, checkout: Path, md5: str) -> None:
    """A folder that holds outputs of several stages: DVC has no list of its files, but one of each output's."""
    for top, own in snapshot.outs_below(path).items():
        _lay_objects(top, snapshot, checkout, own)


def _lay_from_workspace(path: Path, snapshot: Snapshot, checkout: Path, md5: str = "") -> None:
    source = snapshot.root / path
    if source.is_dir():
        shutil.copytree(source, checkout / path, copy_function=_copy, ignore=shutil.ignore_patterns("__pycache__"))
    elif source.is_file():
        _copy(source, checkout / path)
    else:
        raise MissingError(path, f"not in {snapshot.label}")


def _lay_from_git(path: Path, snapshot: Snapshot, checkout: Path, md5: str = "") -> None:
    if tracked := [file for file in sorted(snapshot.tracked) if path in (file, *file.parents)]:
        for file in tracked:
            _copy(snapshot.local(file), checkout / file)
        return
    words = ["git", "archive", "--format=tar", snapshot.commit or "HEAD", "--", path.as_posix()]
    done = subprocess.run(words, cwd=snapshot.root, capture_output=True, check=False)
    if done.returncode:
        raise MissingError(path, f"not in {snapshot.label}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        try:
            tar.extractall(checkout, filter="data")
        except tarfile.FilterError as error:
            raise BookError(f"{path}: {snapshot.label} has it as a link out of the project ({error}); it is not followed") from error


def _copy(source: str | Path, target: str | Path) -> None:
    """Bytes only: objects of the cache are read-only, and a link to one could be written through."""
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _inside(checkout: Path, path: Path) -> Path:
    if path.is_absolute() or ".." in path.parts:
        raise BookError(f"{LOCK}: names {path}, which lies outside of the project; put it back with git checkout {LOCK}")
    return checkout / path


def _md5(path: Path) -> str:
    if path.is_dir():
        return dvc_digest(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
