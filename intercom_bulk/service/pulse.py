"""The one thread that looks, about twice a second: at the runs of this process, at those of others, at the budget."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from intercom_bulk.clock import SYSTEM
from intercom_bulk.errors import IntercomBulkError
from intercom_bulk.service.events import ALL, event

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.runs.record import RunRecord
    from intercom_bulk.service.events import Hub
    from intercom_bulk.service.rate import RateBook
    from intercom_bulk.service.runs import RunTable

__all__ = ["Pulse"]

logger = logging.getLogger(__name__)

WATCHED, ALONE = 0.5, 1.0
"""Seconds between two looks: while somebody watches, and while nobody does."""
AROUND = 2.0
"""Seconds between two looks at the locks and records of all live runs, and at the pipeline; they are files."""
LINGER = 10.0
"""Seconds that a run which ended stays among the live ones, so that who watches sees how."""


class Pulse:
    """Starts when it is made; `close` ends it."""

    def __init__(
        self, table: RunTable, hub: Hub, rate: RateBook, refused: Callable[[], int], pipeline: Callable[[], Any]
    ) -> None:
        self._table = table
        self._hub = hub
        self._rate = rate
        self._refused = refused
        self._pipeline = pipeline
        self._records: dict[str, RunRecord] = {}
        self._active: Any = None
        self._ended: dict[str, float] = {}
        self._next_round = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="intercom-bulk-pulse", daemon=True)
        self._thread.start()

    def picture(self, topic: str) -> bytes:
        """How it stands now, for who has just begun to watch. Raises `NotThere`."""
        if topic == ALL:
            self._look_around()
            return self._of_all(SYSTEM.monotonic())
        return self._of_one(self._table.view(self._table.record(topic)))

    def close(self) -> None:
        self._stop.set()
        self._hub.wanted.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.is_set():
            try:
                self._look()
            except Exception:
                logger.exception("a look at the runs failed; the next one may not")
            if self._hub.topics():
                self._stop.wait(WATCHED)
            else:
                self._hub.wanted.wait(ALONE)
            self._hub.wanted.clear()

    def _look(self) -> None:
        now, topics = SYSTEM.monotonic(), self._hub.topics()
        around = now >= self._next_round
        if around:
            self._next_round = now + AROUND
        self._note(now, around=around)
        self._table.tend()
        self._rate.sample(self._refused())
        if topics:
            self._tell(topics, now, around=around)

    def _note(self, now: float, *, around: bool) -> None:
        """The pace of our own runs, for their history."""
        for run_id, worked in self._table.worked().items():
            told = worked.run.progress()
            if worked.is_over:
                self._ended.setdefault(run_id, now)
            else:
                self._ended.pop(run_id, None)
                if around and told is not None:
                    worked.rates.append((SYSTEM.time(), told.rate))

    def _tell(self, topics: set[str], now: float, *, around: bool) -> None:
        if around:
            self._look_around()
        if ALL in topics:
            self._hub.put(ALL, self._of_all(now))
        for run_id in topics - {ALL}:
            self._tell_one(run_id, around=around)

    def _look_around(self) -> None:
        """Into files: the runs that any process works on, and the pipeline under way."""
        self._records = {record.run_id: record for record in self._table.live()}
        self._active = self._pipeline()

    def _of_all(self, now: float) -> bytes:
        runs = [self._table.view(record) for record in self._shown(now)]
        told = {"at": SYSTEM.time(), "runs": runs, "rate": self._rate.now(), "pipeline": self._active}
        return event("runs", told)

    def _of_one(self, view: dict[str, Any]) -> bytes:
        return event("run", {"at": SYSTEM.time(), "run": view, "rate": self._rate.now()})

    def _shown(self, now: float) -> list[RunRecord]:
        """Live runs, and our own that ended a moment ago; newest first."""
        ours = [
            run_id for run_id in self._table.worked()
            if run_id not in self._ended or now - self._ended[run_id] < LINGER
        ]  # fmt: skip
        chosen = dict(self._records)
        for run_id in ours:
            if run_id not in chosen or run_id in self._ended:
                try:
                    chosen[run_id] = self._table.store.record(run_id)
                except IntercomBulkError:
                    continue  # it never began, or was deleted
        return sorted(chosen.values(), key=lambda record: record.run_id, reverse=True)

    def _tell_one(self, run_id: str, *, around: bool) -> None:
        worked = self._table.worked().get(run_id)
        ours = worked is not None and not worked.is_over
        if not ours and not around:
            return
        try:
            known = self._records.get(run_id) if ours else None
            view = self._table.view(known or self._table.store.record(run_id))
        except IntercomBulkError as error:
            logger.info("run %s cannot be looked at: %s", run_id, error)
            return
        self._hub.put(run_id, self._of_one(view))
