"""The human corpus: documents written by people, gathered from one source into data/."""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from herdbook import params
from herdbook.errors import CorpusError, FileError
from herdbook.files import digest, digest_bytes, read_json, read_table, write_json, write_table, written_aside
from herdbook.layout import CORPUS
from herdbook.schema import CORPUS as COLUMNS
from herdbook.tasks import parse_task, problems
from herdbook.wikipedia import LICENCE as WIKIPEDIA_LICENCE
from herdbook.wikipedia import Begin, read_wikipedia

Document = dict[str, str]

_TASK_SEED = 0  # problems are drawn once; seeds of lineages are of the models

FILES = ("README.md", "corpus.parquet", "manifest.json")  # what data/ holds, and nothing else


def gather(
    source: params.Corpus,
    report: Callable[[str], object] = lambda message: None,
    begin: Begin = lambda phase, total: lambda count: None,
    task: Mapping[str, Any] | None = None,
) -> pa.Table:
    """The documents of a source as a table of CORPUS, sorted by id, each text once.

    `report` is told how many blank and repeated texts were left out; `begin` what is read and how much of it there is, and
    what it returns how much more was read; `task` is the section of that name, of which source task makes problems.
    Raises CorpusError on text that is not UTF-8 or not text, on a broken file, and on fewer than two
    documents, which could not be split."""
    readers: dict[str, Callable[[], Iterator[Document]]] = {
        "wikipedia": lambda: read_wikipedia(begin),
        "files": lambda: _read_files(source, begin),
        "huggingface": lambda: _read_huggingface(source, begin),
        "task": lambda: _read_task(task or {}, source.num_problems or 0, begin),
    }
    documents: dict[str, Document] = {}
    num_read = num_blank = 0
    for document in readers[source.source]():
        num_read += 1
        if document["text"].strip():
            documents.setdefault(digest_bytes(document["text"].encode()), document)
        else:
            num_blank += 1
    if num_blank:
        report(f"{num_blank} of {num_read} documents are blank and are left out")
    if num_repeated := num_read - num_blank - len(documents):
        report(f"{num_repeated} of {num_read} documents repeat another and are left out")
    if len(documents) < 2:
        where = source.path or source.source
        found = f"{len(documents)} of {num_read} documents left" if num_read > len(documents) else f"{num_read} documents"
        raise CorpusError(f"{where}: {found}, at least 2 are needed, to train on one and hold one out; add documents")
    return pa.Table.from_pylist([{"id": key, **documents[key]} for key in sorted(documents)], schema=COLUMNS)


def _read_files(source: params.Corpus, begin: Begin) -> Iterator[Document]:
    folder = Path(source.path or "")
    if not folder.is_dir():
        raise CorpusError(f"{folder}: not a folder; set corpus.path to a folder of .txt, .jsonl or .parquet files")
    _refuse_own_output(folder)
    readers = {".txt": _read_text, ".jsonl": _read_lines, ".parquet": _read_parquet}
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in readers and path.is_file())
    if not paths:
        raise CorpusError(f"{folder}: no .txt, .jsonl or .parquet file; put documents there or set corpus.path to another folder")
    sizes = {path: path.stat().st_size for path in paths}
    advance = begin("bytes of files", sum(sizes.values()))
    for path, num_bytes in sizes.items():
        name = path.relative_to(folder).as_posix()
        for title, text in readers[path.suffix.lower()](path, source.column):
            yield _document(path, title or name, text, folder.resolve().name, source.licence)
        advance(num_bytes)


def read_benchmarks(folder: Path) -> pa.Table:
    """The tests of a user, a table of CORPUS: each .txt, line of .jsonl and row of .parquet (column text); none without the folder."""
    readers = {".txt": _read_text, ".jsonl": _read_lines, ".parquet": _read_parquet}
    documents: dict[str, Document] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in readers or not path.is_file():
            continue
        try:
            for title, text in readers[path.suffix.lower()](path, "text"):
                document = _document(path, title or path.name, text, folder.name, None)
                documents.setdefault(digest_bytes(document["text"].encode()), document)
        except CorpusError as error:  # the column of a test has but one name
            raise CorpusError(str(error).replace("set corpus.column", "name the column of the tests text")) from error
    return pa.Table.from_pylist([{"id": key, **documents[key]} for key in sorted(documents)], schema=COLUMNS)


def _read_task(settings: Mapping[str, Any], number: int, begin: Begin) -> Iterator[Document]:
    """Problems with their answers, made by a program: true, and in the public domain."""
    family, advance = parse_task(settings), begin("problems", number)
    for count, text in enumerate(problems(family, number, _TASK_SEED), 1):
        yield {"title": f"problem {count}", "text": text, "source": f"herdbook.tasks.{settings['family']}", "licence": "CC0-1.0", "url": ""}
        advance(1)


def _refuse_own_output(source: Path) -> None:
    if source.resolve() in (CORPUS.resolve(), *CORPUS.resolve().parents) or CORPUS.resolve() in source.resolve().parents:
        raise CorpusError(f"{source}: overlaps {CORPUS}, which the corpus is written to; move your documents to a folder of their own")


def _document(where: Any, title: str, text: Any, source: str, licence: str | None) -> Document:
    if not isinstance(text, str):
        found = "null" if text is None else f"of type {type(text).__name__}"
        raise CorpusError(f"{where}: the text of {title!r} is {found}, must be a string; correct or remove it")
    try:
        text.encode(), title.encode()
    except UnicodeEncodeError as error:
        raise CorpusError(f"{where}: {title!r} holds half a surrogate pair (character {error.start}), not Unicode; correct it") from error
    return {"title": title, "text": text, "source": source, "licence": licence or "unknown", "url": ""}


def _read_text(path: Path, column: str) -> Iterator[tuple[str, Any]]:
    yield "", _decoded(path)


def _decoded(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: byte {error.start} is not UTF-8; convert the file to UTF-8") from error
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror}); allow it or remove it") from error


def _read_lines(path: Path, column: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(_decoded(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{path}: line {number} is not JSON ({error}); correct or remove it") from error
        if not isinstance(record, dict) or column not in record:
            found = ", ".join(record) if isinstance(record, dict) else type(record).__name__
            raise CorpusError(f"{path}: line {number} has no {column!r}; found {found}; set corpus.column")
        yield str(record.get("title") or f"{path.name}:{number}"), record[column]


def _read_parquet(path: Path, column: str) -> Iterator[tuple[str, Any]]:
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if column not in names:
                raise CorpusError(f"{path}: no column {column!r}; found {', '.join(names)}; set corpus.column")
            if repeated := [name for name in ("title", column) if names.count(name) > 1]:
                raise CorpusError(f"{path}: has {names.count(repeated[0])} columns {repeated[0]!r}, must have one; rename the others")
            table = file.read([name for name in ("title", column) if name in names])
        texts = table[column].to_pylist()
        titles = table["title"].to_pylist() if "title" in names else [None] * len(texts)
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(f"{path}: not a whole parquet file ({_first_line(error)}); replace it") from error
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: a text of column {column!r} is not UTF-8; convert it") from error
    for number, (title, text) in enumerate(zip(titles, texts, strict=True), 1):
        yield str(title or f"{path.name}:{number}"), text


def _read_huggingface(source: params.Corpus, begin: Begin) -> Iterator[Document]:
    found = _open_dataset(source)
    if source.column not in found.column_names:
        raise CorpusError(f"{source.path}: no column {source.column!r}; found {', '.join(found.column_names)}; set corpus.column")
    path = Path(source.path or "")
    name = path.resolve().name if path.is_dir() else f"https://huggingface.co/datasets/{source.path}"
    wanted = found.select_columns([column for column in dict.fromkeys(("title", source.column)) if column in found.column_names])
    advance = begin("rows", len(wanted))
    for number, record in enumerate(wanted):
        yield _document(source.path, str(record.get("title") or f"row {number}"), record[source.column], name, source.licence)
        advance(1)


def _open_dataset(source: params.Corpus) -> Any:
    """One split of a saved dataset, or of one that `datasets` knows how to load."""
    try:
        import datasets
    except ImportError as error:
        raise CorpusError("corpus.source huggingface needs the datasets package; pip install 'herdbook[huggingface]'") from error
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    path = source.path or ""
    is_saved = any(Path(path, name).is_file() for name in ("state.json", "dataset_dict.json"))
    if Path(path).is_dir():
        _refuse_own_output(Path(path))
    try:
        found = datasets.load_from_disk(path) if is_saved else datasets.load_dataset(path, source.config, split=source.split)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, datasets.exceptions.DatasetsError, pa.ArrowException) as error:
        raise CorpusError(f"{path}: no such dataset, or broken ({_first_line(error)}); correct corpus.path, config and split") from error
    if isinstance(found, datasets.DatasetDict):
        splits = found
    else:
        splits = {str(found.split) if is_saved and source.split else source.split: found}
    if source.split not in splits:
        raise CorpusError(f"{path}: corpus.split is {source.split!r}, must be one of {', '.join(map(str, splits))}; set it")
    return splits[source.split]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def write_corpus(table: pa.Table, directory: Path) -> None:
    """Write corpus.parquet, its attribution and a manifest as one directory.

    Raises CorpusError where `directory` holds a file of another name, which would be lost."""
    if strange := sorted(path.name for path in directory.iterdir() if path.name not in FILES) if directory.is_dir() else []:
        raise CorpusError(f"{directory}: holds {strange[0]!r}, allowed are {', '.join(FILES)}; move it elsewhere, or it would be lost")
    with written_aside(directory) as aside:
        write_table(aside / "corpus.parquet", table)
        (aside / "README.md").write_text(attribution(table), encoding="utf-8")
        write_json(aside / "manifest.json", {"num_documents": table.num_rows, "sha256": digest(aside / "corpus.parquet")})


def attribution(table: pa.Table) -> str:
    """Who wrote the corpus, under which licence, in Markdown; titles are escaped, and listed where they have a url."""
    rows = table.to_pylist()
    num_words = sum(len(row["text"].split()) for row in rows)
    lines = ["# Human corpus", "", f"{len(rows)} documents, {num_words} words.", ""]
    for source, licence in sorted({(row["source"], row["licence"]) for row in rows}):
        named = sorted({(row["title"], row["url"]) for row in rows if (row["source"], row["licence"]) == (source, licence)})
        lines += [f"## {_plain(source)}", "", f"Licence: {_plain(licence)}", ""]
        lines += [_WIKIPEDIA_NOTE, ""] if licence == WIKIPEDIA_LICENCE and any(url for _, url in named) else []
        lines += [f"- {_plain(title)} <{url}>" for title, url in named if url] + [""]
    return "\n".join(lines).rstrip("\n") + "\n"


_WIKIPEDIA_NOTE = """\
By the contributors to each article, listed in its history. The newest revision in the excerpt is of 1 May 2016, when
Wikipedia's text was under the Creative Commons Attribution-ShareAlike 3.0 Unported licence
<https://creativecommons.org/licenses/by-sa/3.0/>; version 4.0 governs edits made since June 2023. The package that carries
the excerpt does not restate the licence. Changed here: markup, notes, tables, lists, headings and short paragraphs are left
out, and all from the first of the closing sections on. What is made from this text is to be shared alike."""


def _plain(text: str) -> str:
    """One line in which Markdown and HTML mean nothing."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\`*_[]#|!" else c for c in text)


def read_corpus(directory: Path) -> pa.Table:
    """The corpus that `herdbook corpus` wrote; CorpusError where its bytes are not those of its manifest."""
    path = directory / "corpus.parquet"
    if missing := [name for name in FILES if not (directory / name).is_file()]:
        raise CorpusError(f"{directory / missing[0]}: not found; make the corpus with herdbook corpus, or dvc checkout data")
    recorded, found = read_json(directory / "manifest.json").get("sha256"), digest(path)
    if found != recorded:
        raise CorpusError(
            f"{path}: sha256 is {found}, but its manifest records {recorded}; "
            "put it back (git checkout data.dvc && dvc checkout data), or make another corpus with herdbook corpus"
        )
    return read_table(path, COLUMNS)


def dvc_digest(directory: Path) -> str:
    """The digest that DVC 3 records for a directory: md5 of its sorted list of (md5, path), and `.dir`."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    entries = [
        {"md5": hashlib.md5(f.read_bytes(), usedforsecurity=False).hexdigest(), "relpath": f.relative_to(directory).as_posix()}
        for f in files
    ]
    entries.sort(key=lambda entry: entry["relpath"])
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def recorded_digest(record: Path) -> str | None:
    """The digest in a .dvc file; None where the file does not exist."""
    if not record.exists():
        return None
    try:
        return str(yaml.safe_load(record.read_text(encoding="utf-8"))["outs"][0]["md5"])
    except (yaml.YAMLError, ValueError, KeyError, IndexError, TypeError) as error:
        raise FileError(f"{record}: not a .dvc file; put it back with git checkout {record}") from error


def check_version(directory: Path = CORPUS) -> None:
    """Raise CorpusError where `directory` is not the version that `directory`.dvc records."""
    recorded, found = recorded_digest(directory.with_suffix(".dvc")), dvc_digest(directory)
    if recorded is not None and found != recorded:
        raise CorpusError(
            f"{directory}: md5 is {found}, but {directory}.dvc records {recorded}; "
            f"to adopt the new corpus run dvc add {directory}, to put the old one back dvc checkout {directory}"
        )
