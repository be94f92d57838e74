"""The ASGI application: authentication, rate limit, faults, latency, routing, answer. Nothing else sees HTTP."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from intercom_bulk.sandbox.answers import Answer, Call, Problem
from intercom_bulk.sandbox.clock import SandboxClock
from intercom_bulk.sandbox.control import Control
from intercom_bulk.sandbox.faults import Fault, Faults
from intercom_bulk.sandbox.limiter import Limiter
from intercom_bulk.sandbox.protocol import EXTENSION, Connections, abort, cut
from intercom_bulk.sandbox.routes import Route, find_route
from intercom_bulk.sandbox.stats import Stats
from intercom_bulk.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from intercom_bulk.sandbox.options import SandboxOptions

__all__ = ["SandboxApp"]

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]
_log = logging.getLogger(__name__)
_VERSIONS = frozenset(
    [b"1.0", b"1.1", b"1.2", b"1.3", b"1.4", *(b"2.%d" % minor for minor in range(17)), b"Preview", b"Unstable"]
)


class SandboxApp:
    """One workspace behind HTTP."""

    def __init__(self, options: SandboxOptions) -> None:
        self.clock = SandboxClock(options.clock_skew)
        self.options = options
        self.connections = Connections()
        self.reset()

    def reset(self) -> None:
        """A fresh workspace, fresh windows, fresh counts."""
        options = self.options
        self.workspace = Workspace(options, self.clock)
        self.limiter = Limiter(options, self.clock.now())
        self.faults = Faults(options)
        self.stats = Stats(self.connections)
        self.control = Control(self)
        self._random = random.Random(options.seed ^ 0x1A7E)
        self._bearer = b"Bearer " + options.token.encode()

    def set_options(self, options: SandboxOptions) -> None:
        """Change knobs while running."""
        self.clock.skew = options.clock_skew
        self.options = options
        self.workspace.set_options(options)
        self.limiter.set_options(options, self.clock.now())
        self.faults.set_options(options)
        self._bearer = b"Bearer " + options.token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _body(receive)
        if body is None:
            return
        path = scope["path"]
        if path.startswith("/sandbox/"):
            await self._respond(scope, receive, send, self._control(scope, body), (), None)
            return
        stats = self.stats
        stats.enter()
        name, status = "none", 0
        try:
            route, ids = find_route(scope["method"], path)
            name = route.name if route else "unknown"
            status = await self._serve(scope, receive, send, body, route, ids)
        finally:
            stats.leave(name, status)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, body: bytes, route: Route | None, ids: tuple[str, ...]
    ) -> int:
        headers: Headers = ()
        fault: Fault | None = None
        try:
            self._authenticate(scope)
            latency = self._latency(route)
            counted_at = latency * self.options.count_at
            if counted_at:
                await asyncio.sleep(counted_at)
            accepted, headers = self.limiter.take(self.clock.now())
            if not accepted:
                await self._refuse()
            fault = self.faults.draw(write=route is not None and route.kind == "write")
            effect_at = max(counted_at, latency * self.options.effect_at)
            if effect_at > counted_at:
                await asyncio.sleep(effect_at - counted_at)
            answer = fault.answer if fault is not None and not fault.after else None
            if fault is None or fault.after:
                answer = self._handle(scope, body, route, ids)
            if latency > effect_at:
                await asyncio.sleep(latency - effect_at)
        except Problem as problem:
            answer = problem.answer()
        return await self._respond(scope, receive, send, answer, headers, fault)

    def _authenticate(self, scope: Scope) -> None:
        bearer = version = None
        for name, value in scope["headers"]:
            if name == b"authorization":
                bearer = value
            elif name == b"intercom-version":
                version = value
        if bearer != self._bearer or self.options.revoked:
            raise Problem(401, "unauthorized", "Access Token Invalid")
        if version is not None and version not in _VERSIONS:
            raise Problem(400, "intercom_version_invalid", "The requested version does not exist")

    def _control(self, scope: Scope, body: bytes) -> Answer:
        try:
            bearer = next((value for name, value in scope["headers"] if name == b"authorization"), None)
            if bearer != self._bearer:
                raise Problem(401, "unauthorized", "Access Token Invalid")
            call = Call(scope["method"], (), _query(scope), body, self.clock.now())
            return self.control.answer(scope["path"], call)
        except Problem as problem:
            return problem.answer()

    async def _refuse(self) -> None:
        if self.options.reject_latency_ms:
            await asyncio.sleep(self.options.reject_latency_ms / 1000)
        raise self.limiter.refusal(self.clock.now())

    def _latency(self, route: Route | None) -> float:
        options = self.options
        search = route is not None and route.kind == "search"
        seconds = (options.search_latency_ms if search else options.latency_ms) / 1000
        if seconds and options.latency_sigma:
            seconds *= self._random.lognormvariate(0.0, options.latency_sigma)
        return seconds

    def _handle(self, scope: Scope, body: bytes, route: Route | None, ids: tuple[str, ...]) -> Answer:
        now = self.clock.now()
        self.workspace.arrive(now)
        try:
            if route is None:
                raise Problem(404, "not_found", "Resource Not Found")
            self._permit(route)
            if route.item:
                self.faults.check_item(ids[0])
            return route.handler(self.workspace, Call(scope["method"], ids, _query(scope), body, now))
        except Problem as problem:
            return problem.answer()
        except (TypeError, ValueError, AttributeError, LookupError):
            _log.exception("the sandbox failed on %s", route.name if route else scope["path"])
            return Problem(500, "server_error", "The sandbox itself failed; its log says how").answer()

    def _permit(self, route: Route) -> None:
        """`denied` holds the kinds of requests, or the beginnings of paths, that the token has no scope for."""
        for what in self.options.denied:
            if what in (route.kind, f"{route.kind}s") or route.name.partition(" ")[2].startswith(what):
                if self.options.denied_status == 401:
                    raise Problem(401, "token_unauthorized", "Not authorized to access resource")
                raise Problem(403, "forbidden", f"The token lacks the scope for {route.name}")

    async def _respond(
        self, scope: Scope, receive: Receive, send: Send, answer: Answer | None, headers: Headers, fault: Fault | None
    ) -> int:
        if fault is not None and fault.answer is not None:
            answer = fault.answer
            headers = () if answer.content_type == b"text/html" else headers
        if answer is not None and (fault is None or fault.answer is not None):
            await self._send(send, answer, headers)
            return answer.status
        return await self._break(scope, receive, send, answer, headers, fault)

    async def _break(
        self, scope: Scope, receive: Receive, send: Send, answer: Answer | None, headers: Headers, fault: Fault | None
    ) -> int:
        transport: asyncio.Transport = scope["extensions"][EXTENSION]
        kind = fault.kind if fault is not None else ""
        if kind == "drip" and answer is not None:
            return await self._drip(send, answer, headers, transport)
        if kind == "reset":
            abort(transport)
        elif kind == "cut_body" and answer is not None:
            cut(transport, self._head(answer, headers) + answer.body[: len(answer.body) // 2])
        elif kind == "cut_header":
            cut(transport, b"HTTP/1.1 200 OK\r\ncontent-ty")
        await _until_gone(receive)
        return 0

    def _all_headers(self, answer: Answer, headers: Headers) -> list[tuple[bytes, bytes]]:
        return [
            (b"date", self.clock.date()),
            (b"content-type", answer.content_type),
            (b"content-length", b"%d" % len(answer.body)),
            *headers,
            *answer.headers,
        ]

    def _head(self, answer: Answer, headers: Headers) -> bytes:
        lines = [b"%s: %s\r\n" % pair for pair in self._all_headers(answer, headers)]
        return b"HTTP/1.1 %d OK\r\n" % answer.status + b"".join(lines) + b"\r\n"

    async def _send(self, send: Send, answer: Answer, headers: Headers) -> None:
        start = {"type": "http.response.start", "status": answer.status, "headers": self._all_headers(answer, headers)}
        await send(start)
        await send({"type": "http.response.body", "body": answer.body})

    async def _drip(self, send: Send, answer: Answer, headers: Headers, transport: asyncio.Transport) -> int:
        await send(
            {"type": "http.response.start", "status": answer.status, "headers": self._all_headers(answer, headers)}
        )
        body = answer.body
        for place in range(len(body)):
            last = place == len(body) - 1
            await send({"type": "http.response.body", "body": body[place : place + 1], "more_body": not last})
            await asyncio.sleep(self.options.drip_seconds)
            if transport.is_closing():
                return 0
        return answer.status


def _query(scope: Scope) -> dict[str, str]:
    raw = scope["query_string"]
    return dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True)) if raw else {}


async def _body(receive: Receive) -> bytes | None:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return None if message["type"] == "http.disconnect" else body


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
