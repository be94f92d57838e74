"""Who reads which window: the queue of windows that wait, and the lanes that take from it. No I/O: it decides under its
lock, and its callers act.
"""

from __future__ import annotations

import threading
from collections import deque
from itertools import takewhile
from typing import TYPE_CHECKING

from intercom_bulk.mirror.fetching.spans import joinable
from intercom_bulk.mirror.keeping.schema import WindowState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from intercom_bulk.mirror.keeping.syncs import Window

__all__ = ["Lanes"]

SPARSE = 300
"""Windows are joined while no more conversations than this are expected of them."""
FAIR = 4
"""A window is joined of at most one in so many of those that wait: the last ones are not left to one reader."""
_WAIT = 0.25
"""Seconds that an idle lane waits for a window before the engine has its thread back."""


class Lanes:
    """Of the windows of one sync. Any thread may ask."""

    def __init__(self, windows: Iterable[Window], *, most: int) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._pending: deque[Window] = deque()
        self._unsized: set[str] = set()
        self._found = self._width = self._open = 0
        for window in windows:
            if window.state is WindowState.PENDING:
                self._pending.append(window)
            elif window.state is WindowState.STORED:
                self.read(window)

    def open_all(self) -> int:
        """How many there are to be at the beginning: those that find nothing go again."""
        with self._changed:
            self._open = self._most
            return self._most

    def open_one(self) -> bool:
        """Whether one more lane is of use."""
        with self._changed:
            is_wanted = bool(self._pending) and self._open < self._most
            self._open += is_wanted
            return is_wanted

    @property
    def are_waiting(self) -> bool:
        """Whether a window waits for a lane: it was not looked at."""
        with self._changed:
            return bool(self._pending)

    @property
    def are_idle(self) -> bool:
        """Whether there are fewer windows waiting than lanes."""
        with self._changed:
            return len(self._pending) < self._most

    def take(self, lane: str) -> list[Window]:
        """What this lane is to read as one window: neighbours, where they are sparse. Empty: nothing waits."""
        with self._changed:
            if not self._pending:
                return []
            self._unsized.add(lane)
            return [self._pending.popleft() for _ in range(self._joinable())]

    def sized(self, lane: str) -> None:
        """What the lane reads is known to its size: no other has to wait for a part of it."""
        with self._changed:
            self._unsized.discard(lane)
            self._changed.notify_all()

    def put(self, *windows: Window, last: bool = False) -> None:
        """These wait: next of all, in this order, or last."""
        with self._changed:
            if last:
                self._pending.extend(windows)
            else:
                self._pending.extendleft(reversed(windows))
            self._changed.notify_all()

    def read(self, window: Window) -> None:
        """One was read to its end: so dense are they."""
        with self._changed:
            self._found += window.stored
            self._width += len(window.span)

    def close_one(self) -> bool:
        """Whether a lane without a window can go: nothing waits, and nobody reads a window that may be shared out. It
        may take a moment to say no.
        """
        with self._changed:
            if not self._pending and self._unsized:
                self._changed.wait(_WAIT)
            if self._pending or self._unsized:
                return False
            self._open -= 1
            return True

    def _joinable(self) -> int:
        """None that was begun is among them."""
        untouched = list(takewhile(lambda window: not window.tries, self._pending))
        if not self._width or not untouched:
            return 1
        count = joinable([window.span for window in untouched], self._found / self._width, most=SPARSE)
        return max(1, min(count, len(self._pending) // FAIR))
