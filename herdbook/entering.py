"""Entering a dataset or a model into the book: its entry, from what lies there and from what the stage that made it says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from herdbook.artefacts import Artefact, Inspection, artefacts, resolved
from herdbook.contents import contents
from herdbook.entry import ROW_KINDS, SCHEMA, Entry, entry_id, weights_of
from herdbook.errors import BookError, FileError
from herdbook.files import digest, digest_bytes, read_json
from herdbook.layout import CODE, MAKING
from herdbook.lineage import MARKER
from herdbook.numeric import PINS
from herdbook.params import Params
from herdbook.receipt import waived_rules

_TOLD = ("human", "offspring", "previous")  # roles of parents that a stage names in making.json


class Source(Protocol):
    """Where an entry's facts come from; FileError where a file is missing or not of its format."""

    def files(self, path: Path) -> dict[str, dict[str, Any]]:
        """Each file at or below `path` by its name there: {sha256, num_bytes}."""

    def sha256(self, path: Path) -> str:
        """Of one file."""

    def json(self, path: Path) -> Any:
        """The value of a JSON file."""

    def contents(self, path: Path) -> dict[str, Any]:
        """What a table of rows amounts to (contents.contents)."""


class Workspace:
    """The facts as they lie in the working directory."""

    def files(self, path: Path) -> dict[str, dict[str, Any]]:
        """See Source."""
        if path.is_file():
            return {path.name: _file(path)}
        found = sorted(file for file in path.rglob("*") if file.is_file())
        if not found:
            raise FileError(f"{path}: not found; run the stage that writes it (dvc repro)")
        return {file.relative_to(path).as_posix(): _file(file) for file in found}

    def sha256(self, path: Path) -> str:
        """See Source."""
        return digest(path)

    def json(self, path: Path) -> Any:
        """See Source."""
        return read_json(path)

    def contents(self, path: Path) -> dict[str, Any]:
        """See Source."""
        return contents(path)


def make_book(params: Params, document: Mapping[str, Any]) -> dict[str, Entry]:
    """The entry of everything that the parameters name, as it lies there now; `document` is that of params.yaml."""
    made: dict[str, Entry] = {}
    for artefact in artefacts(params):
        made[artefact.name] = make_entry(artefact, made, document)
    return made


def make_entry(artefact: Artefact, parents: Mapping[str, Entry], document: Mapping[str, Any]) -> Entry:
    """The entry of what lies at the artefact's place now; `parents` by name, `document` is that of params.yaml.

    Raises FileError where a file is missing, BookError where the stage that made it read other bytes than
    lie there now."""
    here = Workspace()
    entry = described(artefact, parents, document, here)
    if broken := broken_links(entry, making_of(artefact, entry, here), parents):
        raise BookError(f"{artefact.path}: {broken[0]}; run dvc repro")
    return entry


def described(artefact: Artefact, parents: Mapping[str, Entry], document: Mapping[str, Any], source: Source) -> Entry:
    """The entry of an artefact as `source` shows it, whatever its parents are."""
    files = source.files(artefact.path)
    is_bred = MARKER not in files
    making = making_of(artefact, {"files": files}, source)
    return {
        "schema": SCHEMA,
        "name": artefact.name,
        "kind": artefact.kind,
        **_place(artefact),
        "status": "bred" if is_bred else "not bred",
        "stopped_by": None if is_bred else source.json(artefact.path / MARKER),
        "path": artefact.path.as_posix(),
        "digest": digest_of(artefact.path, files),
        "files": files,
        "parents": [{"role": role, "name": name, "entry": entry_id(parents[name])} for role, name in artefact.parents],
        "stage": _stage(artefact, document, source),
        "environment": {"pins": PINS, "threads": 1, "device": making.get("device")} if artefact.stage else None,
        "contents": _contents(artefact, making, source) if is_bred else None,
        "counts": _record(artefact, "counts.json", source) if is_bred else None,
        "waivers": making.get("waivers", []),
        "inspection": _inspection(artefact.inspection, document, source) if artefact.inspection else None,
        "records": {path.as_posix(): source.sha256(path) for path in artefact.records},
    }


def digest_of(path: Path, files: Mapping[str, Mapping[str, Any]]) -> str:
    """What files.digest gives for a file, or for a folder, with these files."""
    if list(files) == [path.name]:
        return str(files[path.name]["sha256"])
    return digest_bytes("".join(f"{name}\0{files[name]['sha256']}\n" for name in sorted(files)).encode())


def making_of(artefact: Artefact, entry: Entry, source: Source) -> dict[str, Any]:
    """What the stage that made a folder says of it; empty for what has no such file."""
    return dict(source.json(artefact.path / MAKING)) if MAKING in entry["files"] else {}


def broken_links(entry: Entry, making: Mapping[str, Any], parents: Mapping[str, Entry]) -> list[str]:
    """Where what the stage says it read is not what its parents' entries say lies there, a line each."""
    by_role: dict[str, list[Entry]] = {}
    for parent in entry["parents"]:
        by_role.setdefault(parent["role"], []).append(parents[parent["name"]])
    found = []
    for role, read in _claims(entry, making) if entry["status"] == "bred" else ():
        given = {digest for parent in by_role.get(role, []) for digest in _given(role, parent)}
        if read is None:
            found.append(f"{MAKING} does not say from which {role} it was made")
        elif read not in given:
            found.append(f"{MAKING} says that it was made from {role} {read[:12]}, which no parent is")
    return found


def _claims(entry: Entry, making: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """(role, digest) of all that the stage has to say it read, None where it does not; adopted rows are their parent's own."""
    roles = [parent["role"] for parent in entry["parents"]]
    told = {parent["role"]: parent["digest"] for parent in making.get("parents", [])}
    match entry["kind"]:
        case "training" | "curated":
            return [*told.items(), *((role, None) for role in roles if role in _TOLD and role not in told)]
        case "model":
            return [("training", making.get("training"))]
        case "offspring" if "model" in roles:
            return [("model", making.get("model")), ("scorer", making.get("founder"))]
        case "offspring":
            return [("offspring", entry["files"].get("rows.parquet", {}).get("sha256"))]
    return []


def _given(role: str, parent: Entry) -> list[str]:
    """What a claim of `role` may call a parent by."""
    files = parent["files"]
    match role, parent["kind"]:
        case "model" | "scorer", _:
            return [weights_of(parent)]
        case "previous", _:
            names = ["pool.parquet"]
        case _, "human":
            names = list(files)
        case _:
            names = ["rows.parquet"]
    return [files[name]["sha256"] for name in names if name in files]


def _place(artefact: Artefact) -> dict[str, str | None]:
    place = artefact.place
    return {name: getattr(place, name) if place else None for name in ("regime", "seed", "generation")}


def _file(path: Path) -> dict[str, Any]:
    return {"sha256": digest(path), "num_bytes": path.stat().st_size}


def _stage(step: Artefact | Inspection, document: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """The command, the parameters and the code of a stage; no command where a person made it."""
    name = step.words.split(" ")[0]
    return {
        "command": f"python -m stages {step.words}" if name else None,
        "parameters": resolved(step.parameters, document),
        "code": {"stage": name, "sha256": source.sha256(CODE / f"{name}.json")} if name else None,
    }


def _contents(artefact: Artefact, making: Mapping[str, Any], source: Source) -> dict[str, Any] | None:
    if artefact.kind in ROW_KINDS:
        return source.contents(artefact.rows)
    if artefact.kind == "model":
        return {name: making[name] for name in ("depth", "num_parameters", "num_steps", "start")}
    return None


def _record(artefact: Artefact, name: str, source: Source) -> Any:
    return next((source.json(path) for path in artefact.records if path.name == name), None)


def _inspection(inspection: Inspection, document: Mapping[str, Any], source: Source) -> dict[str, Any]:
    receipt = source.json(inspection.receipt)
    is_waived = receipt["status"] in ("failed", "errored") and inspection.gate == "waive"
    return {
        "dataset": inspection.dataset,
        "receipt": {"path": inspection.receipt.as_posix(), "sha256": source.sha256(inspection.receipt)},
        "profile": {"path": inspection.profile.as_posix(), "sha256": source.sha256(inspection.profile)},
        "policies": receipt.get("policies", {}),
        "gate": inspection.gate,
        "verdict": "waived" if is_waived else receipt["status"],
        "broken": waived_rules(receipt) if "policies" in receipt else [],
        "stage": _stage(inspection, document, source),
    }
