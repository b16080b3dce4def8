"""Curate the offspring of one generation by its regime's recipe.

Reads offspring/ and, where the recipe compares with them, the held-out documents. Writes curated/
(rows.parquet, rejected.parquet, making.json) and counts.json, or why the lineage ended. A set that is
not full is written all the same: its inspection judges it. Params: regimes.R.recipe."""

from herdbook.errors import ParamsError
from herdbook.files import digest, read_json, read_table, rounded, write_json, write_table, written_aside
from herdbook.layout import HUMAN_HELD_OUT_DOCUMENTS, MAKING, PARAMS, Place
from herdbook.lineage import NOT_BRED, not_bred, write_not_bred
from herdbook.params import read_params
from herdbook.recipe import Curated, curate, parse_steps, reads_held_out
from herdbook.regimes import mean_depth
from herdbook.rows import num_tokens
from herdbook.schema import CORPUS, ROWS


def counts_of(curated: Curated) -> dict:
    """What became of every row, by number."""
    return {
        "num_in": curated.kept.num_rows + curated.num_surplus + curated.rejected.num_rows,
        "num_out": curated.kept.num_rows,
        "num_surplus": curated.num_surplus,
        "is_full": curated.is_full,
        "rejected": curated.num_rejected,
    }


def making_of(place: Place, curated: Curated, offspring: dict, source: str) -> dict:
    """The making of a curated set: `offspring` is the making of the sampled rows, `source` their digest."""
    decoding = {"decoding": offspring["decoding"]} if "decoding" in offspring else {}
    return {
        "kind": "offspring",
        "regime": place.regime,
        "seed": place.seed,
        "generation": place.generation,
        "model": offspring["model"],
        "parents": [{"role": "offspring", "digest": source}],
        "num_rows": curated.kept.num_rows,
        "num_tokens": num_tokens(curated.kept),
        "depth": rounded(mean_depth(curated.kept)) if curated.kept.num_rows else None,
        **decoding,
    }


def main(args: list[str]) -> None:
    """Curate: `curate REGIME SEED GENERATION`."""
    params = read_params(PARAMS)
    match args:
        case [regime, seed, generation] if regime in params.regimes:
            place, recipe = Place(regime, seed, generation), params.regimes[regime].recipe
        case _:
            raise ParamsError(f"arguments are {args}, must be REGIME SEED GENERATION; regimes: {', '.join(params.regimes)}")
    if stop := not_bred(place.offspring):
        write_not_bred(place.curated, stop)
        write_json(place.counts, {**stop, "status": NOT_BRED})
        return
    steps = parse_steps(recipe.steps, f"{PARAMS}: regimes.{place.regime}.recipe.steps")
    held_out = read_table(HUMAN_HELD_OUT_DOCUMENTS, CORPUS)["text"].to_pylist() if reads_held_out(steps) else []

    source = place.offspring / "rows.parquet"
    curated = curate(read_table(source, ROWS), steps, recipe.num_rows, held_out)
    making = making_of(place, curated, read_json(place.offspring / MAKING), digest(source))
    with written_aside(place.curated) as aside:
        write_table(aside / "rows.parquet", curated.kept)
        write_table(aside / "rejected.parquet", curated.rejected)
        write_json(aside / MAKING, making)
    write_json(place.counts, counts_of(curated))
