"""What dvc.yaml and dvc.lock say, and what the code imports: read as text, nothing run."""

import ast
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PIPELINE: dict[str, dict] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def module_of(stage: str) -> str:
    """The module that a stage's command runs: `python -m stages NAME ...`."""
    words = PIPELINE[stage]["cmd"].split()
    assert words[:3] == ["python", "-m", "stages"]
    return words[3]


def imports_of(path: Path) -> set[Path]:
    """The files of this repository that a file imports, directly, anywhere in it."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found |= {file for name in names if (file := (ROOT / name.replace(".", "/")).with_suffix(".py")).is_file()}
    return found


def closure_of(path: Path) -> set[str]:
    """A file and all files of this repository that it imports, transitively, and templates beside them."""
    seen, todo = set(), [path]
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo.extend(imports_of(file))
    templates = {template for file in seen for template in file.parent.glob(f"{file.stem}.*.j2")}
    return {file.relative_to(ROOT).as_posix() for file in seen | templates}
