"""Which code a stage runs: its module, every module of this project that it imports, and the packages that those import.

Imports are read from the text, wherever they stand in it, and nothing is run. The stage `code` writes one
fingerprint a stage, which the other stages depend on: so a stage runs again exactly when its own code, or
the version of a package it uses, has changed."""

import ast
import re
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from herdbook.errors import CodeError
from herdbook.files import digest, read_json
from herdbook.layout import CODE, CONSTRAINTS

Fingerprint = dict[str, dict[str, str]]  # modules: path -> sha256; packages: name -> pinned version

# Import name -> package, where they differ by more than dashes.
_NAMED_OTHERWISE = {"sklearn": "scikit-learn", "vl_convert": "vl-convert-python", "yaml": "pyyaml"}


def closure(path: Path, root: Path) -> set[Path]:
    """A file, all files below `root` that it imports, transitively, and the templates beside them (NAME.*.j2 of NAME.py)."""
    tops = {place.stem for place in root.iterdir()}  # most imports are of packages from elsewhere, and need no look
    seen: set[Path] = set()
    todo = [path]
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            here = (root / name.replace(".", "/") for name in _imported(file) if name.split(".")[0] in tops)
            todo.extend(found for place in here for found in _modules(place) if found.is_file())
    return seen | {template for file in seen for template in file.parent.glob(f"{file.stem}.*.j2")}


def fingerprint(stage: str, root: Path) -> Fingerprint:
    """The modules of a stage by digest, and the packages that they import by the version that constraints.txt pins.

    Raises CodeError for an imported package without a pin."""
    files = closure(root / "stages" / f"{stage}.py", root)
    pins = read_pins(root / CONSTRAINTS)
    packages = {name: _pin(name, pins, stage) for file in files if file.suffix == ".py" for name in _packages(file, root)}
    return {
        "modules": {file.relative_to(root).as_posix(): digest(file) for file in sorted(files)},
        "packages": dict(sorted(packages.items())),
    }


def demand_recorded(stage: str) -> None:
    """Refuse to run a stage whose code, or whose installed packages, are not those that its fingerprint records.

    So neither `dvc repro --single-item` nor a stage run by hand can put new code behind an old record. Raises CodeError."""
    path = CODE / f"{stage}.json"
    if not path.exists():
        raise CodeError(f"{path}: not found, so what this stage computes could not be traced to its code; run dvc repro code")
    found: Any = read_json(path)
    for module, recorded in found["modules"].items():
        if not Path(module).exists() or digest(Path(module)) != recorded:
            raise CodeError(f"{module}: not the code that {path} records; run dvc repro (or dvc repro code, then this stage)")
    for package, pinned in found["packages"].items():
        if (here := installed(package)) not in (None, pinned):
            raise CodeError(f"{package} {here} is installed, {CONSTRAINTS} pins {pinned}; install it: pip install {package}=={pinned}")


def read_pins(path: Path) -> dict[str, str]:
    """Package -> version of a constraints file, names in their canonical form (PEP 503)."""
    pairs = (line.split("#")[0].strip().split("==") for line in path.read_text(encoding="utf-8").splitlines())
    return {_canonical(pair[0]): pair[1] for pair in pairs if len(pair) == 2}


def _imported(path: Path) -> frozenset[str]:
    """Every dotted name that a file may import; of `from a import b` both a and a.b."""
    return _names_in(path.read_text(encoding="utf-8")) if path.suffix == ".py" else frozenset()


@cache  # most modules are of most stages
def _names_in(text: str) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
    return frozenset(names)


def _modules(path: Path) -> tuple[Path, Path]:
    """Where the code of a dotted name may lie: a module's, or a package's own."""
    return path.with_suffix(".py"), path / "__init__.py"


def _packages(path: Path, root: Path) -> set[str]:
    """The packages from elsewhere that a file imports."""
    tops = {name.split(".")[0] for name in _imported(path)}
    return {_NAMED_OTHERWISE.get(top, _canonical(top)) for top in tops if top not in sys.stdlib_module_names and not (root / top).is_dir()}


def _pin(package: str, pins: dict[str, str], stage: str) -> str:
    if package not in pins:
        raise CodeError(f"{CONSTRAINTS}: does not pin {package}, which stage {stage} imports; add {package}==VERSION there")
    return pins[package]


def installed(package: str) -> str | None:
    """The installed version, less a build's own suffix such as +cpu; None where it is not installed."""
    try:
        return metadata.version(package).split("+")[0]
    except metadata.PackageNotFoundError:
        return None


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
