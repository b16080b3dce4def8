"""Reading and writing: every file whole or not at all, its bytes a function of its content."""

import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from safetensors import SafetensorError

from herdbook.errors import FileError

ASIDE = re.compile(r"\..+\.[a-z0-9_]{8}")  # the names of folders that are written aside
_CHUNK_BYTES = 1 << 20
_GROUP_ROWS = 1 << 13  # of a parquet file: what must be decoded to read one row


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; on success it replaces `path`, on failure nothing is left.

    Works for a file or a directory: write what you like at the yielded path, which does not exist yet.
    On failure what stood at `path` before still stands there.
    Raises FileError when the disk refuses (full, read-only, no permission)."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise _refused(path, error) from error
    try:
        yield aside / path.name
        _sync(aside / path.name)
        _replace(path, aside / path.name, aside / f"{path.name}.old")
    except (OSError, SafetensorError) as error:
        raise _refused(path, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _replace(path: Path, new: Path, old: Path) -> None:
    if not path.is_dir():
        new.replace(path)
        return
    path.replace(old)  # a rename cannot replace a folder that holds something
    try:
        new.replace(path)
    except OSError:
        old.replace(path)
        raise


def _refused(path: Path, error: OSError | SafetensorError) -> FileError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    wanted = Path(*(part for part in path.parts if not ASIDE.fullmatch(part)))  # the folder that it is in may be written aside, too
    return FileError(f"{wanted}: cannot be written ({reason}); nothing was left behind: make room or allow it, then run again")


def _sync(path: Path) -> None:
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, two spaces, finite numbers only, a final newline.

    Raises ValueError on NaN and infinities, which JSON cannot say."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write canonical JSON, whole or not at all."""
    write_text(path, canonical_json(value))


def read_json(path: Path) -> Any:
    """The value of a JSON file; FileError when it is missing or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileError(f"{path}: not found; run the stage that writes it (dvc repro)") from error
    except ValueError as error:
        raise FileError(f"{path}: not JSON ({error}); remove it and run dvc repro") from error


def rounded(value: float) -> float | None:
    """A measured figure as it is recorded: 10 significant digits; None where it is not finite."""
    return float(f"{value:.10g}") if math.isfinite(value) else None


def write_table(path: Path, table: pa.Table) -> None:
    """Write a parquet file whose bytes depend on the table alone."""
    with written_aside(path) as aside:
        pq.write_table(
            table.replace_schema_metadata(None), aside, compression="zstd", use_dictionary=False,
            write_statistics=False, store_schema=False, row_group_size=_GROUP_ROWS,
        )  # fmt: skip


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """The columns of `schema`, in its order and types; FileError when the file cannot give them."""
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise FileError(f"{path}: not found; run the stage that writes it (dvc repro)") from error
    except PermissionError as error:
        raise FileError(f"{path}: may not be read; allow it (chmod u+r), then run again") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise FileError(f"{path}: not a whole parquet file ({str(error).splitlines()[0]}); write it anew") from error
    if missing := [name for name in schema.names if name not in table.column_names]:
        found = ", ".join(table.column_names)
        raise FileError(f"{path}: no column {missing[0]!r}; found {found}; write it anew")
    try:
        return table.select(schema.names).cast(schema)
    except pa.ArrowException as error:
        types = ", ".join(f"{name} {table.schema.field(name).type}" for name in schema.names)
        raise FileError(f"{path}: columns of other types ({str(error).splitlines()[0]}); found {types}; write it anew") from error


def digest_bytes(data: bytes) -> str:
    """sha256 in hex."""
    return hashlib.sha256(data).hexdigest()


def digest(path: Path) -> str:
    """sha256 of a file's bytes, or of a directory's sorted (name, digest) list, in hex."""
    if path.is_dir():
        files = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
        return digest_bytes("".join(f"{name}\0{digest(path / name)}\n" for name in files).encode())
    state = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                state.update(chunk)
    except FileNotFoundError as error:
        raise FileError(f"{path}: not found; run the stage that writes it (dvc repro)") from error
    return state.hexdigest()


_MERGE = "tag:yaml.org,2002:merge"


class _StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the one in C where there is one: an eighth of the time
    """Plain YAML in which no mapping may repeat a key."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._checked: dict[int, yaml.MappingNode] = {}

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """What merges others into a mapping: afterwards it may hold a key twice, once of its own and once theirs."""
        if id(node) not in self._checked:
            self._checked[id(node)] = node
            seen = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                    if (found := self.construct_object(key)) in seen:
                        raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} stands twice", key.start_mark)
                    seen.add(found)
        super().flatten_mapping(node)


def strict_yaml(text: str) -> Any:
    """The value of a YAML text, of mappings, lists, text, numbers, true, false and null; yaml.YAMLError, with line and column where they
    are known, where it is none, holds anything else, or a mapping repeats a key."""
    try:
        found = yaml.load(text, Loader=_StrictLoader)
        _demand_plain(found, "", frozenset(), set())
        return found
    except yaml.MarkedYAMLError as error:
        if error.problem_mark is None:
            raise
        what = ": ".join(filter(None, (error.context, error.problem)))
        raise yaml.YAMLError(f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {what}") from error
    except ValueError as error:  # such as a date that is none
        raise yaml.YAMLError(str(error)) from error
    except RecursionError as error:
        raise yaml.YAMLError("nested too deeply") from error


def _demand_plain(value: Any, where: str, inside: frozenset[int], known: set[int]) -> None:
    """Refuse what no record could hold (dates, bytes, sets), and what holds itself; an alias is looked at once."""
    place = where.removeprefix(".") or "the document"
    if isinstance(value, dict | list):
        if id(value) in inside:
            raise yaml.YAMLError(f"{place}: is an alias of what it stands in")
        if id(value) not in known:
            known.add(id(value))
            for key, part in value.items() if isinstance(value, dict) else enumerate(value):
                _demand_plain(part, f"{where}.{key}", inside | {id(value)}, known)
    elif isinstance(value, str):
        if "\0" in value:
            raise yaml.YAMLError(f"{place}: holds the character NUL")
    elif not (value is None or isinstance(value, int | float)):
        kind = type(value).__name__
        raise yaml.YAMLError(f"{place}: is of the type {kind}, must be text, a number, true, false or null; put it in quotes")
