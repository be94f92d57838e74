"""When Intercom does not answer at all: stop sending, look again after a while, give up with a reason. Pure.

Time is monotonic seconds. An outage must not be hammered, and a short one must not cost the run: most of the last
attempts without an answer open the breaker; then one attempt at a time, ever more seldom, tries whether it is over.
"""

from __future__ import annotations

from collections import deque

__all__ = ["Breaker"]

LOST, AMONG = 20, 25
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 20.0
PATIENCE = 120.0
"""Seconds without one answer before the run is halted, resumable."""


class Breaker:
    """Fed with the end of every attempt that was sent."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._recent: deque[bool] = deque(maxlen=AMONG)
        self._pause = FIRST_PAUSE
        self._closed_until: float | None = None
        self._silent_since: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether sending is suspended."""
        return self._closed_until is not None

    def answered(self) -> None:
        """The server answered an attempt, whatever it said."""
        if self._closed_until is not None:
            self._recent.clear()  # what was lost before is over: the next loss is not the last straw
        self._recent.append(False)
        self._closed_until, self._silent_since = None, None
        self._pause, self._probing = FIRST_PAUSE, False

    def lost(self, now: float) -> None:
        """An attempt ended without an answer that can be used."""
        self._silent_since = now if self._silent_since is None else self._silent_since
        self._recent.append(True)
        if self._closed_until is not None:
            if self._probing:
                self._probing = False
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
                self._closed_until = now + self._pause
        elif sum(self._recent) >= LOST:
            self._closed_until = now + self._pause

    def untold(self) -> None:
        """What went out as a probe turned out to be no request at all."""
        self._probing = False

    def room(self, now: float, wanted: int) -> int:
        """How many attempts may be sent now, of those wanted."""
        if self._closed_until is None:
            return wanted
        return min(wanted, 1) if now >= self._closed_until and not self._probing else 0

    def sent(self, now: float) -> None:
        """An attempt goes out."""
        if self._closed_until is not None and now >= self._closed_until:
            self._probing = True

    def verdict(self, now: float) -> str | None:
        """The sentence to halt with, once patience is out."""
        if self._closed_until is None or self._silent_since is None or now - self._silent_since < self._patience:
            return None
        return f"Intercom has not answered for {now - self._silent_since:.0f} seconds; resume when it does."
