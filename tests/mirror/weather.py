"""Something between a client and a sandbox that changes some answers: an index or a balancer on a bad day."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from intercom_bulk.sandbox import Sandbox

__all__ = ["weather"]

if TYPE_CHECKING:
    Weather = Callable[[str, dict[str, Any], dict[str, Any]], dict[str, Any] | int]
    """Given the path, what was asked and what was answered: what to answer instead; a status alone is an HTML page."""


@contextmanager
def weather(sandbox: Sandbox, spoil: Weather) -> Iterator[str]:
    """The address to use in place of the sandbox's."""

    class Between(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self._pass_on()

        def do_GET(self) -> None:
            self._pass_on()

        def _pass_on(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            names = ("Authorization", "Content-Type", "Intercom-Version")
            headers = {name: self.headers[name] for name in names if self.headers.get(name)}
            with requests.Session() as session:
                session.trust_env = False
                answer = session.request(
                    self.command, sandbox.url + self.path, data=data or None, headers=headers, timeout=30
                )
            kept = {name: value for name, value in answer.headers.items() if name.lower().startswith("x-r")}
            status, content = answer.status_code, answer.content
            if status == 200:
                spoiled = spoil(self.path, json.loads(data) if data else {}, answer.json())
                if isinstance(spoiled, int):
                    status, content = spoiled, b"<html>Gateway</html>"
                else:
                    content = json.dumps(spoiled).encode()
            self._answer(status, content, {"Content-Type": "application/json", **kept})

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Between)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
