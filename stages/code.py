"""Record which code each stage runs, so that the other stages depend on one small file each.

Reads the modules of herdbook/ and stages/ and constraints.txt. Writes runs/code/STAGE.json for every
other stage. Params: none."""

from pathlib import Path

from herdbook.code import fingerprint
from herdbook.files import write_json, written_aside
from herdbook.layout import CODE, stage_names


def main(args: list[str]) -> None:
    """Code: no arguments."""
    with written_aside(CODE) as aside:
        for name in stage_names(Path()):
            if name != CODE.name:
                write_json(aside / f"{name}.json", fingerprint(name, Path()))
