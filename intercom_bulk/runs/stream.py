"""A run as an iterator of its outcomes."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from intercom_bulk.runs.life import Life
from intercom_bulk.runs.model import Outcome

if TYPE_CHECKING:
    from types import TracebackType

    from intercom_bulk.clock import Clock
    from intercom_bulk.runs.ledger import RunLedger
    from intercom_bulk.runs.seams import Plan
    from intercom_bulk.runs.summary import Summary

__all__ = ["OutcomeStream"]


class OutcomeStream(Iterator[Outcome]):
    """An iterator of one `Outcome` an item; the run starts with the first one asked for.

    Closing it, leaving its `with` block, an interrupt while waiting for the next outcome, or dropping the last
    reference stop the run: what is in flight is waited for and recorded, nothing more is sent. A caller that takes
    its time holds the run back: at most `ahead` outcomes wait for it.
    """

    def __init__(
        self,
        open_ledger: Callable[[], RunLedger],
        make_plan: Callable[[], Plan],
        clock: Clock,
        *,
        ahead: int,
        discard: Callable[[], None] = lambda: None,
    ) -> None:
        self._outcomes = outcomes = _Channel(ahead)
        self._life = Life(
            open_ledger, make_plan, clock, on_outcome=outcomes.offer, on_end=outcomes.end, discard=discard
        )
        outcomes.on_abandoned = self._life.stop
        self._drop = weakref.finalize(self, outcomes.abandon)
        self._drop.atexit = False
        self._over = False

    def __next__(self) -> Outcome:
        if self._over:
            raise StopIteration
        if not self._life.has_started:
            self._life.start()
        try:
            outcome = self._outcomes.take()
        except BaseException:
            self.close()
            raise
        if outcome is not None:
            return outcome
        self._over = True
        self._life.join()
        error, self._life.error = self._life.error, None
        if error is not None:
            raise error
        raise StopIteration

    def stop(self) -> None:
        """Ask the run to end; go on iterating to see what was in flight."""
        self._life.stop()

    def close(self) -> None:
        """Stop the run and wait until it has recorded what was in flight.

        An interrupt meanwhile cuts the connections: what was in flight is then in doubt, and recorded as such.
        Outcomes not yet taken are in the ledger and the totals, but are not handed out any more; to see them all,
        `stop()` and go on iterating.
        """
        self._over = True
        self._outcomes.abandon()
        try:
            self._life.join()
        except KeyboardInterrupt:
            self._life.abort()
            self._life.join()
            raise

    def summary(self) -> Summary:
        """The totals: so far, or of the whole run when it is over."""
        return self._life.summary()

    def __enter__(self) -> OutcomeStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Channel:
    """Outcomes on their way from the run's thread to the reader's; None is the end."""

    def __init__(self, ahead: int) -> None:
        self._waiting: queue.Queue[Outcome | None] = queue.Queue(ahead)
        self._reader = threading.current_thread()
        self._abandoned = False
        self.on_abandoned: Callable[[], None] = lambda: None

    def take(self) -> Outcome | None:
        self._reader = threading.current_thread()
        return self._waiting.get()

    def end(self) -> None:
        self.offer(None)

    def offer(self, outcome: Outcome | None) -> None:
        """As soon as there is room. A reader whose thread is dead has left without closing."""
        while not self._abandoned:
            if not self._reader.is_alive():
                self.abandon()
            try:
                self._waiting.put(outcome, timeout=0.1)
            except queue.Full:
                continue
            return

    def abandon(self) -> None:
        """Nobody reads on: the run stops, and what still settles is for the ledger alone."""
        self._abandoned = True
        self.on_abandoned()
