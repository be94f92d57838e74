"""Rows that a sync has listed, on their way into the mirror; and what that says of the sync before."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.keeping.syncs import Counts
from intercom_bulk.mirror.keeping.wanted import threads_wanted, versions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from intercom_bulk.mirror.fetching.meter import Meter
    from intercom_bulk.mirror.keeping.coverage import Coverage
    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.mirror.keeping.writer import MirrorWriter

__all__ = ["Listing"]


class Listing:
    """Several threads may list side by side. `proved`: the seconds of whose changes earlier syncs said that nothing is
    missing; what is listed of them and was not here is `missed`, each conversation once. `on_rows` hears what was
    stored.
    """

    def __init__(
        self, store: MirrorStore, writer: MirrorWriter, sync_id: str, *, depth: Depth, proved: Coverage, meter: Meter,
        lag: int, on_rows: Callable[[Sequence[Mapping[str, Any]]], object] = lambda _: None,
    ) -> None:  # fmt: skip
        self._store = store
        self._writer = writer
        self._sync_id = sync_id
        self._depth = depth
        self._proved = proved
        self._meter = meter
        self._lag = lag
        self._on_rows = on_rows
        self._lock = threading.Lock()
        self._missed: set[str] = set()
        self.deleted = 0

    def keep(self, rows: list[dict[str, Any]], asked_at: float) -> Sequence[str]:
        """Store rows that were asked for at that server time; the ids of those whose threads are wanted."""
        with self._lock:
            self._missed |= self._missing(rows)
            # A row is as old as the index, not as the answer: a thread that was read since must not lose against it.
            self._writer.save_rows(self._sync_id, rows, seen_at=asked_at - self._lag, counts=self._meter.take())
            wanted = threads_wanted(self._store, rows) if self._depth is Depth.THREAD else ()
        self._on_rows(rows)
        return wanted

    def tell_missed(self) -> None:
        """Say in the book what the last sync should have found."""
        self._writer.count(self._sync_id, Counts(missed=len(self._missed)))

    def _missing(self, rows: list[dict[str, Any]]) -> set[str]:
        told = {str(row["id"]): int(row["updated_at"]) for row in rows if (row.get("updated_at") or 0) in self._proved}
        known = versions(self._store, told) if told else {}
        return {item_id for item_id, changed in told.items() if known.get(item_id, -1) < changed}
