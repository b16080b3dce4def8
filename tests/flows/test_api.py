import asyncio
import importlib

import pytest


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """A function that sends one request through the confined application; its status, headers and body."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    api = importlib.import_module("flows.api")

    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"Prefect"})

    def request(path: str, host: str, kind: str = "http") -> list[dict]:
        sent: list[dict] = []

        async def send(message) -> None:
            sent.append(message)

        scope = {"type": kind, "path": path, "headers": [(b"host", host.encode())]}
        asyncio.run(api.confined(app, tmp_path / "index.html")(scope, None, send))
        return sent

    return request


def test_pages_may_load_nothing_from_elsewhere(ask):
    start, body = ask("/", "127.0.0.1:4200")
    assert body["body"] == b"Prefect"
    policy = dict(start["headers"])[b"content-security-policy"].decode()
    assert "default-src 'self'" in policy
    assert "http" not in policy


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4200", "127.0.0.1.evil.example", ""])
def test_a_request_under_another_name_is_refused(ask, host):
    assert ask("/", host)[0]["status"] == 403
    assert ask("/", host, "websocket") == [{"type": "websocket.close", "code": 1008}]


def test_the_report_is_served_beside_the_ui_and_its_absence_told(ask, tmp_path):
    assert ask("/herdbook/report", "localhost")[0]["status"] == 404
    (tmp_path / "index.html").write_text("<h1>Herd</h1>")
    start, body = ask("/herdbook/report", "localhost")
    assert (start["status"], body["body"]) == (200, b"<h1>Herd</h1>")
