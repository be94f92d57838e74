"""The one in-doubt protocol: an item that was sent and whose answer never came.

It waits until the server must be done with it, is read back, and is then known to be done, tried again where a second
effect is harmless, or listed for a person to look at. Nothing is guessed. Pure: the engine brings time and answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from intercom_bulk.errors import Gone
from intercom_bulk.runs.model import Item, Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Doubt", "Doubts", "Seen", "decide"]

CHECKS = 4
"""Read-backs that may fail before the item is left to a person."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """`outcome` is the `unknown` one of the attempt; `resendable`: a second effect would be harmless."""

    item: Item
    outcome: Outcome
    resendable: bool
    checks: int = 0


class Doubts:
    """Doubts by the time they are due."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Doubt]] = []
        self._number = 0

    def put(self, doubt: Doubt, due: float) -> None:
        self._number += 1
        heappush(self._heap, (due, self._number, doubt))

    def due(self, now: float, room: int) -> Iterator[Doubt]:
        """Take out at most `room` of those whose time has come."""
        while room > 0 and self._heap and self._heap[0][0] <= now:
            room -= 1
            yield heappop(self._heap)[2]

    def __len__(self) -> int:
        return len(self._heap)


Seen = bool | Exception | None
"""What a look at an item says: the action shows on it, it does not, the look failed, or it cannot be told."""


def decide(doubt: Doubt, seen: Seen, *, tries: int, at: float) -> Outcome | None:
    """What a look at the item settles.

    An outcome of status `staged` means: try again. None: look again later.
    """
    lost = replace(doubt.outcome, at=at)
    if isinstance(seen, Gone):
        return replace(lost, status=Status.SKIPPED, code="gone", message=str(seen))
    if isinstance(seen, Exception):
        return None if doubt.checks + 1 < CHECKS else replace(lost, status=Status.NEEDS_REVIEW)
    if seen is True:
        return replace(lost, status=Status.DONE, code=None, message=None)
    if not doubt.resendable:
        return replace(lost, status=Status.NEEDS_REVIEW)
    if lost.attempts < tries:
        return replace(lost, status=Status.STAGED)
    return replace(lost, status=Status.NEEDS_REVIEW if seen is None else Status.FAILED)
