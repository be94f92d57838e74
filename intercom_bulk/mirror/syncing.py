"""Syncs as people start them: one at a time for each mirror, in a thread of their own, for plain callers and asyncio."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from intercom_bulk.clock import SYSTEM
from intercom_bulk.errors import LedgerError, RunBusy, UsageError
from intercom_bulk.mirror.incremental import SyncLife, Wishes
from intercom_bulk.mirror.proofs import INDEX_LAG, Depth
from intercom_bulk.mirror.report import SyncReport
from intercom_bulk.mirror.store import open_mirror
from intercom_bulk.runs.life import Life
from intercom_bulk.runs.model import RunOptions
from intercom_bulk.settings import Settings, checked_sync_strategy, checked_sync_workers
from intercom_bulk.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from intercom_bulk.clock import Clock
    from intercom_bulk.mirror.store import MirrorStore
    from intercom_bulk.runs.model import Progress, Summary

__all__ = ["IncrementalSync", "SyncRun"]

_GLANCE = 0.2
"""Seconds between looks at whether another process has ended its sync."""
_under_way: dict[str, SyncRun] = {}
_starting = threading.Lock()


class SyncRun:
    """A sync under way, or over. Any thread may ask it, and `await` it: that neither blocks the loop, nor does giving
    up waiting stop the sync.
    """

    def __init__(self, life: SyncLife, store: MirrorStore, clock: Clock, *, on_end: Callable[[], None]) -> None:
        self._sync = life
        self._store = store
        self._clock = clock
        self._on_end = on_end
        self._life = Life(life.open_ledger, life.make_plan, clock, discard=life.discard, on_end=self._end)

    @property
    def sync_id(self) -> str:
        """Of the sync in the mirror's book, and of its run."""
        return self._sync.run_id

    @property
    def is_full(self) -> bool:
        """Whether it looks at everything, not only at what changed since the last one."""
        return self._sync.is_full

    @property
    def is_over(self) -> bool:
        return self._life.has_started and not self._life.is_alive

    def start(self) -> None:
        self._life.start()

    def progress(self) -> Progress | None:
        """The latest moment; None before the first one."""
        return self._life.progress()

    def summary(self) -> Summary:
        """The totals so far, of the threads that are fetched."""
        return self._life.summary()

    def stop(self) -> None:
        """End it: what was stored stays, and the next sync does the rest."""
        self._life.stop()

    def abort(self) -> None:
        """Stop, and do not even wait for the answers under way."""
        self._life.abort()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is over, at most `timeout` seconds; whether it is. Where another process was syncing this
        mirror, it is over when that one is.
        """
        ends = None if timeout is None else self._clock.monotonic() + timeout
        self._life.join(timeout)
        if self._life.is_alive:
            return False
        while isinstance(self._life.error, RunBusy) and self._store.is_syncing:
            if ends is not None and self._clock.monotonic() >= ends:
                return False
            self._clock.sleep(_GLANCE)
        return True

    def result(self, timeout: float | None = None) -> SyncReport:
        """Wait for the end; what came of it. Where another process was syncing this mirror, it is that one's report.

        Raises what made the sync impossible, and `TimeoutError`.
        """
        if not self.wait(timeout):
            raise TimeoutError("The sync is still under way.")
        if isinstance(self._life.error, RunBusy):
            return self._theirs(self._life.error)
        if self._sync.report is not None:
            return self._sync.report
        raise self._life.error or LedgerError("The sync ended before it could say anything: begin another one.")

    def _theirs(self, busy: RunBusy) -> SyncReport:
        last = next(iter(self._store.syncs(1)), None)
        if last is None:
            raise busy
        return SyncReport.of(last)

    def _end(self) -> None:
        try:
            self._sync.close()
        except LedgerError as error:
            self._life.error = self._life.error or error
        finally:
            self._on_end()

    def __await__(self) -> Generator[Any, None, SyncReport]:
        return asyncio.to_thread(self.result).__await__()

    def __repr__(self) -> str:
        return f"SyncRun({self.sync_id}, {'over' if self.is_over else 'under way'})"


class IncrementalSync:
    """Brings a mirror in step with its workspace: `IncrementalSync().run()`, `await IncrementalSync().start()`.

    `depth`: "row" or "thread"; None: threads where the mirror has any. `full`: look at everything since the mirror
    begins. `deletions`: look for deleted ones, too. `workers` threads at a time, None: INTERCOM_SYNC_WORKERS, else 10.
    `strategy`: see INTERCOM_SYNC_STRATEGY. Without `store`, the mirror of the workspace that the token is of.
    """

    def __init__(
        self, *, depth: Depth | str | None = None, full: bool = False, deletions: bool = True,
        workers: int | None = None, strategy: str | None = None, lag: int = INDEX_LAG,
        settings: Settings | None = None, workspace: Workspace | None = None, store: MirrorStore | None = None,
        **connection: Any,
    ) -> None:  # fmt: skip
        if workspace is None:
            workspace = Workspace(settings if settings is not None else Settings.build(**connection))
        elif settings is not None or connection:
            raise UsageError("A sync takes a workspace, or the settings for one, not both.")
        known = workspace.settings
        self.workspace = workspace
        self._store = store
        self._depth = None if depth is None else _depth(depth)
        self._full = full
        self._deletions = deletions
        self._workers = known.sync_workers if workers is None else checked_sync_workers(workers)
        self._strategy = known.sync_strategy if strategy is None else checked_sync_strategy(strategy)
        self._lag = lag

    @property
    def store(self) -> MirrorStore:
        """The mirror. The first time it may take a request to know which."""
        if self._store is None:
            self._store = mirror_of(self.workspace)
        return self._store

    def run(self, options: RunOptions | None = None) -> SyncReport:
        """Sync now, and wait for it. Joins the one under way, if there is one in this process."""
        run = self.start(options)
        try:
            return run.result()
        except BaseException:
            run.stop()
            run.wait()
            raise

    def start(self, options: RunOptions | None = None) -> SyncRun:
        """Begin, in a thread. One at a time for each mirror: where one is under way in this process, it is that one;
        where one is in another process, this one waits for that one's end and has its report.
        """
        store = self.store
        with _starting:
            known = _under_way.get(store.place)
            if known is not None and not known.is_over:
                if self._full and not known.is_full:
                    raise RunBusy("A sync of this mirror is under way: wait for it, or stop it, then do a full one.")
                return known
            wishes = Wishes(
                options=options or RunOptions(),
                depth=self._depth,
                full=self._full,
                deletions=self._deletions,
                workers=self._workers,
                strategy=self._strategy,
                lag=self._lag,
            )
            life = SyncLife(self.workspace, store, wishes)
            made = SyncRun(life, store, SYSTEM, on_end=lambda: _forget(store.place, made))
            _under_way[store.place] = made
            made.start()
            return made

    def close(self) -> None:
        """End its connections."""
        self.workspace.close()

    def __enter__(self) -> IncrementalSync:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"IncrementalSync({self.workspace!r}, workers={self._workers}, strategy={self._strategy!r})"


def mirror_of(workspace: Workspace) -> MirrorStore:
    """The mirror of the workspace that the token is of: it takes a request to know which."""
    settings, me = workspace.settings, workspace.directory.me()
    return open_mirror(settings.home, str((me.get("app") or {}).get("id_code") or ""), url=settings.ledger_url)


def _forget(place: str, run: SyncRun) -> None:
    with _starting:
        if _under_way.get(place) is run:
            del _under_way[place]


def _depth(depth: Depth | str) -> Depth:
    try:
        return Depth(depth)
    except ValueError:
        raise UsageError(f"depth must be 'row' or 'thread', not {str(depth)[:40]!r}.") from None
