"""An OpenAI-compatible endpoint on loopback that answers as a test wants it to."""

import json
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from herdbook.teacher import TeacherSettings
from tests.serving import serving

MODEL = "tiny-teacher"
ENDPOINT = {"model": MODEL, "max_tokens": 8, "temperature": 0.0, "max_concurrent": 4, "timeout_seconds": 30.0, "max_tries": 3}


def settings_of(url: str, **changes: Any) -> TeacherSettings:
    """The settings of an endpoint, but for these."""
    return TeacherSettings.model_validate({**ENDPOINT, "url": url, **changes})


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    number: int  # 0, 1, ... in the order in which they came
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def user(self) -> str:
        return self.body["messages"][-1]["content"]


@dataclass(frozen=True)
class Reply:
    """What goes back; `stream`, where given, follows the body and has no stated length."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    stream: Iterable[bytes] | None = None


def completion(content: Any = "an answer", **changes: Any) -> Reply:
    """A chat completion with this content, and with other fields changed."""
    document = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        **changes,
    }
    return Reply(json.dumps(document).encode(), headers={"Content-Type": "application/json"})


class TeacherServer(ThreadingHTTPServer):
    """Replies as `reply` says, and keeps what it was asked and how many requests it had at once at most."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, reply: Callable[[Asked], Reply]):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply, self.lock = reply, threading.Lock()
        self.asked: list[Asked] = []
        self.num_now = self.most_at_once = 0
        self.num_bytes_sent = 0  # of streams

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may leave whenever it likes."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each reply waits 40 ms for the acknowledgement of its headers
    server: TeacherServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            asked = Asked(len(server.asked), self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            server.asked.append(asked)
            server.num_now += 1
            server.most_at_once = max(server.most_at_once, server.num_now)
        try:
            reply = server.reply(asked)
        finally:
            with server.lock:
                server.num_now -= 1
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        headers = dict(reply.headers)
        if reply.stream is None:
            headers.setdefault("Content-Length", str(len(reply.body)))
        else:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)
        for piece in reply.stream or ():
            self.wfile.write(piece)
            self.server.num_bytes_sent += len(piece)
        if int(headers.get("Content-Length", len(reply.body))) != len(reply.body):
            self.close_connection = True  # it promised more

    def log_message(self, format: str, *args: Any) -> None:
        """Tests look at what was asked instead."""


def served(reply: Callable[[Asked], Reply]) -> AbstractContextManager[TeacherServer]:
    """A server that runs until the block ends."""
    return serving(TeacherServer(reply))
