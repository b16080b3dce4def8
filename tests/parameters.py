"""Params files for tests: the committed one with a few keys changed."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]


def document(**sections: dict[str, Any]) -> dict[str, Any]:
    """The committed params.yaml as a document, with these keys of its sections changed."""
    found = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name, changes in sections.items():
        found[name].update(changes)
    return found


def write_params(path: Path, **sections: dict[str, Any]) -> None:
    """Write `document` to a file."""
    path.write_text(yaml.safe_dump(document(**sections)))
