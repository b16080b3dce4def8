"""Documents of other standards, made from the book: the same book gives the same bytes, on any machine, at any time."""

import json
from collections.abc import Callable
from typing import Any

from herdbook.book import Book
from herdbook.errors import BookError
from herdbook.exports import book_json, croissant, openlineage, prov, slsa
from herdbook.snapshot import Snapshot
from herdbook.target import find

Export = Callable[[Book, Snapshot, str | None], Any]

FORMATS: dict[str, tuple[Export, str]] = {
    "openlineage": (openlineage.events, "OpenLineage 2-0-2 run events, for catalogues; --url sends them"),
    "prov": (prov.document, "PROV-JSON, the whole graph"),
    "croissant": (croissant.dataset, "Croissant 1.1 with RAI 1.0, one dataset; needs a target"),
    "slsa": (slsa.statements, "in-toto statements: SLSA provenance v1 for stages, test results v0.1 for gates"),
    "json": (book_json.document, "the book itself: its root, index, entries and code"),
}


def export(format: str, book: Book, snapshot: Snapshot, target: str | None = None) -> list[dict[str, Any]] | dict[str, Any]:
    """The document of a format, JSON-able: of the whole book, or of a target (target.find) and its ancestors.

    Raises BookError for an unknown format or target, FileError where a file that the format needs cannot be had."""
    if format not in FORMATS:
        raise BookError(f"{format}: no such format; allowed: {', '.join(FORMATS)}")
    name = None if target is None else find(target, book, snapshot)
    made: list[dict[str, Any]] | dict[str, Any] = FORMATS[format][0](book, snapshot, name)
    return made


def as_text(document: Any) -> str:
    """The one text of a document: sorted keys, and ASCII, so that no text that it quotes can steer a terminal."""
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=True, allow_nan=False) + "\n"
