"""The mirror, as people look at it: what it holds, how far it can be trusted, day by day."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from intercom_bulk.clock import SYSTEM
from intercom_bulk.mirror.fetching.launch import mirror_of
from intercom_bulk.mirror.fetching.spans import DAY
from intercom_bulk.mirror.keeping.coverage import Coverage
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.search import Mirror
from intercom_bulk.mirror.whose import whose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.mirror.keeping.syncs import Sync
    from intercom_bulk.mirror.whose import Whose
    from intercom_bulk.settings import Settings

__all__ = ["Mirrors"]

MOST_DAYS = 371
"""A year of whole weeks."""
STALE = 10.0
"""Seconds that a picture of the mirror stands."""
THEMES, STORIES = 50, 100


class Mirrors:
    """Looks only: nothing is synced by it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._told: Whose | None = None
        self._known: tuple[float, dict[str, Any]] | None = None

    def view(self) -> dict[str, Any]:
        """Status, `sync_info`, `days` (UTC; of each the conversations and the covered share of its seconds), the last
        syncs, themes and stories. Asks Intercom once whose the token is.
        """
        with self._lock:
            if self._known is not None and SYSTEM.monotonic() < self._known[0]:
                return self._known[1]
            told = self._whose()
            with mirror_of(self._settings, told.workspace) as store:
                view = _view(store, told)
            self._known = (SYSTEM.monotonic() + STALE, view)
            return view

    def staleness(self) -> tuple[str, float | None] | None:
        """(state, seconds since the last sync began) without asking Intercom anything; None: there is no mirror."""
        if not (self._settings.home / "mirror" / "workspaces.json").is_file():
            return None
        told = self._whose()
        with mirror_of(self._settings, told.workspace) as store:
            state = Mirror(store, zone=told.zone).check_sync_state()["state"]
            last = store.last_completed_sync()
        return str(state), None if last is None else max(SYSTEM.time() - last.started_at, 0.0)

    def _whose(self) -> Whose:
        if self._told is None:
            self._told = whose(self._settings)
        return self._told


def _view(store: MirrorStore, told: Whose) -> dict[str, Any]:
    mirror = Mirror(store, zone=told.zone)
    last = store.last_completed_sync()
    return {
        "workspace": told.workspace,
        "status": mirror.get_sync_status(),
        "sync_info": mirror.check_sync_state(),
        "stale_seconds": None if last is None else round(max(SYSTEM.time() - last.started_at, 0.0), 1),
        "days": list(_days(store)),
        "syncs": [_sync_view(sync) for sync in store.syncs(20)],
        "themes": _themes(store),
        "stories": _stories(store),
    }


def _days(store: MirrorStore) -> Iterator[dict[str, Any]]:
    """From the first day that is known of to today, a year at most."""
    rows, threads = (store.knowledge(depth).members for depth in Depth)
    now = int(SYSTEM.time())
    today = now // DAY
    counted = {
        int(day): int(count)
        for day, count in store.sql(
            "SELECT created_at / 86400, count(*) FROM conversation WHERE deleted_at IS NULL AND created_at >= ?"
            " GROUP BY created_at / 86400",
            ((today - MOST_DAYS + 1) * DAY,),
        ).rows
    }
    known = [*counted, *(start // DAY for start in (rows.start, threads.start) if start is not None)]
    first = max(min(known, default=today + 1), today - MOST_DAYS + 1)
    for day in range(first, today + 1):
        span = Coverage.between(day * DAY, min((day + 1) * DAY, now))
        whole = max(len(span), 1)
        yield {
            "day": datetime.fromtimestamp(day * DAY, UTC).date().isoformat(),
            "conversations": counted.get(day, 0),
            "covered": round(len(rows & span) / whole, 4),
            "threads": round(len(threads & span) / whole, 4),
        }


def _sync_view(sync: Sync) -> dict[str, Any]:
    return {
        "id": sync.id,
        "kind": sync.kind.value,
        "state": sync.state.value,
        "started_at": sync.started_at,
        "ended_at": sync.ended_at,
        "error": sync.error,
        "found": sync.counts.found,
        "changed": sync.counts.changed,
        "calls": sync.counts.calls,
        "rate_limited": sync.counts.rate_limited,
        "seconds": round(sync.counts.seconds, 1),
    }


def _themes(store: MirrorStore) -> list[dict[str, Any]]:
    """The largest first; `theme` is the id, which stories have too."""
    found = store.sql(f"SELECT theme_id, name, conversations FROM themes ORDER BY 3 DESC, 1 LIMIT {THEMES}")  # noqa: S608
    return [{"theme": str(theme), "name": name, "conversations": int(count)} for theme, name, count in found.rows]


def _stories(store: MirrorStore) -> list[dict[str, Any]]:
    """Each as its phase told it, with the theme that it is about."""
    found = store.sql(
        f"SELECT item_id, result FROM phase_result WHERE phase = 'story_creation' ORDER BY item_id LIMIT {STORIES}"  # noqa: S608
    )
    return [{**dict(json.loads(result)), "id": str(item_id)} for item_id, result in found.rows]
