"""What is pushed to those who watch: each picture is made once, whoever and however many look at it.

A stream that is read slowly misses pictures, never the latest one; so nothing piles up.
"""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from intercom_bulk.service.refusals import Overloaded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

__all__ = ["ALL", "MOST", "Hub", "Stream", "event"]

ALL = "all"
"""The topic of all live runs; that of one run is its id, which is never this."""
MOST = 64
"""Streams at a time."""
KEEP_ALIVE = 15.0
"""Seconds of silence after which a comment is sent: proxies cut what says nothing."""


def event(name: str, told: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps(told, separators=(',', ':'))}\n\n".encode()


class Stream:
    """One who watches. `put` from any thread, read in the event loop that made it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._latest: bytes | None = None
        self._closed = False

    def put(self, picture: bytes | None) -> None:
        """Another picture in place of the one that was not read yet; None: it was the last."""
        if picture is None:
            self._closed = True
        else:
            self._latest = picture
        with suppress(RuntimeError):  # the loop has ended, and its readers with it
            self._loop.call_soon_threadsafe(self._news.set)

    async def read(self, seconds: float | None = None) -> AsyncIterator[bytes]:
        """Pictures as they come, until the service stops, or for so long."""
        until = None if seconds is None else self._loop.time() + seconds
        yield b"retry: 2000\n\n"
        while True:
            left = KEEP_ALIVE if until is None else min(KEEP_ALIVE, until - self._loop.time())
            if left <= 0:
                return
            try:
                await asyncio.wait_for(self._news.wait(), left)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            self._news.clear()
            picture, self._latest = self._latest, None
            if picture is not None:
                yield picture
            if self._closed:
                yield event("bye", {})
                return


class Hub:
    """Streams by topic."""

    def __init__(self, *, longest: float | None = None) -> None:
        """`longest`: seconds after which a stream ends, whatever its reader asked for; None: it need not."""
        self.longest = longest
        self._streams: dict[str, set[Stream]] = {}
        self._lock = threading.Lock()
        self._closed = False
        self.wanted = threading.Event()

    def open(self, topic: str) -> Stream:
        """Raises `Overloaded`. Close it with `leave`."""
        stream = Stream()
        with self._lock:
            if self._closed:
                raise Overloaded("The service is stopping: ask again when it is back.")
            if sum(map(len, self._streams.values())) >= MOST:
                raise Overloaded(f"{MOST} streams are open: close a page that watches, then ask again.")
            self._streams.setdefault(topic, set()).add(stream)
        self.wanted.set()
        return stream

    def leave(self, topic: str, stream: Stream) -> None:
        with self._lock:
            left = self._streams.get(topic, set())
            left.discard(stream)
            if not left:
                self._streams.pop(topic, None)

    def topics(self) -> set[str]:
        """Those that somebody watches."""
        with self._lock:
            return set(self._streams)

    def put(self, topic: str, picture: bytes) -> None:
        with self._lock:
            watching = list(self._streams.get(topic, ()))
        for stream in watching:
            stream.put(picture)

    def close(self) -> None:
        """End every stream, and open no other."""
        with self._lock:
            self._closed = True
            watching = [stream for streams in self._streams.values() for stream in streams]
        for stream in watching:
            stream.put(None)
