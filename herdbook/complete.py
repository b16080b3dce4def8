"""What a shell offers for a word that is being typed: names that stand in small files here, none where they cannot be read."""

import json
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from herdbook.book import INDEX
from herdbook.errors import HerdbookError
from herdbook.layout import HYPOTHESES, PARAMS


def targets(incomplete: str) -> list[str]:
    """Names of datasets and models."""
    return _offered(incomplete, lambda: _json(INDEX)["entries"])


def claim_ids(incomplete: str) -> list[str]:
    """Ids of claims."""
    return _offered(incomplete, lambda: [claim["id"] for claim in _yaml(HYPOTHESES)["claims"]])


def regimes(incomplete: str) -> list[str]:
    """Regimes of params.yaml."""
    return _offered(incomplete, lambda: _yaml(PARAMS)["regimes"])


def revisions(incomplete: str) -> list[str]:
    """Branches and tags of git."""
    return _offered(incomplete, lambda: ["HEAD", *_git("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags")])


def _offered(incomplete: str, names: Callable[[], Iterable[Any]]) -> list[str]:
    """The names that go on from what was typed; those with control characters are not for a terminal."""
    with suppress(HerdbookError, OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return [name for name in map(str, names()) if name.startswith(incomplete) and name.isprintable() and " " not in name]
    return []


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _yaml(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _git(*words: str) -> list[str]:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=False).stdout.splitlines()
