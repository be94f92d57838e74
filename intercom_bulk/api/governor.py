"""The thread-safe gate around `Pace`: every call with one token passes here before it leaves.

At most one thread, the leader, waits on the clock. The others stand in a queue, blocked and free of cost; the leader
lets out as many as the pace allows, itself first, and then the head of the queue leads. Pace is asked under the lock
and slept for outside it.

A governor may be shared by runs that stop at different times. A blocked thread cannot look at its own stop signal, so
it leaves a copy of its context behind, in which the leader looks for it.
"""

from __future__ import annotations

import threading
from collections import deque
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from intercom_bulk.api.pace import Budget, Pace, Reading
from intercom_bulk.clock import SYSTEM, stop_requested
from intercom_bulk.errors import Stopped

if TYPE_CHECKING:
    from collections.abc import Hashable

    from intercom_bulk.api.peers import News, Report
    from intercom_bulk.clock import Clock

__all__ = ["Governor", "Shared"]

LOOK_ROUND = 0.1  # seconds between two looks for stopped threads in the queue
LEAST_SLEEP = 0.02  # a sleep costs some 50 us CPU: at high rates several calls share one, for late callers may catch up


def _locked() -> threading.Lock:
    gate = threading.Lock()
    gate.acquire()
    return gate


@dataclass(slots=True, eq=False)
class _Waiter:
    """A thread in the queue. Its gate opens once: with a call, as the new leader, or (neither) because it stopped."""

    context: Context = field(default_factory=copy_context)
    gate: threading.Lock = field(default_factory=_locked)
    call: int | None = None
    leads: bool = False

    @property
    def stopped(self) -> bool:
        return self.context.run(stop_requested)


class Shared(Protocol):
    """Where processes with the same token tell each other what they spend."""

    def exchange(self, report: Report) -> News | None:
        """Tell, and learn what the others told. None: it cannot be done now. Raises nothing."""

    def close(self) -> None: ...


class Governor:
    """Lets calls leave at the pace that the limit allows.

    `acquire` gives a number; hand it back exactly once: `answered`, `refused` (429) or `lost` (no answer), on every
    path. The first caller goes alone, as a probe: the others wait until its answer has told the limit.
    `requests` counts calls let through, `rate_limited` those refused; `last_success` is the monotonic time of the last
    answer that was not a 429, None before.

    With `pace`, that one decides, in place of one for Intercom.

    With `shared`, all processes that share behave like one governor. The leader does the telling, outside the lock.
    """

    def __init__(
        self,
        *,
        reserve: float = 0.05,
        share: float = 1.0,
        clock: Clock = SYSTEM,
        shared: Shared | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._pace = Pace(reserve=reserve, share=share) if pace is None else pace
        self._pace.part.enabled = shared is not None
        self.shared = shared  # may be replaced by something that wraps it
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: deque[_Waiter] = deque()
        self._led = False
        self._looked_at = float("-inf")
        self._backlogs: dict[Hashable, int] = {}
        self._backlog: int | None = None
        self.requests = 0
        self.rate_limited = 0
        self.last_success: float | None = None

    @property
    def known(self) -> bool:
        """Whether the limit is known, or known not to be told."""
        return self._pace.known

    def adjust(self, *, reserve: float, share: float) -> None:
        """Change what is kept for others and our part of each window. Raises `UsageError` outside [0, 1)."""
        with self._lock:
            self._pace.adjust(reserve=reserve, share=share)

    def acquire(self) -> int:
        """Block until a call may leave; its number. Raises `Stopped` when the thread's run stops first."""
        _check_stop()
        with self._lock:
            if self._led:
                waiter = _Waiter()
                self._queue.append(waiter)
            else:
                self._led = True
                waiter = _Waiter(leads=True)
        if not waiter.leads:
            self._stand(waiter)
        if waiter.leads:
            return self._lead()
        if waiter.call is None:
            raise Stopped(STOPPING)
        return waiter.call

    def _stand(self, waiter: _Waiter) -> None:
        try:
            waiter.gate.acquire()
        except BaseException:  # Ctrl-C in the main thread: what was given to this waiter must not be lost
            with self._lock:
                if waiter in self._queue:
                    self._queue.remove(waiter)
                elif waiter.call is not None:
                    self._pace.lost(waiter.call, self._clock.monotonic())
                elif waiter.leads:
                    self._pass_lead()
            raise

    def _lead(self) -> int:
        """Wait for a slot, take it, let out others whose slots have come too, and pass the lead."""
        try:
            while True:
                with self._lock:
                    now = self._clock.monotonic()
                    self._dismiss_stopped(now)
                    wait = self._pace.wait(now, self._backlog)
                    report = self._pace.report(now) if self._pace.due(now) else None
                    if report is None and wait <= 0.0:
                        call = self._send(now)
                        self._let_out(now)
                        return call
                if report is not None:
                    self._tell(report)
                else:
                    self._clock.sleep(max(wait, LEAST_SLEEP))
                _check_stop()
        finally:
            with self._lock:
                self._pass_lead()

    def _tell(self, report: Report) -> None:
        """Only who leads may: while it lasts no call leaves."""
        assert self.shared is not None  # noqa: S101  narrowing: else nothing is ever due
        news = self.shared.exchange(report)
        with self._lock:
            self._pace.learn(self._clock.monotonic(), report, news)

    def _give_back(self, *, last: bool = False) -> None:
        """Calls that nobody is going to send are for the others. `last`: what was sent since the last telling is not
        to look like a stranger's.
        """
        with self._lock:
            if self._led or not (self._pace.part.lease or (last and self.requests)):
                return
            self._led = True
            self._pace.part.lease = 0
            report = self._pace.report(self._clock.monotonic())
        try:
            self._tell(report)
        finally:
            with self._lock:
                self._pass_lead()

    def close(self) -> None:
        """Give back what was taken and not used. The governor can be used on."""
        if self.shared is not None:
            self._give_back(last=True)
            self.shared.close()

    def _send(self, now: float) -> int:
        self.requests += 1
        return self._pace.sent(now)

    def _let_out(self, now: float) -> None:
        """All but the last in the queue can go at once; the last one is needed to lead only if the pace says wait."""
        while self._queue and self._pace.wait(now, self._backlog) <= 0.0:
            waiter = self._queue.popleft()
            if not waiter.stopped:
                waiter.call = self._send(now)
            waiter.gate.release()

    def _pass_lead(self) -> None:
        if self._queue:
            waiter = self._queue.popleft()
            waiter.leads = True
            waiter.gate.release()
        else:
            self._led = False

    def _dismiss_stopped(self, now: float) -> None:
        if now < self._looked_at + LOOK_ROUND:
            return
        self._looked_at = now
        for waiter in [w for w in self._queue if w.stopped]:
            self._queue.remove(waiter)
            waiter.gate.release()

    def answered(self, call: int, reading: Reading | None, *, accepted: bool = True) -> None:
        """An answer came, whatever its status. `reading` None: it had no rate-limit headers, or nobody saw them."""
        with self._lock:
            now = self._clock.monotonic()
            self._pace.answered(call, now, reading, accepted=accepted)
            if accepted:
                self.last_success = now

    def refused(self, call: int, reading: Reading | None, *, retry_after: float | None = None) -> None:
        """The answer was a 429: the gate closes once, for all threads. `retry_after`: its own wish, seconds."""
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
            over = calls is None and not self._backlogs
        if over and self.shared is not None:
            self._give_back()

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


STOPPING = "the run is stopping"


def _check_stop() -> None:
    if stop_requested():
        raise Stopped(STOPPING)
