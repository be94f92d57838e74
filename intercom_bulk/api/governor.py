"""The thread-safe gate around `Pace`: every call with one token passes here before it leaves.

At most one thread, the holder of the *turn*, waits on the clock; the others block on the turn and cost nothing. Pace is
asked under the lock and slept for outside it. A thread that waits for its turn looks up every 0.2 s whether its own run
is stopping, for a governor may be shared by runs that stop at different times.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from intercom_bulk.api.pace import Budget, Pace, Reading
from intercom_bulk.clock import SYSTEM, stop_requested
from intercom_bulk.errors import Stopped

if TYPE_CHECKING:
    from collections.abc import Hashable

    from intercom_bulk.clock import Clock

__all__ = ["Governor"]

LOOK_UP = 0.2  # seconds; how late a thread may notice, while another has the turn, that its own run stops
LEAST_SLEEP = 0.002  # shorter sleeps cost more than they pace: Pace lets late callers catch up


class Governor:
    """Lets calls leave at the pace that the limit allows.

    `acquire` gives a number; hand it back exactly once: `answered`, `refused` (429) or `lost` (no answer), on every
    path. The first caller goes alone, as a probe: the others wait until its answer has told the limit.
    `requests` counts calls let through, `rate_limited` those refused; `last_success` is the monotonic time of the last
    answer that was not a 429, None before.
    """

    def __init__(self, *, reserve: float = 0.05, share: float = 1.0, clock: Clock = SYSTEM) -> None:
        self._pace = Pace(reserve=reserve, share=share)
        self._clock = clock
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._backlogs: dict[Hashable, int] = {}
        self._backlog: int | None = None
        self.requests = 0
        self.rate_limited = 0
        self.last_success: float | None = None

    @property
    def known(self) -> bool:
        """Whether the limit is known, or known not to be told."""
        return self._pace.known

    def acquire(self) -> int:
        """Block until a call may leave; its number. Raises `Stopped` when the thread's run stops first."""
        while not self._turn.acquire(timeout=LOOK_UP):
            _check_stop()
        try:
            while True:
                _check_stop()
                wait, call = self._ask()
                if call is not None:
                    return call
                self._clock.sleep(max(wait, LEAST_SLEEP))
        finally:
            self._turn.release()

    def _ask(self) -> tuple[float, int | None]:
        with self._lock:
            now = self._clock.monotonic()
            wait = self._pace.wait(now, self._backlog)
            if wait > 0.0:
                return wait, None
            self.requests += 1
            return 0.0, self._pace.sent(now)

    def answered(self, call: int, reading: Reading | None, *, accepted: bool = True) -> None:
        """An answer came, whatever its status. `reading` None: it had no rate-limit headers, or nobody saw them."""
        with self._lock:
            now = self._clock.monotonic()
            self._pace.answered(call, now, reading, accepted=accepted)
            if accepted:
                self.last_success = now

    def refused(self, call: int, reading: Reading | None, *, retry_after: float | None = None) -> None:
        """The answer was a 429: the gate closes once, for all threads. `retry_after`: seconds, where the server said."""
        with self._lock:
            self.rate_limited += 1
            self._pace.refused(call, self._clock.monotonic(), reading, retry_after=retry_after)

    def lost(self, call: int) -> None:
        """No answer came: reset, time-out, or the call was never sent."""
        with self._lock:
            self._pace.lost(call, self._clock.monotonic())

    def set_backlog(self, key: Hashable, calls: int | None) -> None:
        """Calls left of a job, None when it is over. Jobs add up; a small remainder needs no pacing."""
        with self._lock:
            if calls is None:
                self._backlogs.pop(key, None)
            else:
                self._backlogs[key] = max(calls, 0)
            self._backlog = sum(self._backlogs.values()) if self._backlogs else None

    def concurrency(self) -> int:
        """Calls in flight that the pace needs, 4..128."""
        with self._lock:
            return self._pace.concurrency(self._clock.monotonic())

    def budget(self) -> Budget:
        """How the window stands, for progress displays."""
        with self._lock:
            return self._pace.budget(self._clock.monotonic())

    def __repr__(self) -> str:
        with self._lock:
            return f"Governor({self._pace!r}, requests={self.requests}, rate_limited={self.rate_limited})"


def _check_stop() -> None:
    if stop_requested():
        msg = "the run is stopping"
        raise Stopped(msg)
