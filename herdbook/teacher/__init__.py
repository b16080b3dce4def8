"""A teacher: a model that is asked for text, and the record of what it answered.

Answers of a model elsewhere cannot be computed anew, so every one is recorded and a request on record is never
asked again: a second run needs no endpoint and gives the same bytes. What a teacher says is text and nothing else."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from herdbook.errors import TeacherError
from herdbook.files import digest_bytes
from herdbook.progress import steps
from herdbook.teacher.endpoint import Endpoint, Wait
from herdbook.teacher.folder import ask_folder, folder_digest
from herdbook.teacher.question import Answer, Request, Response, Usage, answer_of
from herdbook.teacher.record import read_record, write_record
from herdbook.teacher.settings import TeacherSettings, parse_teacher

__all__ = ["Answer", "Request", "Response", "Teacher", "TeacherError", "TeacherSettings", "Usage", "parse_teacher"]

_SAVED_EVERY = 64  # answers: so many at most are lost when the process is killed


class Teacher:
    """Who the settings name, with the record at a path.

    `wait` passes the time between two tries of a request, in seconds."""

    def __init__(self, settings: TeacherSettings, record: Path, wait: Wait = asyncio.sleep):
        self.settings, self.record = settings, record
        self.model = settings.model or folder_digest(Path(settings.path or ""))
        self._wait = wait
        self._known = read_record(record)
        self._used: set[str] = set()

    @property
    def name(self) -> str:
        """What hands call it."""
        return f"teacher/{self.model}"

    @property
    def digest(self) -> str:
        """What rows call it, where a model has the digest of its weights: sha256 of its name, in hex."""
        return digest_bytes(self.name.encode())

    def request(self, system: str, user: str, sample: int = 0) -> Request:
        """A request to this teacher; `sample` 0, 1, ... asks the same more than once."""
        settings = self.settings
        return Request(
            system=system, user=user, model=self.model, max_tokens=settings.max_tokens, temperature=settings.temperature, sample=sample
        )

    def ask(self, requests: Sequence[Request]) -> list[Response]:
        """The response to each request: from the record, else from the teacher, which hears equal requests once.

        New answers are on disk when this returns, and when it fails. Raises TeacherError where an answer
        that is not on record cannot be had, and FileError where the record cannot be written."""
        wanted = {request.digest: request for request in requests}
        if missing := [request for name, request in wanted.items() if name not in self._known]:
            self._fetch(missing, len(wanted))
        self._used.update(wanted)
        return [self._known[request.digest].response for request in requests]

    def save(self, path: Path | None = None) -> None:
        """Write the record, to `path` if not where it was read: the answers that this run used, in their one order.

        Others are dropped, or the bytes would depend on what was asked in the past."""
        write_record(path or self.record, (self._known[name] for name in self._used))

    def _fetch(self, missing: Sequence[Request], num_wanted: int) -> None:
        num_before = len(self._known)
        with steps("teacher answers", len(missing)) as advance:

            def answered(request: Request, response: Response) -> None:
                self._known[request.digest] = answer_of(request, response)
                advance()
                if (len(self._known) - num_before) % _SAVED_EVERY == 0:
                    write_record(self.record, self._known.values())

            try:
                self._put(missing, answered)
            except TeacherError as error:
                num_missing = len(missing) - (len(self._known) - num_before)
                raise TeacherError(f"{self.record}: {num_missing} of {num_wanted} answers are missing: {error}") from error
            finally:  # what was answered before a failure was paid for; until save() older answers stay beside it
                if len(self._known) > num_before:
                    write_record(self.record, self._known.values())

    def _put(self, missing: Sequence[Request], answered: Callable[[Request, Response], object]) -> None:
        if self.settings.path is None:
            Endpoint(self.settings, self._wait).ask(missing, answered)
        else:
            ask_folder(Path(self.settings.path), missing, answered)
