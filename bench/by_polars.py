"""The inspection of a training or offspring set as one would write it in polars: bench/validate.py measures it beside the stage."""

import numpy as np
import polars as pl

from bench.by_hand import (
    CHUNK_ROWS,
    SHARED_WORDS,
    SHINGLE_WORDS,
    Figures,
    Given,
    Hashes,
    compression_ratio,
    digests,
    num_broken,
    num_repeating,
    verdicts,
    wasserstein,
    windows,
)  # fmt: skip


def known_ngrams(texts: list[str]) -> Hashes:
    """The runs of SHARED_WORDS words of documents."""
    return np.unique(windows(*hashed(pl.Series("text", texts)), SHARED_WORDS)[0])


def hashed(texts: pl.Series) -> tuple[Hashes, np.ndarray]:
    """A hash of each word, and the number of the text it stands in."""
    words = texts.str.to_lowercase().str.extract_all(r"\w+")
    lengths = words.list.len().to_numpy().astype(np.int64)
    return words.explode(empty_as_null=False).hash(0).to_numpy(), np.repeat(np.arange(len(texts)), lengths)


def inspect(given: Given, held_out: Hashes, train: Hashes) -> dict:
    """The profile, the verdict of each rule, and the digests."""
    rows = pl.read_parquet(given.data["rows"])
    unique = rows.filter(pl.col("pass") == 0) if "pass" in rows.columns else rows
    measured = unique[unique["id"].arg_sort()[: given.num_measured]]
    figures = {
        "num_rows": rows.height,
        "num_rows_measured": measured.height,
        "target_rows": given.target_rows,
        **diversity(measured, given),
        "compression_ratio": compression_ratio(measured["text"].to_list()),
        "exact_duplicate_share": 1 - unique["text"].n_unique() / unique.height,
        "near_duplicate_share": near_duplicates(measured["text"], given.jaccard) / measured.height,
        **text_shares(rows, given, held_out, train),
        **numbers(rows, given),
    }
    if given.kind == "training":
        figures["mixture_gap"] = 0.0
    return {"figures": figures, "verdicts": verdicts(given, contract(rows, given.kind), figures), "digests": digests(given.data)}


def diversity(measured: pl.DataFrame, given: Given) -> Figures:
    """Measures of token n-grams."""
    tokens = measured.select(pl.col("tokens").alias("0")).with_row_index("row").explode("0")
    grams = tokens.with_columns(pl.col("0").shift(-n).over("row").alias(str(n)) for n in range(1, 4))
    found: Figures = {}
    counts = {n: grams.select(pl.struct(map(str, range(n))).filter(pl.col(str(n - 1)).is_not_null()).value_counts())
              .to_series().struct.field("count") for n in (1, 2, 3)}  # fmt: skip
    for n, count in counts.items():
        found[f"distinct_{n}"] = len(count) / int(count.sum())
    for n in (1, 2):
        found[f"entropy_{n}_bits"] = counts[n].entropy(base=2)
    rare = grams.filter(pl.col("0").is_in(given.rare.tolist()))["0"]
    found["tail_coverage"] = rare.n_unique() / len(given.rare)
    found["tail_share"] = len(rare) / grams.height
    kept = np.ones(measured.height)
    for n in (2, 3, 4):
        gram = pl.struct(map(str, range(n)))
        whole = grams.filter(pl.col(str(n - 1)).is_not_null()).group_by("row").agg(share=gram.n_unique() / pl.len())
        kept[whole["row"].to_numpy()] *= whole["share"].to_numpy()
    found["repetition"] = float((1 - kept).mean())
    return found


def near_duplicates(texts: pl.Series, jaccard: float) -> int:
    """How many of the texts nearly repeat an earlier one that is kept."""
    hashes, rows = windows(*hashed(texts), SHINGLE_WORDS)
    shingles = pl.DataFrame({"row": rows, "shingle": hashes}).unique()
    short = pl.DataFrame({"row": np.setdiff1d(np.arange(len(texts)), rows)})
    whole = texts[short["row"].to_numpy()].str.to_lowercase().str.extract_all(r"\w+").list.join(" ").hash(0)
    shingles = pl.concat([shingles, short.with_columns(whole.alias("shingle"))])
    sizes = shingles.group_by("row").len("size")
    shared = shingles.filter(pl.col("shingle").is_duplicated())
    pairs = shared.join(shared, on="shingle", suffix="_earlier").filter(pl.col("row") > pl.col("row_earlier"))
    pairs = pairs.group_by("row", "row_earlier").len("shared").join(sizes, on="row")
    pairs = pairs.join(sizes.rename({"row": "row_earlier", "size": "size_earlier"}), on="row_earlier")
    similarity = pl.col("shared") / (pl.col("size") + pl.col("size_earlier") - pl.col("shared"))
    alike = pairs.filter(similarity >= jaccard).sort("row", "row_earlier")
    return num_repeating(alike.select("row", "row_earlier").iter_rows())


def text_shares(rows: pl.DataFrame, given: Given, held_out: Hashes, train: Hashes) -> Figures:
    """Shares of rows that hold runs of other text, and of those whose text does not encode to their tokens."""
    contaminated = memorised = broken = 0
    for chunk in rows.select("text", "tokens", "model").iter_slices(CHUNK_ROWS):
        hashes, owners = windows(*hashed(chunk["text"]), SHARED_WORDS)
        grams = pl.DataFrame({"gram": hashes, "row": owners})
        contaminated += grams.filter(pl.col("gram").is_in(pl.Series(held_out)))["row"].n_unique()
        copied = grams.filter(pl.col("gram").is_in(pl.Series(train)))["row"].unique()
        memorised += int(chunk["model"][copied.to_numpy()].is_not_null().sum())
        tokens, lengths = chunk["tokens"].explode().to_numpy(), chunk["tokens"].list.len().to_numpy()
        broken += num_broken(given, chunk["text"].to_list(), tokens, lengths)
    num_synthetic = int(rows["model"].is_not_null().sum())
    return {
        "contamination_share": contaminated / rows.height,
        "memorisation_share": memorised / num_synthetic if num_synthetic else 0.0,
        "broken_text_share": broken / rows.height,
    }


def numbers(rows: pl.DataFrame, given: Given) -> Figures:
    """Measures of the columns of numbers."""
    tokens, is_human = pl.col("num_tokens"), pl.col("model").is_null()
    found = rows.select(
        tokens.sum().alias("num_tokens"),
        tokens.mean().alias("mean_tokens"),
        pl.col("nll_nats").mean().alias("nll_mean_nats"),
        *(pl.col("nll_nats").quantile(share / 100, "linear").alias(f"nll_p{share:02}_nats") for share in (5, 50, 95)),
        ((pl.col("depth") * tokens).sum() / tokens.sum()).alias("depth_mean"),
        pl.col("depth").max().alias("depth_max"),
        is_human.mean().alias("human_row_share"),
        (tokens.filter(is_human).sum() / tokens.sum()).alias("human_token_share"),
    )
    return {**found.row(0, named=True), "nll_distance_nats": wasserstein(rows["nll_nats"].to_numpy(), given.held_out_nll)}


def contract(rows: pl.DataFrame, kind: str) -> dict[str, bool]:
    """Whether each rule on rows holds."""
    is_synthetic = pl.col("model").is_not_null()
    tokens, nll, depth = pl.col("num_tokens"), pl.col("nll_nats"), pl.col("depth")
    rules = {
        "None: expect_table_row_count_to_be_between": pl.len() >= 32,
        "id: expect_column_values_to_not_be_null": pl.col("id").is_not_null().all(),
        "num_tokens: expect_column_values_to_not_be_null": tokens.is_not_null().all(),
        "num_tokens: expect_column_values_to_be_between": tokens.is_between(1, 4096).all(),
        "num_tokens, num_tokens_listed: expect_column_pair_values_to_be_equal": (tokens == pl.col("tokens").list.len()).all(),
        "num_characters: expect_column_values_to_be_between": (pl.col("text").str.len_chars() >= 1).mean() >= 0.99,
        "nll_nats: expect_column_values_to_not_be_null": nll.is_not_null().all(),
        "nll_nats: expect_column_values_to_be_between": nll.is_between(0, 20).all(),
        "depth, depth_floor: expect_column_pair_values_a_to_be_greater_than_b": (depth >= is_synthetic.cast(pl.Float64)).all(),
        "depth_limit, depth: expect_column_pair_values_a_to_be_greater_than_b": (
            is_synthetic * (pl.col("generation") + 1 + 1e-9) >= depth
        ).all(),
    }
    if kind == "training":
        rules["id, pass: expect_compound_columns_to_be_unique"] = ~pl.struct("id", "pass").is_duplicated().any()
    else:
        rules["id: expect_column_values_to_be_unique"] = pl.col("id").n_unique() == pl.len()
        rules["is_synthetic: expect_column_min_to_be_between"] = is_synthetic.all()
    return {name: bool(holds) for name, holds in rows.select(**rules).row(0, named=True).items()}
