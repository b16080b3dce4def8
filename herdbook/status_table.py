"""A project's status for a terminal: a table of generations, why stages are stale, and a line each on corpus, claims and book."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from statistics import fmean
from typing import TYPE_CHECKING

from herdbook.errors import one_line
from herdbook.records import VERDICTS
from herdbook.staleness import StageState
from herdbook.status import STATES, Bred, Status, families

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

_STYLES = {"stale": "yellow", "may change": "dim", "begun": "dim", "never run": "dim", "not bred": "red"}
_SHOWN = 8  # reasons, most stages first
_CORPUS = {
    "as recorded": "data is the version that data.dvc records",
    "not recorded": "data is here, and no data.dvc records its version: dvc add data",
    "differs": "data is another version than data.dvc records: dvc checkout data brings that back, dvc add data adopts this",
    "missing": "data is not here: dvc pull data, or herdbook corpus, or herdbook run, which makes it first",
}


def drawn(found: Status, by_seed: bool = False) -> "Group":
    """The tables; `by_seed` gives each seed a line."""
    from rich.console import Group
    from rich.text import Text

    tables = [_generations(found.lineages, by_seed), *([_stale(found.stale)] if found.stale else [])]
    return Group(*(part for table in tables for part in (table, Text(""))))


def _generations(lineages: Sequence[Bred], by_seed: bool) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for name in ("regime", *(("seed",) if by_seed else ()), "gen", "state", "training", "offspring", "human share", "depth"):
        table.add_column(name)
    rows = [[each] for each in lineages] if by_seed else list(_by_generation(lineages))
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        first, state = row[0], _counted((each.state for each in row), STATES)
        cells = (
            first.regime,
            *((first.seed,) if by_seed else ()),
            first.generation,
            state,
            _counted((each.training for each in row), VERDICTS),
            _counted((each.offspring for each in row), VERDICTS),
            _mean(each.human_share for each in row),
            _mean(each.depth for each in row),
        )
        style = next((_STYLES[word] for word in _STYLES if word in state), None)
        ends = following is not None and following[0].regime != first.regime
        table.add_row(*(Text(one_line(cell)) for cell in cells), style=style, end_section=ends)
    return table


def _by_generation(lineages: Sequence[Bred]) -> Iterator[list[Bred]]:
    for _, regime in groupby(lineages, key=lambda each: each.regime):
        of_regime = list(regime)
        for generation in dict.fromkeys(each.generation for each in of_regime):
            yield [each for each in of_regime if each.generation == generation]


def _counted(values: Iterable[str | None], order: Sequence[str]) -> str:
    """A word where all seeds got the same, else how many got which; `-` for what is not known."""
    counts = Counter(value for value in values if value)
    words = [*(word for word in order if counts[word]), *sorted(set(counts) - set(order))]
    if len(words) == 1:
        return words[0]
    return ", ".join(f"{counts[word]} {word}" for word in words) or "-"


def _mean(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.2f}" if known else "-"


def _stale(stages: Sequence[StageState]) -> "Table":
    """Reasons, those of most stages first, with the stages that each makes stale."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    by_reason: dict[tuple[str, str], list[StageState]] = {}
    for stage in stages:
        for reason in stage.reasons:
            what = "" if reason.kind in ("not in cache", "input missing", "output missing", "output altered") else reason.what
            by_reason.setdefault((reason.kind, what), []).append(stage)
    table = Table("stale because of", "stages", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    ordered = sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))
    for (kind, what), of_reason in ordered[:_SHOWN]:
        counts = families(list(dict.fromkeys(of_reason)))
        named = ", ".join(name if count == 1 else f"{name} ({count})" for name, count in counts.items())
        table.add_row(Text(one_line(f"{kind}: {what}" if what else kind)), Text(one_line(named)))
    if (more := len(ordered) - _SHOWN) > 0:
        table.add_row(Text(f"and {more} more reasons"), Text("--json has all"))
    return table


def told(found: Status) -> "list[Text]":
    """The lines below the tables."""
    from rich.text import Text

    return [Text(one_line(line)) for line in _lines(found)]


def _lines(found: Status) -> Iterator[str]:
    stale, following, num = len(found.stale), len(found.following), len(found.stages)
    if found.is_running:
        yield "a run is under way here: what it has not recorded yet counts as stale"
    yield f"corpus: {_CORPUS[found.corpus]}"
    if not stale:
        yield f"pipeline: all {num} stages are as dvc.lock records them"
    else:
        after = f"; of {following} that descend from these, those run again whose inputs come out otherwise" if following else ""
        yield f"pipeline: {stale} of {num} stages are stale{after}; herdbook run brings them up to date{_where_else(found.stale)}"
    registered = sum(claim["registered"] for claim in found.claims)
    judged = _counted((claim["verdict"] for claim in found.claims), ())
    said = f"{len(found.claims)} claimed, {registered} registered, verdicts: {judged}" if found.claims else "nothing is claimed"
    yield f"claims: {said}"
    yield f"book: {found.book['num_entries']} entries, root {found.book['root']}" if found.book else "book: none yet"


def _where_else(stale: Sequence[StageState]) -> str:
    """What was bred elsewhere need not be bred again."""
    is_absent = any(reason.kind == "output missing" for stage in stale for reason in stage.reasons)
    return "; outputs that are only not here come with dvc checkout, or dvc pull from a remote" if is_absent else ""
