"""Enter every dataset and model into the book.

Reads all that the other stages wrote, and refuses what was not made from the bytes that lie there now.
Writes book/ (an entry each, the code that made them, and the index) and reports/book.json, the root.
Params: all."""

from pathlib import Path

from herdbook.book import INDEX, code_path, entry_path, index_of, root_of
from herdbook.entering import make_book
from herdbook.errors import BookError
from herdbook.files import canonical_json, strict_yaml, write_json, written_aside
from herdbook.layout import BOOK, BOOK_ROOT, CODE, PARAMS
from herdbook.params import parse_params
from herdbook.run import stale


def main(args: list[str]) -> None:
    """Book: no arguments."""
    document = strict_yaml(PARAMS.read_text(encoding="utf-8"))
    params = parse_params(document)
    if strays := stale(params):
        raise BookError(f"{strays[0]}: of no regime, seed or generation in {PARAMS}; name it there, or remove it: herdbook prune")
    entries = make_book(params, document)
    index = index_of(entries)
    with written_aside(BOOK) as aside:
        for name, entry in entries.items():
            _write(aside / entry_path(name).relative_to(BOOK), canonical_json(entry))
        for stage in index["code"]:
            _write(aside / code_path(stage).relative_to(BOOK), (CODE / f"{stage}.json").read_text(encoding="utf-8"))
        _write(aside / INDEX.relative_to(BOOK), canonical_json(index))
    not_bred = sum(entry["status"] == "not bred" for entry in entries.values())
    write_json(BOOK_ROOT, {"root": root_of(index), "num_entries": len(entries), "num_not_bred": not_bred})


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
