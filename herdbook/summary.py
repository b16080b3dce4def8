"""The closing table: what reports/metrics.json comes to, a line a regime and generation."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

from herdbook.lineage import NOT_BRED
from herdbook.records import DATASETS, VERDICTS

if TYPE_CHECKING:
    from rich.table import Table

Metrics = Mapping[str, Mapping[str, Mapping[str, Any]]]  # regime -> generation -> figures


@dataclass(frozen=True)
class Row:
    """One line of the closing table, as text: a regime x generation over its seeds."""

    regime: str
    generation: str
    held_out_loss: str
    distinct_2: str
    tail_coverage: str
    depth: str
    training: str  # verdicts
    offspring: str


_CAPTION = "training, offspring: the gate's verdict; figures: mean±standard deviation over the seeds bred"
HEADER = Row("regime", "gen", "held-out\nloss", "distinct-2", "tail\ncoverage", "depth", "training", "offspring")


def table(metrics: Metrics) -> list[Row]:
    """The closing table: mean±standard deviation over the bred lineages; no ± where fewer than two were bred."""
    return [
        Row(
            regime,
            generation,
            spread(entry["held_out_loss_nats"], 3),
            spread(entry["offspring_distinct_2"], 3),
            spread(entry["offspring_tail_coverage"], 3),
            spread(entry["training_depth_mean"], 2),
            *(verdicts(entry[f"{dataset}_verdicts"]) for dataset in DATASETS),
        )
        for regime, generations in metrics.items()
        for generation, entry in sorted(generations.items(), key=lambda item: int(item[0].removeprefix("g")))
    ]


def spread(figure: Mapping[str, float | None], decimals: int) -> str:
    """A mean with its standard deviation; `-` where nothing was measured."""
    if figure["mean"] is None:
        return "-"
    return f"{figure['mean']:.{decimals}f}" + ("" if figure["std"] is None else f"±{figure['std']:.{decimals}f}")


def verdicts(counts: Mapping[str, int]) -> str:
    """The verdicts that the seeds got: a word where all got the same, else how many got which."""
    given = {verdict: counts[verdict] for verdict in VERDICTS if counts[verdict]}
    return next(iter(given)) if len(given) == 1 else ", ".join(f"{count} {verdict}" for verdict, count in given.items())


def num_stopped(metrics: Metrics) -> int:
    """How many generations, over all lineages, were not bred."""
    return sum(entry["num_seeds"] - entry["num_seeds_bred"] for generations in metrics.values() for entry in generations.values())


def closing_table(metrics: Metrics) -> "Table":
    """The closing table for a terminal."""
    from rich import box
    from rich.table import Table

    rows = table(metrics)
    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0, caption=_CAPTION, caption_justify="left")
    for name in astuple(HEADER):
        drawn.add_column(name, no_wrap=name not in DATASETS)  # a cut figure would be a wrong one
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        style = "yellow" if NOT_BRED in row.training + row.offspring else None
        drawn.add_row(*astuple(row), style=style, end_section=following is not None and following.regime != row.regime)
    return drawn
