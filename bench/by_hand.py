"""What the inspections of bench/by_pandas.py and bench/by_polars.py share: what they are given, and plain numpy."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK_ROWS = 50_000  # whose words, or encodings, are in memory at once
SHARED_WORDS, SHINGLE_WORDS = 13, 3
_BASE = np.uint64(0x9E3779B97F4A7C15)

Hashes = NDArray[np.uint64]
Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Given:
    """What an inspection has before it looks at the rows: nothing of it is timed, as prepare has made it once for ours."""

    kind: str  # training or offspring
    data: dict[str, Path]  # what the receipt is about; `rows` among it
    bounds: list[tuple[str, str, float]]  # of the profile: column, min or max, bound
    tokenizer: Any  # of the package tokenizers
    mark: int
    rare: NDArray[np.int64]  # token types
    held_out_nll: NDArray[np.float64]
    target_rows: int | None
    num_measured: int
    jaccard: float


def digests(data: dict[str, Path]) -> dict[str, str]:
    """sha256 of each file."""
    found = {}
    for role, path in data.items():
        with path.open("rb") as file:
            found[role] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def windows(hashes: Hashes, owners: NDArray[np.int64], n: int) -> tuple[Hashes, NDArray[np.int64]]:
    """A hash of every n words in a row, from those of words, and the row."""
    count = max(len(hashes) - n + 1, 0)
    found = np.zeros(count, dtype=np.uint64)
    for offset in range(n):
        found = found * _BASE + hashes[offset : offset + count]
    is_whole = owners[:count] == owners[len(owners) - count :]
    return found[is_whole], owners[:count][is_whole]


def num_broken(given: Given, texts: list[str], tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> int:
    """How many of the texts do not encode to the tokens beside them (of all rows, one after another), marks aside."""
    owners = np.repeat(np.arange(len(texts)), lengths)
    is_said = tokens != given.mark
    tokens, lengths = tokens[is_said], np.bincount(owners[is_said], minlength=len(texts))
    encoded = [encoding.ids for encoding in given.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    found_lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
    found = np.fromiter(chain.from_iterable(encoded), dtype=np.int64, count=int(found_lengths.sum()))
    is_broken = found_lengths != lengths
    ours, theirs = (np.repeat(~is_broken, counts) for counts in (lengths, found_lengths))
    is_other = tokens[ours] != found[theirs]
    is_broken[np.repeat(np.arange(len(texts)), lengths)[ours][is_other]] = True
    return int(is_broken.sum())


def num_repeating(pairs: Iterable[tuple[int, int]]) -> int:
    """How many rows are like an earlier one that is kept; pairs (later, earlier) of rows that are alike, in order of the later."""
    repeating: set[int] = set()
    for later, earlier in pairs:
        if later not in repeating and earlier not in repeating:
            repeating.add(later)
    return len(repeating)


def wasserstein(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The Wasserstein-1 distance."""
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(one, other))


def compression_ratio(texts: Sequence[str]) -> float:
    """Bytes over those of their gzip, as ours has it."""
    import pyarrow as pa

    data = "\n".join(texts).encode()
    return len(data) / len(pa.Codec("gzip", compression_level=9).compress(data, asbytes=True))


def verdicts(given: Given, contract: dict[str, bool], figures: Figures) -> dict[str, bool]:
    """Whether each rule holds: those on rows as found, those on the profile by their bounds."""
    found = dict(contract)
    for column, side, bound in given.bounds:
        holds = figures[column] >= bound if side == "min" else figures[column] <= bound
        found[f"{column}: expect_column_{side}_to_be_between"] = bool(holds)
    return found
