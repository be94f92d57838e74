"""The rate limit: fixed ten-second windows on the sandbox's clock, shared with a simulated co-tenant.

The co-tenant sends nothing over HTTP: its calls are drawn in advance, window by window, and counted at their time.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from intercom_bulk.sandbox.answers import Problem

if TYPE_CHECKING:
    from intercom_bulk.sandbox.options import SandboxOptions

__all__ = ["LENGTH", "Limiter", "Window"]

LENGTH = 10.0
_Headers = tuple[tuple[bytes, bytes], ...]


class Window:
    """The account of one window. `ours_*` are HTTP requests, `theirs_*` the co-tenant's calls.

    `limit` is the limit as it was last; `limit_at_start` differs where it was changed in mid-window.
    """

    __slots__ = (
        "limit",
        "limit_at_start",
        "ours_accepted",
        "ours_rejected",
        "start",
        "theirs_accepted",
        "theirs_rejected",
        "used",
    )

    def __init__(self, start: float, limit: int) -> None:
        self.start = start
        self.limit = self.limit_at_start = limit
        self.used = 0
        self.ours_accepted = self.ours_rejected = 0
        self.theirs_accepted = self.theirs_rejected = 0

    def record(self) -> dict[str, float]:
        """The account as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


class Limiter:
    """Counts requests as they arrive. Not thread-safe: it lives on the server's loop."""

    def __init__(self, options: SandboxOptions, now: float) -> None:
        self.options = options
        self._random = random.Random(options.seed ^ 0x5EED)
        self._began: float | None = None
        self._changed = False
        self._calls: list[float] = []
        self.windows: list[Window] = []
        self.window = self._open(self._start(now))
        self._draw(now)

    def set_options(self, options: SandboxOptions, now: float) -> None:
        """A new limit holds at once, also for the window that is open."""
        self.advance(now)
        before, self.options = self.options, options
        if (options.limit_change_at, options.limit_per_minute) != (before.limit_change_at, before.limit_per_minute):
            self._changed = False
        self._adopt(now)

    def _adopt(self, now: float) -> None:
        """The limit or the co-tenant may have changed: what is left of the window follows."""
        self.window.limit = self.limit
        self._draw(now)

    @property
    def limit(self) -> int:
        """Calls per window: a sixth of the limit a minute, rounded to the nearest."""
        changed = self.options.limit_change_to if self._changed else None
        return max(1, math.floor((changed or self.options.limit_per_minute) / 6 + 0.5))

    def take(self, now: float) -> tuple[bool, _Headers]:
        """Count one request of ours: whether it may pass, and the headers that describe it."""
        self.advance(now)
        window = self.window
        before = max(0, window.limit - window.used)
        accepted = before > 0
        if accepted:
            window.used += 1
            window.ours_accepted += 1
        else:
            window.ours_rejected += 1
            window.used += self.options.count_rejected
        after = before - 1 if accepted and not self.options.remaining_before else before
        return accepted, self._headers(window, after) if self.options.rate_headers else ()

    def refusal(self, now: float) -> Problem:
        """The 429, apart from the headers that every answer has."""
        message = f"Exceeded rate limit of {self.window.limit} in 10_seconds"
        headers: _Headers = ()
        if self.options.retry_after:
            wait = max(1, math.ceil(self.window.start + LENGTH - now))
            headers = ((b"retry-after", b"%d" % wait),)
        return Problem(429, "rate_limit_exceeded", message, headers=headers)

    def advance(self, now: float) -> None:
        """Bring windows, the co-tenant and a scheduled change of the limit up to `now`."""
        if self._began is None:
            self._began = now
        options = self.options
        change_at, change_to = options.limit_change_at, options.limit_change_to
        if change_at is not None and change_to is not None and not self._changed and now >= self._began + change_at:
            self._changed = True
            self._adopt(now)
        while now >= self.window.start + LENGTH:
            self._count_calls(self.window.start + LENGTH)
            start = self._start(now) if not options.cotenant_share else self.window.start + LENGTH
            self.window = self._open(start)
            self._draw(start)
        if self._calls:
            self._count_calls(now)

    def _start(self, now: float) -> float:
        phase = self.options.window_phase
        return math.floor((now - phase) / LENGTH) * LENGTH + phase

    def _open(self, start: float) -> Window:
        window = Window(start, self.limit)
        self.windows.append(window)
        return window

    def _headers(self, window: Window, remaining: int) -> _Headers:
        return (
            (b"x-ratelimit-limit", b"%d" % window.limit),
            (b"x-ratelimit-remaining", b"%d" % remaining),
            (b"x-ratelimit-reset", b"%d" % math.ceil(window.start + LENGTH)),
        )

    def _draw(self, since: float) -> None:
        """Draw the co-tenant's calls from `since` to the end of the window, latest first."""
        share, start = self.options.cotenant_share, self.window.start
        if share <= 0:
            self._calls = []
            return
        if self.options.cotenant_bursts:
            burst = start + self._random.uniform(0, LENGTH - 1)
            calls = [burst + self._random.random() for _ in range(round(share * self.limit))]
        else:
            calls, at, rate = [], start, share * self.limit / LENGTH
            while (at := at + self._random.expovariate(rate)) < start + LENGTH:
                calls.append(at)
        self._calls = sorted((at for at in calls if at >= since), reverse=True)

    def _count_calls(self, until: float) -> None:
        calls, window = self._calls, self.window
        while calls and calls[-1] <= until:
            calls.pop()
            if window.used < window.limit:
                window.used += 1
                window.theirs_accepted += 1
            else:
                window.theirs_rejected += 1
                window.used += self.options.count_rejected
