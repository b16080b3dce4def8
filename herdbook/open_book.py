"""The book, opened for a command: where it is not at hand, one line says what to do next."""

from contextlib import suppress

from herdbook.book import INDEX, Book
from herdbook.errors import BookError
from herdbook.layout import BOOK, LOCK
from herdbook.phases import Begin, unseen
from herdbook.snapshot import MissingError, Snapshot, book_of


def open_book(now: Snapshot, begin: Begin = unseen) -> Book:
    """The book of the workspace or of a revision; BookError where the pipeline wrote none there, or where its files cannot be had."""
    _demand_bred(now)
    with suppress(MissingError):  # told below
        _bring(now, begin)
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


def demand_book(now: Snapshot) -> None:
    """BookError as of open_book where there is no index of a book."""
    if now.commit is None and (now.root / INDEX).is_file():
        return
    try:
        _demand_bred(now)
        now.read(INDEX)
    except MissingError:
        open_book(now)


def _demand_bred(now: Snapshot) -> None:
    if now.commit is None and not (now.root / LOCK).is_file():
        raise BookError(f"{INDEX}: no book in {now.root}, for nothing was bred there; herdbook run breeds it, in the folder of a project")


def _bring(now: Snapshot, begin: Begin) -> None:
    """Have the files of the book on this machine: of a revision each may have to be fetched from a remote."""
    files = now.files_below(BOOK)
    advance = begin("files of the book", len(files))
    for file in files:
        now.local(file)
        advance(1)
