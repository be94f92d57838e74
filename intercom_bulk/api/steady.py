"""A known number of calls a minute, evenly spread: the pace of what is not Intercom and tells nothing of its limit (a
language model). Arithmetic only, like `Pace`, in whose place a governor takes it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from intercom_bulk.api.pace import LONGEST_WAIT, MOST_RETRY_AFTER, Budget, Pace
from intercom_bulk.api.window import NEVER
from intercom_bulk.errors import UsageError

if TYPE_CHECKING:
    from intercom_bulk.api.window import Reading

__all__ = ["SteadyPace"]

MOST_IN_FLIGHT = 32
FIRST_PAUSE = 2.0
"""Seconds of silence after a refusal that names none; twice as long after each that follows it."""


class SteadyPace(Pace):
    """`per_minute` calls at most in any minute, however late a caller comes: what was not used is not caught up on."""

    def __init__(self, per_minute: int) -> None:
        super().__init__()
        if per_minute < 1:
            raise UsageError(f"requests_per_minute must be 1 or more, not {per_minute!r}.")
        self.known = True
        self._interval = 60.0 / per_minute
        self._next = NEVER
        self._shut_at = self._shut_until = NEVER
        self._refusals = 0
        self._took = 1.0

    def wait(self, now: float, backlog: int | None = None) -> float:
        del backlog
        self._waiting = now < self._shut_until
        return min(LONGEST_WAIT, max(0.0, max(self._next, self._shut_until) - now))

    def sent(self, now: float) -> int:
        self._calls += 1
        self._account.flight[self._calls] = now
        self._next = now + self._interval
        return self._calls

    def answered(self, call: int, now: float, reading: Reading | None, *, accepted: bool = True) -> None:
        del reading
        sent = self._account.flight.pop(call, None)
        if sent is not None and accepted:
            self._refusals = 0
            self._took += 0.3 * (now - sent - self._took)

    def refused(self, call: int, now: float, reading: Reading | None, *, retry_after: float | None) -> None:
        del reading
        sent = self._account.flight.pop(call, None)
        if sent is None or sent < self._shut_at:
            return  # it left before the last refusal came, which closed the gate for it too
        pause = retry_after if retry_after is not None and retry_after > 0 else FIRST_PAUSE * 2**self._refusals
        self._refusals += 1
        self._shut_at, self._shut_until = now, now + min(pause, MOST_RETRY_AFTER)

    def lost(self, call: int, now: float) -> None:
        del now
        self._account.flight.pop(call, None)

    def concurrency(self, now: float) -> int:
        """As many in flight as the rate needs, by how long a call takes."""
        del now
        return min(MOST_IN_FLIGHT, math.ceil(1.5 * self._took / self._interval) + 1)

    def budget(self, now: float) -> Budget:
        return Budget(None, None, len(self._account.flight), 1.0 / self._interval, now < self._shut_until, None)
