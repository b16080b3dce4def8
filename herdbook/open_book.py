"""The book, opened for a command: where it is not at hand, one line says what to do next."""

from herdbook.book import INDEX, Book
from herdbook.errors import BookError
from herdbook.layout import LOCK
from herdbook.snapshot import MissingError, Snapshot, book_of


def open_book(now: Snapshot) -> Book:
    """The book of the workspace or of a revision; BookError where the pipeline wrote none there, or where its files cannot be had."""
    if now.commit is None and not (now.root / LOCK).is_file():
        raise BookError(f"{INDEX}: no book in {now.root}, for nothing was bred there; herdbook run breeds it, in the folder of a project")
    try:
        return book_of(now)
    except MissingError as error:
        why = "" if "no remote specified" in str(error) else f" ({error})"
        where = f"in {now.root}, " if now.commit is None else ""
        next_step = "herdbook run breeds it" if now.commit is None else "choose another revision"
        raise BookError(
            f"{INDEX}: the book of {now.label} is not {where}in DVC's cache or in a remote{why}; {next_step}, "
            "or name the remote that has it (dvc remote add -d NAME URL)"
        ) from error
