"""How long windows that trouble are borne with: tries, deadlines, rests, and whether Intercom is there at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from intercom_bulk.errors import RateLimited, Transient

if TYPE_CHECKING:
    from collections.abc import Iterable

    from intercom_bulk.mirror.fetching.reader import TooHeavyError
    from intercom_bulk.mirror.keeping.syncs import Window
    from intercom_bulk.workspace import Workspace

__all__ = ["DEADLINE", "OUTAGE", "TRIES", "Incomplete", "Patience", "Trouble"]

TRIES = 3
DEADLINE = 300.0
"""Seconds of reading without one page after which a window is given up, with all the parts that it was split into."""
OUTAGE = 60.0
"""Seconds without a page from anybody: is Intercom away?"""
_LONGEST_REST = 20.0


class Incomplete(Exception):
    """Fewer conversations than were counted."""


@dataclass(slots=True)
class Trouble:
    """What a window and the parts that it was split into share: seconds of reading, and refusals, since their last
    page. Lanes that add to it at once may lose a little of it.
    """

    seconds: float = 0.0
    refusals: int = 0

    @property
    def is_over(self) -> bool:
        """Nobody waits any longer."""
        return self.seconds > DEADLINE

    def end(self) -> None:
        self.seconds, self.refusals = 0.0, 0


class Patience:
    """Of one source of windows; each lane speaks for the window that it reads."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._clock = workspace.clock
        self._failures: dict[int, int] = {}
        self._troubles: dict[int, Trouble] = {}
        self._last_page = self._clock.monotonic()

    def of(self, window: Window) -> Trouble:
        """What it had until now; a part has what the whole had."""
        return self._troubles.setdefault(window.number, Trouble())

    def share(self, trouble: Trouble, parts: Iterable[Window]) -> None:
        """These take the place of a window that has it."""
        self._troubles.update((part.number, trouble) for part in parts)

    def page_came(self, trouble: Trouble) -> None:
        self._last_page = self._clock.monotonic()
        trouble.end()

    def failed(self, window: Window) -> bool:
        """One of its tries is gone; whether there are more."""
        self._failures[window.number] = self._failures.get(window.number, 0) + 1
        return self._failures[window.number] < TRIES

    def rest(self, trouble: Trouble, error: TooHeavyError) -> None:
        """Longer each time in a row. Raises what Intercom said where nobody gets an answer any more."""
        if self._clock.monotonic() - self._last_page > OUTAGE and self.is_away():
            raise error.cause
        trouble.refusals += 1
        rest = min(_LONGEST_REST, 0.1 * 2 ** min(trouble.refusals, 10))
        trouble.seconds += rest
        self._clock.sleep(rest)

    def is_away(self) -> bool:
        """Whether Intercom answers nothing at all: then no window is at fault."""
        try:
            self._workspace.client.send("GET", "me")
        except Transient:
            return True
        except RateLimited:
            return False
        return False
