"""The bred miniature, opened once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from herdbook.book import Book
from herdbook.snapshot import Snapshot, book_of, snapshot


@pytest.fixture(scope="session")
def opened(bred: Path) -> Iterator[tuple[Book, Snapshot]]:
    """Its book, and the snapshot that the book is of."""
    with snapshot(bred) as now:
        yield book_of(now), now
