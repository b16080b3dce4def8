"""Prefect's API, and its UI where that is wanted, as a child that ends when its parent does.

`python -m flows.api FD`: FD is a bound socket. stdin is a pipe that the parent holds: at its end, however the
parent came to it, the server shuts down. Prefect's own embedded server outlives a killed parent, and its UI
calls an analytics host unless the page forbids it."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn
from prefect.server.api.server import create_app

from flows.server import REPORT_PATH
from herdbook.layout import REPORT

_SHUTDOWN_SECONDS = 5
_POLICY = "; ".join([  # pages may load nothing from elsewhere
    "default-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' blob:", "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:", "font-src 'self' data:", "worker-src 'self' blob:", "connect-src 'self' ws://127.0.0.1:*",
    "frame-ancestors 'none'",
])  # fmt: skip

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Callable[[], Awaitable[Message]], Send], Awaitable[None]]


def confined(app: App, report: Path) -> App:
    """`app` with pages that may load nothing from elsewhere, and with the report beside it."""
    headers = [(b"content-security-policy", _POLICY.encode()), (b"referrer-policy", b"no-referrer")]

    async def answer(scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        async def send_confined(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *headers]}
            await send(message)

        if scope["type"] in ("http", "websocket") and not _is_ours(scope):
            refusal = {"type": "http.response.start", "status": 403, "headers": []}
            await send({"type": "websocket.close", "code": 1008} if scope["type"] == "websocket" else refusal)
            if scope["type"] == "http":
                await send({"type": "http.response.body", "body": b"ask for 127.0.0.1"})
        elif scope["type"] == "http" and scope["path"] == REPORT_PATH:
            await _send_report(report, send_confined)
        else:
            await app(scope, receive, send_confined)

    return answer


def _is_ours(scope: Message) -> bool:
    """Whether a request names this machine as its host; a page from elsewhere whose name was pointed here does not."""
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    return host.partition(":")[0] in ("127.0.0.1", "localhost")


async def _send_report(report: Path, send: Send) -> None:
    found = report.is_file()
    body = report.read_bytes() if found else b"There is no report yet: make run writes it."
    kind = b"text/html; charset=utf-8" if found else b"text/plain; charset=utf-8"
    await send({"type": "http.response.start", "status": 200 if found else 404, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": body})


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Timer(_SHUTDOWN_SECONDS, lambda: os._exit(1)).start()


def main() -> None:
    """Serve on the socket that the parent bound."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    listener = socket.socket(fileno=int(sys.argv[1]))
    config = uvicorn.Config(
        lambda: confined(create_app(), REPORT), factory=True, log_level="error", lifespan="on", timeout_graceful_shutdown=2
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
