"""The record of a teacher: every answer that was used, so that a second run asks nobody.

A file of JSON lines in order of the request's digest, each in the one form that its content has."""

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from herdbook.errors import FileError
from herdbook.files import write_text
from herdbook.teacher.question import Answer


def read_record(path: Path) -> dict[str, Answer]:
    """The answers by their request's digest; none where there is no file.

    Raises FileError for a line that is no answer in its one form, whose digests are not those of what it
    says, or that does not follow the line before it: twice the same request is refused by that too."""
    try:
        lines = path.read_bytes().decode().split("\n")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise FileError(f"{path}: cannot be read ({reason}); restore it, or remove it and ask again") from error
    if lines.pop():
        raise _broken(path, len(lines) + 1, "does not end with a line break")
    found: dict[str, Answer] = {}
    last = ""
    for number, line in enumerate(lines, start=1):
        answer = _answer(path, number, line)
        if answer.request_digest <= last:
            raise _broken(
                path,
                number,
                f"request {answer.request_digest[:12]} " + ("stands twice" if answer.request_digest in found else "is out of order"),
            )
        last = answer.request_digest
        found[last] = answer
    return found


def write_record(path: Path, answers: Iterable[Answer]) -> None:
    """Write answers, whole or not at all; the bytes depend on the answers alone."""
    ordered = sorted(answers, key=lambda answer: answer.request_digest)
    write_text(path, "".join(f"{_line(answer)}\n" for answer in ordered))


def _line(answer: Answer) -> str:
    return json.dumps(answer.model_dump(), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _answer(path: Path, number: int, line: str) -> Answer:
    try:
        answer = Answer.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise _broken(path, number, f"no answer ({where + ': ' if where else ''}{first['msg']})") from error
    for value, name in ((answer.request, answer.request_digest), (answer.response, answer.response_digest)):
        if value.digest != name:
            raise _broken(path, number, f"its {type(value).__name__.lower()} has digest {value.digest[:12]}, not {name[:12]}")
    if _line(answer) != line:
        raise _broken(path, number, "not written as records are (order of keys, blanks, numbers)")
    return answer


def _broken(path: Path, number: int, what: str) -> FileError:
    return FileError(f"{path}: line {number}: {what}; restore the file, or remove it and ask again")
