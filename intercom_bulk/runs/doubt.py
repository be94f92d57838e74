"""The one in-doubt protocol: an item that was sent and whose answer never came.

It waits until the server must be done with it, is read back, and is then known to be done, tried again where a second
effect is harmless, or listed for a person to look at. Nothing is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from intercom_bulk.errors import Gone
from intercom_bulk.runs.model import Item, Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.clock import Clock
    from intercom_bulk.runs.seams import Plan
    from intercom_bulk.runs.workers import Workers

__all__ = ["Doubt", "Doubts", "Seen", "decide"]

CHECKS = 4
"""Read-backs that may fail before the item is left to a person."""
AGAIN = 0.5
"""Seconds to the second look where the first one failed; twice as long each time."""
DEATHS = 100
"""Processes that may end with one item in flight. It costs the item none of its tries: what was begun goes first in the
next life, so that short lives end with the same items in flight each time. But one that itself ends the process, by its
size perhaps, must not do so for ever.
"""


@dataclass(frozen=True, slots=True)
class Doubt:
    """`outcome` is the `unknown` one of the attempt; `resendable`: a second effect would be harmless. `deaths`: how
    many of the item's attempts ended with their process.
    """

    item: Item
    outcome: Outcome
    resendable: bool
    deaths: int = 0
    checks: int = 0


Seen = bool | Exception | None
"""What a look at an item says: the action shows on it, it does not, the look failed, or it cannot be told."""


class Doubts:
    """Items whose answer was lost, by the time they are due; and the looks at them. Owned by the engine's thread."""

    def __init__(self, plan: Plan, workers: Workers, clock: Clock) -> None:
        self._plan = plan
        self._workers = workers
        self._clock = clock
        self._heap: list[tuple[float, int, Doubt]] = []
        self._number = 0
        self._looking = 0

    def put(self, doubt: Doubt, since: float) -> None:
        """Look at the item once the server must be done with what was sent `since` (monotonic seconds)."""
        self._push(doubt, since + (self._plan.settle_set if doubt.resendable else self._plan.settle_append))

    def look_again(self, doubt: Doubt) -> None:
        """The look itself failed: once more, a little later each time."""
        self._push(replace(doubt, checks=doubt.checks + 1), self._clock.monotonic() + AGAIN * 2**doubt.checks)

    def put_back(self, doubt: Doubt) -> None:
        """The look never left."""
        self._push(doubt, self._clock.monotonic())

    def is_due(self) -> bool:
        return bool(self._heap) and self._heap[0][0] <= self._clock.monotonic()

    def look(self, room: int, on_seen: Callable[[Doubt, Seen], None]) -> int:
        """Read back at most `room` of the items whose time has come; how many."""
        count = 0
        while count < room and self.is_due():
            self._read_back(heappop(self._heap)[2], on_seen)
            count += 1
        return count

    def _read_back(self, doubt: Doubt, on_seen: Callable[[Doubt, Seen], None]) -> None:
        def seen(what: Seen) -> None:
            self._looking -= 1
            on_seen(doubt, what)

        self._looking += 1
        self._workers.submit(lambda: self._plan.action.already_done(doubt.item), seen, seen)

    def _push(self, doubt: Doubt, due: float) -> None:
        self._number += 1
        heappush(self._heap, (due, self._number, doubt))

    def __len__(self) -> int:
        return len(self._heap) + self._looking


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
    if doubt.deaths >= DEATHS:
        lost = replace(
            lost, message=f"{doubt.deaths} processes ended while it was in flight: it may be what ends them."
        )
    elif lost.attempts - doubt.deaths < tries:
        return replace(lost, status=Status.STAGED)
    return replace(lost, status=Status.NEEDS_REVIEW if seen is None else Status.FAILED)
