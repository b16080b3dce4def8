"""A project made up at any size: `build` writes what the stages validate, blend and curate read, with valid rows.

Rows are of at most 64 tokens, words of a Zipf vocabulary with the tokens that they encode to. Planted in them are exact and near
repetitions, runs of held-out and of human text, and tokens that their text does not encode to. Human text is the same at every size."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml
from numpy.typing import NDArray

from bench.curate import drawn, vocabulary
from herdbook.files import digest_bytes, write_json, write_table
from herdbook.layout import (
    BASE_MODEL,
    EXPECTATIONS,
    HUMAN_BENCHMARKS,
    HUMAN_HELD_OUT_DOCUMENTS,
    HUMAN_PROFILE,
    HUMAN_RECEIPT,
    HUMAN_TRAIN,
    HUMAN_TRAIN_DOCUMENTS,
    MAKING,
    PARAMS,
    Place,
)
from herdbook.numeric import seed_of
from herdbook.params import read_params
from herdbook.profile import profile
from herdbook.receipt import training_data
from herdbook.reference import read_reference, write_reference
from herdbook.regimes import in_pass
from herdbook.schema import CORPUS, ROWS
from herdbook.tokenizer import Tokenizer, save_tokenizer, train_tokenizer
from herdbook.training_set import write_training
from tests.workspace import write_receipt

ROOT = Path(__file__).parents[1]
REGIME = "made"
PARENT, CHILD = Place(REGIME, "s0", "g1"), Place(REGIME, "s0", "g2")
ROW_TOKENS, ROW_WORDS, DOCUMENT_WORDS = 64, 40, 300
NUM_HUMAN_ROWS, NUM_TRAIN, NUM_HELD_OUT = 20_000, 2_000, 1_000  # rows, and documents of each side
NUM_SCORED = 300  # held-out rows
SHARES = {"exact": 0.01, "near": 0.02, "held_out": 0.001, "reworded": 0.001, "memorised": 0.005, "broken": 0.01}  # of the rows
WEIGHTS = {"offspring": 0.5, "previous": 0.4, "human": 0.1}
MODEL = digest_bytes(b"made up")

Ids = NDArray[np.int64]


class Words:
    """The vocabulary with the tokens of each word, a blank before it."""

    def __init__(self) -> None:
        self.names = vocabulary()
        generator = np.random.default_rng(0)
        documents = [" ".join(self.names[row].tolist()) for row in drawn(generator, 500, DOCUMENT_WORDS)]
        self.tokenizer: Tokenizer = train_tokenizer(documents, 1024)
        tokens = self.tokenizer.encode([f" {name}" for name in self.names.tolist()])
        self.lengths = np.array([len(found) for found in tokens])
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.flat = np.concatenate([np.array(found, dtype=np.int32) for found in tokens])

    def texts(self, words: Ids, counts: Ids) -> list[str]:
        """The first words of each row, so many, a blank before each."""
        return ["".join([f" {name}" for name in self.names[row[:count]].tolist()]) for row, count in zip(words, counts, strict=True)]

    def tokens(self, words: Ids, counts: Ids) -> pa.ListArray:
        """Their tokens."""
        taken = words[np.arange(words.shape[1]) < counts[:, None]]
        lengths = self.lengths[taken]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        totals = np.where(np.arange(words.shape[1]) < counts[:, None], self.lengths[words], 0).sum(axis=1)
        offsets = np.concatenate([[0], np.cumsum(totals)]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(self.flat[np.repeat(self.starts[taken], lengths) + within]))


def planted(words: Ids, sides: dict[str, Ids], generator: np.random.Generator) -> Ids:
    """The rows with what they are to repeat: others, whole or but for two words; 20 words of documents; or 40 with each 13th another."""
    found, order, num_rows, start = words.copy(), generator.permutation(len(words)), len(words), 0
    for what in ("exact", "near", *sides):
        places = order[start : start + max(int(SHARES[what] * num_rows), 1)]
        start += len(places)
        if what in sides:
            documents = sides[what][generator.integers(len(sides[what]), size=len(places)), 100 : 100 + ROW_WORDS]
            found[places, 3:23] = documents[:, 3:23]
        else:
            found[places] = found[generator.integers(num_rows, size=len(places))]
        if what == "near":
            found[places, :2] = drawn(generator, len(places), 2)
        if what == "reworded":
            found[places] = documents
            found[places, 10::13] = drawn(generator, *found[places, 10::13].shape)
    return found


def rows(vocabulary: Words, num_rows: int, sides: dict[str, Ids], human_share: float, generator: np.random.Generator) -> pa.Table:
    """A table of ROWS; `human_share` of them name no model."""
    parts = []
    for first in range(0, num_rows, 100_000):  # else a million rows in the making take most of the memory
        words = planted(drawn(generator, min(100_000, num_rows - first), ROW_WORDS), sides, generator)
        counts = (np.cumsum(vocabulary.lengths[words], axis=1) <= ROW_TOKENS).sum(axis=1)
        parts.append(_table(vocabulary, words, counts, human_share, generator))
    return pa.concat_tables(parts)


def _table(vocabulary: Words, words: Ids, counts: Ids, human_share: float, generator: np.random.Generator) -> pa.Table:
    size = len(words)
    is_human = generator.random(size) < human_share
    tokens = vocabulary.tokens(words, counts)
    flat = tokens.values.to_numpy().copy()
    flat[tokens.offsets.to_numpy()[:-1][generator.random(size) < SHARES["broken"]]] = 1
    columns = {
        "id": [generator.bytes(32).hex() for _ in range(size)],
        "generation": np.where(is_human, 0, 1).astype(np.int32),
        "model": pa.array(np.full(size, MODEL), pa.string(), mask=is_human),
        "document": [f"{number:064x}" for number in generator.integers(0, NUM_TRAIN, size).tolist()],
        "prompt": pa.nulls(size, pa.string()),
        "index": np.arange(size, dtype=np.int32),
        "depth": np.where(is_human, 0.0, generator.integers(1, 3, size)),
        "tokens": pa.ListArray.from_arrays(tokens.offsets, pa.array(flat)),
        "num_tokens": np.diff(tokens.offsets.to_numpy()).astype(np.int32),
        "text": vocabulary.texts(words, counts),
        "nll_nats": np.abs(generator.normal(4.5, 0.5, size)),
    }
    return pa.table(columns).cast(ROWS)


def documents(texts: list[str]) -> pa.Table:
    """A table of CORPUS."""
    return pa.Table.from_pylist(
        [{**dict.fromkeys(CORPUS.names, ""), "id": digest_bytes(text.encode()), "text": text} for text in texts], CORPUS
    )


def parameters(num_rows: int, steps: list[dict[str, Any]]) -> dict[str, Any]:
    """The default params.yaml with one regime of this size, which takes of every source and waives."""
    found: dict[str, Any] = yaml.safe_load((ROOT / PARAMS).read_text())
    recipe = {"num_rows": num_rows, "steps": steps}
    found["regimes"] = {REGIME: {**found["regimes"]["replace"], "weights": WEIGHTS, "recipe": recipe}}
    return found


def build(what: str, num_rows: int, steps: list[dict[str, Any]] | None = None) -> None:
    """Write to the working directory what the stage `what` (validate, blend or curate) reads for so many rows; curate runs `steps`.

    Only blend reads as many human rows; for the others there are NUM_HUMAN_ROWS."""
    generator = np.random.default_rng(seed_of("bench", what, num_rows))
    vocabulary = Words()
    held_out, train = (drawn(generator, count, DOCUMENT_WORDS) for count in (NUM_HELD_OUT, NUM_TRAIN))
    sides = {"held_out": held_out, "reworded": held_out, "memorised": train}
    PARAMS.write_text(yaml.safe_dump(parameters(num_rows, steps or [])))
    shutil.copytree(ROOT / EXPECTATIONS, EXPECTATIONS)
    BASE_MODEL.mkdir(parents=True)
    save_tokenizer(vocabulary.tokenizer, BASE_MODEL)
    human = rows(vocabulary, num_rows if what == "blend" else NUM_HUMAN_ROWS, {}, 1.0, generator)
    people(vocabulary, human, sides, generator)
    if what == "curate":
        write_table(PARENT.offspring / "rows.parquet", rows(vocabulary, num_rows, sides, 0.0, generator))
        write_json(PARENT.offspring / MAKING, {"model": MODEL})
        return
    write_table(PARENT.curated / "rows.parquet", rows(vocabulary, num_rows, sides, 0.0, generator))
    training = rows(vocabulary, num_rows, sides, 0.5, generator)
    write_training(PARENT, in_pass(training, 0), training, {}, [])
    for path, kind, data in (
        (HUMAN_RECEIPT, "human", {"rows": HUMAN_TRAIN}),
        (PARENT.receipt("offspring"), "offspring", {"rows": PARENT.curated / "rows.parquet"}),
        (PARENT.receipt("training"), "training", training_data(PARENT)),
    ):
        write_receipt(path, kind, data)


def people(vocabulary: Words, human: pa.Table, sides: dict[str, Ids], generator: np.random.Generator) -> None:
    """Write human rows and documents, their scores under a founder, and the profiles that bounds refer to."""
    write_table(HUMAN_TRAIN, human)
    texts = {side: vocabulary.texts(words, np.full(len(words), DOCUMENT_WORDS)) for side, words in sides.items()}
    write_table(HUMAN_TRAIN_DOCUMENTS, documents(texts["memorised"]))
    write_table(HUMAN_HELD_OUT_DOCUMENTS, documents(texts["held_out"]))
    write_table(HUMAN_BENCHMARKS, documents([]))
    write_reference(human, texts["memorised"], texts["held_out"])
    ids = [*human["id"].to_pylist(), *map(str, range(NUM_SCORED))]
    splits = np.where(np.arange(len(ids)) < human.num_rows, "train", "held_out")
    write_table(PARENT.founder.human_nll, pa.table({"id": ids, "split": splits, "nll_nats": np.abs(generator.normal(4.6, 0.5, len(ids)))}))
    figures = profile(human.slice(0, NUM_HUMAN_ROWS), read_reference(None), vocabulary.tokenizer, read_params(PARAMS).profile)
    write_json(HUMAN_PROFILE, figures)
    write_json(PARENT.profile("training"), {**figures, "nll_mean_nats": 4.5})
