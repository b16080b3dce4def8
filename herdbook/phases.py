"""What a command does now, for people: on stderr the phase, how far it is and the time left; nothing where no one watches.

(Beside progress.py, which stages import: what they do not need must not run them again.)"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol

from herdbook.errors import one_line

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

_BAR_WIDTH = 20
_SHOWN = 32  # characters of what the command does, before a phase of it

Advance = Callable[[int], object]  # told how much more of a phase is done; from any thread


class Begin(Protocol):
    """What a command tells as each of its phases begins."""

    def __call__(self, phase: str, total: int | None = None) -> Advance:
        """Say what is done from now on, and how much of it there is, where that is known: only then can time left be shown."""


def unseen(phase: str, total: int | None = None) -> Advance:
    """Begin a phase that nobody watches."""
    return lambda count: None


@contextmanager
def phases(description: str) -> Iterator[Begin]:
    """Yield what is to be told of each phase: of a known total a bar, its percentage and time left are shown, else the time spent on it."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield unseen
        return
    from rich.progress import Progress

    shown = one_line(description)
    with Progress(*_columns(False), console=console, transient=True, expand=True) as progress:
        bar = progress.add_task(shown, total=None)
        shown = shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"

        def begin(phase: str, total: int | None = None) -> Advance:
            nonlocal bar
            progress.update(bar, visible=False)
            progress.columns = _columns(total is not None)
            bar = progress.add_task(f"{shown}: {one_line(phase)}", total=total)
            return partial(progress.advance, bar)

        yield begin


def _columns(is_known: bool) -> "tuple[ProgressColumn, ...]":
    """What is shown of a phase; where the terminal is narrow, its name gives way."""
    from rich.progress import BarColumn, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.table import Column

    name = TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"))
    whole = partial(Column, no_wrap=True)
    if not is_known:
        return SpinnerColumn(table_column=whole()), name, TimeElapsedColumn(table_column=whole())
    bar = BarColumn(_BAR_WIDTH, table_column=whole())
    return name, bar, TaskProgressColumn(), TimeRemainingColumn(table_column=whole()), TextColumn("left")
