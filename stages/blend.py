"""Blend the training set of a generation from its regime's weights or mixture.

Reads the curated offspring and the pool of the parent generation and the human training rows, each with
its receipt. Writes training/ (rows.parquet, pool.parquet, making.json),
or why the lineage ended. Params: regimes.R.weights, .budget_rows, .mixture and .gate."""

import numpy as np
import pyarrow as pa

from herdbook.errors import ParamsError
from herdbook.files import digest, read_json, read_table
from herdbook.layout import HUMAN_TRAIN, PARAMS, Place
from herdbook.lineage import not_bred, write_not_bred
from herdbook.numeric import seed_of
from herdbook.params import Regime, read_params, shares
from herdbook.receipt import read_inspected, read_passed_human, stop_of, training_data, waived_rules
from herdbook.regimes import Portion, in_pass, mix, mix_tokens
from herdbook.schema import ROWS
from herdbook.training_set import SCORES, scored, write_training


def receipts_of(parent: Place) -> dict[str, dict]:
    """The receipts of both datasets of the parent, for exactly the bytes that lie there now."""
    curated = {"rows": parent.curated / "rows.parquet"}
    return {
        "offspring": read_inspected(curated, parent.receipt("offspring"), "offspring"),
        "training": read_inspected(training_data(parent), parent.receipt("training"), "training"),
    }


def stopped(parent: Place, receipts: dict[str, dict], gate: str) -> dict | None:
    """Why the lineage ends at `parent`, or None."""
    stops = (stop_of(receipt, gate, parent.generation) for receipt in receipts.values())
    return next((stop for stop in stops if stop), None)


def waivers(parent: Place, receipts: dict[str, dict], regime: Regime) -> list[dict]:
    """Each dataset that broke rules and is used all the same, with those rules.

    A pool that is kept brings along what was waived when it was blended."""
    share = shares(regime)
    used = {"offspring": share["offspring"], "training": share["previous"]}
    inherited = read_json(training_data(parent)["making"])["waivers"] if share["previous"] else []
    return inherited + [
        {"dataset": dataset, "generation": parent.generation, "rules": rules}
        for dataset, receipt in sorted(receipts.items())
        if used[dataset] and (rules := waived_rules(receipt))
    ]


def blend(place: Place, parent: Place, regime: Regime) -> tuple[pa.Table, pa.Table, dict[str, str], list[Portion]]:
    """The training set of `place`, its pool, the digest of each source by role, and what a mixture took."""
    human = scored(read_table(read_passed_human(), ROWS), read_table(place.founder.human_nll, SCORES))
    paths = {"offspring": parent.curated / "rows.parquet", "previous": parent.training / "pool.parquet"}
    taken = {role: path for role, path in paths.items() if shares(regime)[role]}
    sources = {role: read_table(path, ROWS) for role, path in taken.items()} | {"human": human}
    parents = {role: digest(path) for role, path in taken.items()}
    if shares(regime)["human"]:
        parents["human"] = digest(HUMAN_TRAIN)
    generator = np.random.Generator(np.random.PCG64(seed_of("blend", place.seed, place.generation)))
    if regime.mixture:
        portions = mix_tokens(sources, regime.mixture, generator)
        rows, pool = (pa.concat_tables(tables) for tables in ([p.rows for p in portions], [p.unique for p in portions]))
        return rows, pool, parents, portions
    nothing = ROWS.empty_table()
    rows, pool = mix(
        sources.get("offspring", nothing), sources.get("previous", nothing), human, regime.weights, regime.budget_rows, generator
    )
    return in_pass(rows, 0), pool, parents, []


def main(args: list[str]) -> None:
    """Blend: `blend REGIME SEED PARENT CHILD`."""
    params = read_params(PARAMS)
    match args:
        case [name, seed, old, new] if name in params.regimes:
            parent, place, regime = Place(name, seed, old), Place(name, seed, new), params.regimes[name]
        case _:
            raise ParamsError(f"arguments are {args}, must be REGIME SEED PARENT CHILD; regimes: {', '.join(params.regimes)}")

    stop = not_bred(parent.curated)
    if stop is None:
        receipts = receipts_of(parent)
        stop = stopped(parent, receipts, regime.gate)
    if stop:
        write_not_bred(place.training, stop)
        return
    rows, pool, parents, taken = blend(place, parent, regime)
    write_training(place, rows, pool, parents, waivers(parent, receipts, regime), taken)
