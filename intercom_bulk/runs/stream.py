"""A run under way, seen from the caller's thread.

The run has a thread of its own. Ctrl-C lands in the caller's, which then asks the run to stop and waits for it: no
interrupt can cut a ledger transaction in two.
"""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from intercom_bulk.runs.engine import Execution
from intercom_bulk.runs.model import Outcome, Plan, Summary

if TYPE_CHECKING:
    from types import TracebackType

    from intercom_bulk.clock import Clock
    from intercom_bulk.runs.ledger import Ledger

__all__ = ["OutcomeStream"]


class OutcomeStream(Iterator[Outcome]):
    """An iterator of one `Outcome` an item; the run starts with the first one asked for.

    Closing it, leaving its `with` block, an interrupt while waiting for the next outcome, or dropping the last
    reference stop the run: what is in flight is waited for and recorded, nothing more is sent. A caller that takes
    its time holds the run back: at most `ahead` outcomes wait for it.
    """

    def __init__(
        self, make_plan: Callable[[], Plan], make_ledger: Callable[[], Ledger], clock: Clock, *, ahead: int
    ) -> None:
        self._life = _Life(make_plan, make_ledger, clock, ahead)
        self._drop = weakref.finalize(self, self._life.abandon)
        self._drop.atexit = False

    def __next__(self) -> Outcome:
        try:
            outcome = self._life.next()
        except BaseException:
            self.close()
            raise
        if outcome is None:
            self._life.join()
            raise StopIteration
        return outcome

    def stop(self) -> None:
        """Ask the run to end; go on iterating to see what was in flight."""
        self._life.stop()

    def close(self) -> None:
        """Stop the run and wait until it has recorded what was in flight.

        Outcomes not yet taken are in the ledger and the totals, but are not handed out any more; to see them all,
        `stop()` and go on iterating.
        """
        self._life.close()

    def summary(self) -> Summary:
        """The totals: so far, or of the whole run when it is over."""
        return self._life.summary()

    def __enter__(self) -> OutcomeStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Life:
    """The run's thread and the queue out of it. Holds no reference to the stream, so dropping that ends this."""

    def __init__(
        self, make_plan: Callable[[], Plan], make_ledger: Callable[[], Ledger], clock: Clock, ahead: int
    ) -> None:
        self._make_plan = make_plan
        self._make_ledger = make_ledger
        self._clock = clock
        self._outcomes: queue.Queue[Outcome | None] = queue.Queue(ahead)
        self._thread = threading.Thread(target=self._run, name="intercom-bulk-run")
        self._stopping = threading.Event()
        self._execution: Execution | None = None
        self._error: BaseException | None = None
        self._summary = Summary()
        self._over = False
        self._reader = threading.current_thread()
        self._abandoned = False

    def next(self) -> Outcome | None:
        """The next outcome, or None at the end. Raises what the run raised."""
        if self._over:
            return None
        self._reader = threading.current_thread()
        if self._thread.ident is None:
            self._thread.start()
        outcome = self._outcomes.get()
        if outcome is None:
            self._over = True
            self._thread.join()
            error, self._error = self._error, None
            if error is not None:
                raise error
        return outcome

    def stop(self) -> None:
        self._stopping.set()
        if self._execution is not None:
            self._execution.stop()

    def abandon(self) -> None:
        """Nobody will read on: stop, and keep what still settles for the ledger alone."""
        self._abandoned = True
        self.stop()

    def close(self) -> None:
        self.stop()
        while self._thread.is_alive():
            try:
                self._outcomes.get(timeout=0.05)
            except queue.Empty:
                continue
        self.join()

    def join(self) -> None:
        self._over = True
        if self._thread.ident is not None:
            self._thread.join()

    def summary(self) -> Summary:
        if self._execution is not None and self._thread.is_alive():
            return self._execution.summary()
        return self._summary

    def _run(self) -> None:
        ledger = self._make_ledger()
        try:
            self._execution = execution = Execution(self._make_plan(), ledger, self._clock)
            if self._stopping.is_set():
                execution.stop()
            for outcome in execution.outcomes():
                self._offer(outcome)
        except BaseException as error:  # noqa: BLE001  handed to the caller's thread, which raises it
            self._error = error
        finally:
            if self._execution is not None:
                self._summary = self._execution.summary(ledger.counts())
            ledger.close()
            self._offer(None)

    def _offer(self, outcome: Outcome | None) -> None:
        """Hand an outcome over, as soon as there is room. A reader whose thread is dead has left without closing."""
        while not self._abandoned:
            if not self._reader.is_alive():
                self.abandon()
            try:
                self._outcomes.put(outcome, timeout=0.1)
            except queue.Full:
                continue
            return
