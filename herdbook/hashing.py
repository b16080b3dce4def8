"""The sha256 of a file, for commands that show how far they are. (files.digest is of every stage, and stays as it is.)"""

import hashlib
from pathlib import Path

from herdbook.phases import Advance

CHUNK_BYTES = 1 << 20


def sha256_of(path: Path, advance: Advance) -> str:
    """sha256 of a file's bytes, in hex; `advance` is told of each piece that was read, in bytes."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            state.update(chunk)
            advance(len(chunk))
    return state.hexdigest()
