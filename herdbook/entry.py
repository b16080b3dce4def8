"""Entries: the canonical record of one dataset or model, and what names it.

An entry is JSON of one form, without time or host, named by the sha256 of its text. It names its parents
by their entries, so that one digest stands for a whole ancestry."""

import json
from collections.abc import Mapping
from typing import Any

from herdbook.errors import BookError
from herdbook.files import canonical_json, digest_bytes

SCHEMA = 1
ROW_KINDS = ("human", "training", "offspring", "curated")  # tables of ROWS
MODEL_KINDS = ("base", "weights", "model")
Entry = Mapping[str, Any]
_FIELDS = (
    "schema", "name", "kind", "status", "path", "digest", "files", "parents", "stage", "environment", "contents", "inspection", "records",
)  # fmt: skip


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
    if missing := [field for field in _FIELDS if field not in entry]:
        raise BookError(f"{where}: an entry without {missing[0]}; restore it with dvc checkout book")
    return entry


def weights_of(entry: Entry) -> str:
    """What rows call a model by: sha256 over the digests of its weight files (models.weights_digest)."""
    return digest_bytes("".join(file["sha256"] for name, file in sorted(entry["files"].items()) if name.endswith(".safetensors")).encode())
