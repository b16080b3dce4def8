"""What an audit finds: which file, of what kind, and what is wrong with it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from herdbook.errors import HerdbookError
from herdbook.layout import (
    BASE_MODEL,
    BOOK,
    CODE,
    CONSTRAINTS,
    CORPUS,
    EXPECTATIONS,
    HYPOTHESES,
    JOURNAL,
    LOCK,
    PARAMS,
    PRETRAINED,
    RECORDS,
    RUNS,
)
from herdbook.snapshot import MissingError

_MALFORMED = (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError, OSError, pa.ArrowException)
_BY_TOP = {
    LOCK.name: "lock", "dvc.yaml": "lock", PARAMS.name: "params", CORPUS.name: "corpus", f"{CORPUS}.dvc": "corpus",
    CONSTRAINTS.name: "code", "herdbook": "code", "stages": "code", EXPECTATIONS.name: "policy", BOOK.name: "entry",
    PRETRAINED.name: "model", RUNS.name: "dataset", HYPOTHESES.name: "claim", JOURNAL.name: "journal",
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    path: str  # of the file that is to be looked at
    kind: str  # of file (dataset, model, receipt, ...) or of fault (counts, composition, contamination, waiver, missing)
    what: str  # one line


def finding(path: Path, what: str, kind: str | None = None) -> Finding:
    """A finding about `path`, of the kind that its place gives unless another is given."""
    return Finding(path.as_posix(), kind or kind_of(path), what)


def kind_of(path: Path) -> str:
    """What a path of the project is, in one word."""
    if CODE in (path, *path.parents):
        return "code"
    if RECORDS in path.parents and path.name == "receipt.json":
        return "receipt"
    if RUNS in path.parents and ("model" in path.parts or BASE_MODEL in (path, *path.parents)):
        return "model"
    return _BY_TOP.get(path.parts[0], "record")


def guarded(path: Path, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What `check` finds. A record at `path` of a strange form is a finding too; what is missing is told elsewhere."""
    found: list[Finding] = []
    try:
        found.extend(check())
    except MissingError:
        pass
    except HerdbookError as error:
        found.append(finding(path, str(error).removeprefix(f"{path}: ")))
    except _MALFORMED as error:
        found.append(finding(path, f"not of the form that such a file has ({' '.join(repr(error).split())})"[:200]))
    return found


def short(digest: object) -> str:
    """A digest as people are shown it."""
    return f"sha256 {str(digest)[:12]}" if digest else "nothing"
