"""How well a model answers problems that it never saw."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from herdbook.params import Decoding
from herdbook.sampler import sample
from herdbook.tasks.family import Family
from herdbook.tokenizer import Tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_BATCH_ROWS = 256
_GREEDY = Decoding(num_rows=1, temperature=0.0, top_k=0, top_p=1.0, num_beams=1, repetition_penalty=1.0)


def held_out_accuracy(
    model: "PreTrainedModel", problems: Sequence[Sequence[int]], tokenizer: Tokenizer, family: Family, question_tokens: int
) -> float:
    """The share of problems (token ids, question first) whose question the model completes to a right text, greedily, in 0..1.

    An answer is given the length of the longest of these problems and one token more, so that no answer is cut."""
    import torch

    questions = torch.tensor([[tokenizer.mark, *tokens[:question_tokens]] for tokens in problems])
    num_new = max(map(len, problems)) - question_tokens + 1
    written = sample(model, questions, _GREEDY, num_new, tokenizer.mark, torch.Generator(), _BATCH_ROWS)
    texts = tokenizer.decode([[*tokens[:question_tokens], *answer] for tokens, answer in zip(problems, written, strict=True)])
    return sum(map(family.is_right, texts)) / len(texts)
