"""What was spent of each ten-second window: by the programs of this machine, and by others with the same budget.

It is read from what the processes tell each other (`api/leases.py`), so runs of the command line are seen too.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.leases import Leases, budget_key
from intercom_bulk.clock import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intercom_bulk.api.peers import Common, Member
    from intercom_bulk.settings import Settings

__all__ = ["NEAR", "RateBook", "Window"]

WIDTH = 10
KEPT = 360
"""Windows: an hour of them."""
NEAR = 0.9
"""Share of the limit from which a window counts as near it."""
FRESH = 20.0
"""Seconds after which what was told says nothing of now."""


@dataclass(frozen=True, slots=True)
class Window:
    """Calls of one window. `ends_at`: epoch seconds by the server's clock; `refused`: 429s that were seen."""

    ends_at: int
    limit: int
    used: int = 0
    ours: int = 0
    others: int = 0
    refused: int = 0


class RateBook:
    """An hour of windows, of one token. `sample` is called about once a second, and by whoever asks."""

    def __init__(self, settings: Settings) -> None:
        key = budget_key(settings.access_token, settings.base_url)
        self._leases = Leases(settings.home / "governor.db", key)
        self._windows: OrderedDict[int, Window] = OrderedDict()
        self._lock = threading.Lock()
        self._ends: float | None = None
        self._refused = 0
        self.windows_refused = 0
        self.windows_near = 0
        self.windows_seen = 0

    def sample(self, refused: int = 0) -> None:
        """Look what was told since. `refused`: 429s that the runs of this process have met, ever."""
        common, members = self._leases.look()
        with self._lock:
            new, self._refused = max(refused - self._refused, 0), max(refused, self._refused)
            if common is None or SYSTEM.monotonic() - common.at > FRESH:
                self._ends = None
                return
            self._ends = common.end
            self._enter(*_current(common, members), new, shut=common.shut)
            self._amend(common, members)

    def _enter(self, ends_at: int, limit: int, used: int, ours: int, refused: int, *, shut: bool) -> None:
        known = self._windows.get(ends_at)
        if known is None:
            known = self._windows[ends_at] = Window(ends_at, limit)
            self.windows_seen += 1
            while len(self._windows) > KEPT:
                self._windows.popitem(last=False)
        refused = max(known.refused + refused, int(shut))
        self._put(known, limit, used, ours, refused)

    def _put(self, known: Window, limit: int, used: int, ours: int, refused: int) -> None:
        used, ours = min(max(known.used, used, ours), max(limit, ours)), max(known.ours, ours)
        now = Window(known.ends_at, limit, used, ours, max(used - ours, 0), refused)
        self.windows_refused += bool(now.refused) - bool(known.refused)
        self.windows_near += (now.used >= NEAR * limit) - (known.used >= NEAR * max(known.limit, 1))
        self._windows[known.ends_at] = now

    def _amend(self, common: Common, members: Sequence[Member]) -> None:
        """The window before, by what came in after its end."""
        known = self._windows.get(common.reset - WIDTH)
        if known is None or common.past_left == float("inf"):
            return
        ours = sum(one.past if one.reset == common.reset else one.mine for one in members
                   if one.reset in {common.reset, known.ends_at})  # fmt: skip
        self._put(known, known.limit, round(known.limit - common.past_left), round(ours), known.refused)

    def told(self) -> dict[str, Any]:
        """Windows oldest first; `now` is the one that is open, None while nobody works."""
        self.sample()
        with self._lock:
            windows = [asdict(one) for one in self._windows.values()]
        return {"seconds": WIDTH, "now": self.now(), "windows": windows}

    def now(self) -> dict[str, Any] | None:
        """The open window, and how many seconds it has left."""
        with self._lock:
            left = None if self._ends is None else self._ends - SYSTEM.monotonic()
            if left is None or left < 0 or not self._windows:
                return None
            return {**asdict(next(reversed(self._windows.values()))), "ends_in": round(left, 1)}

    def close(self) -> None:
        self._leases.close()


def _current(common: Common, members: Sequence[Member]) -> tuple[int, int, int, int]:
    """When the open window ends, its limit, what is used of it, and what of that is ours."""
    ours = sum(one.mine for one in members if one.reset == common.reset)
    return common.reset, common.limit, round(common.limit - max(common.left, 0.0)), round(ours)
