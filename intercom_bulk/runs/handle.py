"""A run under way, without its outcomes: watch it, pause it, wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intercom_bulk.errors import UsageError
from intercom_bulk.runs.life import Life

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.clock import Clock
    from intercom_bulk.runs.ledger import RunLedger
    from intercom_bulk.runs.seams import Plan
    from intercom_bulk.runs.summary import Progress, Summary

__all__ = ["Run"]


class Run:
    """Started when it is made; lives in a thread of its own. Any thread may ask it.

    The process does not end while it runs: `stop()` or `wait()` for it.
    """

    def __init__(
        self,
        run_id: str,
        open_ledger: Callable[[], RunLedger],
        make_plan: Callable[[], Plan],
        clock: Clock,
        *,
        discard: Callable[[], None] = lambda: None,
        undo: Callable[[], Run] | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_end` comes last, in the run's own thread."""
        self.run_id = run_id
        self._undo = undo
        self._life = Life(open_ledger, make_plan, clock, discard=discard, on_end=on_end)
        self._life.start()

    def progress(self) -> Progress | None:
        """The latest moment; None before the first one."""
        return self._life.progress()

    def pause(self) -> None:
        """Send nothing more; what is in flight ends and is recorded."""
        self._life.pause()

    def resume(self) -> None:
        """Go on after `pause()`."""
        self._life.resume()

    def stop(self) -> None:
        """End the run: queued items stay unprocessed, and the run can be resumed by its id."""
        self._life.stop()

    def abort(self) -> None:
        """Stop, and do not even wait for the answers under way: those items are in doubt until the run is resumed."""
        self._life.abort()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is over, at most `timeout` seconds; whether it is."""
        self._life.join(timeout)
        return not self._life.is_alive

    def result(self) -> Summary:
        """Wait for the end; the totals. Raises what made the run impossible."""
        self._life.join()
        if self._life.error is not None:
            raise self._life.error
        return self._life.summary()

    def summary(self) -> Summary:
        """The totals so far."""
        return self._life.summary()

    def undo(self) -> Run:
        """Start a run that takes back what this one did, newest first, where the items are still as it left them.

        Raises `UsageError` while this one is under way, and for what cannot be taken back.
        """
        if self._life.is_alive:
            raise UsageError(f"Run {self.run_id} is under way: stop() it or wait() for its end, then undo it.")
        if self._undo is None:
            raise UsageError(f"Run {self.run_id} cannot be undone: it was started without an updater.")
        return self._undo()

    def __repr__(self) -> str:
        return f"Run({self.run_id}, {'running' if self._life.is_alive else 'over'})"
