"""What a sync costs, as it goes: told in the transactions that say what it did, so that a crash loses next to none."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from intercom_bulk.mirror.keeping.syncs import Counts

if TYPE_CHECKING:
    from intercom_bulk.clock import Clock
    from intercom_bulk.runs.seams import Gate

__all__ = ["Meter"]


class Meter:
    """Calls, 429s and seconds since the last time it was asked. Any thread may ask.

    `seconds` and `counted` (the gate's requests and 429s) are of the life's first request, which may be earlier than
    this object.
    """

    def __init__(self, gate: Gate, clock: Clock, *, began: float, counted: tuple[int, int]) -> None:
        self._gate = gate
        self._clock = clock
        self._lock = threading.Lock()
        self._told = (*counted, began)

    def take(self) -> Counts:
        """To be recorded now."""
        with self._lock:
            now = (self._gate.requests, self._gate.rate_limited, self._clock.monotonic())
            calls, refused, seconds = (new - old for new, old in zip(now, self._told, strict=True))
            self._told = now
        return Counts(calls=int(calls), rate_limited=int(refused), seconds=seconds)
