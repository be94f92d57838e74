"""A reverse proxy on loopback that passes everything on and keeps what it saw."""

from __future__ import annotations

import http.client
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from intercom_bulk.sandbox import Sandbox

__all__ = ["Exchange", "Recorder"]

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and its answer, as they were on the wire. Names of headers are in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    status: int = 200
    answer_type: str = "application/json"
    answer: bytes = b""


class Recorder:
    """Stands before a sandbox while in use as a context; `exchanges` is everything that went through."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._proxy = _Proxy(urlsplit(sandbox.url).netloc)
        self._thread = threading.Thread(target=self._proxy.serve_forever, args=(0.01,), name="recorder")

    @property
    def url(self) -> str:
        host, port = self._proxy.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def exchanges(self) -> list[Exchange]:
        return list(self._proxy.exchanges)

    def connection(self) -> dict[str, Any]:
        """What an updater needs to talk through here."""
        return {"access_token": self.sandbox.token, "admin_id": self.sandbox.admin_id, "base_url": self.url}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._proxy.shutdown()
        self._thread.join()
        self._proxy.hang_up()
        self._proxy.server_close()  # waits for the threads of all connections


class _Proxy(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.upstream = upstream
        self.exchanges: list[Exchange] = []
        self.open: list[socket.socket] = []

    def hang_up(self) -> None:
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # gone already


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Proxy

    def setup(self) -> None:
        super().setup()
        self.server.open.append(self.connection)
        self._upstream = http.client.HTTPConnection(self.server.upstream, timeout=30)

    def finish(self) -> None:
        self._upstream.close()
        super().finish()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        sent = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        self._upstream.request(self.command, self.path, body or None, sent)
        answer = self._upstream.getresponse()
        data = answer.read()
        where = urlsplit(self.path)
        self.server.exchanges.append(
            Exchange(
                method=self.command,
                path=where.path,
                query=where.query,
                headers={name.lower(): value for name, value in sent.items()},
                body=body,
                status=answer.status,
                answer_type=answer.headers.get("Content-Type", ""),
                answer=data,
            )
        )
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = _pass_on

    def log_message(self, *_: object) -> None:
        """Quiet."""
