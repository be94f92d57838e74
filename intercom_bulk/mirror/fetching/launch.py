"""A run that writes to the mirror: its record, its ledger, its plan, and the sync in the mirror's book beside it.

The book says what was asked and how far it got, in the transactions of the rows; the ledger says what became of each
item. A run of more than one life has one sync.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import patience
from intercom_bulk.errors import LedgerError, RunBusy, UnknownRun, UsageError
from intercom_bulk.mirror.fetching.meter import Meter
from intercom_bulk.mirror.keeping.proofs import INDEX_LAG, Depth
from intercom_bulk.mirror.keeping.schema import SyncKind, SyncState
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.runs.beginning import check_workspace, list_anew, versions
from intercom_bulk.runs.handle import Run
from intercom_bulk.runs.model import RunState
from intercom_bulk.runs.options import RunOptions
from intercom_bulk.runs.record import RunRecord
from intercom_bulk.runs.seams import Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from intercom_bulk.mirror.keeping.proofs import Proof
    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.mirror.keeping.syncs import Sync
    from intercom_bulk.mirror.keeping.writer import MirrorWriter
    from intercom_bulk.runs.ledger import RunLedger
    from intercom_bulk.runs.seams import Action, Source
    from intercom_bulk.runs.summary import Summary
    from intercom_bulk.settings import Settings
    from intercom_bulk.workspace import Workspace

__all__ = ["Ending", "Given", "MirrorLaunch", "Work", "drawn_id", "ended_as", "mirror_of"]


@dataclass(frozen=True, slots=True)
class Given:
    """What a sync finds when it begins: the mirror, held for writing; its entry in the book; the server's time."""

    workspace: Workspace
    store: MirrorStore
    writer: MirrorWriter
    sync: Sync
    meter: Meter
    life: int
    timeout: float
    workers: int | None
    lag: int = INDEX_LAG


@dataclass(frozen=True, slots=True)
class Ending:
    """How a sync is booked. `read_down_to`: see `MirrorWriter.finish_sync`. `error`: what is wrong with it, where that
    is not what the run ended with.
    """

    state: SyncState
    read_down_to: int | None = None
    depth: Depth = Depth.ROW
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What a kind of sync is made of. `end` hears the totals, while the mirror is still held; `booked` what the book
    then says, and what it proves.
    """

    source: Source
    action: Action
    end: Callable[[Summary], Ending]
    booked: Callable[[Sync, Proof | None], None] = lambda *_: None


def drawn_id() -> str:
    """The id of a new run."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def mirror_of(settings: Settings, workspace: str) -> MirrorStore:
    """Where the runs of this workspace are kept, its mirror is, too."""
    return open_mirror(settings.home, workspace, url=settings.ledger_url)


def ended_as(summary: Summary) -> SyncState:
    """How a run's end is called in the book."""
    match summary.state:
        case RunState.COMPLETED:
            return SyncState.COMPLETED
        case RunState.COMPLETED_WITH_ERRORS:
            return SyncState.HOLES
        case RunState.HALTED:
            return SyncState.FAILED
        case _:
            return SyncState.STOPPED


@dataclass(kw_only=True, slots=True)
class MirrorLaunch:
    """One life of a run that is about to begin, or to go on. `question` tells what is asked, given the second that was
    just over by the server's clock; a sync of several lives keeps the first answer. `parameters` are for the record;
    `sync` there names the sync of an earlier run that this one goes on with. `run_id` is that of a run that goes on,
    `name` of a new one, for those who have to know it before it begins. `lag`: seconds by which the search index
    may be behind. `on_end` comes last, in the run's own thread.
    """

    workspace: Workspace
    kind: SyncKind
    title: str
    question: Callable[[int], Mapping[str, Any]]
    make_work: Callable[[Given], Work]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    options: RunOptions = field(default_factory=RunOptions)
    workers: int | None = None
    timeout: float = 30.0
    parent: str | None = None
    run_id: str | None = None
    name: str | None = None
    lag: int = INDEX_LAG
    on_end: Callable[[], None] = lambda: None
    _earlier: RunRecord | None = None
    _ledger: RunLedger | None = None

    def start(self) -> Run:
        """Begin in a thread of its own. Raises `UsageError` for options that mean nothing here."""
        options = self.options
        if options.source is not None or options.exclude is not None:
            raise UsageError("source= and exclude= are for bulk runs: a mirror reads what its range says.")
        if options.run_key is not None:
            raise UsageError(
                "run_key= is for bulk runs: a backfill is gone on with by its run_id, resume(run_id), and a sync always"
                " goes on where the last one ended."
            )
        self.workspace.governor.adjust(reserve=options.reserve, share=options.share)
        is_new = self.run_id is None
        run_id = self.run_id = self.run_id or self.name or drawn_id()
        return Run(
            run_id,
            lambda: self._open_ledger(is_new=is_new),
            self._make_plan,
            self.workspace.clock,
            discard=self.discard if is_new else lambda: None,
            on_end=self.on_end,
        )

    def _open_ledger(self, *, is_new: bool) -> RunLedger:
        store = self.workspace.store
        if is_new:
            self._ledger = store.create(self._record())
            return self._ledger
        ledger = store.open(str(self.run_id))
        try:
            self._earlier = ledger.record()
        except BaseException:
            ledger.close()
            raise
        self._ledger = ledger
        return ledger

    def discard(self) -> None:
        """Leave no record of the run: it never began, or there is nothing to say of it."""
        try:
            self.workspace.store.delete(str(self.run_id))
        except (LedgerError, RunBusy):
            return

    def _make_plan(self) -> Plan:
        workspace, clock = self.workspace, self.workspace.clock
        began, counted = clock.monotonic(), (workspace.governor.requests, workspace.governor.rate_limited)
        with patience(self.timeout):
            now = workspace.begin()
        me = workspace.directory.me()
        app = str((me.get("app") or {}).get("id_code") or "")
        self._check_workspace(app)
        meter = Meter(workspace.governor, clock, began=began, counted=counted)
        store = mirror_of(workspace.settings, app)
        writer = store.writing(lag=self.lag)
        try:
            given = self._given(store, writer, meter, now)
            work = self.make_work(given)
            list_anew(self._ledger, self._earlier, work.source)
        except BaseException:
            writer.close()
            store.close()
            raise
        facts = {"workspace": app, "by": f"{me.get('name') or me.get('email') or 'admin'} ({me.get('id')})"}
        cutoff = self._earlier.cutoff if self._earlier is not None else None
        return Plan(
            run_id=str(self.run_id),
            title=self.title,
            kind=self.title.lower(),
            source=work.source,
            action=work.action,
            gate=workspace.governor,
            options=replace(self.options, canary=0),  # what reads can do no harm
            workers=self.workers,
            settle_set=0.0,
            facts={**facts, "cutoff": now if cutoff is None else cutoff},
            began=began,
            counted=counted,
            abort=workspace.abort,
            redact=workspace.settings.redact,
            on_end=lambda summary: _end(given, work, summary),
        )

    def _given(self, store: MirrorStore, writer: MirrorWriter, meter: Meter, now: int) -> Given:
        sync_id = str(self.parameters.get("sync") or self.run_id)
        sync = _known(store, sync_id)
        # Completed, though its run is not: it died between the two entries.
        if sync is None or sync.state is not SyncState.COMPLETED:
            question = self.question(now) if sync is None else sync.question
            sync = writer.begin_sync(sync_id, self.kind, question, at=float(now), run_id=self.run_id)
        life = 1 if self._earlier is None else self._earlier.lives + 1
        return Given(self.workspace, store, writer, sync, meter, life, self.timeout, self.workers, self.lag)

    def _check_workspace(self, workspace: str) -> None:
        earlier = self._earlier
        if earlier is None and self.parent is not None:
            earlier = self.workspace.store.record(self.parent)
        check_workspace(earlier, workspace)

    def _record(self) -> RunRecord:
        now = self.workspace.clock.time()
        return RunRecord(
            run_id=str(self.run_id),
            title=self.title,
            kind=self.title.lower(),
            parent=self.parent,
            reason=self.options.reason,
            base_url=self.workspace.settings.base_url,
            parameters={**self.parameters, "workers": self.workers, "timeout": self.timeout},
            versions=versions(api=self.workspace.settings.api_version),
            created_at=now,
            updated_at=now,
        )


def _known(store: MirrorStore, sync_id: str) -> Sync | None:
    try:
        return store.sync(sync_id)
    except UnknownRun:
        return None


def _end(given: Given, work: Work, summary: Summary) -> None:
    try:
        ending = work.end(summary)
        given.writer.count(given.sync.id, given.meter.take())
        proof = given.writer.finish_sync(
            given.sync.id,
            ending.state,
            at=given.workspace.now(),
            error=ending.error or summary.reason,
            read_down_to=ending.read_down_to,
            depth=ending.depth,
        )
        work.booked(given.store.sync(given.sync.id), proof)
    finally:
        given.writer.close()
        given.store.close()
