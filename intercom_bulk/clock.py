"""The only place that reads the time or sleeps.

A sleep ends early, with `Stopped`, when the run on whose behalf the thread works is asked to stop: the engine binds
its stop signal to each of its threads, so a wait deep inside an HTTP call needs no parameter for it.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from intercom_bulk.errors import Stopped

if TYPE_CHECKING:
    import threading

__all__ = ["SYSTEM", "Clock", "SystemClock", "bind_stop", "stop_requested"]

_stop: ContextVar[threading.Event | None] = ContextVar("intercom_bulk_stop", default=None)


def bind_stop(event: threading.Event) -> None:
    """From now on, waits of the calling thread end when `event` is set."""
    _stop.set(event)


def stop_requested() -> bool:
    """Whether the run that this thread works for is stopping."""
    event = _stop.get()
    return event is not None and event.is_set()


class Clock(Protocol):
    """Time in float seconds. `monotonic` for intervals, `time` for what people read."""

    def monotonic(self) -> float: ...

    def time(self) -> float: ...

    def sleep(self, seconds: float) -> None:
        """Wait; raises `Stopped` when the thread's run stops first."""


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        event = _stop.get()
        if event is None:
            time.sleep(max(seconds, 0.0))
        elif event.wait(max(seconds, 0.0)):
            raise Stopped("the run is stopping")

    def __repr__(self) -> str:
        return "SystemClock()"


SYSTEM = SystemClock()
