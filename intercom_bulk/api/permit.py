"""A permit taken before it is known who will use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from intercom_bulk.api.governor import Governor
    from intercom_bulk.api.pace import Reading

__all__ = ["Permit"]


class Permit:
    """A permit taken ahead of time, for code that may or may not send through the client."""

    def __init__(self, governor: Governor) -> None:
        self._governor = governor
        self._call: int | None = governor.acquire()

    @property
    def is_used(self) -> bool:
        """Whether a request of ours went out with it."""
        return self._call is None

    def take(self) -> int | None:
        """The permit, once."""
        call, self._call = self._call, None
        return call

    def refused(self, reading: Reading | None, retry_after: float | None) -> None:
        """A request that somebody else sent with it got a 429."""
        call = self.take()
        if call is not None:
            self._governor.refused(call, reading, retry_after=retry_after)

    def close(self) -> None:
        """Not used by us: count it as one call made elsewhere, whose headers nobody saw."""
        call = self.take()
        if call is not None:
            self._governor.answered(call, None)
