"""A server made of bare sockets that misbehaves exactly as it is told, and counts what reaches it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from intercom_bulk.api.transport import open_session

if TYPE_CHECKING:
    from pathlib import Path

    import requests

Behaviour = Callable[[Any], object]  # takes the connected socket; a true value keeps the connection

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def answer(sock: Any, data: bytes = OK) -> bool:
    sock.sendall(data)
    return True


def read_request(sock: Any) -> bytes | None:
    data = b""
    while b"\r\n\r\n" not in data:
        part = sock.recv(65536)
        if not part:
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        part = sock.recv(65536)
        if not part:
            return None
        body += part
        data += part
    return data


class RawServer:
    """Reads whole requests, keeps their bytes in `requests`, then lets `behave` do the rest."""

    def __init__(self, behave: Behaviour = answer, *, tls: ssl.SSLContext | None = None) -> None:
        self.behave = behave
        self.read: Callable[[Any], bytes | None] = read_request
        self.requests: list[bytes] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._tls = tls
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if self.stopping.is_set():
                sock.close()
                return
            self.connections += 1
            self._open.append(sock)
            self._start(self._talk, sock)

    def _talk(self, raw: socket.socket) -> None:
        sock: Any = raw
        with contextlib.suppress(OSError, ValueError):
            if self._tls:
                sock = self._tls.wrap_socket(raw, server_side=True)
                self._open.append(sock)
            while (request := self.read(sock)) is not None:
                self.requests.append(request)
                if not self.behave(sock):
                    break
        with contextlib.suppress(OSError):
            sock.close()

    def close(self) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()
        for sock in self._open:
            sock.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    servers: list[RawServer] = []

    def start(behave: Behaviour = answer, *, tls: ssl.SSLContext | None = None) -> RawServer:
        servers.append(RawServer(behave, tls=tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def session_for() -> Iterator[Callable[..., requests.Session]]:
    sessions: list[requests.Session] = []

    def start(server: RawServer | str, **options: Any) -> requests.Session:
        url = server if isinstance(server, str) else server.url
        sessions.append(open_session(**{"base_url": url, "pool_size": 2, **options}))
        return sessions[-1]

    yield start
    for session in sessions:
        session.close()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "bundle.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context
