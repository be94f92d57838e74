"""Who may ask, from where, and how much: checked before a request reaches anything else (reliability.md §D).

A port of this machine is no boundary: any page in a browser can send requests to it, and by DNS rebinding even read
the answers. So each request names the host that it means, carries the token, and, where a browser sends it, comes from
our own pages.
"""

from __future__ import annotations

import asyncio
import hmac
import html
import json
import logging
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HEADERS", "LEAST_TOKEN", "MOST_BODY", "Access", "Gate", "Refusal", "TokenFilter", "drawn_token"]

LEAST_TOKEN = 24
"""Characters of a token that somebody chose."""
MOST_BODY = 1_000_000
"""Bytes of a request's body."""
SLOWEST_BODY = 15.0
"""Seconds until the whole of it must be here: who drips holds nothing open for long."""
PATIENCE = 1.0
"""Seconds in which the body of a request that is refused is read and thrown away."""
READS = frozenset({"GET", "HEAD"})
OPEN = "/healthz"
LOGIN = "/login"

HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""On every answer. What may be kept (the assets under /static, which hold nothing of anybody) says so itself."""


def drawn_token() -> str:
    """A token for one start of the service."""
    return secrets.token_urlsafe(32)


class Refusal(Exception):
    """A request that is not let through: a status, and one sentence that says what to do."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class Access:
    """What a request needs. `hosts` are exact, with their port, as browsers write them. `secure`: behind https.

    The cookie is another secret than the token, and ends with the process: what reads the one has not the other.
    """

    token: str
    hosts: frozenset[str]
    secure: bool = False
    cookie: str = field(default_factory=drawn_token)

    @classmethod
    def to(cls, token: str, hosts: Iterable[str], *, secure: bool = False) -> Access:
        return cls(token, frozenset(host.lower() for host in hosts), secure)

    @property
    def cookie_name(self) -> str:
        """Another for each address: browsers give cookies to every port of a host."""
        return f"intercom_bulk_{sha256(','.join(sorted(self.hosts)).encode()).hexdigest()[:8]}"

    def is_token(self, said: str) -> bool:
        return _same(said, self.token)

    def set_cookie(self) -> str:
        """The header that gives a browser its cookie."""
        secure = "; Secure" if self.secure else ""
        return f"{self.cookie_name}={self.cookie}; Path=/; HttpOnly; SameSite=Strict{secure}"

    def check(self, method: str, path: str, query: str, headers: _Headers) -> None:
        """Raises `Refusal`."""
        self._check_host(headers)
        headers.refuse_twice("content-type", "content-length", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest")
        if path == OPEN and method in READS:
            return
        self._check_origin(method, path, headers)
        if path != LOGIN:
            self._check_token(method, headers)
        elif not self.is_token((parse_qs(query).get("token") or [""])[-1]):
            raise Refusal(401, "That is not the token: open the address that `intercom-bulk serve` printed.")
        if method not in READS:
            _check_content(headers)

    def _check_host(self, headers: _Headers) -> None:
        said = headers.all("host")
        if len(said) != 1 or said[0].lower() not in self.hosts:
            raise Refusal(421, f"This service answers to {' or '.join(sorted(self.hosts))} only: ask it by that name.")

    def _check_origin(self, method: str, path: str, headers: _Headers) -> None:
        """What a browser sends from a page of somebody else is refused, whatever it carries."""
        elsewhere = Refusal(403, "This came from a page of another origin: use the service's own pages, or curl.")
        origins = headers.all("origin")
        if len(origins) > 1 or (origins and not self._is_ours(origins[0])):
            raise elsewhere
        site = headers.one("sec-fetch-site")
        if site is None or site == "same-origin":
            return
        walks = method in READS and headers.one("sec-fetch-mode") == "navigate" and not path.startswith("/api")
        if site != "none" and not (walks and headers.one("sec-fetch-dest") == "document"):
            raise elsewhere
        if site == "none" and method not in READS:
            raise elsewhere

    def _is_ours(self, origin: str) -> bool:
        return origin.lower() in {f"{'https' if self.secure else 'http'}://{host}" for host in self.hosts}

    def _check_token(self, method: str, headers: _Headers) -> None:
        said = headers.all("authorization")
        if said:
            kind, _, token = said[0].partition(" ")
            if len(said) == 1 and kind.lower() == "bearer" and self.is_token(token.strip()):
                return
            raise Refusal(
                401, "The token is wrong: send `Authorization: Bearer TOKEN`, as `intercom-bulk serve` printed it."
            )
        if not any(_same(one, self.cookie) for one in _cookies(headers, self.cookie_name)):
            raise Refusal(401, "A token is needed: send `Authorization: Bearer TOKEN`, or open /login?token=TOKEN.")
        if method not in READS and headers.one("origin") is None and headers.one("sec-fetch-site") is None:
            raise Refusal(
                403, "A write by cookie must say where it comes from: use the pages, or send the token as bearer."
            )


def _check_content(headers: _Headers) -> None:
    length = headers.one("content-length")
    if length is not None and length.isdigit() and int(length) > MOST_BODY:
        raise _too_large()
    has_body = headers.one("transfer-encoding") is not None or length not in {None, "0"}
    kind = (headers.one("content-type") or "").partition(";")[0].strip().lower()
    if (has_body or kind) and kind != "application/json":
        raise Refusal(415, "A write is JSON: send `Content-Type: application/json`.")


def _too_large() -> Refusal:
    return Refusal(413, f"The body is larger than {MOST_BODY:,} bytes: send less at once.")


def _same(said: str, known: str) -> bool:
    """In constant time, also for what is no ASCII."""
    return hmac.compare_digest(said.encode("utf-8", "replace"), known.encode())


def _cookies(headers: _Headers, name: str) -> list[str]:
    found = []
    for line in headers.all("cookie"):
        try:
            morsel = SimpleCookie(line).get(name)
        except CookieError:
            continue
        if morsel is not None:
            found.append(morsel.value)
    return found


class _Headers:
    """Of a request; names are small, values as they came."""

    def __init__(self, scope: Scope) -> None:
        self._pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]

    def all(self, name: str) -> list[str]:
        return [value for known, value in self._pairs if known == name]

    def one(self, name: str) -> str | None:
        found = self.all(name)
        return found[0] if found else None

    def refuse_twice(self, *names: str) -> None:
        """Two readers of such a request may each believe another line of it. Raises `Refusal`."""
        for name in names:
            if len(self.all(name)) > 1:
                raise Refusal(400, f"The header {name} was sent twice: send it once.")

    @property
    def is_persons(self) -> bool:
        """Whether a browser asks for a page, to be read."""
        return "text/html" in (self.one("accept") or "").lower()


class Gate:
    """Around the whole application: nothing is routed, parsed or read before it was let through."""

    def __init__(self, app: ASGIApp, *, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError("there are no other connections than HTTP's")
        answer, headers = _Answer(send), _Headers(scope)
        try:
            query = scope.get("query_string", b"").decode("latin-1")
            self._access.check(scope["method"], scope["path"], query, headers)
            body = await _whole_body(receive)
        except Refusal as refusal:
            if refusal.status not in {408, 413}:  # who is still sending when the line is closed reads no answer
                with suppress(Refusal, TimeoutError):
                    await asyncio.wait_for(_read_body(receive), PATIENCE)
            await answer.refuse(refusal, as_page=scope["method"] in READS and headers.is_persons)
            return
        await self._app(scope, _again(body, receive), answer.send)


async def _whole_body(receive: Receive) -> bytes:
    """Read before anything is done with it; never more than the limit, nor for longer. Raises `Refusal`."""
    try:
        return await asyncio.wait_for(_read_body(receive), SLOWEST_BODY)
    except TimeoutError:
        raise Refusal(
            408, f"The body was not here after {SLOWEST_BODY:g} s, or the service stopped: send it again."
        ) from None


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refusal(400, "The request was cut off: send it again.")
        body += message.get("body", b"")
        if len(body) > MOST_BODY:
            raise _too_large()
        if not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """The same body for the application; after it, what comes."""
    said: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return said.pop() if said else await receive()

    return replayed


class _Answer:
    """Adds the headers to what goes out."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", ()))
            names = {name.lower() for name, _ in given}
            more = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in names]
            message = {**message, "headers": [*given, *more]}
        await self._send(message)

    async def refuse(self, refusal: Refusal, *, as_page: bool = False) -> None:
        kind = b"text/html; charset=utf-8" if as_page else b"application/json"
        body = _page(refusal) if as_page else json.dumps({"error": str(refusal)}).encode()
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        if refusal.status == 401:
            headers.append((b"www-authenticate", b'Bearer realm="intercom-bulk"'))
        if refusal.status in {408, 413}:
            headers.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


_WAY_IN = (
    "<p>Open the address that <code>intercom-bulk serve</code> printed when it started: it ends in"
    " <code>/login?token=…</code> and is good until the service stops. Was the token chosen in"
    " <code>INTERCOM_BULK_SERVICE_TOKEN</code>? Then put it there: <code>/login?token=YOUR_TOKEN</code>.</p>"
    "<p>Programs send it as <code>Authorization: Bearer TOKEN</code>.</p>"
)


def _page(refusal: Refusal) -> bytes:
    """The same for a person: it names nothing of the workspace, and loads nothing."""
    more = _WAY_IN if refusal.status == 401 else ""
    title = "The way in" if refusal.status == 401 else "This cannot be asked so"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} · intercom-bulk</title></head>"
        f"<body><main><h1>{title}</h1><p>{html.escape(str(refusal))}</p>{more}</main></body></html>\n"
    ).encode()


class TokenFilter(logging.Filter):
    """No line of a log has the token: neither as it is, nor as it stands in an address."""

    _IN_ADDRESS = re.compile(r"(token=)[^&\s\"']+")

    def __init__(self, *secrets_: str) -> None:
        super().__init__()
        self._secrets = [one for one in secrets_ if one]

    def filter(self, record: logging.LogRecord) -> bool:
        told = record.getMessage()
        for secret in self._secrets:
            told = told.replace(secret, "…")
        record.msg, record.args = self._IN_ADDRESS.sub(r"\1…", told), None
        return True
