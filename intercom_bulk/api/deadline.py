"""Connections that know how old they are and when their exchange must be over.

A timeout in `requests` is per read: a server that sends one byte a second holds a thread for ever. Here one exchange
(connect, send, head and body of the answer) has one absolute end, checked before every system call on the socket.

Failures that are surely before the request was written have types of their own, because urllib3 forgets the
difference: it reports a reset while reading through a proxy as `ProxyError`, and broken TLS after the request as the
same `SSLError` as a failed handshake.
"""

from __future__ import annotations

import http.client
import io
import socket
import weakref
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, ProxyError
from urllib3.exceptions import SSLError as TLSError
from urllib3.util.ssl_match_hostname import CertificateError

from intercom_bulk.clock import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HandshakeError", "HeadCutError", "Limits", "PlainPool", "TLSPool", "TunnelError", "exchange"]

_now = SYSTEM.monotonic


class HandshakeError(TLSError):
    """TLS could not be set up, so the request was not written. The cause is the error of `ssl` or of the socket."""


class TunnelError(ProxyError):
    """The proxy did not open the tunnel, so the request was not written."""


class HeadCutError(http.client.HTTPException):
    """The connection ended inside the head of the answer. `http.client` would report the head as it is so far."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. `total` is for an exchange that states no end of its own; `pool_wait` for a free connection."""

    total: float
    max_idle: float
    pool_wait: float
    links: weakref.WeakSet[_Link] = field(default_factory=weakref.WeakSet, compare=False, repr=False)

    def cut(self) -> None:
        """End every exchange under way at once: for somebody who does not want to wait for its answer."""
        for link in list(self.links):
            link.cut()


@dataclass(frozen=True, slots=True)
class _Wish:
    until: float
    max_idle: float


_NO_WISH = _Wish(inf, inf)
_wish: ContextVar[_Wish] = ContextVar("intercom_bulk_exchange", default=_NO_WISH)


@contextmanager
def exchange(*, until: float = inf, max_idle: float = inf) -> Iterator[None]:
    """Requests of this thread, sent inside the block, end by `until` and use no connection idle for `max_idle` seconds.

    `until` is a value of `clock.SYSTEM.monotonic()`. The answer's body keeps the end of its request, wherever it is
    read. Neither value can widen the session's own limits.
    """
    token = _wish.set(_Wish(until, max_idle))
    try:
        yield
    finally:
        _wish.reset(token)


class _Link:
    """A connected socket, plain or TLS, on which every send and receive ends by `until`."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self.sock = sock
        self.until = until
        self.used = _now()
        self.ended = False  # the other side has closed
        self._step = sock.gettimeout()
        self._reader: io.BufferedReader | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)

    def settimeout(self, seconds: float | None) -> None:
        self._step = seconds

    def cut(self) -> None:
        """Whoever reads or writes here gets an error now. Any thread may call it."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def arm(self) -> None:
        left = self.until - _now()
        if left <= 0:
            msg = "the exchange took too long as a whole"
            raise TimeoutError(msg)
        self.sock.settimeout(left if self._step is None or left < self._step else self._step)

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:  # not sock.sendall: on TLS that restarts the timeout with every record
            self.arm()
            view = view[self.sock.send(view) :]
        self.used = _now()

    def makefile(self, mode: str = "rb", buffering: int = io.DEFAULT_BUFFER_SIZE) -> io.BufferedReader:
        if mode != "rb":
            raise ValueError(mode)
        self._reader = io.BufferedReader(_Reader(self), buffering)
        return self._reader

    def abandon(self) -> None:
        """Close for good, even if an answer still holds the reading side."""
        if self._reader is not None:
            self._reader.close()
        self.sock.close()


class _Reader(io.RawIOBase):
    """The receiving side of a link. Holds a real `SocketIO`, which keeps the descriptor open until the body is read."""

    def __init__(self, link: _Link) -> None:
        self._link = link
        self._raw = link.sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        link = self._link
        link.arm()
        count = self._raw.readinto(buffer)
        link.used = _now()
        if count == 0:
            link.ended = True
        return count

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._raw.close()


class _Answer(http.client.HTTPResponse):
    """Refuses a head that was ended by the connection's end instead of by its blank line."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._link: _Link = sock

    def begin(self) -> None:
        super().begin()
        # A reader that has found the blank line reads no further, so an end that was seen by now is inside the head.
        if self._link.ended:
            msg = "the connection ended inside the head of the answer"
            raise HeadCutError(msg)


class _Connection(HTTPConnection):
    response_class = _Answer
    sock: Any

    def __init__(self, host: str, port: int | None = None, *, limits: Limits, **options: Any) -> None:
        super().__init__(host, port, **options)
        self._limits = limits
        self._held: list[bytes] | None = None

    def _until(self) -> float:
        return min(_wish.get().until, _now() + self._limits.total)

    @property
    def is_connected(self) -> bool:
        if self.sock is None:
            return False
        if _now() - self.sock.used > min(self._limits.max_idle, _wish.get().max_idle):
            return False
        return super().is_connected

    def connect(self) -> None:
        until = self._until()
        left = until - _now()
        if left <= 0:
            raise ConnectTimeoutError(self, "no time was left to connect")
        if self.timeout is None or left < self.timeout:
            self.timeout = left
        try:
            super().connect()
        except TimeoutError as error:  # of the handshake: urllib3 has a type of its own for the other timeouts here
            raise ConnectTimeoutError(self, "the TLS handshake timed out") from error
        except (OSError, CertificateError) as error:
            raise HandshakeError(error) from error
        self.sock = _Link(self.sock, until)
        self._limits.links.add(self.sock)

    def _tunnel(self) -> None:
        sock = self.sock
        self.sock = _Link(sock, self._until())
        try:
            super()._tunnel()
        except (OSError, http.client.HTTPException, ValueError) as error:
            msg = "the proxy did not open the tunnel"
            raise TunnelError(msg, error) from error
        self.sock = sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Writes head and body at once: one system call and one TLS record less, and nothing if the head is invalid."""
        if self.sock is not None:
            self.sock.until = self._until()
            if self.sock.until <= _now():
                raise ConnectTimeoutError(self, "no time was left to send")
        held: list[bytes] = []
        self._held = held
        try:
            super().request(*args, **kwargs)
        finally:
            self._held = None
        self.send(b"".join(held))

    def send(self, data: Any) -> None:
        if self._held is None:
            super().send(data)
        else:
            self._held.append(data)

    def getresponse(self) -> Any:
        link = self.sock
        try:
            return super().getresponse()
        except BaseException:
            link.abandon()  # urllib3 forgets an open answer whose head it refuses (two lengths)
            raise


class _TLSConnection(_Connection, HTTPSConnection):
    pass


class _Bounded(HTTPConnectionPool):
    """Waits for a free connection only so long: one answer that nobody closed must not hang a worker for ever."""

    def _get_conn(self, timeout: float | None = None) -> Any:
        limits: Limits = self.conn_kw["limits"]
        wait = max(0.0, min(limits.pool_wait, _wish.get().until - _now()))
        return super()._get_conn(timeout=wait if timeout is None else timeout)


class PlainPool(_Bounded):
    ConnectionCls = _Connection


class TLSPool(_Bounded, HTTPSConnectionPool):
    ConnectionCls = _TLSConnection
