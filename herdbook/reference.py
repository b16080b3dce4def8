"""What people wrote, as far as a profile compares text with it: computed once, by prepare, for every inspection."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from herdbook import measures
from herdbook.duplicates import ngrams_of
from herdbook.files import read_table, write_table
from herdbook.layout import HUMAN_REFERENCE, Place

SHARED_WORDS = 13  # a shared run of 13 words is copied text (phi-4 technical report, 2412.08905, appendix B)

_REFERENCE = pa.schema([
    ("rare", pa.large_list(pa.int64())), ("held_out_ngrams", pa.large_list(pa.uint64())), ("train_ngrams", pa.large_list(pa.uint64())),
])  # fmt: skip
_HUMAN_NLL = pa.schema([("split", pa.string()), ("nll_nats", pa.float64())])


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Human text in numbers."""

    rare: measures.Ids  # token types, the rarer half of human train
    held_out_ngrams: NDArray[np.uint64]  # of SHARED_WORDS words
    train_ngrams: NDArray[np.uint64]
    held_out_nll: NDArray[np.float64] | None  # nats per token of held-out rows under the founder; None before there is one


def write_reference(rows: pa.Table, train: list[str], held_out: list[str]) -> None:
    """Write what profiles need of the human training `rows` (a table of ROWS) and of the texts of both sides' documents."""
    tokens, _ = measures.flattened(rows["tokens"])
    columns = [measures.rare_half(tokens), ngrams_of(held_out, SHARED_WORDS), ngrams_of(train, SHARED_WORDS)]
    arrays = [pa.array([column], field.type) for column, field in zip(columns, _REFERENCE, strict=True)]
    write_table(HUMAN_REFERENCE, pa.table(arrays, schema=_REFERENCE))


def read_reference(place: Place | None) -> Reference:
    """What prepare wrote, with the NLL of held-out rows under the founder of `place` where one is given."""
    table, nll = read_table(HUMAN_REFERENCE, _REFERENCE), None
    if place is not None:
        scores = read_table(place.founder.human_nll, _HUMAN_NLL)
        nll = scores.filter(pc.equal(scores["split"], "held_out"))["nll_nats"].to_numpy()
    arrays = {name: table[name].combine_chunks().flatten().to_numpy() for name in _REFERENCE.names}
    return Reference(**arrays, held_out_nll=nll)
