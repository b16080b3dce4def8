"""Semi-synthetic text: human rows in which a model wrote anew what it was sure of."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from herdbook.params import Count, PositiveShare
from herdbook.rows import row_id, rows_table
from herdbook.schema import HANDS
from herdbook.steps.step import Material, Need, Outcome, Step

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_BATCH_ROWS = 64


class Edit(Step):
    """Adds human rows edited token by token (ToEdit; Zhu et al., 2412.14689, section 4).

    A token to which the founder gives at least `min_probability`, after the human tokens before it, is drawn anew
    from the founder's `top_k` likeliest there; every other token stays. Rows in which nothing changed are left out,
    for they would be human text under another name; `num_rows` are added, or as many as changed."""

    needs: ClassVar[frozenset[Need]] = frozenset({"founder", "human", "tokenizer"})
    writes: ClassVar[bool] = True
    num_rows: Count
    min_probability: PositiveShare  # .99 in the paper
    top_k: Count

    def reasons(self) -> tuple[str, ...]:
        """See Step."""
        return ()

    def apply(self, rows: pa.Table, material: Material) -> Outcome:
        """See Step."""
        generator = material.generator("edit")
        human = material.human.take(generator.permutation(material.human.num_rows))
        added: list[dict[str, object]] = []
        known = set(rows["id"].to_pylist())
        first = material.generation * self.num_rows  # numbered through the generations, so that no two edits have one id
        hands: list[dict[str, object]] = []
        for start in range(0, human.num_rows, _BATCH_ROWS):
            for row, tokens in self._edited(human.slice(start, _BATCH_ROWS).to_pylist(), material, generator):
                index = first + len(added)
                name = row_id(material.founder_digest, row["document"], index, tokens)
                if tokens == row["tokens"] or name in known or len(added) == self.num_rows:
                    continue
                added.append(
                    row | {"id": name, "index": index, "model": material.founder_digest, "prompt": row["id"], "depth": 1.0}
                    | {"tokens": tokens, "text": material.tokenizer.decode([tokens])[0], "nll_nats": None}
                )  # fmt: skip
                num_changed = sum(old != new for old, new in zip(row["tokens"], tokens, strict=True))
                note = f"{num_changed} of {len(tokens)} tokens drawn anew"
                hands.append({"id": name, "step": "edit", "parents": [row["id"]], "by": material.founder_digest, "note": note})
            if len(added) == self.num_rows:
                break
        return Outcome(kept=pa.concat_tables([rows, rows_table(added)]), hands=pa.Table.from_pylist(hands, schema=HANDS))

    def _edited(self, rows: list[dict], material: Material, generator: np.random.Generator) -> list[tuple[dict, list[int]]]:
        """Each row with its new tokens."""
        tokens = [row["tokens"] for row in rows]
        probabilities, drawn = redrawn(material.founder, tokens, material.tokenizer.mark, self.top_k, generator)
        is_sure = [[p >= self.min_probability and old != material.tokenizer.mark for p, old in zip(*pair, strict=True)]
                   for pair in zip(probabilities, tokens, strict=True)]  # fmt: skip
        edited = [[new if sure else old for sure, old, new in zip(*row, strict=True)] for row in zip(is_sure, tokens, drawn, strict=True)]
        return list(zip(rows, edited, strict=True))


def redrawn(
    model: "PreTrainedModel", rows: list[list[int]], mark: int, top_k: int, generator: np.random.Generator
) -> tuple[list[list[float]], list[list[int]]]:
    """Of each token of each row its probability under the model, and a token drawn from the `top_k` likeliest in its place."""
    import torch

    from herdbook.models import batch_of
    from herdbook.sampler import picked, weights_of

    model.train(False)
    inputs, targets = batch_of(rows, mark, model.device)
    uniforms = torch.from_numpy(generator.random(targets.shape))
    with torch.inference_mode():
        logits = model(input_ids=inputs, use_cache=False).logits.float().cpu()
    targets = targets.cpu()
    probabilities = logits.softmax(-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    drawn = picked(weights_of(logits.flatten(0, 1), 1.0, top_k, 1.0), uniforms.flatten()).view(targets.shape)
    lengths = [len(row) for row in rows]
    return (
        [row[:length] for row, length in zip(probabilities.tolist(), lengths, strict=True)],
        [row[:length] for row, length in zip(drawn.tolist(), lengths, strict=True)],
    )
