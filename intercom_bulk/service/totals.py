"""The totals of runs that are not worked on here: the record's own; else counted, and remembered while they stand."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING

from intercom_bulk.clock import SYSTEM

if TYPE_CHECKING:
    from intercom_bulk.runs.record import RunRecord
    from intercom_bulk.runs.store import RunStore

__all__ = ["STALE", "Totals"]

STALE = 2.0
"""Seconds that the totals of a run stand on which another process works: they are counted from its items."""
_REMEMBERED = 1000


class Totals:
    """Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[object, dict[str, int], dict[str, int]]] = {}

    def of(self, store: RunStore, record: RunRecord, *, live: bool) -> tuple[dict[str, int], dict[str, int]]:
        """Items by status, and by code. `live`: some process works on it."""
        if record.counts:
            return dict(record.counts), dict(record.codes)
        now = SYSTEM.monotonic()
        stands = (record.updated_at, record.state) if not live else None
        known = self._known.get(record.run_id)
        if known is not None and (known[0] == stands if stands else isinstance(known[0], float) and now < known[0]):
            return known[1], known[2]
        with closing(store.read(record.run_id)) as ledger:
            counts = {status.value: count for status, count in ledger.counts().items()}
            codes = ledger.codes()
        with self._lock:
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            self._known[record.run_id] = (stands or now + STALE, counts, codes)
        return counts, codes
