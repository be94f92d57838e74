"""Threads that do, and one queue through which they say what came of it."""

from __future__ import annotations

import queue
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from intercom_bulk.clock import bind_stop
from intercom_bulk.errors import Stopped

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from intercom_bulk.clock import Clock

__all__ = ["Report", "Workers"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Report:
    """The end of one job: call `deliver()` in the thread that owns the state which the job was about."""

    deliver: Callable[[], None]


class Workers:
    """A pool whose results come back in one place. Every job reports exactly once, whatever it raises."""

    def __init__(self, size: int, stop: threading.Event, clock: Clock) -> None:
        self._pool = ThreadPoolExecutor(size, "intercom-bulk", initializer=bind_stop, initargs=(stop,))
        self._reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._clock = clock
        self.busy = 0

    def submit(
        self, job: Callable[[], T], on_value: Callable[[T], None], on_error: Callable[[Exception], None]
    ) -> None:
        """Run `job` in a thread; later, in `collect()`'s caller, one of the two handlers is due.

        Raises `Stopped` when no thread will take it any more.
        """

        def work() -> None:
            try:
                value = job()
            except Exception as error:  # noqa: BLE001  the one place where a worker's failure becomes data
                failure = error
                self._reports.put(Report(lambda: on_error(failure)))
            except BaseException as error:  # noqa: BLE001  SystemExit in user code: a lost report would hang the run
                name = type(error).__name__
                self._reports.put(Report(lambda: on_error(RuntimeError(f"{name} was raised in a worker thread"))))
            else:
                self._reports.put(Report(lambda: on_value(value)))

        try:
            self._pool.submit(work)
        except RuntimeError:  # the interpreter is going down
            raise Stopped("no new work is taken on") from None
        self.busy += 1

    def collect(self, patience: float, gather: float) -> list[Report]:
        """At least one report, unless `patience` seconds pass; then whatever comes within `gather` seconds more."""
        reports: list[Report] = []
        try:
            reports.append(self._reports.get(timeout=patience))
            if gather:
                self._clock.sleep(gather)
            while True:
                reports.append(self._reports.get_nowait())
        except queue.Empty:
            self.busy -= len(reports)
            return reports

    def close(self) -> None:
        """Let the threads go. Call it when nothing is busy."""
        self._pool.shutdown()
