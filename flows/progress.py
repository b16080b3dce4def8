"""How far a walk is, for people: a bar on a terminal, a line a stage elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flows.reproduce import UNCHANGED
from flows.walk import Outcome


@contextmanager
def followed(console: Console, stages: Sequence[str]) -> Iterator[Callable[[Outcome[str]], None]]:
    """Yield what a walk calls after each end; only `stages` are counted, for a source of data is none."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    total, counted = len(stages), set(stages)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("breed", total=total)
        told: set[str] = set()

        def watch(outcome: Outcome[str]) -> None:
            ends = {**outcome.done, **{name: f"failed: {error}" for name, error in outcome.failed.items()}}
            for name in [name for name in ends if name not in told]:
                told.add(name)
                completed = len(told & counted)
                progress.update(bar, completed=completed, description=name)
                if ends[name].startswith("failed") or (not console.is_terminal and ends[name] != UNCHANGED):
                    console.print(f"[{completed}/{total}] {name} {ends[name]}", markup=False, highlight=False, soft_wrap=True)

        yield watch
