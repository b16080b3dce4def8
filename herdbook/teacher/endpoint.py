"""An OpenAI-compatible endpoint over HTTP: vLLM, llama.cpp, `transformers serve`, hosted ones.

Connection errors, time-outs, 429 and 5xx may pass, and are tried again; any other fault would be the same
again. An endpoint is not trusted: it may send anything, at any length, at any pace."""

import asyncio
import json
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from herdbook.errors import TeacherError
from herdbook.numeric import seed_of
from herdbook.teacher.question import Natural, Request, Response, Usage
from herdbook.teacher.settings import TeacherSettings

Wait = Callable[[float], Awaitable[object]]
Answered = Callable[[Request, Response], object]

MOST_BYTES = 4 << 20  # of a reply: a hundred times a long answer in JSON
LONGEST_WAIT_SECONDS = 60.0  # between two tries, whatever the endpoint asks
_SHORTEST_SECRET = 8  # characters; what is shorter is a stand-in such as "none", and comes up by chance
_KEY = re.compile(r"[!-~]+")  # what a header can carry: httpx would quote any other key in its error


class Endpoint:
    """The endpoint that the settings name."""

    def __init__(self, settings: TeacherSettings, wait: Wait):
        assert settings.url is not None
        self._settings, self._url, self._wait = settings, settings.url.rstrip("/"), wait
        self._key = _key(settings.api_key_variable)

    def ask(self, requests: Sequence[Request], answered: Answered) -> None:
        """Tell `answered` the response to each request, in the order in which they come.

        Raises TeacherError for the first request that has none, and gives up the others."""
        try:
            asyncio.run(self._ask(requests, answered))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _ask(self, requests: Sequence[Request], answered: Answered) -> None:
        pending = iter(requests)

        async def work() -> None:
            for request in pending:
                answered(request, await self._answer(client, request))

        # _try limits the time of all of a reply; httpx's own limits start anew with every byte.
        async with (
            httpx.AsyncClient(headers=_headers(self._key), timeout=None, trust_env=False, follow_redirects=False) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(min(self._settings.max_concurrent, len(requests))):
                group.create_task(work())

    async def _answer(self, client: httpx.AsyncClient, request: Request) -> Response:
        """The response to one request, tried until it comes."""
        waits = _waits(self._settings.max_tries)
        while True:
            try:
                return await self._try(client, request)
            except _PassingFault as fault:
                wait = next(waits, None)
                if wait is None:
                    told = f"{self._url} gave none ({fault}; tried {self._settings.max_tries} times)"
                    raise TeacherError(f"{told}; start the endpoint or correct teacher.url, then run again") from None
                await self._wait(min(max(wait, fault.least_wait_seconds), LONGEST_WAIT_SECONDS))

    async def _try(self, client: httpx.AsyncClient, request: Request) -> Response:
        limit = self._settings.timeout_seconds
        try:
            async with asyncio.timeout(limit), client.stream("POST", f"{self._url}/chat/completions", json=_payload(request)) as reply:
                body = await self._body(reply)
        except TimeoutError:
            raise _PassingFault(f"no whole reply within {limit:g} s") from None
        except httpx.TransportError as error:  # which may quote the endpoint
            raise _PassingFault(self._hidden(str(error) or type(error).__name__)) from None
        if reply.status_code == httpx.codes.OK:
            return self._response(body)
        told = f"status {reply.status_code}" + (": a redirect, which is not followed" if reply.is_redirect else self._told(body))
        if reply.status_code == httpx.codes.TOO_MANY_REQUESTS or reply.is_server_error:
            raise _PassingFault(told, _asked_wait(reply.headers))
        raise TeacherError(f"{self._url} refuses ({told}); correct teacher in params.yaml, or the endpoint, then run again")

    async def _body(self, reply: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in reply.aiter_raw():
            body += chunk
            if len(body) > MOST_BYTES:
                raise TeacherError(f"{self._url} replies with more than {MOST_BYTES} bytes; lower teacher.max_tokens, or mend the endpoint")
        return bytes(body)

    def _response(self, body: bytes) -> Response:
        try:
            found = _Completion.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the reply"
            raise self._useless(f"{where}: {self._hidden(first['msg'])}") from None
        if not found.choices:
            raise self._useless("choices: none")
        choice = found.choices[0]
        text, reason = choice.message.content, choice.finish_reason
        if text is None and (choice.message.refusal is not None or reason == "content_filter"):
            text, reason = "", "content_filter"
        if text is None:
            raise self._useless("choices.0.message.content: null" + (", cut off by teacher.max_tokens" if reason == "length" else ""))
        if any(said and self._hidden(said, None) != said for said in (text, reason, found.model)):
            raise self._useless("it repeats the key that it was sent")
        counts = found.usage
        usage = None if counts is None else Usage(prompt_tokens=counts.prompt_tokens, completion_tokens=counts.completion_tokens)
        return Response(text=text, model=found.model, usage=usage, finish_reason=reason)

    def _useless(self, what: str) -> TeacherError:
        return TeacherError(f"{self._url} replies with no chat completion ({what}); correct teacher.url, or the endpoint, then run again")

    def _told(self, body: bytes) -> str:
        """What a refusal says of itself, in the forms that endpoints have."""
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            return ""
        while isinstance(found, dict):
            found = next((found[name] for name in ("error", "message", "detail") if name in found), None)
        return f": {self._hidden(found)}" if isinstance(found, str) else ""

    def _hidden(self, text: str, most: int | None = 200) -> str:
        """The beginning of a text of the endpoint's, without the key."""
        key = self._key.get_secret_value()
        return (text.replace(key, "[key]") if len(key) >= _SHORTEST_SECRET else text)[:most]


class _PassingFault(Exception):
    def __init__(self, reason: str, least_wait_seconds: float = 0.0):
        super().__init__(reason)
        self.least_wait_seconds = least_wait_seconds


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Message(_Part):
    content: str | None
    refusal: str | None = None


class _Choice(_Part):
    message: _Message
    finish_reason: str | None = None


class _Counts(_Part):
    prompt_tokens: Natural | None = None
    completion_tokens: Natural | None = None


class _Completion(_Part):
    """What is read of a reply (platform.openai.com/docs/api-reference/chat/object)."""

    choices: list[_Choice]
    model: str | None = None
    usage: _Counts | None = None


def _headers(key: SecretStr) -> dict[str, str]:
    identity = {"Accept-Encoding": "identity"}  # a packed reply could be small on the wire and huge in memory
    return {**identity, "Authorization": f"Bearer {key.get_secret_value()}"} if key else identity


def _payload(request: Request) -> dict[str, Any]:
    system = [{"role": "system", "content": request.system}] if request.system else []
    return {
        "model": request.model,
        "messages": [*system, {"role": "user", "content": request.user}],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": seed_of(request.digest) % 2**31,  # so that `sample` matters where an endpoint is seeded
        "stream": False,
    }


def _waits(max_tries: int) -> Iterator[float]:
    """Seconds between tries: 1, 2, 4, ..."""
    return (min(2.0 ** min(number, 30), LONGEST_WAIT_SECONDS) for number in range(max_tries - 1))


def _asked_wait(headers: httpx.Headers) -> float:
    """The seconds of Retry-After (RFC 9110, section 10.2.3); a date counts from the reply's own, so no clock is read."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        return (parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _key(variable: str | None) -> SecretStr:
    """The key that an environment variable holds, empty where none is named."""
    if variable is None:
        return SecretStr("")
    key = SecretStr(os.environ.get(variable, ""))
    if not _KEY.fullmatch(key.get_secret_value()):
        state = "holds blanks or characters that no key has" if key else "is not set"
        raise TeacherError(f"the environment variable {variable} (teacher.api_key_variable) {state}; set it to the endpoint's key")
    return key
