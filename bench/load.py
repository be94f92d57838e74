"""The sandbox under raw load: it must not be what the others wait for."""

from __future__ import annotations

import json
import selectors
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bench.children import serve
from bench.report import Section, at_most, exactly, info

if TYPE_CHECKING:
    from intercom_bulk.sandbox import SandboxProcess

__all__ = ["sandbox"]

DEEP, SOCKETS = 8, 32
MOST_MS = 0.6
_PATIENCE = 30.0


def sandbox(*, quick: bool) -> Section:
    """CPU of the server for a close and for a search page, while a few sockets keep it busy.

    Clients send the next request when they have the answer; pipelined requests show what the application alone costs.
    """
    count = 400 if quick else 12_000
    pages = 20 if quick else 200
    with serve(conversations=count, limit_per_minute=60_000_000) as site:
        closes = [_request(site.sandbox, f"/conversations/{item['id']}/parts", _CLOSE) for item in site.sandbox.items()]
        searches = [_request(site.sandbox, "/conversations/search", _search(site.sandbox))] * pages
        page_ms, _ = _measure(site.sandbox, searches, depth=1)
        close_ms, rate = _measure(site.sandbox, closes, depth=1)
        piped_ms, _ = _measure(site.sandbox, closes, depth=DEEP)
        closed = len(site.sandbox.effects())
        peak = site.sandbox.stats()["max_rss"] / 1e6
    figures = [
        at_most("sandbox: CPU per close", close_ms, MOST_MS, "{:.3f} ms"),
        exactly("sandbox: conversations it says are closed", closed, count),
        info("sandbox: closes", rate, "{:.0f}/s"),
        info("sandbox: CPU per pipelined close", piped_ms, "{:.3f} ms"),
        info("sandbox: CPU per search page of 150", page_ms, "{:.2f} ms"),
    ]
    return Section(
        figures, data={"close_ms": close_ms, "piped_ms": piped_ms, "page_ms": page_ms, "rate": rate, "peak_mb": peak}
    )


_CLOSE = b'{"message_type":"close","type":"admin","admin_id":"780"}'


def _search(server: SandboxProcess) -> bytes:
    leaf = {"field": "team_assignee_id", "operator": "=", "value": int(server.inbox_id)}
    return json.dumps({"query": leaf, "pagination": {"per_page": 150}}).encode()


def _request(server: SandboxProcess, path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer {server.token}\r\nIntercom-Version: 2.16\r\n"
        f"Accept: application/json\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _measure(server: SandboxProcess, requests: list[bytes], *, depth: int) -> tuple[float, float]:
    """Milliseconds of server CPU a request, and requests a second."""
    before, began = server.stats(), time.perf_counter()
    _pump(server.url, requests, depth)
    wall, after = time.perf_counter() - began, server.stats()
    answered = after["statuses"].get("200", 0) - before["statuses"].get("200", 0)
    if answered != len(requests):
        raise RuntimeError(f"{answered} of {len(requests)} requests were answered with 200")
    return 1000 * (after["cpu_seconds"] - before["cpu_seconds"]) / len(requests), len(requests) / wall


def _pump(url: str, requests: list[bytes], depth: int) -> None:
    """Prepared bytes on a few keep-alive sockets, `depth` under way on each: far lighter than the server."""
    parts = urlsplit(url)
    waiting = selectors.DefaultSelector()
    open_now = 0
    for place in range(min(SOCKETS, len(requests))):
        share = requests[place::SOCKETS]
        made = socket.create_connection((parts.hostname or "", parts.port or 0))
        made.sendall(b"".join(share[:depth]))
        waiting.register(made, selectors.EVENT_READ, _Stream(made, share[depth:], len(share)))
        open_now += 1
    while open_now:
        ready = waiting.select(_PATIENCE)
        if not ready:
            raise TimeoutError("the sandbox fell silent")
        for key, _ in ready:
            if key.data.is_over_after_reading():
                waiting.unregister(key.fileobj)
                open_now -= 1
    waiting.close()


class _Stream:
    """One socket: requests still to send, answers still to come."""

    def __init__(self, made: socket.socket, unsent: list[bytes], awaited: int) -> None:
        self._socket, self._unsent, self._awaited = made, unsent, awaited
        self._tail = b""

    def is_over_after_reading(self) -> bool:
        """Read what has come, send as many again; whether this was the last of it."""
        data = self._socket.recv(1 << 18)
        answers = (self._tail + data).count(_STATUS)
        self._tail = data[-len(_STATUS) + 1 :]
        self._awaited -= answers
        following, self._unsent = self._unsent[:answers], self._unsent[answers:]
        if following:
            self._socket.sendall(b"".join(following))
        if data and self._awaited > 0:
            return False
        self._socket.close()
        return True


_STATUS = b"HTTP/1.1 "
