"""What a run says at its end: its calibrations, the closing table of reports/metrics.json, and its verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

from herdbook.errors import one_line
from herdbook.lineage import NOT_BRED
from herdbook.records import DATASETS, VERDICTS

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

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


def calibration_table(found: Sequence[Mapping[str, Any]]) -> "Table":
    """Each calibration with how many of its checks passed, and the words of those that did not."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    for name in ("calibration", "checks", "passed", "outside its interval"):
        drawn.add_column(name)
    for one in found:
        failed = [check["in_words"] for check in one["checks"] if not check["passed"]]
        num = len(one["checks"])
        outside = Text("\n".join(map(one_line, failed)) or "-")
        drawn.add_row(Text(one_line(one["name"])), str(num), str(num - len(failed)), outside, style="red" if failed else None)
    return drawn


def verdict_lines(judged: Mapping[str, Any]) -> "list[Text]":
    """A line for each claim: its verdict and what was found. Words of hypotheses.yaml are shown as what they are."""
    from rich.text import Text

    return [Text.assemble((one_line(claim["id"]), "bold"), ": ", one_line(claim["in_words"])) for claim in judged["claims"]]
