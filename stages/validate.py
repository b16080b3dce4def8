"""Inspect one dataset: profile it, put its policies to it, and write the receipt whatever the verdict.

`validate human` reads the human rows; `validate training|offspring REGIME SEED GENERATION` the training
set or the curated offspring of a generation, and the profile that its bounds refer to: the human one, or
that of the training set which the model learnt from. Writes profile and receipt, or why the generation
was not bred. Params: profile, task and regimes.R.recipe; for training sets regimes.R.mixture."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from herdbook.amounts import rows_at
from herdbook.errors import ParamsError
from herdbook.files import read_json, read_table, rounded, write_json
from herdbook.layout import BASE_MODEL, HUMAN_PROFILE, HUMAN_RECEIPT, HUMAN_TRAIN, PARAMS, Place
from herdbook.lineage import not_bred
from herdbook.params import Params, read_params
from herdbook.policy import read_policy
from herdbook.profile import Figures, profile
from herdbook.receipt import make_receipt, not_bred_receipt, policy_paths, training_data
from herdbook.reference import Reference, read_reference
from herdbook.schema import ROWS, TRAINING
from herdbook.tasks import accuracy, coverage, parse_task
from herdbook.tasks.family import Family
from herdbook.tokenizer import load_tokenizer
from herdbook.training_set import mixture_gap

if TYPE_CHECKING:
    import pandas as pd

_SEEN = ("id", "generation", "index", "depth", "num_tokens", "nll_nats", "pass")
_DEPTH_ROUNDING = 1e-9  # depths are means of means


def contract_frame(rows: pa.Table, passes: int = 1) -> "pd.DataFrame":
    """What a row contract may look at: numbers and ids, and never text, which is hostile.

    To the columns of ROWS it adds num_tokens_listed and num_characters, the lengths of `tokens` and `text`;
    is_synthetic, 1 where a model wrote the row; depth_floor and depth_limit, the least and the greatest
    depth that a row can have: 0 if a person wrote it, else 1 and one more than the generation of its model,
    times the `passes` of a row through models in each generation. Training sets have `pass` too."""
    is_synthetic = pc.cast(pc.is_valid(rows["model"]), pa.float64())
    depth_limit = pc.multiply(
        is_synthetic, pc.add(pc.multiply(pc.cast(rows["generation"], pa.float64()), passes), passes + _DEPTH_ROUNDING)
    )
    derived = {
        "num_tokens_listed": pc.list_value_length(rows["tokens"]),
        "num_characters": pc.utf8_length(rows["text"]),
        "is_synthetic": is_synthetic,
        "depth_floor": is_synthetic,
        "depth_limit": depth_limit,
    }
    seen = rows.select([name for name in _SEEN if name in rows.column_names])
    for name, column in derived.items():
        seen = seen.append_column(name, column)
    wide = [field.with_type(pa.int64()) if pa.types.is_integer(field.type) else field for field in seen.schema]
    return seen.cast(pa.schema(wide)).to_pandas()  # numbers of fewer bits Great Expectations looks at one by one


def profile_frame(figures: Figures) -> "pd.DataFrame":
    """A profile as a table of one row; what could not be measured is NaN."""
    import pandas as pd

    return pd.DataFrame({name: [float("nan") if value is None else value] for name, value in figures.items()})


def inspect(kind: str, data: Mapping[str, Path], frame: "pd.DataFrame", figures: Figures, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The receipt of a dataset: its contract_frame against the row contract, its profile against the profile policy."""
    from herdbook.gate import evaluate

    contract, bounds = (read_policy(path) for path in policy_paths(kind))
    row_outcomes, row_used = evaluate(contract, frame, parameters)
    profile_outcomes, profile_used = evaluate(bounds, profile_frame(figures), parameters)
    return make_receipt(kind, data, row_outcomes + profile_outcomes, row_used | profile_used)


def references(name: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a profile as the parameters NAME_FIELD."""
    return {f"{name}_{field}": value for field, value in figures.items()}


def answers(rows: pa.Table, family: Family) -> Figures:
    """Of problems: the share of rows that are right, and the share of the problem space that the rows lie in."""
    texts = rows["text"].to_pylist()
    return {"answer_accuracy": rounded(accuracy(family, texts)), "problem_coverage": rounded(coverage(family, texts))}


def measured(
    path: Path, schema: pa.Schema, reference: Reference, params: Params, target_rows: int | None = None, passes: int = 1
) -> tuple[Figures, "pd.DataFrame"]:
    """The profile and the contract_frame of the rows in a file; the rows are gone when rules are put to these."""
    rows = read_table(path, schema)
    figures = profile(rows, reference, load_tokenizer(BASE_MODEL), params.profile, target_rows)
    if params.task:
        figures |= answers(rows, parse_task(params.task))
    frame = contract_frame(rows, passes)
    del rows
    pa.default_memory_pool().release_unused()  # the library that sees the frame takes as much again
    return figures, frame


def validate_human(params: Params) -> None:
    """Inspect the human training rows."""
    figures, frame = measured(HUMAN_TRAIN, ROWS, read_reference(None), params)
    receipt = inspect("human", {"rows": HUMAN_TRAIN}, frame, figures, {})
    write_json(HUMAN_PROFILE, figures)
    write_json(HUMAN_RECEIPT, receipt)


def validate_generation(kind: str, place: Place, params: Params) -> None:
    """Inspect the training set or the curated offspring of a generation."""
    directory = place.training if kind == "training" else place.curated
    if stop := not_bred(directory):
        write_json(place.profile(kind), not_bred_receipt(kind, stop))
        write_json(place.receipt(kind), not_bred_receipt(kind, stop))
        return
    regime, reference = params.regimes[place.regime], read_reference(place)
    passes = 1 + sum(step["name"] == "revise" for step in regime.recipe.steps)  # a teacher writes anew what a model wrote
    if kind == "training":
        data = training_data(place)
        mixture = regime.mixture if place.number else None  # the founder learns from human text alone
        gap = mixture_gap(read_json(data["making"])["mixture"], mixture)
        figures, frame = measured(data["rows"], TRAINING, reference, params, passes=passes)
        figures["mixture_gap"] = rounded(gap)
        parameters = references("human", read_json(HUMAN_PROFILE))
    else:
        data, target = {"rows": directory / "rows.parquet"}, rows_at(regime.recipe.num_rows, place.number)
        figures, frame = measured(data["rows"], ROWS, reference, params, target, passes)
        parameters = references("parent", read_json(place.profile("training"))) | {"target_rows": target}
    receipt = inspect(kind, data, frame, figures, parameters)
    write_json(place.profile(kind), figures)
    write_json(place.receipt(kind), receipt)


def main(args: list[str]) -> None:
    """Validate: `validate human`, or `validate training|offspring REGIME SEED GENERATION`."""
    params = read_params(PARAMS)
    match args:
        case ["human"]:
            validate_human(params)
        case ["training" | "offspring" as kind, regime, seed, generation] if regime in params.regimes:
            validate_generation(kind, Place(regime, seed, generation), params)
        case _:
            known = ", ".join(params.regimes)
            raise ParamsError(f"arguments are {args}, must be human, or training|offspring REGIME SEED GENERATION; regimes: {known}")
