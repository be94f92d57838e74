"""The sandbox's own clock: the machine's, off by a skew."""

from __future__ import annotations

import time
from email.utils import formatdate

__all__ = ["SandboxClock"]


class SandboxClock:
    """Everything the sandbox dates (windows, items, the Date header) is dated by this clock."""

    __slots__ = ("_date", "_second", "skew")

    def __init__(self, skew: float = 0.0) -> None:
        self.skew = skew
        self._second = -1
        self._date = b""

    def now(self) -> float:
        """Epoch seconds as the sandbox sees them."""
        return time.time() + self.skew

    def date(self) -> bytes:
        """The Date header, made once a second."""
        second = int(self.now())
        if second != self._second:
            self._second = second
            self._date = formatdate(second, usegmt=True).encode()
        return self._date
