"""What a command does now, for people: phase and time spent on stderr, nothing where no one watches.

(Beside progress.py, which stages import: what they do not need must not run them again.)"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from herdbook.errors import one_line


@contextmanager
def phases(description: str) -> Iterator[Callable[[str], object]]:
    """Yield a function that says what is being done now; the time spent is shown beside it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda phase: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(one_line(description), total=None)
        yield lambda phase: progress.update(bar, description=one_line(f"{description}: {phase}"))
