"""A Hugging Face Hub on loopback: what create_repo and upload_folder ask of one, every file taken as a regular one."""

import base64
import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.serving import serving


@dataclass
class Repository:
    """A repository: its kind (model or dataset), and its files by path."""

    kind: str
    is_private: bool
    files: dict[str, bytes] = field(default_factory=dict)


class HubServer(ThreadingHTTPServer):
    """Keeps repositories by name; `refusals` gives the status with which a path is refused."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.tokens: set[str | None] = set()
        self.refusals: dict[str, int] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each reply waits 40 ms for the acknowledgement of its headers
    server: HubServer

    def do_GET(self) -> None:
        _, _, kinds, *name = self.path.split("/")
        found = self.server.repositories.get("/".join(name))
        if found is None or kinds != f"{found.kind}s":
            self._send(404, {"error": "Not Found"})
        else:
            self._send(200, {"id": "/".join(name), "sha": "0" * 40, "private": found.is_private, "tags": [], "siblings": []})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tokens.add(self.headers.get("Authorization"))
        for path, status in self.server.refusals.items():
            if path in self.path:
                self._send(status, {"error": "no, hf_secret\x1b[2J"})
                return
        match self.path.split("/")[2:]:
            case ["repos", "create"]:
                self._create(json.loads(body))
            case ["validate-yaml"]:
                self._send(200, {"errors": [], "warnings": []})
            case [_, _, _, "preupload", "main"]:
                files = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in json.loads(body)["files"]]
                self._send(200, {"files": files})
            case [kinds, owner, name, "commit", "main"]:
                self._commit(kinds, f"{owner}/{name}", body)
            case _:
                self._send(404, {"error": "Not Found"})

    def _create(self, asked: dict[str, Any]) -> None:
        name, kind = f"{asked['organization']}/{asked['name']}", asked["type"]
        status = 409 if name in self.server.repositories else 200
        self.server.repositories.setdefault(name, Repository(kind, asked.get("visibility") == "private"))
        self._send(status, {"url": f"{self.server.url}/{'' if kind == 'model' else 'datasets/'}{name}"})

    def _commit(self, kinds: str, name: str, body: bytes) -> None:
        found = self.server.repositories[name]
        assert kinds == f"{found.kind}s"
        for line in body.splitlines():
            operation = json.loads(line)
            if operation["key"] == "file":
                found.files[operation["value"]["path"]] = base64.b64decode(operation["value"]["content"])
            else:
                assert operation["key"] == "header"
        self._send(200, {"commitUrl": f"{self.server.url}/{name}/commit/{'1' * 40}", "commitOid": "1" * 40})

    def _send(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests look at what was kept instead."""


def served() -> AbstractContextManager[HubServer]:
    """A hub that runs until the block ends."""
    return serving(HubServer())
