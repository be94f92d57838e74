"""Which threads are still to come of which window, and which windows are waiting for none: their threads are proved."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from intercom_bulk.mirror.keeping.syncs import Window

__all__ = ["OwedThreads"]


class OwedThreads:
    """Fed by the readers of windows and by whoever fetches threads; any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[str, set[int]] = {}
        self._left: dict[int, int] = {}
        self._read: dict[int, Window] = {}

    def owe(self, window: Window, ids: Iterable[str]) -> None:
        """These were found in the window, and their threads are not here."""
        with self._lock:
            for item_id in ids:
                numbers = self._windows.setdefault(item_id, set())
                if window.number not in numbers:
                    numbers.add(window.number)
                    self._left[window.number] = self._left.get(window.number, 0) + 1

    def read(self, window: Window) -> bool:
        """The window was read to its end. Whether no thread of it is owed; else it comes out of `settled` some day."""
        with self._lock:
            if not self._left.get(window.number):
                return True
            self._read[window.number] = window
            return False

    def settled(self, item_id: str) -> list[Window]:
        """A thread is here. The windows of which it was the last."""
        with self._lock:
            whole = []
            for number in self._windows.pop(item_id, ()):
                self._left[number] -= 1
                if self._left[number] == 0 and number in self._read:
                    whole.append(self._read.pop(number))
            return whole

    def forget(self, window: Window) -> None:
        """It is to be read anew, perhaps by others."""
        with self._lock:
            self._read.pop(window.number, None)

    def take_unsettled(self) -> list[Window]:
        """The windows that were read and still wait, at the end of a run."""
        with self._lock:
            left, self._read = list(self._read.values()), {}
            return left
