"""dvc.lock and its like read strictly: one text for each meaning, every field of a known form, and beside it the plan.

DVC writes YAML 1.2 in one style. What is read is written again in that style and compared, so that no byte
of the file is free to change; then only values are left to be checked."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import product, zip_longest
from pathlib import Path
from typing import Any, ClassVar

import yaml

from herdbook.artefacts import Artefact, artefacts, resolved
from herdbook.audit.finding import Finding, finding, guarded
from herdbook.errors import BookError, ParamsError
from herdbook.files import strict_yaml
from herdbook.layout import CORPUS, LOCK, PARAMS
from herdbook.open_book import demand_book
from herdbook.params import Params, parse_params
from herdbook.snapshot import MissingError, Snapshot

PIPELINE = Path("dvc.yaml")
CORPUS_RECORD = CORPUS.with_suffix(".dvc")

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


@dataclass(frozen=True)
class Weight:
    """A file or a folder as DVC records it; `num_files` is None for a file."""

    md5: str
    num_bytes: int
    num_files: int | None


@dataclass(frozen=True)
class Claim:
    """What a record says of a path."""

    path: Path
    weight: Weight
    record: Path  # dvc.lock or data.dvc
    where: str  # in it, such as "deps of stage train@replace-s0-g1"


@dataclass(frozen=True)
class Locked:
    """One stage as dvc.lock has it."""

    command: str
    parameters: Mapping[str, Any]
    deps: tuple[Claim, ...]
    outs: tuple[Claim, ...]


@dataclass(frozen=True)
class Planned:
    """One stage as dvc.yaml has it, its templates filled in from params.yaml."""

    command: str
    parameters: Mapping[str, Any]
    deps: frozenset[Path]
    outs: frozenset[Path]


@dataclass(frozen=True)
class Records:
    """What an audit goes by."""

    locked: Mapping[str, Locked]
    planned: Mapping[str, Planned]
    params: Params
    document: Mapping[str, Any]  # params.yaml
    made: list[Artefact]
    corpus: Claim | None  # data.dvc

    @property
    def claims(self) -> Iterator[Claim]:
        """Everything that is said of outputs and dependencies of present stages, and of the corpus."""
        for name, stage in self.locked.items():
            yield from (*stage.outs, *stage.deps) if name in self.planned else ()
        yield from [self.corpus] if self.corpus else []

    @property
    def outs(self) -> dict[Path, Claim]:
        """What present stages wrote, and the corpus."""
        outs = {out.path: out for name, stage in self.locked.items() if name in self.planned for out in stage.outs}
        return outs | ({self.corpus.path: self.corpus} if self.corpus else {})


def read_records(snapshot: Snapshot) -> tuple[Records | None, list[list[Finding]]]:
    """The records of a snapshot, None where one cannot be read; and what is wrong with the form of each.

    Raises BookError where there is no dvc.lock."""
    texts: dict[Path, bytes] = {}
    faults: list[list[Finding]] = []
    for path in (LOCK, PARAMS, PIPELINE, CORPUS_RECORD):
        try:
            texts[path] = snapshot.read(path)
        except MissingError as error:
            if path == LOCK:
                demand_book(snapshot)  # without either, what is missing is a herd
                raise BookError(f"{snapshot.label}: has no {LOCK}, so no pipeline was run there; choose another revision") from error
            if path != CORPUS_RECORD:
                faults.append([finding(path, f"not in {snapshot.label}", "missing")])
    values: dict[Path, Any] = {}
    for path, text in texts.items():
        faults.append(guarded(path, partial(_read, path, text, texts, values)))
    if not {LOCK, PARAMS, PIPELINE} <= values.keys() or (CORPUS_RECORD in texts and CORPUS_RECORD not in values):
        return None, faults
    params, document, made = values[PARAMS]
    return Records(values[LOCK], values[PIPELINE], params, document, made, values.get(CORPUS_RECORD)), faults


def _read(path: Path, text: bytes, texts: Mapping[Path, bytes], values: dict[Path, Any]) -> Iterator[Finding]:
    """Put the value of one record into `values`, and say what is wrong with its form."""
    document = parse(text, path)
    if path in (LOCK, CORPUS_RECORD) and (other := other_bytes(text, document)):
        yield finding(path, f"{other}; restore it: git checkout {path}")
    if path == LOCK:
        values[path] = locked(document)
    elif path == PARAMS:
        values[path] = _params(text)
    elif path == PIPELINE:
        values[path] = planned(document, parse(texts[PARAMS], PARAMS))
    else:
        (out,) = document["outs"]
        values[path] = _claim(out, path, "outs")
        if values[path].path != CORPUS:
            yield finding(path, f"is the record of {values[path].path}, must be of {CORPUS}; restore it: git checkout {path}")


def _params(text: bytes) -> tuple[Params, Mapping[str, Any], list[Artefact]]:
    try:
        document = strict_yaml(text.decode())
    except yaml.YAMLError as error:
        raise ParamsError(f"{PARAMS}: not YAML ({' '.join(str(error).split())[:200]}); correct it") from error
    params = parse_params(document)
    return params, document, artefacts(params)


@cache
def _style() -> tuple[Any, Any]:
    """A loader and a dumper of YAML 1.2 in the style of DVC, which writes with ruamel."""
    from ruamel.yaml.resolver import implicit_resolvers

    class Loader(yaml.CSafeLoader):  # type: ignore[misc]  # yaml comes without types
        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

    class Dumper(yaml.CSafeDumper):  # type: ignore[misc]
        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

    for versions, tag, pattern, first in implicit_resolvers:
        if (1, 2) in versions:
            Loader.add_implicit_resolver(tag, pattern, first)
            Dumper.add_implicit_resolver(tag, pattern, first)
    Dumper.add_representer(type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", ""))
    Dumper.add_representer(float, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:float", repr(value)))
    return Loader, Dumper


def parse(text: bytes, where: Path) -> Any:
    """The value of a YAML file as DVC reads it; BookError where it is none."""
    try:
        return yaml.load(text.decode(), Loader=_style()[0])
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise BookError(f"{where}: not YAML ({' '.join(str(error).split())[:200]}); restore it: git checkout {where}") from error


def as_dvc_writes(value: Any) -> bytes:
    """The YAML text of a value in the style of DVC."""
    return bytes(yaml.dump(value, Dumper=_style()[1], sort_keys=False, default_flow_style=False, allow_unicode=True).encode())


def other_bytes(text: bytes, value: Any) -> str | None:
    """Where `text` is not what DVC would write for its `value`; None where it is."""
    wanted = as_dvc_writes(value)
    if text == wanted:
        return None
    lines = enumerate(zip_longest(text.split(b"\n"), wanted.split(b"\n")), 1)
    number, (found, rewritten) = next((number, pair) for number, pair in lines if pair[0] != pair[1])
    return f"line {number} is {_shown(found)}, DVC would write {_shown(rewritten)}"


def _shown(line: bytes | None) -> str:
    return "not there" if line is None else repr(line.decode(errors="replace"))[:80]


def locked(document: Any) -> dict[str, Locked]:
    """The stages of the value of dvc.lock; BookError for the first that is not of the form that DVC writes."""
    is_lock = isinstance(document, dict) and list(document) == ["schema", "stages"] and document["schema"] == "2.0"
    if not is_lock or not isinstance(document["stages"], dict):
        raise BookError(f"{LOCK}: not a lock of schema 2.0 with stages; restore it: git checkout {LOCK}")
    return {name: _locked(name, body) for name, body in document["stages"].items()}


def _locked(name: Any, body: Any) -> Locked:
    if not isinstance(body, dict) or not set(body) <= {"cmd", "deps", "params", "outs"} or not isinstance(body.get("cmd"), str):
        raise BookError(f"{LOCK}: stage {name} is not cmd, deps, params and outs; restore it: git checkout {LOCK}")
    params = body.get("params", {PARAMS.name: {}})
    if not isinstance(params, dict) or list(params) != [PARAMS.name] or not isinstance(params[PARAMS.name], dict):
        raise BookError(f"{LOCK}: stage {name} has params of another form; restore it: git checkout {LOCK}")
    deps, outs = (tuple(_claims(body.get(part, []), f"{part} of stage {name}")) for part in ("deps", "outs"))
    return Locked(body["cmd"], params[PARAMS.name], deps, outs)


def _claims(listed: Any, where: str) -> Iterator[Claim]:
    paths = [entry.get("path") if isinstance(entry, dict) else None for entry in listed] if isinstance(listed, list) else [None]
    if not all(isinstance(path, str) for path in paths) or paths != sorted(set(map(str, paths))):
        raise BookError(f"{LOCK}: the {where} are not a sorted list of paths; restore it: git checkout {LOCK}")
    for entry in listed:
        yield _claim(entry, LOCK, where)


def _claim(entry: Any, record: Path, where: str) -> Claim:
    """One output or dependency as DVC records it; BookError where a field is missing, strange or of another form."""
    md5, num_bytes, num_files = entry.get("md5"), entry.get("size"), entry.get("nfiles")
    is_folder = isinstance(md5, str) and md5.endswith(".dir")
    fields = {"path", "hash", "md5", "size"} | ({"nfiles"} if is_folder else set())
    numbers = (num_bytes, num_files) if is_folder else (num_bytes,)
    if (
        set(entry) - {"isexec"} != fields
        or entry["hash"] != "md5"
        or not (isinstance(md5, str) and _MD5.fullmatch(md5))
        or not all(type(number) is int for number in numbers)
        or Path(entry["path"]).is_absolute()
        or ".." in Path(entry["path"]).parts
    ):
        raise BookError(f"{record}: {where}: {entry.get('path')} has not the fields that DVC writes; restore it: git checkout {record}")
    return Claim(Path(entry["path"]), Weight(md5, int(num_bytes), num_files), record, where)


def planned(pipeline: Any, document: Mapping[str, Any]) -> dict[str, Planned]:
    """Each stage of dvc.yaml by the name that DVC gives it; `document` is that of params.yaml.

    Raises BookError where dvc.yaml is not of the form that this project writes."""
    try:
        return {name: _planned(body, item, document) for name, body, item in _stages(pipeline, document)}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BookError(f"{PIPELINE}: not a pipeline that can be read ({error!r}); restore it: git checkout {PIPELINE}") from error


def _stages(pipeline: Any, document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], dict[str, Any]]]:
    """(name, template, what ${item} stands for in it) of each stage, a matrix spread out."""
    for name, body in pipeline["stages"].items():
        axes = {axis: list(_filled(values, document)) for axis, values in body.get("matrix", {}).items()}
        for places in product(*(range(len(values)) for values in axes.values())):
            item = {axis: values[place] for (axis, values), place in zip(axes.items(), places, strict=True)}
            named = zip(item.items(), places, strict=True)
            words = [value if isinstance(value, str) else f"{axis}{place}" for (axis, value), place in named]
            yield f"{name}@{'-'.join(words)}" if words else name, body, item


def _planned(body: Mapping[str, Any], item: dict[str, Any], document: Mapping[str, Any]) -> Planned:
    filled: Callable[[Any], Any] = partial(_filled, context={**document, "item": item})
    outs = [name for part in ("outs", "metrics") for out in body.get(part, []) for name in ([out] if isinstance(out, str) else out)]
    return Planned(
        command=filled(body["cmd"]),
        parameters=resolved(tuple(map(filled, body.get("params", []))), document),
        deps=frozenset(Path(filled(dep)) for dep in body.get("deps", [])),
        outs=frozenset(Path(filled(out)) for out in outs),
    )


def _filled(template: Any, context: Mapping[str, Any]) -> Any:
    """A template with the values that its ${references} name; a reference alone gives the value itself."""
    if not isinstance(template, str):
        return template
    if whole := _REFERENCE.fullmatch(template):
        return resolved((whole[1],), context)[whole[1]]
    return _REFERENCE.sub(lambda found: str(resolved((found[1],), context)[found[1]]), template)
