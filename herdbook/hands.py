"""The hands that a row went through in curation: what steps wrote or chose, from which rows, and who."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from herdbook.schema import HANDS
from herdbook.target import columns_of

Hand = Mapping[str, Any]


def hands_of(row_id: str, path: Path) -> list[Hand]:
    """The hands of a row in a hands.parquet, the first first, those of the rows that it was made of before its own."""
    told: dict[str, list[Hand]] = {}
    for hand in columns_of(path, *HANDS.names).to_pylist():
        told.setdefault(hand["id"], []).append(hand)
    return list(_told(row_id, told, set()))


def _told(row_id: str, told: Mapping[str, Sequence[Hand]], seen: set[str]) -> Iterator[Hand]:
    seen.add(row_id)
    for hand in told.get(row_id, ()):
        for parent in hand["parents"]:
            if parent not in seen:
                yield from _told(parent, told, seen)
        yield hand
