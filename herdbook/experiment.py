"""Experiments: folders experiments/NAME with parameters, a lock and results of their own.

Pipeline, code, policies and pins are the project's, by links, so that no copy can drift. To DVC an experiment is a
project of its own (.dvc), which shares the cache: what another one computed from the same inputs is not computed again."""

import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from herdbook.errors import HerdbookError
from herdbook.files import write_text
from herdbook.judgement import ANALYSIS
from herdbook.layout import CORPUS, HYPOTHESES, PARAMS, REGISTER
from herdbook.params import parse_params

EXPERIMENTS = Path("experiments")
SHARED = (
    ".dvcignore", "benchmarks", "constraints.txt", "dvc.yaml", "expectations", "flows", "herdbook", "prefect.yaml",
    "pretrained", "stages",
)  # fmt: skip
NOTHING_CLAIMED = f"""# Claims on what is bred here, to be registered before it is: herdbook register (docs/claims.md).
analysis: {ANALYSIS}
alpha: 0.05
controls: []
claims: []
"""
_UP = Path("..", "..")
_PLOTS = Path(".dvc", "plots")  # templates that dvc.yaml names, looked up beside DVC's settings
_CONFIG = "[core]\n    analytics = false\n    check_update = false\n[cache]\n    dir = ../../../.dvc/cache\n"
_NAME = re.compile(r"[a-z][a-z0-9-]*")


def create(root: Path, name: str, document: dict[str, Any]) -> Path:
    """A new experiment of the project at `root` with these parameters; its folder.

    The corpus is the project's where the section corpus is, by a link to its record. Raises HerdbookError where there
    is such a folder, or the name is none."""
    if not _NAME.fullmatch(name):
        raise HerdbookError(f"{name!r}: no name of an experiment; lower-case letters, digits and dashes, a letter first")
    folder = root / EXPERIMENTS / name
    if folder.exists():
        raise HerdbookError(f"{folder}: is there already; choose another name, or change its {PARAMS}")
    parse_params(document, str(folder / PARAMS))
    link(folder)
    write_text(folder / PARAMS, dumped(_seen_from_there(root, document)))
    write_text(folder / HYPOTHESES, NOTHING_CLAIMED)
    write_text(folder / REGISTER, "")
    own, theirs = document["corpus"], yaml.safe_load((root / PARAMS).read_text(encoding="utf-8"))["corpus"]
    record = CORPUS.with_suffix(".dvc")
    if own == theirs and (root / record).is_file():
        shutil.copyfile(root / record, folder / record)  # DVC follows no link to it
    return folder


def _seen_from_there(root: Path, document: dict[str, Any]) -> dict[str, Any]:
    """The same parameters with paths into the project as an experiment sees them."""
    found = dict(document)
    for section in ("corpus", "teacher"):
        path = (document[section] or {}).get("path")
        if path and not Path(path).is_absolute() and (root / path).exists():
            found[section] = {**document[section], "path": (_UP / path).as_posix()}
    return found


def link(folder: Path) -> None:
    """Lay the links and DVC's settings of an experiment; what is there already is laid anew."""
    (folder / ".dvc").mkdir(parents=True, exist_ok=True)
    write_text(folder / ".dvc" / "config", _CONFIG)
    write_text(folder / ".dvc" / ".gitignore", "/config.local\n/tmp\n/cache\n")
    for path, shared in {**{folder / name: _UP / name for name in SHARED}, folder / _PLOTS: Path("..", _UP, _PLOTS)}.items():
        if path.is_symlink() or not path.exists():  # an experiment may have policies of its own
            path.unlink(missing_ok=True)
            path.symlink_to(shared)


def dumped(document: dict[str, Any]) -> str:
    """Parameters as YAML without anchors, the lists of generations written as grow reads them."""
    lists = {name: document[name] for name in ("generations", "bred")}
    others = {name: value for name, value in document.items() if name not in ("births", *lists)}
    text = yaml.dump(others, Dumper=_Plain, sort_keys=False, width=130)
    text += "".join(f"{name}: [{', '.join(values)}]\n" for name, values in lists.items())
    births = "".join(f"\n- {{parent: {birth['parent']}, child: {birth['child']}}}" for birth in document["births"])
    return f"{text}births:{births or ' []'}\n"


class _Plain(yaml.SafeDumper):  # type: ignore[misc]  # yaml comes without types
    """Every value written out where it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
