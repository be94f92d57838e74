"""Incremental sync: what changed since the mirror was last in step, and what was deleted.

It begins where everything that is stored was last known to miss nothing, less an overlap, and reads the changes from
there to the end. A sync that did not come to its end proves nothing and is not resumed: the next one begins at the same
place, and fetches only the threads that are not there yet.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import patience
from intercom_bulk.api.pages import RawPage, read_page
from intercom_bulk.errors import UsageError
from intercom_bulk.mirror.fetching.changes import ChangeSource, SideBySide, WritersSource, ask_smaller
from intercom_bulk.mirror.fetching.contacts import Contacts, WithContacts
from intercom_bulk.mirror.fetching.deletions import DeletionSource
from intercom_bulk.mirror.fetching.launch import Ending, Work
from intercom_bulk.mirror.fetching.listing import Listing
from intercom_bulk.mirror.fetching.report import SyncReport
from intercom_bulk.mirror.fetching.threads import ThreadFetch
from intercom_bulk.mirror.keeping.proofs import INDEX_LAG, Axis, Depth
from intercom_bulk.mirror.keeping.schema import SyncKind, SyncState
from intercom_bulk.runs.model import RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from intercom_bulk.api.pages import Search
    from intercom_bulk.mirror.fetching.launch import Given
    from intercom_bulk.mirror.keeping.proofs import Proof
    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.mirror.keeping.syncs import Sync
    from intercom_bulk.mirror.keeping.tombs import Deleted
    from intercom_bulk.runs.seams import Source
    from intercom_bulk.runs.summary import Summary

__all__ = ["OVERLAP", "Catching", "where_from"]

OVERLAP = 300
"""Seconds that are read again, though they were read."""
_OVER = frozenset({RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS})
logger = logging.getLogger(__name__)


class Catching:
    """What one sync reads, where it stores that, and what it proves. Its question: `since` which second, at which
    `depth`, `deletions`, `contacts`, `full` and `strategy`. `told` gets the report.
    """

    def __init__(self, given: Given, told: Callable[[SyncReport], None]) -> None:
        self._given = given
        self._told = told
        question = given.sync.question
        self._depth, self._floor = Depth(question["depth"]), int(question["since"])
        self._contacts = Contacts(
            given.workspace, given.store, given.writer, timeout=given.timeout,
            since=given.sync.started_at - INDEX_LAG if question["full"] else 0.0,
        )  # fmt: skip
        self._listing = Listing(
            given.store, given.writer, given.sync.id, depth=self._depth, meter=given.meter, lag=given.lag,
            proved=given.store.covered(Axis.UPDATED),
            on_rows=self._contacts.offer if question["contacts"] else lambda _: None,
        )  # fmt: skip
        now = given.workspace.now
        self._changes = ChangeSource(ask_smaller(self._ask), self._listing.keep, self._floor, now)
        self._writers = (
            WritersSource(ask_smaller(self._ask), self._listing.keep, self._floor, now)
            if question["strategy"] == "contacts"
            else None
        )
        self._deletions = self._deletion_source() if question["deletions"] else None
        self._summary: Summary | None = None

    def work(self) -> Work:
        given = self._given
        sources: list[Source] = [one for one in (self._changes, self._writers, self._deletions) if one is not None]
        fetch = ThreadFetch(
            given.workspace, given.store, given.writer, given.sync.id, meter=given.meter, timeout=given.timeout
        )
        return Work(WithContacts(SideBySide(*sources), self._contacts), fetch, self._end, self._booked)

    def _deletion_source(self) -> DeletionSource:
        """From where the last look at deletions began; the first one: from where the first sync did."""
        given, at = self._given, self._given.sync.started_at
        known = given.store.deletions_known_to()
        since = int(at if known is None else known) - OVERLAP
        given.writer.begin_sync(
            self._deletions_id, SyncKind.DELETIONS, {"since": since}, at=at, run_id=given.sync.run_id
        )
        return DeletionSource(self._ask_patiently, self._mark, since, given.workspace.now)

    @property
    def _deletions_id(self) -> str:
        return f"{self._given.sync.id}-deletions"

    def _mark(self, gone: list[Deleted], asked_at: float) -> None:
        self._listing.deleted += self._given.writer.mark_deleted(gone, seen_at=asked_at)

    def _ask(self, search: Search, cursor: str | None) -> RawPage:
        """Twice at most: a smaller page may do."""
        workspace = self._given.workspace
        with patience(self._given.timeout):
            return workspace.looks.call(lambda: read_page(workspace.client, search, cursor), resend=True)

    def _ask_patiently(self, search: Search, cursor: str | None) -> RawPage:
        workspace = self._given.workspace
        with patience(self._given.timeout):
            return workspace.reads.call(lambda: read_page(workspace.client, search, cursor), resend=True)

    # -- the end

    def _end(self, summary: Summary) -> Ending:
        """Proved is what was read to the end; threads only where none of them is left unread."""
        self._summary = summary
        unread = _unread(summary)
        self._listing.tell_missed()
        if self._given.sync.question["full"]:
            self._given.writer.compact()
        if self._deletions is not None:
            self._end_deletions(self._deletions, summary)
        if summary.state in _OVER and self._changes.reached_end:
            why = f"{unread:,} conversations could not be read." if unread else None
            return Ending(SyncState.COMPLETED, self._floor, Depth.ROW if unread else self._depth, why)
        stopped = summary.state is RunState.STOPPED
        return Ending(SyncState.STOPPED if stopped else SyncState.FAILED)

    def _end_deletions(self, source: DeletionSource, summary: Summary) -> None:
        if source.refusal is not None:
            logger.warning("deleted conversations cannot be listed: %s", source.refusal)
        self._given.writer.finish_sync(
            self._deletions_id,
            SyncState.COMPLETED if source.is_complete else SyncState.FAILED,
            at=self._given.workspace.now(),
            error=None if source.is_complete else source.refusal or summary.reason,
        )

    def _booked(self, sync: Sync, proof: Proof | None) -> None:
        assert self._summary is not None  # noqa: S101  it is booked after it ended
        done, unread = self._summary.success, _unread(self._summary)
        report = SyncReport.of(
            sync, proof=proof, deleted=self._listing.deleted, threads=done, unread=unread, contacts=self._contacts.read,
            deletions_unknown=self._deletions.refusal if self._deletions is not None else None,
        )  # fmt: skip
        self._told(report)


def where_from(store: MirrorStore, wanted: Depth | None, *, full: bool) -> Mapping[str, Any]:
    """`depth` and `since` of the next sync. `wanted` None: threads, where the mirror has any. Raises `UsageError` for a
    mirror that has nothing to go on from.
    """
    rows, threads = (store.knowledge(depth) for depth in Depth)
    depth = wanted or (Depth.THREAD if threads.floor is not None else Depth.ROW)
    known = [rows, threads] if depth is Depth.THREAD else [rows]
    floors = [one.members.start if full else one.floor for one in known]
    if None in floors:
        deeper = "." if rows.floor is None else " that reads threads."
        raise UsageError(f"There is nothing in the mirror to keep in step: run a backfill first{deeper}")
    return {"depth": depth.value, "since": min(second for second in floors if second is not None) - OVERLAP}


def _unread(summary: Summary) -> int:
    return summary.failed + summary.unknown + summary.unprocessed
