"""Entries: the canonical record of one dataset or model, and what names it.

An entry is JSON of one form, without time or host, named by the sha256 of its text. It names its parents
by their entries, so that one digest stands for a whole ancestry."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from herdbook.errors import BookError
from herdbook.files import canonical_json, digest_bytes

SCHEMA = 1
ROW_KINDS = ("human", "training", "offspring", "curated")  # tables of ROWS
MODEL_KINDS = ("base", "weights", "model")
Entry = Mapping[str, Any]
_SHAPE: dict[str, type | tuple[type, ...]] = {
    "schema": int, "name": str, "kind": str, "status": str, "stopped_by": (dict, type(None)), "path": str, "digest": str, "files": dict,
    "parents": list, "stage": dict, "environment": (dict, type(None)), "contents": (dict, type(None)), "counts": (dict, type(None)),
    "waivers": list, "inspection": (dict, type(None)), "records": dict,
}  # fmt: skip


def entry_id(entry: Entry) -> str:
    """What names an entry: the sha256 of its canonical text, in hex."""
    return digest_bytes(canonical_json(entry).encode())


def parse_entry(text: bytes, where: str) -> Entry:
    """The entry of a JSON text; BookError where it is none, or of a schema that this version does not know."""
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BookError(f"{where}: not JSON ({error}), so no entry; restore it with dvc checkout book") from error
    if not isinstance(entry, dict) or not isinstance(entry.get("schema"), int):
        raise BookError(f"{where}: not an entry (no schema number); restore it with dvc checkout book")
    if entry["schema"] > SCHEMA:
        raise BookError(f"{where}: an entry of schema {entry['schema']}, this version reads up to {SCHEMA}; install a newer herdbook")
    if missing := [field for field in _SHAPE if field not in entry]:
        raise BookError(f"{where}: an entry without {missing[0]}; restore it with dvc checkout book")
    if strange := [field for field, shape in _SHAPE.items() if not isinstance(entry[field], shape)] or _strange_parts(entry):
        raise BookError(f"{where}: {strange[0]} is not of the form that an entry has; restore it with dvc checkout book")
    return entry


def _strange_parts(entry: Entry) -> list[str]:
    """The fields of a parsed entry whose parts are of another form than make_entry gives them."""
    texts = {
        "parents": [each.get(key) if isinstance(each, dict) else None for each in entry["parents"] for key in ("role", "name", "entry")],
        "files": [file.get("sha256") if isinstance(file, dict) else None for file in entry["files"].values()],
        "records": list(entry["records"].values()),
        "inspection": [_text(entry["inspection"], part, key) for part in ("receipt", "profile") for key in ("path", "sha256")],
    }  # fmt: skip
    if entry["inspection"] is None:
        texts.pop("inspection")
    strange = [field for field, values in texts.items() if not all(isinstance(value, str) for value in values)]
    steps = [entry["stage"], (entry["inspection"] or {"stage": entry["stage"]}).get("stage")]
    are_whole = all(isinstance(step, dict) and isinstance(step.get("parameters"), dict) and "code" in step for step in steps)
    return strange if are_whole else [*strange, "stage"]


def _text(inspection: Entry | None, part: str, key: str) -> object:
    """What an inspection names its receipt or profile by; None where it does not."""
    found = (inspection or {}).get(part)
    return found.get(key) if isinstance(found, dict) else None


def paths_of(entry: Entry) -> dict[Path, str]:
    """Where each file of an artefact lies, and its sha256. The artefact is a file itself, or a folder of them."""
    top = Path(entry["path"])
    is_file = list(entry["files"]) == [top.name]
    return {top if is_file else top / name: file["sha256"] for name, file in entry["files"].items()}


def table_of(entry: Entry) -> Path | None:
    """Where the rows of an artefact lie; None where it holds none."""
    if entry["kind"] not in ROW_KINDS or entry["status"] != "bred":
        return None
    return next(path for path in paths_of(entry) if path.name == "rows.parquet" or path.as_posix() == entry["path"])


def weights_of(entry: Entry) -> str:
    """What rows call a model by: sha256 over the digests of its weight files (models.weights_digest)."""
    return digest_bytes("".join(file["sha256"] for name, file in sorted(entry["files"].items()) if name.endswith(".safetensors")).encode())
