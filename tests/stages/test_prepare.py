import hashlib
import json
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook.corpus import read_corpus, write_corpus
from herdbook.errors import CorpusError, ModelError
from herdbook.files import digest, read_json, read_table
from herdbook.layout import (
    BASE_MODEL,
    CORPUS,
    HUMAN_BENCHMARKS,
    HUMAN_HELD_OUT,
    HUMAN_HELD_OUT_DOCUMENTS,
    HUMAN_REFERENCE,
    HUMAN_TRAIN,
    HUMAN_TRAIN_DOCUMENTS,
    SPLIT,
)
from herdbook.params import Prepare
from herdbook.rows import row_id
from herdbook.schema import CORPUS as COLUMNS
from herdbook.schema import ROWS
from herdbook.tokenizer import load_tokenizer, train_tokenizer
from stages import prepare
from tests.parameters import write_params

MODEL = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 32}
PREPARE = {
    "seed": 0, "num_held_out_documents": 2, "num_blocks": 9, "num_held_out_blocks": 3, "block_tokens": 16, "vocabulary_size": 300,
    "near_duplicate_jaccard": 0.7,
}  # fmt: skip
TOKENIZER = train_tokenizer(["the cat sat on the mat"], 260)
SHARED = {"source": "s", "licence": "l", "url": ""}


def params(**changes):
    return Prepare(**{**PREPARE, **changes})


def documents(*texts):
    rows = [{"id": hashlib.sha256(text.encode()).hexdigest(), "title": text[:5], "text": text, **SHARED} for text in texts]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: row["id"]), schema=COLUMNS)


def letters(number, length=400):
    """A text of its own: no two share three words."""
    return " ".join(f"w{number}x{i}" for i in range(length // 5))


def texts_of(table):
    return table["text"].to_pylist()


# The split.


def test_every_document_is_on_one_side_and_order_is_kept():
    corpus = documents(*(letters(n) for n in range(9)))
    found = prepare.split(corpus, params())
    assert (found.train.num_rows, found.held_out.num_rows, found.num_near_duplicates) == (7, 2, 0)
    assert set(texts_of(found.train)) | set(texts_of(found.held_out)) == set(texts_of(corpus))
    for side in (found.train, found.held_out):
        assert side["id"].to_pylist() == sorted(side["id"].to_pylist())


def test_the_split_depends_on_the_seed():
    corpus = documents(*(letters(n) for n in range(9)))
    sides = [frozenset(texts_of(prepare.split(corpus, params(seed=seed)).held_out)) for seed in (0, 0, *range(1, 9))]
    assert sides[0] == sides[1]
    assert len(set(sides)) > 3


def test_one_more_document_moves_at_most_one_other():
    texts = [letters(n) for n in range(30)]
    before, after = (
        set(texts_of(prepare.split(documents(*some), params(num_held_out_documents=5)).held_out)) for some in (texts[:-1], texts)
    )
    assert len(before - after) <= 1


def test_a_train_document_that_nearly_repeats_a_held_out_one_is_removed_and_counted():
    # 80 words, 78 shingles; one more word leaves 78 of 79 shared: Jaccard .987
    corpus = documents(*chain.from_iterable((letters(n), letters(n) + " more") for n in range(3)))
    found = prepare.split(corpus, params(num_held_out_documents=1))
    held_out = texts_of(found.held_out)[0]
    assert found.num_near_duplicates == 1
    assert found.train.num_rows == 4
    assert not [text for text in texts_of(found.train) if text.split()[0] == held_out.split()[0]]


def test_near_duplicates_within_train_stay():
    corpus = documents(letters(0), letters(0) + " more", *(letters(n) for n in range(1, 9)))
    splits = [prepare.split(corpus, params(num_held_out_documents=1, seed=seed)) for seed in range(12)]
    assert {found.num_near_duplicates for found in splits} == {0, 1}
    assert all(found.train.num_rows == 9 - found.num_near_duplicates for found in splits)


@pytest.mark.parametrize("count", [3, 4])
def test_more_held_out_documents_than_there_are_is_refused(count):
    with pytest.raises(CorpusError, match=rf"num_held_out_documents is {count}, but the corpus has 3 documents; allowed: 1 to 2; hold out"):
        prepare.split(documents(*(letters(n) for n in range(3))), params(num_held_out_documents=count))


def test_a_corpus_of_near_duplicates_leaves_nothing_to_train_on():
    with pytest.raises(CorpusError, match="every train document nearly repeats a held-out one"):
        prepare.split(documents(letters(0), letters(0) + " more"), params(num_held_out_documents=1))


@settings(deadline=None, max_examples=50)
@given(st.sets(st.text(st.sampled_from("ab \n"), min_size=1), min_size=3, max_size=12), st.integers(0, 99))
def test_no_document_is_in_both_splits_or_lost_uncounted(texts, seed):
    corpus = documents(*texts)
    try:
        found = prepare.split(corpus, params(seed=seed))
    except CorpusError:
        return
    train, held_out = set(found.train["id"].to_pylist()), set(found.held_out["id"].to_pylist())
    assert not train & held_out
    assert len(train) + len(held_out) + found.num_near_duplicates == corpus.num_rows
    assert found.held_out.num_rows == 2


# Blocks and rows.


@pytest.mark.parametrize(
    ("num_tokens", "lengths"),
    [(0, []), (6, []), (7, [8]), (15, [16]), (16, [16]), (22, [16]), (23, [16, 8]), (31, [16, 16])],
)
def test_a_document_is_cut_after_its_mark_and_a_short_end_dropped(num_tokens, lengths):
    assert [len(block) for block in prepare.blocks(list(range(1, num_tokens + 1)), 0, 16)] == lengths


def test_whole_blocks_shorter_than_the_least_end_are_kept():
    assert prepare.blocks([1, 2, 3], 0, 2) == [[1, 2], [3, 0]]
    assert prepare.blocks([1, 2], 0, 2) == [[1, 2]]


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(2, 20))
def test_blocks_joined_are_the_document_and_its_mark_less_a_short_end(text, block_tokens):
    whole = [*TOKENIZER.encode([text])[0], TOKENIZER.mark]
    cut = prepare.blocks(whole[:-1], TOKENIZER.mark, block_tokens)
    joined = list(chain.from_iterable(cut))
    assert joined == whole[: len(joined)]
    assert len(whole) - len(joined) < min(prepare.MIN_BLOCK_TOKENS, block_tokens)
    assert all(len(block) == block_tokens for block in cut[:-1])


@settings(deadline=None, max_examples=30)
@given(st.sets(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=6), st.integers(1, 12))
def test_counts_balance_and_rows_are_what_their_documents_say(texts, num_rows):
    corpus = documents(*texts)
    rows, counts = prepare.human_rows(corpus, TOKENIZER, params(), num_rows, "train")
    everything, all_counts = prepare.human_rows(corpus, TOKENIZER, params(), 10**6, "train")
    assert all_counts["num_rows"] == all_counts["num_blocks"] == counts["num_blocks"]
    assert counts["num_rows"] == rows.num_rows == min(num_rows, counts["num_blocks"])
    assert counts["num_tokens"] == counts["num_tokens_in_short_last_blocks"] + all_counts["num_row_tokens"]
    assert counts["num_tokens"] == sum(len(ids) + 1 for ids in TOKENIZER.encode(texts_of(corpus)))
    assert counts["num_row_tokens"] == sum(rows["num_tokens"].to_pylist())
    ids = everything["id"].to_pylist()
    assert len(set(ids)) == len(ids)
    assert [i for i in ids if i in set(rows["id"].to_pylist())] == rows["id"].to_pylist()


def test_a_human_row_says_where_it_is_from():
    corpus = documents("the cat sat on the mat, " * 9)
    rows, _ = prepare.human_rows(corpus, TOKENIZER, params(), 10**6, "train")
    tokens = [*TOKENIZER.encode(texts_of(corpus))[0], 0]
    last = rows.num_rows - 1
    assert rows.schema == ROWS
    assert rows.to_pylist()[last] == {
        "id": row_id(None, corpus["id"][0].as_py(), last, tokens[last * 16 :]),
        "generation": 0,
        "model": None,
        "document": corpus["id"][0].as_py(),
        "prompt": None,
        "index": last,
        "depth": 0.0,
        "tokens": tokens[last * 16 :],
        "num_tokens": len(tokens[last * 16 :]),
        "text": TOKENIZER.decode([tokens[last * 16 : -1]])[0],
        "nll_nats": None,
    }
    assert "".join(texts_of(rows)) == texts_of(corpus)[0]


def test_rows_are_chosen_from_all_documents_alike_and_both_sides_apart():
    corpus = documents(*(letters(n) for n in range(20)))
    some = {name: prepare.human_rows(corpus, TOKENIZER, params(), 40, name)[0]["id"].to_pylist() for name in ("train", "held_out")}
    documents_hit = set(prepare.human_rows(corpus, TOKENIZER, params(), 40, "train")[0]["document"].to_pylist())
    assert some["train"] != some["held_out"]
    assert len(documents_hit) > 10


# The stage.


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_corpus(documents(*(letters(n) for n in range(9)), letters(0) + " more"), CORPUS)
    configure()
    return tmp_path


def configure(model=None, **changes):
    wanted = {"architecture": "llama", "config": MODEL, "pretrained": None, **(model or {})}
    write_params(Path("params.yaml"), prepare={**PREPARE, **changes}, model=wanted)


def outputs(project):
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for top in ("runs", "records")
        for path in (project / top).rglob("*")
        if path.is_file()
    }


def test_the_stage_writes_all_it_owes_and_twice_the_same_bytes(project):
    prepare.main([])
    first = outputs(project)
    prepare.main([])
    assert outputs(project) == first
    assert set(first) == {
        *(
            path.as_posix()
            for path in (
                HUMAN_TRAIN,
                HUMAN_HELD_OUT,
                HUMAN_TRAIN_DOCUMENTS,
                HUMAN_HELD_OUT_DOCUMENTS,
                HUMAN_REFERENCE,
                HUMAN_BENCHMARKS,
                SPLIT,
            )
        ),
        *(f"{BASE_MODEL}/{name}" for name in ("config.json", "tokenizer.json", "tokenizer_config.json")),
    }
    assert not [name for name, content in first.items() if str(project).encode() in content]


def test_split_json_balances_with_the_tables(project):
    prepare.main([])
    counts = read_json(SPLIT)
    sides = {"train": (HUMAN_TRAIN, HUMAN_TRAIN_DOCUMENTS), "held_out": (HUMAN_HELD_OUT, HUMAN_HELD_OUT_DOCUMENTS)}
    for side, (rows_path, documents_path) in sides.items():
        rows, texts = read_table(rows_path, ROWS), read_table(documents_path, COLUMNS)
        assert counts[side]["num_rows"] == rows.num_rows
        assert counts[side]["num_documents"] == texts.num_rows
        assert set(rows["document"].to_pylist()) <= set(texts["id"].to_pylist())
    assert (counts["train"]["num_rows"], counts["held_out"]["num_rows"]) == (9, 3)
    total = counts["train"]["num_documents"] + counts["held_out"]["num_documents"] + counts["num_near_duplicates_removed_from_train"]
    assert total == counts["num_documents"] == read_corpus(CORPUS).num_rows


def test_the_tokenizer_learns_from_train_documents_alone(project):
    prepare.main([])
    texts = texts_of(read_table(HUMAN_TRAIN_DOCUMENTS, COLUMNS))
    assert load_tokenizer(BASE_MODEL).core.to_str() == train_tokenizer(texts, 300).core.to_str()


def test_the_base_model_is_the_configured_one_with_the_tokenizers_ids(project):
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    prepare.main([])
    config = AutoConfig.from_pretrained(BASE_MODEL)
    assert (config.model_type, config.hidden_size, config.vocab_size) == ("llama", 16, read_json(SPLIT)["vocabulary_size"])
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (0, 0, 0)
    assert AutoModelForCausalLM.from_config(config).num_parameters() > 0
    text = letters(3)
    assert AutoTokenizer.from_pretrained(BASE_MODEL)(text)["input_ids"] == load_tokenizer(BASE_MODEL).encode([text])[0]


@pytest.mark.parametrize("text", ["x" * 5_000_000, "a\0b " * 300, "שלום " * 300, "<script>alert('x')</script> " * 99, "<|endoftext|>" * 99])
def test_hostile_documents_simply_work(project, text):
    write_corpus(documents(text, *(letters(n) for n in range(4))), CORPUS)
    prepare.main([])
    sides = (HUMAN_TRAIN_DOCUMENTS, HUMAN_HELD_OUT_DOCUMENTS)
    assert text in chain.from_iterable(texts_of(read_table(path, COLUMNS)) for path in sides)
    for row in chain(read_table(HUMAN_TRAIN, ROWS).to_pylist(), read_table(HUMAN_HELD_OUT, ROWS).to_pylist()):
        assert 0 not in row["tokens"][:-1]


def no_corpus():
    for path in CORPUS.iterdir():
        path.unlink()


def one_byte_changed():
    path = CORPUS / "corpus.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"X")


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (no_corpus, CorpusError, "not found; make the corpus with herdbook corpus"),
        (one_byte_changed, CorpusError, "but its manifest records"),
        (lambda: configure(num_held_out_documents=10), CorpusError, "is 10, but the corpus has 10 documents; allowed: 1 to 9"),
        (lambda: configure({"architecture": "lama"}), ModelError, "model.architecture is 'lama', must be a causal model type"),
        (lambda: configure({"pretrained": "nothing"}), ModelError, "pretrained/nothing: not found"),
        (lambda: write_corpus(documents("a", "b", "c"), CORPUS), CorpusError, "0 train and 0 held-out blocks, each side needs 1"),
    ],
)
def test_what_cannot_be_prepared_is_one_line_and_leaves_no_rows(project, damage, error, message):
    damage()
    with pytest.raises(error, match=message) as caught:
        prepare.main([])
    assert "\n" not in str(caught.value)
    assert not [path for path in (HUMAN_TRAIN, HUMAN_HELD_OUT, HUMAN_TRAIN_DOCUMENTS, SPLIT) if path.exists()]
    assert not [path for path in project.rglob(".*") if path.name.startswith(".base")]


def test_local_weights_are_prepared_with_their_own_tokenizer(project):
    from transformers import AutoConfig, AutoModelForCausalLM

    prepare.main([])
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(BASE_MODEL)).save_pretrained(project / "pretrained/mine")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (project / "pretrained/mine" / name).write_bytes((BASE_MODEL / name).read_bytes())
    configure({"pretrained": "mine"}, vocabulary_size=257)
    prepare.main([])
    before = digest(BASE_MODEL)
    prepare.main([])
    assert digest(BASE_MODEL) == before
    assert (BASE_MODEL / "model.safetensors").is_file()
    assert read_json(SPLIT)["vocabulary_size"] == 300
    assert not [path for path in BASE_MODEL.iterdir() if str(project).encode() in path.read_bytes()]
    assert json.loads((BASE_MODEL / "config.json").read_text())["model_type"] == "llama"
