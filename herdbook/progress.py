"""Progress for people: a bar on a terminal, nothing elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress


@contextmanager
def steps(description: str, total: int) -> Iterator[Callable[..., object]]:
    """Yield a function that advances a bar on stderr by one, or by the number it is given."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task(description, total=total)
        yield lambda count=1: progress.advance(bar, count)
