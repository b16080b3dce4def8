"""What founders write on their own, against which the bounds of expectations/training_profile.yaml are set.

Samples every founder in runs/ under top-k 50, pure and greedy decoding, profiles the draws, and writes the mean
over founders of each figure, with that of human train, to bench/bounds.json. Run it after the pipeline:
`python bench/bounds.py` (about a minute a founder)."""

import os
import sys
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from herdbook import numeric

os.environ.update(numeric.PINS)

import pyarrow as pa

from herdbook.files import read_table, rounded, write_json
from herdbook.layout import BASE_MODEL, HUMAN_TRAIN, PARAMS, Place
from herdbook.params import Decoding, Params, read_params
from herdbook.profile import profile
from herdbook.reference import read_reference
from herdbook.schema import ROWS
from herdbook.tokenizer import load_tokenizer
from herdbook.training_set import SCORES, scored
from stages.sample import sample_into

PLAIN = {"num_rows": 2000, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "num_beams": 1, "repetition_penalty": 1.0}
DECODINGS = {"top_k_50": PLAIN | {"top_k": 50}, "pure": PLAIN, "greedy": PLAIN | {"temperature": 0.0}}
SHOWN = ("distinct_2", "entropy_2_bits", "tail_coverage", "tail_share", "nll_distance_nats")


def drawn(place: Place, settings: dict[str, Any], params: Params) -> pa.Table:
    """What a founder writes under a decoding, as a table of ROWS."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder, "offspring")
        sample_into(directory, place, Decoding(**settings), params)
        return read_table(directory / "rows.parquet", ROWS)


def means(profiles: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean of each figure over founders."""
    numbers = [name for name, value in profiles[0].items() if isinstance(value, float)]
    return {"num_founders": len(profiles), **{name: rounded(fmean(figures[name] for figures in profiles)) for name in numbers}}


def main() -> None:
    """Measure and write bench/bounds.json."""
    params, tokenizer = read_params(PARAMS), load_tokenizer(BASE_MODEL)
    profiles: dict[str, list[dict[str, Any]]] = {name: [] for name in ("human", *DECODINGS)}
    for seed in params.seeds:
        place = Place("founder", seed, "g0")
        reference = read_reference(place)
        sets = {"human": scored(read_table(HUMAN_TRAIN, ROWS), read_table(place.human_nll, SCORES))}
        sets |= {name: drawn(place, settings, params) for name, settings in DECODINGS.items()}
        for name, rows in sets.items():
            profiles[name].append(profile(rows, reference, tokenizer, params.profile))
            print(seed, name, {key: profiles[name][-1][key] for key in SHOWN})
    write_json(Path("bench/bounds.json"), {name: means(found) for name, found in profiles.items()})


if __name__ == "__main__":
    main()
