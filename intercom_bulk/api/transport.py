"""Sockets, TLS and the one `requests.Session`; nothing about Intercom and nothing about rates.

What the session promises, whatever the caller passes:

- one request is written at most once (no retries here, `Retry(0)`);
- nothing is read from the environment: no netrc, no proxy, no CA bundle; no cookie is stored or sent;
- only URLs of `base_url`'s origin have an adapter, so credentials cannot leave for another host;
- the CA bundle is read once (45 ms each time), TLS is 1.2 or newer, and `verify=` cannot be turned off;
- an exchange ends within its deadline (`exchange`), however slowly the server sends.

Not covered, because the system's resolver and urllib3 offer no handle: a name look-up is not bounded, and each address
of a host has its own `connect_timeout`. A body without length and without chunks ends when the connection does, so a
cut one looks whole: the caller must parse it.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from functools import lru_cache, partial
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import exceptions as u3
from urllib3.util.retry import Retry

from intercom_bulk.api.deadline import HandshakeError, HeadCutError, Limits, PlainPool, TLSPool, TunnelError, exchange
from intercom_bulk.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from urllib3 import HTTPConnectionPool, PoolManager

__all__ = ["BodyTooLarge", "classify", "exchange", "open_session", "read_body", "tls_context"]

_STEP = 65_536
_KEEP_ALIVE: list[tuple[int, int, int]] = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
]


class BodyTooLarge(requests.RequestException):
    """The answer's body, decompressed, is larger than the caller allowed. The connection is closed."""


def open_session(
    *,
    base_url: str,
    pool_size: int,
    connect_timeout: float = 5.0,
    total_timeout: float = 60.0,
    max_idle: float = 4.0,
    ca_bundle: str | None = None,
    proxies: Mapping[str, str] | None = None,
) -> _Session:
    """A session for all threads of a run, for URLs of `base_url`'s origin only.

    `connect_timeout` and `total_timeout` (send and receive) are seconds; `timeout=` of a request can only shorten a
    single wait. `ca_bundle` is a file or a directory, None the one of certifi, as in `requests`. `proxies` is
    `{"https": url}`; who honours NO_PROXY does so before. Raises `SettingsError` for a bundle that cannot be read.
    """
    limits = Limits(total=total_timeout, max_idle=max_idle, pool_wait=connect_timeout)
    parts = urlsplit(base_url)
    origin = f"{parts.scheme}://{parts.netloc}/".lower()
    context = tls_context(ca_bundle)
    session = _Session(connect_timeout, total_timeout)
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.proxies.update(proxies or {})
    session.adapters.clear()
    session.mount(origin, _Adapter(origin=origin, pool_size=pool_size, limits=limits, context=context))
    return session


def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """TLS 1.2 or newer, certificate and host name checked, trusting `ca_bundle` alone (None: certifi)."""
    bundle = Path(ca_bundle or requests.utils.DEFAULT_CA_BUNDLE_PATH)
    try:
        return _trusting(bundle, bundle.stat().st_mtime_ns)
    except OSError as error:
        msg = f"The CA bundle {bundle} cannot be used: {error.strerror or error}."
        raise SettingsError(msg) from error


@lru_cache(maxsize=8)
def _trusting(bundle: Path, changed_at: int) -> ssl.SSLContext:
    """Made once: to read certifi's takes 20 ms, and a program may have many updaters."""
    del changed_at
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # not create_default_context: it reads SSLKEYLOGFILE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if bundle.is_dir():
        context.load_verify_locations(capath=bundle)
    else:
        context.load_verify_locations(cafile=bundle)
    return context


class _Session(requests.Session):
    """Has a timeout for every request, and raises nothing of urllib3's own from sending."""

    def __init__(self, connect_timeout: float, read_timeout: float) -> None:
        super().__init__()
        self._timeout = (connect_timeout, read_timeout)

    def cut(self) -> None:
        """End every exchange under way at once."""
        for adapter in self.adapters.values():
            if isinstance(adapter, _Adapter):
                adapter.limits.cut()

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._timeout
        try:
            return super().send(request, **kwargs)
        except u3.HTTPError as error:  # EmptyPoolError, which requests lets through
            raise requests.ConnectionError(error, request=request) from error


class _Adapter(HTTPAdapter):
    """Never retries; one TLS context for all connections; pools of connections that keep deadlines."""

    def __init__(self, *, origin: str, pool_size: int, limits: Limits, context: ssl.SSLContext) -> None:
        self._origin = origin
        self.limits = limits
        self._context = context
        self._pool: Any = None
        super().__init__(pool_connections=2, pool_maxsize=pool_size, max_retries=Retry(0, read=False), pool_block=True)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, socket_options=_KEEP_ALIVE)
        self._set_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> PoolManager:
        manager = cast(
            "PoolManager",
            super().proxy_manager_for(proxy, **kwargs, socket_options=_KEEP_ALIVE, proxy_ssl_context=self._context),
        )
        self._set_pools(manager)
        return manager

    def _set_pools(self, manager: PoolManager) -> None:
        manager.pool_classes_by_scheme = {
            "http": cast("type[HTTPConnectionPool]", partial(PlainPool, limits=self.limits)),
            "https": cast("type[HTTPConnectionPool]", partial(TLSPool, limits=self.limits)),
        }

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """The pool of the origin, looked up once: urllib3's look-up parses the URL six times."""
        if proxies or not (request.url or "").startswith(self._origin):
            return super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        if self._pool is None:
            self._pool = super().get_connection_with_tls_context(request, verify, cert=cert)
        return self._pool

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        return super().request_url(request, proxies) if proxies else request.path_url

    def close(self) -> None:
        self._pool = None  # urllib3 closes a pool's sockets when nobody holds the pool any more
        super().close()

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": self._context} if host["scheme"] == "https" else {}

    def cert_verify(self, conn: object, url: str, verify: object, cert: object) -> None:  # noqa: ARG002
        if verify not in (True, None) or cert is not None:
            msg = "TLS is set up by open_session(ca_bundle=...): verify= and cert= have no place in a request."
            raise UsageError(msg)


def read_body(response: requests.Response, *, max_bytes: int) -> bytes:
    """The whole decompressed body of a `stream=True` response, which goes back to its pool; at most `max_bytes` long.

    Raises `BodyTooLarge`, or what `requests` would: `ReadTimeout`, `ChunkedEncodingError` for a body that is cut,
    `ContentDecodingError`, `SSLError`. The connection is closed then.
    """
    parts = []
    size = 0
    try:
        for part in _steps(response):
            size += len(part)
            if size > max_bytes:
                msg = f"the body of the answer is larger than {max_bytes} bytes"
                raise BodyTooLarge(msg, response=response)
            parts.append(part)
    except BaseException:
        response.close()
        raise
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _steps(response: requests.Response) -> Iterator[bytes]:
    read = response.raw.read
    try:
        while part := read(_STEP, decode_content=True):
            yield part
    except u3.ReadTimeoutError as error:
        raise requests.ReadTimeout(error, response=response) from error
    except u3.SSLError as error:
        raise requests.exceptions.SSLError(error, response=response) from error
    except u3.DecodeError as error:
        raise requests.exceptions.ContentDecodingError(error, response=response) from error
    except u3.HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(error, response=response) from error


def classify(error: BaseException) -> tuple[bool, str]:
    """(whether the request may have been processed, a word for what happened).

    False only where the type proves that nothing was written: `dns`, `refused`, `connect`, `connect_timeout`, `tls`,
    `certificate`, `proxy`, `pool`, `invalid`. Otherwise True: `reset`, `read_timeout`, `write_timeout`, `cut`, `tls`,
    `too_large`, `encoding`, `protocol`.
    """
    chain = list(_chain(error))
    for test, sent, code in _TABLE:
        if any(isinstance(link, test) for link in chain):
            if not sent and code != "pool" and any(isinstance(link, u3.ProxyError) for link in chain):
                return False, "proxy"
            return sent, code
    return True, "protocol"


# Order matters: what proves that nothing was sent comes first, subclasses before their bases.
_TABLE: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], bool, str], ...] = (
    (TunnelError, False, "proxy"),
    (ssl.SSLCertVerificationError, False, "certificate"),
    (HandshakeError, False, "tls"),
    (u3.NameResolutionError, False, "dns"),
    (ConnectionRefusedError, False, "refused"),
    (u3.NewConnectionError, False, "connect"),
    ((u3.ConnectTimeoutError, requests.ConnectTimeout), False, "connect_timeout"),
    ((u3.EmptyPoolError, u3.ClosedPoolError), False, "pool"),
    ((UsageError, requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema), False, "invalid"),
    (BodyTooLarge, True, "too_large"),
    ((u3.ReadTimeoutError, requests.ReadTimeout), True, "read_timeout"),
    (TimeoutError, True, "write_timeout"),
    ((HeadCutError, http.client.IncompleteRead), True, "cut"),
    (ConnectionError, True, "reset"),
    ((ssl.SSLError, u3.SSLError, requests.exceptions.SSLError), True, "tls"),
    ((u3.DecodeError, requests.exceptions.ContentDecodingError), True, "encoding"),
)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it wraps. Not `__context__`: that may be the failure of an earlier attempt."""
    waiting, seen = [error], set[int]()
    while waiting:
        link = waiting.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        inner = (*link.args, link.__cause__, getattr(link, "reason", None), getattr(link, "original_error", None))
        waiting.extend(item for item in inner if isinstance(item, BaseException))
