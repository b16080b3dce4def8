import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook.errors import ModelError
from herdbook.tokenizer import MARK, load_tokenizer, save_tokenizer, train_tokenizer

TEXTS = ["the cat sat on the mat", "the dog sat on the log", "the fog"]
TOKENIZER = train_tokenizer(TEXTS, 270)


def test_the_first_merges_are_the_commonest_pairs():
    # Of the pairs "at" (3), " s" (3), "ca" (1), "he" (1) ..., ids 257 and 258 go to the two that occur thrice.
    tokenizer = train_tokenizer(["cat sat at she saw"], 258)
    assert [tokenizer.core.id_to_token(n) for n in (0, 257)] == [MARK, "at"]
    assert (tokenizer.mark, tokenizer.vocabulary_size) == (0, 258)


def test_a_vocabulary_of_bytes_and_mark_has_a_token_a_byte():
    assert [len(ids) for ids in train_tokenizer(["é"], 257).encode(["é", "", "ab\0"])] == [2, 0, 3]


def test_fewer_merges_are_learnt_where_the_text_has_no_more_pairs():
    assert train_tokenizer(["ab"], 1000).vocabulary_size == 258


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_decoding_gives_back_any_text(text):
    ids = TOKENIZER.encode([text])[0]
    assert TOKENIZER.decode([ids]) == [text]
    assert 0 not in ids


def test_text_that_spells_the_mark_is_text():
    ids = TOKENIZER.encode([f"a{MARK}b"])[0]
    assert TOKENIZER.mark not in ids
    assert TOKENIZER.decode([ids]) == [f"a{MARK}b"]


def test_special_tokens_are_not_shown_and_cut_characters_become_replacement_characters():
    first, second = TOKENIZER.encode(["é"])[0]
    assert TOKENIZER.decode([[first, second, TOKENIZER.mark], [first], []]) == ["é", "\ufffd", ""]


def test_a_long_run_without_a_blank_trains_in_reasonable_time():
    tokenizer = train_tokenizer(["ab" * 200_000, " " * 400_000], 300)  # uncut this takes minutes
    assert tokenizer.decode(tokenizer.encode(["ab" * 1000])) == ["ab" * 1000]


def test_a_saved_tokenizer_opens_here_and_in_transformers_alike(tmp_path):
    from transformers import AutoTokenizer

    save_tokenizer(TOKENIZER, tmp_path)
    mine, theirs = load_tokenizer(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    texts = [*TEXTS, " שלום <b>&amp;</b>\0\r\n  tail  "]
    assert mine.encode(texts) == TOKENIZER.encode(texts) == theirs(texts)["input_ids"]
    assert mine.decode(mine.encode(texts)) == texts == [theirs.decode(ids) for ids in theirs(texts)["input_ids"]]
    assert (mine.mark, mine.vocabulary_size) == (0, 270)
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id, len(theirs)) == (0, 0, 0, 270)


def test_padding_truncation_and_added_tokens_of_a_foreign_tokenizer_are_ignored(tmp_path):
    from tokenizers.processors import TemplateProcessing

    foreign = train_tokenizer(TEXTS, 270)
    foreign.core.enable_truncation(2)
    foreign.core.enable_padding(length=9)
    foreign.core.post_processor = TemplateProcessing(single=f"{MARK} $A {MARK}", special_tokens=[(MARK, 0)])
    save_tokenizer(foreign, tmp_path)
    assert load_tokenizer(tmp_path).encode(TEXTS) == TOKENIZER.encode(TEXTS)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", None, "no tokenizer.json"),
        ("tokenizer.json", "{}", "not a tokenizer"),
        ("tokenizer_config.json", "{}", "no end-of-text token"),
        ("tokenizer_config.json", json.dumps({"eos_token": "</s>"}), "no end-of-text token"),
    ],
)
def test_a_folder_without_a_usable_tokenizer_is_refused(tmp_path, name, content, message):
    save_tokenizer(TOKENIZER, tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ModelError, match=message):
        load_tokenizer(tmp_path)


def test_an_end_token_may_be_recorded_with_its_settings(tmp_path):
    save_tokenizer(TOKENIZER, tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": MARK, "lstrip": False}}))
    assert load_tokenizer(tmp_path).mark == 0


def test_training_gives_the_same_bytes_in_every_process_and_loads_neither_torch_nor_transformers():
    code = (
        "import sys\nfrom herdbook.tokenizer import train_tokenizer\n"
        "print(train_tokenizer(['the cat sat', 'on the mat', 'a b c d'] * 9, 280).core.to_str())\n"
        "print('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": str(seed), "TOKENIZERS_PARALLELISM": parallel},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, parallel in [(1, "true"), (2, "false")]
    }
    assert len(runs) == 1
    assert runs.pop().endswith("False\n")
