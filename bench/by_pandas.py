"""The inspection of a training or offspring set as one would write it in pandas: bench/validate.py measures it beside the stage."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

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
    return np.unique(windows(*hashed(pd.Series(texts, dtype=pd.ArrowDtype(pa.string()))), SHARED_WORDS)[0])


def hashed(texts: pd.Series) -> tuple[Hashes, np.ndarray]:
    """A hash of each word, and the number of the text it stands in."""
    words: Any = texts.str.lower().str.findall(r"\w+")  # of Arrow, which pandas-stubs does not know
    owners = np.repeat(np.arange(len(texts)), words.list.len().to_numpy(dtype=np.int64))
    return pd.util.hash_array(words.list.flatten().array), owners


def inspect(given: Given, held_out: Hashes, train: Hashes) -> dict:
    """The profile, the verdict of each rule, and the digests."""
    rows = pd.read_parquet(given.data["rows"], dtype_backend="pyarrow")
    unique = rows[rows["pass"] == 0] if "pass" in rows else rows
    order = unique["id"].argsort().to_numpy()[: given.num_measured]
    measured = unique.iloc[order].reset_index(drop=True)
    figures = {
        "num_rows": len(rows),
        "num_tokens": int(rows["num_tokens"].sum()),
        "num_rows_measured": len(measured),
        "mean_tokens": float(rows["num_tokens"].mean()),
        "target_rows": given.target_rows,
        **diversity(measured, given),
        "compression_ratio": compression_ratio(measured["text"].tolist()),
        "exact_duplicate_share": 1 - unique["text"].nunique() / len(unique),
        "near_duplicate_share": near_duplicates(measured["text"], given.jaccard) / len(measured),
        **text_shares(rows, given, held_out, train),
        **numbers(rows, given),
    }
    if given.kind == "training":
        figures["mixture_gap"] = 0.0
    return {"figures": figures, "verdicts": verdicts(given, contract(rows, given.kind), figures), "digests": digests(given.data)}


def diversity(measured: pd.DataFrame, given: Given) -> Figures:
    """Measures of token n-grams."""
    tokens = measured["tokens"].explode().astype("int64")
    by_row = tokens.groupby(level=0)
    grams = pd.DataFrame({n: by_row.shift(-n) for n in range(4)})
    found: Figures = {}
    counts = {n: grams[list(range(n))].dropna().value_counts() for n in (1, 2, 3)}
    for n, count in counts.items():
        found[f"distinct_{n}"] = len(count) / count.sum()
    for n in (1, 2):
        shares = counts[n] / counts[n].sum()
        found[f"entropy_{n}_bits"] = float(-(shares * np.log2(shares)).sum())
    is_rare = tokens.isin(given.rare)
    found["tail_coverage"] = tokens[is_rare].nunique() / len(given.rare)
    found["tail_share"] = float(is_rare.mean())
    kept = pd.Series(1.0, index=measured.index)
    for n in (2, 3, 4):
        whole = grams[list(range(n))].dropna().rename_axis("row").reset_index()
        shares = whole.drop_duplicates().groupby("row").size() / whole.groupby("row").size()
        kept *= shares.reindex(kept.index).fillna(1.0)
    found["repetition"] = float((1 - kept).mean())
    return found


def near_duplicates(texts: pd.Series, jaccard: float) -> int:
    """How many of the texts nearly repeat an earlier one that is kept."""
    hashes, rows = windows(*hashed(texts), SHINGLE_WORDS)
    shingles = pd.DataFrame({"row": rows, "shingle": hashes}).drop_duplicates()
    short = texts[~texts.index.isin(shingles["row"])]
    whole = pd.util.hash_array(short.str.lower().str.findall(r"\w+").map(" ".join).to_numpy(dtype=object))
    shingles = pd.concat([shingles, pd.DataFrame({"row": short.index.to_numpy(), "shingle": whole})])
    sizes = shingles.groupby("row").size()
    shingles = shingles[shingles.duplicated("shingle", keep=False)]
    pairs = shingles.merge(shingles, on="shingle")
    pairs = pairs[pairs["row_x"] > pairs["row_y"]].groupby(["row_x", "row_y"]).size().rename("shared").reset_index()
    both = pairs["row_x"].map(sizes) + pairs["row_y"].map(sizes) - pairs["shared"]
    alike = pairs[pairs["shared"] / both >= jaccard].sort_values(["row_x", "row_y"])
    return num_repeating(zip(alike["row_x"], alike["row_y"], strict=True))


def text_shares(rows: pd.DataFrame, given: Given, held_out: Hashes, train: Hashes) -> Figures:
    """Shares of rows that hold runs of other text, and of those whose text does not encode to their tokens."""
    contaminated = memorised = broken = 0
    is_synthetic = rows["model"].notna().to_numpy()
    for start in range(0, len(rows), CHUNK_ROWS):
        chunk = rows.iloc[start : start + CHUNK_ROWS]
        grams, owners = windows(*hashed(chunk["text"]), SHARED_WORDS)
        contaminated += len(np.unique(owners[pd.Series(grams).isin(held_out)]))
        copied = np.unique(owners[pd.Series(grams).isin(train)])
        memorised += int(is_synthetic[start + copied].sum())
        tokens = chunk["tokens"].list.flatten().to_numpy(dtype=np.int64)
        broken += num_broken(given, chunk["text"].tolist(), tokens, chunk["tokens"].list.len().to_numpy(dtype=np.int64))
    return {
        "contamination_share": contaminated / len(rows),
        "memorisation_share": memorised / is_synthetic.sum() if is_synthetic.any() else 0.0,
        "broken_text_share": broken / len(rows),
    }


def numbers(rows: pd.DataFrame, given: Given) -> Figures:
    """Measures of the columns of numbers."""
    nll, tokens, is_human = rows["nll_nats"].to_numpy(dtype=float), rows["num_tokens"], rows["model"].isna()
    p05, p50, p95 = np.quantile(nll, [0.05, 0.5, 0.95])
    return {
        "nll_mean_nats": float(nll.mean()),
        "nll_p05_nats": p05,
        "nll_p50_nats": p50,
        "nll_p95_nats": p95,
        "nll_distance_nats": wasserstein(nll, given.held_out_nll),
        "depth_mean": float((rows["depth"] * tokens).sum() / tokens.sum()),
        "depth_max": float(rows["depth"].max()),
        "human_row_share": float(is_human.mean()),
        "human_token_share": float(tokens[is_human].sum() / tokens.sum()),
    }


def contract(rows: pd.DataFrame, kind: str) -> dict[str, bool]:
    """Whether each rule on rows holds."""
    is_synthetic = rows["model"].notna()
    tokens, nll, depth = rows["num_tokens"], rows["nll_nats"], rows["depth"]
    limit = is_synthetic.astype(float) * (rows["generation"] + 1 + 1e-9)
    found = {
        "None: expect_table_row_count_to_be_between": len(rows) >= 32,
        "id: expect_column_values_to_not_be_null": rows["id"].notna().all(),
        "num_tokens: expect_column_values_to_not_be_null": tokens.notna().all(),
        "num_tokens: expect_column_values_to_be_between": tokens.dropna().between(1, 4096).all(),
        "num_tokens, num_tokens_listed: expect_column_pair_values_to_be_equal": (tokens == rows["tokens"].list.len()).all(),
        "num_characters: expect_column_values_to_be_between": (rows["text"].str.len() >= 1).mean() >= 0.99,
        "nll_nats: expect_column_values_to_not_be_null": nll.notna().all(),
        "nll_nats: expect_column_values_to_be_between": nll.dropna().between(0, 20).all(),
        "depth, depth_floor: expect_column_pair_values_a_to_be_greater_than_b": (depth >= is_synthetic.astype(float)).all(),
        "depth_limit, depth: expect_column_pair_values_a_to_be_greater_than_b": (limit >= depth).all(),
    }
    if kind == "training":
        found["id, pass: expect_compound_columns_to_be_unique"] = not rows.duplicated(["id", "pass"]).any()
    else:
        found["id: expect_column_values_to_be_unique"] = rows["id"].is_unique
        found["is_synthetic: expect_column_min_to_be_between"] = is_synthetic.all()
    return {name: bool(holds) for name, holds in found.items()}
