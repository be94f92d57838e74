"""Syncs as people start them: one at a time for each mirror, in a thread of its own, for plain callers and asyncio."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self

from intercom_bulk.errors import LedgerError, RunBusy, UsageError
from intercom_bulk.mirror.fetching.incremental import Catching, where_from
from intercom_bulk.mirror.fetching.launch import MirrorLaunch, mirror_of
from intercom_bulk.mirror.fetching.report import SyncReport
from intercom_bulk.mirror.keeping.proofs import INDEX_LAG, Depth
from intercom_bulk.mirror.keeping.schema import SyncKind
from intercom_bulk.mirror.whose import whose
from intercom_bulk.runs.options import RunOptions
from intercom_bulk.settings import Settings, checked_sync_strategy, checked_sync_workers
from intercom_bulk.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from intercom_bulk.mirror.fetching.launch import Given, Work
    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.runs.handle import Run
    from intercom_bulk.runs.summary import Progress, Summary

__all__ = ["IncrementalSync", "SyncRun"]

TIMEOUT = 60.0
"""Seconds of silence that a call may bear: a large page of a search takes long."""
_GLANCE = 0.2
"""Seconds between looks at whether another process has ended its sync."""
_under_way: dict[str, SyncRun] = {}
_starting = threading.Lock()


class SyncRun:
    """A sync under way, or over. Any thread may ask it, and `await` it: that neither blocks the loop, nor does giving
    up waiting stop the sync.
    """

    def __init__(self, launch: MirrorLaunch, store: MirrorStore, *, is_full: bool) -> None:
        self._launch = launch
        self._store = store
        self._clock = launch.workspace.clock
        self._report: SyncReport | None = None
        self._run: Run | None = None
        self.is_full = is_full
        """Whether it looks at everything, not only at what changed since the last one."""
        self.ended_at: float | None = None
        """When it ended, in monotonic seconds."""

    @property
    def run_id(self) -> str:
        """Of the run, and of the sync in the mirror's book."""
        return str(self._launch.run_id)

    @property
    def is_over(self) -> bool:
        return self.ended_at is not None

    def start(self) -> None:
        self._launch.on_end = self._end
        self._run = self._launch.start()

    def report(self, report: SyncReport) -> None:
        """What came of it."""
        self._report = report

    def progress(self) -> Progress | None:
        """The latest moment; None before the first one."""
        return self._begun().progress()

    def summary(self) -> Summary:
        """The totals so far, of the threads that are fetched."""
        return self._begun().summary()

    def stop(self) -> None:
        """End it: what was stored stays, and the next sync does the rest."""
        self._begun().stop()

    def abort(self) -> None:
        """Stop, and do not even wait for the answers under way."""
        self._begun().abort()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is over, at most `timeout` seconds; whether it is. Where another process was writing to this
        mirror, it is over when that one is done.
        """
        ends = None if timeout is None else self._clock.monotonic() + timeout
        if not self._begun().wait(timeout):
            return False
        while self._busy() is not None and self._store.is_syncing:
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
        busy = self._busy()
        if busy is not None:
            return self._theirs(busy)
        self._begun().result()
        if self._report is None:
            raise LedgerError("The sync ended before it could say anything: begin another one.")
        return self._report

    def _begun(self) -> Run:
        if self._run is None:
            raise UsageError("This sync was not started: start() it.")
        return self._run

    def _busy(self) -> RunBusy | None:
        try:
            self._begun().result()
        except RunBusy as busy:
            return busy
        except Exception:  # noqa: BLE001  for result() to raise
            return None
        return None

    def _theirs(self, busy: RunBusy) -> SyncReport:
        last = next((sync for sync in self._store.syncs(5) if sync.kind is not SyncKind.DELETIONS), None)
        if last is None:
            raise busy
        return SyncReport.of(last)

    def _end(self) -> None:
        """A run that had nothing to fetch leaves its record to the book of syncs: a sync a minute is half a million
        runs a year.
        """
        if self._report is not None and self._report.is_uneventful:
            self._launch.discard()
        self.ended_at = self._clock.monotonic()

    def __await__(self) -> Generator[Any, None, SyncReport]:
        return asyncio.to_thread(self.result).__await__()

    def __repr__(self) -> str:
        return f"SyncRun({self.run_id}, {'over' if self.is_over else 'under way'})"


class IncrementalSync:
    """Brings a mirror in step with its workspace: `IncrementalSync().run()`, `await IncrementalSync().start()`.

    `depth`: "row" or "thread"; None: threads, where the mirror has any. `full`: look at everything since the mirror
    begins. `deletions`: look for deleted ones, too. `contacts`: read whom the changed ones are with, where those are
    not here or wrote since; a full sync reads all of them. `workers` threads at a time, None: INTERCOM_SYNC_WORKERS,
    else 10. `strategy`: see INTERCOM_SYNC_STRATEGY. Without `workspace` or `settings`, by what `connection` and the
    environment say.
    """

    def __init__(
        self, *, depth: Depth | str | None = None, full: bool = False, deletions: bool = True,
        contacts: bool = True, workers: int | None = None, strategy: str | None = None, lag: int = INDEX_LAG,
        settings: Settings | None = None, workspace: Workspace | None = None, **connection: Any,
    ) -> None:  # fmt: skip
        if workspace is not None and (settings is not None or connection):
            raise UsageError("A sync takes a workspace, or the settings for one, not both.")
        if settings is not None and connection:
            raise UsageError(f"A sync takes settings, or {', '.join(connection)}, not both.")
        if depth is not None and depth not in set(Depth):
            raise UsageError(f"depth must be 'thread' or 'row', not {depth!r}.")
        known = workspace.settings if workspace is not None else settings or Settings.build(**connection)
        self._owns = workspace is None
        self.workspace = workspace or Workspace(known)
        self._depth = None if depth is None else Depth(depth)
        self._full = full
        self._deletions = deletions
        self._contacts = contacts
        self._workers = known.sync_workers if workers is None else checked_sync_workers(workers)
        self._strategy = known.sync_strategy if strategy is None else checked_sync_strategy(strategy)
        self._lag = lag
        self._store: MirrorStore | None = None

    @property
    def store(self) -> MirrorStore:
        """The mirror of the workspace that the token is for. The first time it takes a request to know which."""
        if self._store is None:
            settings = self.workspace.settings
            self._store = mirror_of(settings, whose(settings, self.workspace).workspace)
        return self._store

    def run(self, options: RunOptions | None = None) -> SyncReport:
        """Sync now, and wait for it; the one under way, if there is one. An interrupt stops it."""
        run = self.start(options)
        try:
            return run.result()
        except KeyboardInterrupt:
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
            made = _under_way[store.place] = self._made(store, options or RunOptions())
            made.start()
            return made

    def _made(self, store: MirrorStore, options: RunOptions) -> SyncRun:
        wishes = {
            "full": self._full, "deletions": self._deletions, "contacts": self._contacts, "strategy": self._strategy,
        }  # fmt: skip

        def asked(_: int) -> Mapping[str, Any]:
            return {**wishes, **where_from(store, self._depth, full=self._full)}

        def work(given: Given) -> Work:
            return Catching(given, made.report).work()

        launch = MirrorLaunch(
            workspace=self.workspace,
            kind=SyncKind.INCREMENTAL,
            title="Sync",
            question=asked,
            make_work=work,
            parameters=wishes,
            options=options,
            workers=self._workers,
            timeout=TIMEOUT,
            lag=self._lag,
        )
        made = SyncRun(launch, store, is_full=self._full)
        return made

    def close(self) -> None:
        """End its connections; a workspace that it was given stays open."""
        if self._owns:
            self.workspace.close()
        if self._store is not None:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"IncrementalSync({self.workspace!r}, workers={self._workers}, strategy={self._strategy!r})"
