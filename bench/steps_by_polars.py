"""Steps of curation as one would write them in polars: bench/steps.py measures them beside the stage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bench import made
from bench.by_hand import CHUNK_ROWS, SHINGLE_WORDS, Hashes, windows
from bench.by_polars import hashed
from herdbook.files import write_json
from herdbook.layout import HUMAN_HELD_OUT_DOCUMENTS, HUMAN_TRAIN
from herdbook.minhash import bands

THEIRS = Path("theirs")


def curate(step: str, settings: dict[str, Any]) -> None:
    """Write the rows that the step keeps and those that it rejects, and count them."""
    rows = pl.read_parquet(made.PARENT.offspring / "rows.parquet")
    is_rejected = REJECTED[step](rows["text"], **settings)
    THEIRS.mkdir(exist_ok=True)
    for name, table in (("rows", rows.filter(~is_rejected)), ("rejected", rows.filter(is_rejected).with_columns(reason=pl.lit(step)))):
        table.write_parquet(THEIRS / f"{name}.parquet", compression="zstd", compression_level=1, statistics=False, row_group_size=1 << 13)
    write_json(THEIRS / "counts.json", {"num_in": rows.height, "rejected": int(is_rejected.sum())})


def exact_duplicate(texts: pl.Series) -> pl.Series:
    """Rows whose text an earlier row has."""
    return ~texts.is_first_distinct()


def near_duplicate(texts: pl.Series, jaccard: float, num_permutations: int, method: str) -> pl.Series:
    """Rows that nearly repeat an earlier kept row: MinHash in numpy, bands grouped and candidates compared in polars."""
    num_bands, length = bands(jaccard, num_permutations)
    candidates = pairs_of(sketches(texts, num_bands, length))
    numbers = pl.concat([candidates["row"], candidates["earlier"]]).unique().sort()
    shingles = shingles_of(texts, numbers.to_numpy())
    sizes = shingles.group_by("row").len("size")
    other = shingles.rename({"row": "earlier"})
    shared = candidates.join(shingles, on="row").join(other, on=["earlier", "shingle"]).group_by("row", "earlier").len("shared")
    both = shared.join(sizes, on="row").join(sizes.rename({"row": "earlier", "size": "size_earlier"}), on="earlier")
    similarity = pl.col("shared") / (pl.col("size") + pl.col("size_earlier") - pl.col("shared"))
    is_rejected = np.zeros(len(texts), dtype=bool)
    for row, earlier in both.filter(similarity >= jaccard).sort("row", "earlier").select("row", "earlier").iter_rows():
        if not is_rejected[earlier]:
            is_rejected[row] = True
    return pl.Series(is_rejected)


def sketches(texts: pl.Series, num_bands: int, length: int) -> NDArray[np.uint64]:
    """A number for each band of each text, shape (num_bands, num_texts); of a text of too few words its own."""
    generator = np.random.default_rng(0)
    factors, terms = generator.integers(0, 2**64, (2, num_bands * length), dtype=np.uint64)
    factors |= np.uint64(1)
    found = np.zeros((num_bands, len(texts)), dtype=np.uint64)
    found[:] = texts.hash(0).to_numpy()
    for start in range(0, len(texts), CHUNK_ROWS):
        hashes, owners = windows(*hashed(texts[start : start + CHUNK_ROWS]), SHINGLE_WORDS)
        rows, firsts = np.unique(owners, return_index=True)
        for band in range(num_bands):
            number = np.zeros(len(rows), dtype=np.uint64)
            for place in range(band * length, (band + 1) * length):
                number = number * factors[place] + (np.minimum.reduceat(hashes * factors[place] + terms[place], firsts) >> np.uint64(32))
            found[band, start + rows] = number
    return found


def pairs_of(sketches: NDArray[np.uint64]) -> pl.DataFrame:
    """Pairs of rows that agree in a band."""
    found = []
    for band in sketches:
        rows = pl.DataFrame({"band": band}).with_row_index("row").filter(pl.col("band").is_duplicated())
        pairs = rows.join(rows.rename({"row": "earlier"}), on="band").filter(pl.col("row") > pl.col("earlier"))
        found.append(pairs.select("row", "earlier"))
    return pl.concat(found).unique()


def shingles_of(texts: pl.Series, numbers: NDArray[np.uint32]) -> pl.DataFrame:
    """The distinct shingles of these texts; the whole text where it has too few words."""
    hashes, owners = windows(*hashed(texts[numbers]), SHINGLE_WORDS)
    short = np.setdiff1d(np.arange(len(numbers)), owners)
    whole = texts[numbers[short]].hash(0)
    rows, shingles = numbers[np.concatenate([owners, short])], np.concatenate([hashes, whole.to_numpy()])
    return pl.DataFrame({"row": rows, "shingle": shingles}).unique()


def decontaminate(
    texts: pl.Series, common_documents: int, contaminated_ratio: float, partial_ratio: float, drop_partial: bool
) -> pl.Series:
    """Rows that repeat held-out documents: algorithm 1 of phi-4's report, as herdbook/steps/contamination.py reads it."""
    tested = pl.read_parquet(HUMAN_HELD_OUT_DOCUMENTS)["text"]
    human = pl.read_parquet(HUMAN_TRAIN, columns=["document", "text"])
    copied = uncommon(tested, human, common_documents)
    shelf = grams(tested, 7).rename({"row": "tested"})
    tested_sizes = shelf.group_by("tested").len("tested_size")
    is_rejected = np.zeros(len(texts), dtype=bool)
    for start in range(0, len(texts), CHUNK_ROWS):
        hashes = hashed(texts[start : start + CHUNK_ROWS])
        runs, owners = windows(*hashes, 13)
        is_rejected[start + owners[pl.Series(runs).is_in(copied).to_numpy()]] = True
        runs, owners = windows(*hashes, 7)
        own = pl.DataFrame({"row": owners, "gram": runs})
        hit = own.filter(pl.col("gram").is_in(shelf["gram"].implode()))["row"].unique()
        own = own.filter(pl.col("row").is_in(hit.implode())).unique()
        ratios = (
            own.join(shelf, on="gram").group_by("row", "tested").len("shared")
            .join(own.group_by("row").len("size"), on="row").join(tested_sizes, on="tested")
            .filter(pl.col("shared") / pl.min_horizontal("size", "tested_size") >= (partial_ratio if drop_partial else contaminated_ratio))
        )  # fmt: skip
        is_rejected[start + ratios["row"].to_numpy()] = True
    return pl.Series(is_rejected)


def uncommon(tested: pl.Series, human: pl.DataFrame, common_documents: int) -> pl.Series:
    """The runs of 13 words of tested texts that stand in fewer documents of people."""
    runs = grams(tested, 13)["gram"].unique()
    theirs = grams(human["text"], 13).filter(pl.col("gram").is_in(runs.implode()))
    theirs = theirs.with_columns(document=human["document"][theirs["row"].to_numpy()])
    common = theirs.group_by("gram").agg(pl.col("document").n_unique()).filter(pl.col("document") >= common_documents)["gram"]
    return runs.filter(~runs.is_in(common.implode()))


def grams(texts: pl.Series, num_words: int) -> pl.DataFrame:
    """The distinct runs of words of each text."""
    found: tuple[Hashes, NDArray[np.int64]] = windows(*hashed(texts), num_words)
    return pl.DataFrame({"row": found[1], "gram": found[0]}).unique()


REJECTED: dict[str, Callable[..., pl.Series]] = {
    "exact_duplicate": exact_duplicate, "near_duplicate": near_duplicate, "decontaminate": decontaminate,
}  # fmt: skip
