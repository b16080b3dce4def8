"""Which stages a run has to look at, and why: dvc.yaml, params.yaml, code and files held against dvc.lock.

DVC's own status reads params.yaml once a stage and hashes a file once for each stage that depends on it: 15 s for the 281
stages of the default run, on the machine where this takes 3. What is resolved and hashed, DVC resolves and hashes; a test
holds the outcome to that of `dvc status`."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from herdbook.code import fingerprint
from herdbook.errors import FileError, HerdbookError
from herdbook.files import canonical_json, read_json
from herdbook.layout import CODE, CONSTRAINTS, EXPECTATIONS, LOCK, PARAMS
from herdbook.phases import Begin, unseen

PIPELINE = Path("dvc.yaml")
Kind = Literal[
    "never run", "command", "code", "parameter", "policy", "input", "input missing", "output altered", "output missing", "not in cache"
]

_ABSENT = object()  # a key that is not there, which is not one of nothing
_CODE = (CODE, CONSTRAINTS, Path("herdbook"), Path("stages"))
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a lock of 281 stages in 0.7 s, not 6


@dataclass(frozen=True, order=True)
class Reason:
    """Why a stage is stale: what kind of thing differs from dvc.lock, and which one."""

    kind: Kind
    what: str  # a path, the name of a parameter; empty where the kind says all


@dataclass(frozen=True)
class StageState:
    """One stage of the pipeline as the workspace is now."""

    name: str  # such as train@replace-s3-g1
    outs: tuple[Path, ...]
    reasons: tuple[Reason, ...]  # none where it stands as dvc.lock records it
    follows: bool  # whether it descends from a stale stage, so that a run will look at it again

    @property
    def is_stale(self) -> bool:
        """Whether something of its own differs."""
        return bool(self.reasons)


def stage_states(root: Path, begin: Begin = unseen) -> list[StageState]:
    """Every stage of the pipeline at `root`, in the order of dvc.yaml; nothing is run, locked or written.

    Raises HerdbookError where dvc.yaml, dvc.lock or params.yaml cannot be read."""
    begin(f"reading {PIPELINE}")
    wanted = _resolved(root)
    lock = _locked(root / LOCK)
    files = _Files(root)
    params, code = _yaml(root / PARAMS), _changed_code(root, files, lock)
    reasons: dict[str, tuple[Reason, ...]] = {}
    advance = begin("stages", len(wanted))
    for name, stage in wanted.items():
        reasons[name] = tuple(sorted({*_reasons(stage, lock.get(name), files, params, code)}))
        advance(1)
    outs = {name: tuple(Path(_path(out)) for out in _outs(stage)) for name, stage in wanted.items()}
    following = _following({name for name in wanted if reasons[name]}, wanted, outs)
    return [StageState(name, outs[name], reasons[name], name in following) for name in wanted]


def _locked(path: Path) -> dict[str, Any]:
    """What dvc.lock records of each stage; nothing without one."""
    document = _yaml(path) if path.exists() else {"stages": {}}
    stages = document.get("stages") if isinstance(document, dict) else None
    if not isinstance(stages, dict):
        raise FileError(f"{path}: has no stages; restore it: git checkout {path.name}")
    if broken := [name for name, stage in stages.items() if not _is_record(stage)]:
        raise FileError(f"{path}: what it has of {broken[0]} is no record of a stage; restore it: git checkout {path.name}")
    return stages


def _is_record(stage: Any) -> bool:
    """Whether it has a command, and inputs and outputs with path and md5."""
    files = [stage.get(part, []) for part in ("deps", "outs")] if isinstance(stage, dict) and "cmd" in stage else [None]
    return all(isinstance(part, list) and all(isinstance(file, dict) and {"path", "md5"} <= file.keys() for file in part) for part in files)


def _resolved(root: Path) -> dict[str, Mapping[str, Any]]:
    """The stages that dvc.yaml comes to with its templates filled in."""
    from dvc.exceptions import DvcException
    from dvc.parsing import DataResolver

    try:
        repo = _repo(str(root.resolve()))
        return dict(DataResolver(repo, repo.root_dir, _yaml(root / PIPELINE)).resolve()["stages"])
    except DvcException as error:
        raise HerdbookError(f"{root / PIPELINE}: DVC: {' '.join(str(error).split())}; correct it, then ask again") from error


@cache
def _repo(root: str) -> Any:
    from dvc.repo import Repo

    return Repo(root)


def _yaml(path: Path) -> Any:
    try:
        return yaml.load(path.read_bytes(), Loader=_Loader) or {}
    except PermissionError as error:
        raise FileError(f"{path}: may not be read; allow it (chmod u+r {path.name}), then ask again") from error
    except (OSError, yaml.YAMLError) as error:
        raise FileError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]}); restore it: git checkout {path.name}") from error


class _Files:
    """What lies in the workspace and in DVC's cache, each path looked at once."""

    def __init__(self, root: Path) -> None:
        self._root, self._repo = root, _repo(str(root.resolve()))
        self._md5: dict[str, str | None] = {}

    def md5(self, path: str) -> str | None:
        """What DVC names the bytes of a file or folder by; None where nothing lies there."""
        if path not in self._md5:
            self._md5[path] = self._hashed(path)
        return self._md5[path]

    def _hashed(self, path: str) -> str | None:
        from dvc_data.hashfile.build import build

        where = str(self._root.resolve() / path)
        try:
            _, _, found = build(self._repo.cache.local, where, self._repo.fs, "md5", ignore=self._repo.dvcignore, dry_run=True)
        except FileNotFoundError:
            return None
        return str(found.hash_info.value)

    def foreseen(self, path: str) -> str | None:
        """The md5 of a record runs/code/STAGE.json that is not there, as in a clone, once the stage `code` has written it."""
        place = Path(path)
        if place.parent != CODE or not (self._root / "stages" / f"{place.stem}.py").is_file():
            return None
        return hashlib.md5(canonical_json(fingerprint(place.stem, self._root)).encode(), usedforsecurity=False).hexdigest()

    def is_cached(self, md5: str) -> bool:
        """Whether the cache holds an object and, of a folder's, those of its files."""
        path = Path(self._repo.cache.local.oid_to_path(md5))
        if not path.is_file():
            return False
        inside = json.loads(path.read_bytes()) if md5.endswith(".dir") else []
        return all(Path(self._repo.cache.local.oid_to_path(each["md5"])).is_file() for each in inside)


def _changed_code(root: Path, files: _Files, lock: Mapping[str, Any]) -> set[str]:
    """The records runs/code/STAGE.json that the stage `code` will write otherwise than they lie there."""
    recorded = lock.get(CODE.name)
    if recorded is None or all(files.md5(dep["path"]) == dep["md5"] for dep in recorded.get("deps", [])):
        return set()
    return {path.as_posix() for path in _records(root) if read_json(root / path) != fingerprint(path.stem, root)}


def _records(root: Path) -> Iterator[Path]:
    for path in sorted((root / CODE).glob("*.json")):
        if (root / "stages" / f"{path.stem}.py").is_file():
            yield CODE / path.name


def _reasons(
    stage: Mapping[str, Any], recorded: Mapping[str, Any] | None, files: _Files, params: Mapping[str, Any], code: set[str]
) -> Iterator[Reason]:
    if recorded is None:
        yield Reason("never run", "")
        return
    if stage["cmd"] != recorded["cmd"]:
        yield Reason("command", str(stage["cmd"]))
    yield from _dep_reasons(stage, recorded, files, code)
    yield from _param_reasons(stage, recorded, params)
    yield from _out_reasons(stage, recorded, files)


def _dep_reasons(stage: Mapping[str, Any], recorded: Mapping[str, Any], files: _Files, code: set[str]) -> Iterator[Reason]:
    before = {dep["path"]: dep["md5"] for dep in recorded.get("deps", [])}
    now = {_path(dep) for dep in stage.get("deps", [])}
    for path in sorted(now | before.keys()):
        found = files.md5(path) or files.foreseen(path)
        if found is None and path in now:
            yield Reason("input missing", path)
        elif path not in now or path in code or found != before.get(path):
            yield Reason(_kind(Path(path)), path)


def _kind(path: Path) -> Kind:
    if any(top in (path, *path.parents) for top in _CODE):
        return "code"
    return "policy" if EXPECTATIONS in (path, *path.parents) else "input"


def _param_reasons(stage: Mapping[str, Any], recorded: Mapping[str, Any], params: Mapping[str, Any]) -> Iterator[Reason]:
    before = recorded.get("params", {}).get(PARAMS.as_posix(), {})
    now = set(stage.get("params", []))
    for name in sorted(now | before.keys()):
        if name not in now or name not in before:
            yield Reason("parameter", name)
        else:
            yield from (Reason("parameter", key) for key in _changed(name, before[name], _at(params, name)))


def _changed(name: str, before: Any, now: Any) -> Iterator[str]:
    """The dotted keys, at or below `name`, whose values differ."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in sorted(before.keys() | now.keys(), key=str):
            yield from _changed(f"{name}.{key}", before.get(key, _ABSENT), now.get(key, _ABSENT))
    elif before != now:
        yield name


def _at(document: Any, dotted: str) -> Any:
    for key in dotted.split("."):
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def _out_reasons(stage: Mapping[str, Any], recorded: Mapping[str, Any], files: _Files) -> Iterator[Reason]:
    before = {out["path"]: out["md5"] for out in recorded.get("outs", [])}
    now = {_path(out): out for out in _outs(stage)}
    for path in sorted(now.keys() | before.keys()):
        found = files.md5(path)
        if path not in now or path not in before:
            yield Reason("command", path)  # what it writes is part of what dvc.yaml has it do
        elif found is None:
            yield Reason("output missing", path)
        elif found != before[path]:
            yield Reason("output altered", path)
        elif _is_cached_kind(now[path]) and not files.is_cached(found):
            yield Reason("not in cache", path)


def _outs(stage: Mapping[str, Any]) -> list[Any]:
    return [*stage.get("outs", []), *stage.get("metrics", [])]


def _path(entry: Any) -> str:
    """dvc.yaml names a path, or maps it to how it is kept."""
    return str(entry if isinstance(entry, str) else next(iter(entry)))


def _is_cached_kind(out: Any) -> bool:
    return isinstance(out, str) or next(iter(out.values())).get("cache", True)


def _following(stale: set[str], wanted: Mapping[str, Mapping[str, Any]], outs: Mapping[str, tuple[Path, ...]]) -> set[str]:
    """The stages that descend from stale ones and are not among them."""
    maker = {path: name for name, paths in outs.items() for path in paths}
    inside: dict[Path, set[str]] = {}  # a stage may depend on a whole folder of what others write
    for path, name in maker.items():
        for above in path.parents:
            inside.setdefault(above, set()).add(name)
    deps = {name: [Path(_path(dep)) for dep in stage.get("deps", [])] for name, stage in wanted.items()}
    # What the stage `code` will write is foreseen: only the stages whose own code changed run again because of it.
    needs = {name: _makers([path for path in of_stage if CODE not in path.parents], maker, inside) for name, of_stage in deps.items()}
    reached, grown = set(stale), True
    while grown:
        more = {name for name in wanted if name not in reached and needs[name] & reached}
        reached |= more
        grown = bool(more)
    return reached - stale


def _makers(deps: list[Path], maker: Mapping[Path, str], inside: Mapping[Path, set[str]]) -> set[str]:
    """The stages that write what a stage depends on, a part of it, or the folder that it lies in."""
    around = {maker[place] for dep in deps for place in (dep, *dep.parents) if place in maker}
    return around.union(*(inside.get(dep, ()) for dep in deps))
