"""dvc.lock as text, one piece a stage, in the bytes that DVC itself would write.

DVC parses and dumps the whole file after every stage. Here a stage that changed is dumped alone and put
in its place, the file is replaced in one step, and what did not change keeps its bytes."""

import io
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import RoundTripRepresenter

from herdbook.errors import FileError
from herdbook.files import write_text

_HEADER = "schema: '2.0'\nstages:\n"
# A value that stands twice in a stage (as an alias in params.yaml does) is written once, with a number over the whole file.
_ANCHOR = re.compile(r"^(?P<before>\s*(?:- )*(?:\S+: )?)(?P<mark>[&*])(?P<id>id\d{3,})$", re.MULTILINE)
_STAGE = re.compile(r"^  (?P<name>[^\s#].*):\n", re.MULTILINE)


def read_lock(path: Path) -> dict[str, str]:
    """The text of each stage in the order of the file; empty where there is no file yet.

    Raises FileError where the file is not as DVC writes it."""
    if not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: cannot be read ({error}); restore it: git checkout {path}") from error
    heads = list(_STAGE.finditer(text))
    if not text.startswith(_HEADER) or (text != _HEADER and (not heads or heads[0].start() != len(_HEADER) or not text.endswith("\n"))):
        raise FileError(f"{path}: not a lock as DVC writes it (schema 2.0, whole stages); restore it: git checkout {path}")
    ends = [*(head.start() for head in heads[1:]), len(text)]
    return {head["name"]: text[head.start() : end] for head, end in zip(heads, ends, strict=True)}


class _Representer(RoundTripRepresenter):
    """Writes ordered mappings, which DVC makes, as mappings."""


_Representer.add_representer(OrderedDict, RoundTripRepresenter.represent_dict)


def stage_text(name: str, entry: Mapping[str, Any]) -> str:
    """The piece of one stage; `entry` is what DVC locks of it."""
    stream = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.Representer = _Representer
    yaml.dump({"stages": {name: entry}}, stream)
    return stream.getvalue().removeprefix("stages:\n")


def in_order(names: Iterable[str], before: Iterable[str], plan: Iterable[str]) -> list[str]:
    """`names` as `dvc repro` would have written them: those locked `before` the run in their order, then new ones by the plan."""
    places = {name: place for place, name in enumerate(dict.fromkeys([*before, *plan]))}
    return sorted(names, key=lambda name: places.get(name, len(places)))


def write_lock(path: Path, pieces: Mapping[str, str], order: Iterable[str]) -> None:
    """Replace the lock in one step: a crash leaves the old one or the new one."""
    numbers = count(1)
    write_text(path, _HEADER + "".join(_renumbered(pieces[name], numbers) for name in order))


def _renumbered(piece: str, numbers: Iterator[int]) -> str:
    """A piece with its anchors numbered on from those of the pieces before it, as one dump of the whole file would.

    A dump numbers values as it meets them for the second time, so within a piece the order is that of their numbers, not of
    their places."""
    found = sorted({match["id"] for match in _ANCHOR.finditer(piece)}, key=lambda name: int(name.removeprefix("id")))
    names = {name: f"id{next(numbers):03d}" for name in found}
    return _ANCHOR.sub(lambda match: f"{match['before']}{match['mark']}{names[match['id']]}", piece)
