"""Split the human corpus, train the tokenizer, cut documents into rows, and lay out the model to start from.

Reads data/, any tests in benchmarks/ and, where named, weights in pretrained/. Writes the human rows and
documents of both sides of the split, the texts of the tests, the reference of all profiles, the base model
folder (configuration, tokenizer, any weights) and split.json. Params: prepare, model, task."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from herdbook.corpus import read_benchmarks, read_corpus
from herdbook.duplicates import matches
from herdbook.errors import CorpusError
from herdbook.files import write_json, write_table, written_aside
from herdbook.layout import (
    BASE_MODEL,
    BENCHMARKS,
    CORPUS,
    HUMAN_BENCHMARKS,
    HUMAN_HELD_OUT,
    HUMAN_HELD_OUT_DOCUMENTS,
    HUMAN_TRAIN,
    HUMAN_TRAIN_DOCUMENTS,
    PARAMS,
    SPLIT,
)  # fmt: skip
from herdbook.numeric import seed_of
from herdbook.params import Prepare, read_params
from herdbook.reference import write_reference
from herdbook.rows import row_id, rows_table
from herdbook.tokenizer import Tokenizer, train_tokenizer

MIN_BLOCK_TOKENS = 8  # a document's last block is dropped when shorter: too little to learn from or to be measured


@dataclass(frozen=True)
class Split:
    """Documents of both sides (tables of CORPUS), and how many train documents nearly repeated a held-out one."""

    train: pa.Table
    held_out: pa.Table
    num_near_duplicates: int


def split(documents: pa.Table, params: Prepare) -> Split:
    """Hold out documents at random; remove from train those that nearly repeat one of them.

    Each document draws its lot from its own id, so a corpus that changes a little changes the split a little.
    Near-duplicates are whole documents whose word 3-shingles have a Jaccard similarity of at least
    `near_duplicate_jaccard`; null removes none, as of problems, which are alike by nature.
    Raises CorpusError where no document is left to train on."""
    count = params.num_held_out_documents
    if count >= documents.num_rows:
        raise CorpusError(
            f"params.yaml: prepare.num_held_out_documents is {count}, but the corpus has {documents.num_rows} documents; "
            f"allowed: 1 to {documents.num_rows - 1}; hold out fewer or add documents"
        )
    lots = np.array([seed_of("split", params.seed, document) for document in documents["id"].to_pylist()])
    is_held_out = np.zeros(documents.num_rows, dtype=bool)
    is_held_out[np.argsort(lots)[:count]] = True
    held_out, train = documents.filter(pa.array(is_held_out)), documents.filter(pa.array(~is_held_out))
    is_near = [False] * train.num_rows
    if params.near_duplicate_jaccard:
        is_near = matches(train["text"].to_pylist(), held_out["text"].to_pylist(), params.near_duplicate_jaccard)
    kept = train.filter(pa.array([not near for near in is_near], pa.bool_()))
    if not kept.num_rows:
        raise CorpusError(f"{CORPUS}: every train document nearly repeats a held-out one; add documents or hold out fewer")
    return Split(kept, held_out, sum(is_near))


def blocks(tokens: list[int], mark: int, block_tokens: int, min_tokens: int = MIN_BLOCK_TOKENS) -> list[list[int]]:
    """A document's tokens and the closing mark, cut into blocks; the last may be shorter, and is dropped below `min_tokens`."""
    marked = [*tokens, mark]
    cut = [marked[start : start + block_tokens] for start in range(0, len(marked), block_tokens)]
    return cut if len(cut[-1]) >= min(min_tokens, block_tokens) else cut[:-1]


def human_rows(
    documents: pa.Table, tokenizer: Tokenizer, params: Prepare, num_rows: int, purpose: str, min_tokens: int = MIN_BLOCK_TOKENS
) -> tuple[pa.Table, dict[str, int]]:
    """`num_rows` blocks of the documents as a table of ROWS (all, if there are fewer), and the counts.

    The choice is uniform among all blocks; the order is that of the documents."""
    tokens = tokenizer.encode(documents["text"].to_pylist())
    places = [
        (document, index, block)
        for document, ids in zip(documents["id"].to_pylist(), tokens, strict=True)
        for index, block in enumerate(blocks(ids, tokenizer.mark, params.block_tokens, min_tokens))
    ]
    generator = np.random.Generator(np.random.PCG64(seed_of("blocks", purpose, params.seed)))
    chosen = np.sort(generator.choice(len(places), size=min(num_rows, len(places)), replace=False))
    texts = tokenizer.decode([places[i][2] for i in chosen])
    rows = [
        {
            "id": row_id(None, document, index, block), "generation": 0, "model": None, "document": document, "prompt": None,
            "index": index, "depth": 0.0, "tokens": block, "num_tokens": len(block), "text": text, "nll_nats": None,
        }
        for (document, index, block), text in zip((places[i] for i in chosen), texts, strict=True)
    ]  # fmt: skip
    num_all = sum(len(ids) + 1 for ids in tokens)
    counts = {
        "num_documents": documents.num_rows,
        "num_tokens": num_all,
        "num_tokens_in_short_last_blocks": num_all - sum(len(block) for _, _, block in places),
        "num_blocks": len(places),
        "num_rows": len(rows),
        "num_row_tokens": sum(row["num_tokens"] for row in rows),
    }
    return rows_table(rows), counts


def main(args: list[str]) -> None:
    """Prepare: `prepare`."""
    from herdbook.base import import_pretrained, new_base

    params = read_params(PARAMS)
    documents = read_corpus(CORPUS)
    parts = split(documents, params.prepare)
    if params.model.pretrained is None:
        tokenizer = train_tokenizer(parts.train["text"].to_pylist(), params.prepare.vocabulary_size)
        with written_aside(BASE_MODEL) as aside:
            new_base(params.model, tokenizer, params.prepare.block_tokens, aside)
    else:
        with written_aside(BASE_MODEL) as aside:
            tokenizer = import_pretrained(params.model.pretrained, params.prepare.block_tokens, aside)

    sizes, shortest = params.prepare, 1 if params.task else MIN_BLOCK_TOKENS  # a problem is a row however short
    train, train_counts = human_rows(parts.train, tokenizer, sizes, sizes.num_blocks, "train", shortest)
    held_out, held_out_counts = human_rows(parts.held_out, tokenizer, sizes, sizes.num_held_out_blocks, "held_out", shortest)
    if not (train.num_rows and held_out.num_rows):
        raise CorpusError(
            f"{CORPUS}: {train.num_rows} train and {held_out.num_rows} held-out blocks, each side needs 1; add longer documents"
        )
    write_table(HUMAN_TRAIN, train)
    write_table(HUMAN_HELD_OUT, held_out)
    write_table(HUMAN_TRAIN_DOCUMENTS, parts.train)
    write_table(HUMAN_HELD_OUT_DOCUMENTS, parts.held_out)
    write_table(HUMAN_BENCHMARKS, read_benchmarks(BENCHMARKS))
    write_reference(train, parts.train["text"].to_pylist(), parts.held_out["text"].to_pylist())
    write_json(SPLIT, {
        "num_documents": documents.num_rows,
        "num_near_duplicates_removed_from_train": parts.num_near_duplicates,
        "vocabulary_size": tokenizer.vocabulary_size,
        "train": train_counts,
        "held_out": held_out_counts,
    })  # fmt: skip
