"""Incremental sync: what changed since the mirror was last in step, and what was deleted. A run, of kind "sync".

It begins where everything that is stored was last known to miss nothing, less an overlap, and reads the changes from
there to the end. A sync that did not come to its end proves nothing and is not resumed: the next one begins at the same
place, and fetches only the threads that are not there yet.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from intercom_bulk.api.client import patience
from intercom_bulk.api.pages import RawPage, read_page
from intercom_bulk.errors import UsageError
from intercom_bulk.mirror.changes import ChangeSource, SideBySide, WritersSource, ask_smaller
from intercom_bulk.mirror.deletions import DeletionSource
from intercom_bulk.mirror.listing import Listing
from intercom_bulk.mirror.meter import Meter
from intercom_bulk.mirror.proofs import INDEX_LAG, Depth
from intercom_bulk.mirror.report import SyncReport
from intercom_bulk.mirror.schema import SyncKind, SyncState
from intercom_bulk.mirror.threads import ThreadFetch
from intercom_bulk.runs.model import Plan, RunState
from intercom_bulk.runs.record import RunRecord

if TYPE_CHECKING:
    from intercom_bulk.api.pages import Search
    from intercom_bulk.mirror.store import MirrorStore
    from intercom_bulk.mirror.writer import Deleted, MirrorWriter
    from intercom_bulk.runs.ledger import RunLedger
    from intercom_bulk.runs.model import RunOptions, Source, Summary
    from intercom_bulk.workspace import Workspace

__all__ = ["OVERLAP", "SyncLife", "Wishes"]

OVERLAP = 300
"""Seconds that are read again, though they were read."""
_TIMEOUT = 60.0
"""Seconds of silence: a large page of a search may take long."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How to sync. `depth` None: threads, where the mirror has any. `full`: everything since the mirror begins, not
    only what changed since the last time. `lag` is of Intercom's search index, in seconds.
    """

    options: RunOptions
    depth: Depth | None = None
    full: bool = False
    deletions: bool = True
    workers: int
    strategy: str
    lag: int = INDEX_LAG


class SyncLife:
    """What one sync does, in the run's own thread: `open_ledger`, `make_plan`, and at last `close`."""

    def __init__(self, workspace: Workspace, store: MirrorStore, wishes: Wishes) -> None:
        if wishes.options.source is not None or wishes.options.exclude is not None:
            raise UsageError("A sync reads what changed: source= and exclude= are for runs that change something.")
        self._workspace = workspace
        self._store = store
        self._wishes = wishes
        self._writer: MirrorWriter | None = None
        self._walk: _Walk | None = None
        self.run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        self.report: SyncReport | None = None

    @property
    def is_full(self) -> bool:
        return self._wishes.full

    def open_ledger(self) -> RunLedger:
        """The right to write comes first. Raises `RunBusy` while another sync writes."""
        self._writer = self._store.writing(lag=self._wishes.lag)
        return self._workspace.store.create(self._record())

    def make_plan(self) -> Plan:
        """The first request says what time it is there, and whose token this is."""
        workspace, wishes, writer = self._workspace, self._wishes, self._held()
        gate, began = workspace.governor, workspace.clock.monotonic()
        counted = (gate.requests, gate.rate_limited)
        gate.adjust(reserve=wishes.options.reserve, share=wishes.options.share)
        with patience(_TIMEOUT):
            now = workspace.begin()
        me = workspace.directory.me()
        mine = str((me.get("app") or {}).get("id_code") or "")
        if mine != self._store.workspace:
            raise UsageError(
                f"The mirror is of workspace {self._store.workspace}, and this token is of {mine}: use the token of"
                " that one."
            )
        meter = Meter(gate, workspace.clock, began=began, counted=counted)
        self._walk = _Walk(workspace, self._store, writer, wishes, self.run_id, at=now, meter=meter)
        return Plan(
            run_id=self.run_id,
            title="Sync",
            kind="sync",
            source=self._walk.source,
            action=self._walk.action,
            gate=gate,
            options=replace(wishes.options, canary=0, run_key=None),  # it reads: there is nothing to be careful with
            workers=wishes.workers,
            facts={"workspace": mine, "by": f"{me.get('name') or me.get('email') or 'admin'} ({me.get('id')})"},
            began=began,
            counted=counted,
            abort=workspace.abort,
            redact=workspace.settings.redact,
            on_end=self._book_end,
        )

    def discard(self) -> None:
        """It never began."""
        self._workspace.store.delete(self.run_id)

    def close(self) -> None:
        """Let others write. A run that had nothing to fetch leaves its record to the book of syncs: a sync a minute is
        half a million runs a year.
        """
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        if self.report is not None and self.report.is_uneventful:
            self._workspace.store.delete(self.run_id)

    def _book_end(self, summary: Summary) -> None:
        if self._walk is not None:
            self.report = self._walk.end(summary)

    def _held(self) -> MirrorWriter:
        if self._writer is None:
            raise UsageError("A sync that is over cannot be begun again: make another one.")
        return self._writer

    def _record(self) -> RunRecord:
        now, options = self._workspace.clock.time(), self._wishes.options
        return RunRecord(
            run_id=self.run_id,
            title="Sync",
            kind="sync",
            reason=options.reason,
            base_url=self._workspace.settings.base_url,
            parameters={"full": self._wishes.full, "strategy": self._wishes.strategy},
            created_at=now,
            updated_at=now,
        )


class _Walk:
    """From where to where, with what, and what that proves."""

    def __init__(
        self, workspace: Workspace, store: MirrorStore, writer: MirrorWriter, wishes: Wishes, sync_id: str, *,
        at: float, meter: Meter,
    ) -> None:  # fmt: skip
        self._workspace = workspace
        self._store = store
        self._writer = writer
        self._meter = meter
        self.sync_id = sync_id
        rows, threads = (store.knowledge(depth) for depth in Depth)
        self._depth = wishes.depth or (Depth.THREAD if threads.members else Depth.ROW)
        known = [rows, threads] if self._depth is Depth.THREAD else [rows]
        floors = [one.members.start if wishes.full else one.floor for one in known]
        begins = [second for second in floors if second is not None]
        if not begins:
            raise UsageError("The mirror is empty: run a backfill first, then a sync keeps it in step.")
        self._floor = min(begins) - OVERLAP
        self._listing = Listing(store, writer, sync_id, depth=self._depth, proved=rows.changes, meter=meter)
        question = {"since": self._floor, "depth": self._depth.value, "full": wishes.full, "strategy": wishes.strategy}
        writer.begin_sync(sync_id, SyncKind.INCREMENTAL, question, at=at, run_id=sync_id)
        self._changes = ChangeSource(ask_smaller(self._ask), self._listing.keep, self._floor, workspace.now)
        self._deletions = self._deletion_source(at) if wishes.deletions else None
        self.source = self._source(wishes)
        self.action = ThreadFetch(workspace, store, writer, sync_id, meter=meter)

    def _source(self, wishes: Wishes) -> Source:
        sources: list[Source] = [self._changes]
        if wishes.strategy == "contacts":
            sources.append(WritersSource(ask_smaller(self._ask), self._listing.keep, self._floor, self._workspace.now))
        if self._deletions is not None:
            sources.append(self._deletions)
        return SideBySide(*sources)

    def _deletion_source(self, at: float) -> DeletionSource:
        """From where the last look at deletions began; the first one: from where the first sync did."""
        known = self._store.deletions_known_to()
        since = int(at if known is None else known) - OVERLAP
        self._writer.begin_sync(self._deletions_id, SyncKind.DELETIONS, {"since": since}, at=at, run_id=self.sync_id)
        return DeletionSource(self._ask_patiently, self._mark, since, self._workspace.now)

    @property
    def _deletions_id(self) -> str:
        return f"{self.sync_id}-deletions"

    def _mark(self, gone: list[Deleted], asked_at: float) -> None:
        self._listing.deleted += self._writer.mark_deleted(gone, seen_at=asked_at)

    def _ask(self, search: Search, cursor: str | None) -> RawPage:
        """Twice at most: a smaller page may do."""
        with patience(_TIMEOUT):
            return self._workspace.looks.call(lambda: read_page(self._workspace.client, search, cursor), resend=True)

    def _ask_patiently(self, search: Search, cursor: str | None) -> RawPage:
        with patience(_TIMEOUT):
            return self._workspace.reads.call(lambda: read_page(self._workspace.client, search, cursor), resend=True)

    # -- the end

    def end(self, summary: Summary) -> SyncReport:
        """Proved is what was read to the end; threads only where none of them is left unread."""
        now, writer = self._workspace.now(), self._writer
        unread = summary.failed + summary.unknown + summary.unprocessed
        state, why = self._outcome(summary, unread)
        writer.count(self.sync_id, replace(self._meter.take(), missed=self._listing.missed))
        proof = writer.finish_sync(
            self.sync_id,
            state,
            at=now,
            error=why,
            read_down_to=self._floor if state is SyncState.COMPLETED else None,
            depth=Depth.ROW if unread else self._depth,
        )
        if self._deletions is not None:
            self._end_deletions(self._deletions, now, why)
        sync = self._store.sync(self.sync_id)
        return SyncReport.of(sync, proof=proof, deleted=self._listing.deleted, threads=summary.success, unread=unread)

    def _outcome(self, summary: Summary, unread: int) -> tuple[SyncState, str | None]:
        if summary.state in {RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS} and self._changes.reached_end:
            return SyncState.COMPLETED, f"{unread:,} conversations could not be read." if unread else None
        if summary.state is RunState.STOPPED:
            return SyncState.STOPPED, summary.reason
        return SyncState.FAILED, self._workspace.settings.redact(summary.reason or str(summary.state))

    def _end_deletions(self, source: DeletionSource, now: float, why: str | None) -> None:
        state = SyncState.COMPLETED if source.is_complete else SyncState.FAILED
        if source.refusal is not None:
            logger.warning("deleted conversations cannot be listed: %s", source.refusal)
        error = None if source.is_complete else source.refusal or why
        self._writer.finish_sync(self._deletions_id, state, at=now, error=error)
