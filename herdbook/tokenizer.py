"""Byte-level BPE: trained on human train text, read without torch or transformers."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer as _Tokenizer
from tokenizers import decoders, models, pre_tokenizers, trainers

from herdbook.errors import ModelError
from herdbook.files import canonical_json, read_json

MARK = "<|endoftext|>"  # begins, ends and pads
_LONG_RUN = re.compile(r"\S{256}|\s{256}")


@dataclass(frozen=True)
class Tokenizer:
    """Text to token ids and back; special tokens are neither added nor shown."""

    core: _Tokenizer
    mark: int  # id of the end-of-text token

    def __post_init__(self) -> None:
        self.core.encode_special_tokens = True  # a text that spells the mark says so in ordinary tokens
        self.core.no_padding()
        self.core.no_truncation()

    @property
    def vocabulary_size(self) -> int:
        """Token ids are below this."""
        return self.core.get_vocab_size()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text."""
        return [encoding.ids for encoding in self.core.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """The text of each list of ids; bytes that are not UTF-8 become U+FFFD."""
        return self.core.decode_batch([list(row) for row in rows], skip_special_tokens=True)


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> Tokenizer:
    """A byte-level BPE (Sennrich et al. 2016; bytes as in GPT-2) with one special token, of id 0.

    Fewer merges than asked for are learnt where the text has no more pairs to merge."""
    core = _Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[MARK],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator((piece for text in texts for piece in _pieces(text)), trainer)
    mark = core.token_to_id(MARK)
    assert mark == 0
    return Tokenizer(core, mark)


def _pieces(text: str) -> Iterator[str]:
    """A text cut within runs of letters or of blanks that are too long to be words: training is quadratic in a word."""
    start = 0
    for run in _LONG_RUN.finditer(text):
        yield text[start : run.end()]
        start = run.end()
    yield text[start:]


def save_tokenizer(tokenizer: Tokenizer, directory: Path) -> None:
    """Write the two files from which AutoTokenizer.from_pretrained opens the tokenizer."""
    (directory / "tokenizer.json").write_text(tokenizer.core.to_str(pretty=False), encoding="utf-8")
    mark = tokenizer.core.id_to_token(tokenizer.mark)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": mark, "eos_token": mark, "pad_token": mark}
    (directory / "tokenizer_config.json").write_text(canonical_json(config), encoding="utf-8")


def load_tokenizer(directory: Path) -> Tokenizer:
    """The tokenizer of a Hugging Face folder; its end-of-text token is the eos_token.

    Raises ModelError where the folder has no fast tokenizer or no eos_token."""
    path = directory / "tokenizer.json"
    if not path.is_file():
        raise ModelError(f"{directory}: no tokenizer.json; use a model folder with a fast tokenizer, or run dvc repro")
    try:
        core = _Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing narrower
        raise ModelError(f"{path}: not a tokenizer ({error}); replace it, or run dvc repro") from error
    eos = read_json(directory / "tokenizer_config.json").get("eos_token")
    name = eos["content"] if isinstance(eos, dict) else eos
    mark = core.token_to_id(name) if name else None
    if mark is None:
        raise ModelError(f"{directory}: tokenizer has no end-of-text token (eos_token is {name!r}); add one to tokenizer_config.json")
    return Tokenizer(core, mark)
