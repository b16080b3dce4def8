"""The book itself, as one document: its root, its index, and every entry and code fingerprint that the index names."""

import json
from typing import Any

from herdbook.book import INDEX, Book
from herdbook.errors import BookError
from herdbook.exports.executions import exported
from herdbook.files import digest_bytes
from herdbook.snapshot import Snapshot


def document(book: Book, snapshot: Snapshot, target: str | None = None) -> dict[str, Any]:
    """The book; with a target the whole index, so that the root can be checked, but only its ancestors' entries."""
    text = snapshot.read(INDEX)
    if digest_bytes(text) != book.root:
        raise BookError(f"{INDEX}: has changed since it was read; run herdbook export again")
    return {"root": book.root, "index": json.loads(text), "entries": exported(book, target), "code": dict(book.code)}
