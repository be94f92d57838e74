"""A mirror with a way to Intercom: what an answer is missing is fetched behind it."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Self

from intercom_bulk.errors import IntercomBulkError
from intercom_bulk.mirror.backfill import Backfill
from intercom_bulk.mirror.fetching.launch import mirror_of
from intercom_bulk.mirror.fetching.spans import DAY
from intercom_bulk.mirror.freshness import GapKind
from intercom_bulk.mirror.keeping.proofs import INDEX_LAG
from intercom_bulk.mirror.search import Mirror
from intercom_bulk.mirror.syncing import IncrementalSync
from intercom_bulk.mirror.whose import whose
from intercom_bulk.settings import Settings
from intercom_bulk.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intercom_bulk.mirror.freshness import Gap
    from intercom_bulk.mirror.keeping.proofs import Depth
    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.mirror.syncing import SyncRun
    from intercom_bulk.runs.handle import Run

__all__ = ["ConnectedMirror", "connect_mirror"]

MOST_DAYS = 31
"""Days that a question may have backfilled behind it: what is more is for somebody to decide."""
PAUSE = float(INDEX_LAG)
"""Seconds from the end of one filling to the next: what is missing still will not be there sooner."""
logger = logging.getLogger(__name__)


def connect_mirror(*, settings: Settings | None = None, **connection: Any) -> ConnectedMirror:
    """The mirror of the workspace that a token is for, and the way to keep it in step; by `settings`, or by what
    `connection` (access_token, region, base_url) and the environment say. Messages are in the workspace's own time.

    Whose token it is takes a request the first time, and is remembered.
    """
    workspace = Workspace(settings if settings is not None else Settings.build(**connection))
    try:
        return ConnectedMirror(workspace)
    except BaseException:
        workspace.close()
        raise


class ConnectedMirror(Mirror):
    """Close it, or leave its `with` block: that stops what is fetched behind it, and ends its connections."""

    def __init__(self, workspace: Workspace) -> None:
        told = whose(workspace.settings, workspace)
        store = mirror_of(workspace.settings, told.workspace)
        self._filler = Filler(workspace, store)
        self._workspace = workspace
        super().__init__(store, zone=told.zone, clock=workspace.clock, syncer=self._filler)

    def close(self) -> None:
        self._filler.close()
        self.store.close()
        self._workspace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Filler:
    """Fetches what is missing, one thing after another, in a thread of its own."""

    def __init__(self, workspace: Workspace, store: MirrorStore) -> None:
        self._workspace = workspace
        self._store = store
        self._sync = IncrementalSync(workspace=workspace)
        self._lock = threading.Lock()
        self._filling: Filling | None = None

    def start(self) -> SyncRun:
        """A sync; the one under way, if there is one."""
        return self._sync.start()

    def fill(self, gaps: Sequence[Gap], depth: Depth) -> Filling | None:
        """What closes these gaps; the one under way, if there is one. None: one ended a moment ago."""
        with self._lock:
            known = self._filling
            if known is not None:
                if known.ended_at is None:
                    return known
                if self._workspace.clock.monotonic() - known.ended_at < PAUSE:
                    return None
            self._filling = Filling(self._workspace, self._store, self._sync, gaps, depth)
            return self._filling

    def close(self) -> None:
        """Stop what is under way, and wait for what is in flight."""
        with self._lock:
            known = self._filling
        if known is not None:
            known.stop()
            known.wait()
        self._sync.close()


class Filling:
    """Under way from its beginning: first the stretches of time that were never read, then what changed since."""

    def __init__(
        self, workspace: Workspace, store: MirrorStore, sync: IncrementalSync, gaps: Sequence[Gap], depth: Depth
    ) -> None:
        self._workspace = workspace
        self._store = store
        self._sync = sync
        self._gaps = gaps
        self._depth = depth
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._stopped = False
        self._run: Run | SyncRun | None = None
        self.ended_at: float | None = None
        threading.Thread(target=self._work, name="intercom-bulk-filling").start()

    def wait(self, timeout: float | None = None) -> bool:
        """Until it is over, at most `timeout` seconds; whether it is."""
        return self._ended.wait(timeout)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._run is not None:
                self._run.stop()

    def _work(self) -> None:
        try:
            self._fill()
        except IntercomBulkError as error:
            logger.warning("what the mirror is missing could not be fetched: %s", error)
        finally:
            self.ended_at = self._workspace.clock.monotonic()
            self._ended.set()

    def _fill(self) -> None:
        floor = self._store.knowledge(self._depth).floor
        if floor is None:
            return  # how far a mirror is to reach is for a backfill to say, not for a question
        unread = [
            (gap.lo, min(gap.hi, floor)) for gap in self._gaps if gap.kind is GapKind.CONVERSATIONS and gap.lo < floor
        ]
        days = sum(hi - lo for lo, hi in unread) / DAY
        if days <= MOST_DAYS:
            for lo, hi in unread:
                with Backfill(since=lo, until=hi, depth=self._depth, settings=self._workspace.settings) as backfill:
                    self._go(backfill.start())
        else:
            logger.info("%.0f days are missing, more than are fetched unasked: backfill them", days)
        if not self._stopped:
            self._go(self._sync.start())

    def _go(self, run: Run | SyncRun) -> None:
        with self._lock:
            self._run = run
            if self._stopped:
                run.stop()
        run.result()
