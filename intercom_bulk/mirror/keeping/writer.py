"""The one who writes: rows and the checkpoint that says so, always in one transaction."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from intercom_bulk.mirror.keeping.backend import chunks
from intercom_bulk.mirror.keeping.documents import read_contact, read_thread
from intercom_bulk.mirror.keeping.people import ADMINS, TAGS, TEAMS, mark_contacts, store_contacts, store_names
from intercom_bulk.mirror.keeping.proofs import INDEX_LAG, Depth, Proof, proved_by_sync, proved_by_window
from intercom_bulk.mirror.keeping.purging import leftovers, purge
from intercom_bulk.mirror.keeping.rows import store_threads
from intercom_bulk.mirror.keeping.schema import SyncState, WindowState
from intercom_bulk.mirror.keeping.syncs import Counts, SyncBook
from intercom_bulk.mirror.keeping.tombs import bury

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from intercom_bulk.mirror.keeping.backend import Backend, Connection
    from intercom_bulk.mirror.keeping.coverage import Span
    from intercom_bulk.mirror.keeping.deciding import Stored
    from intercom_bulk.mirror.keeping.documents import Thread
    from intercom_bulk.mirror.keeping.people import GoneContact, Named
    from intercom_bulk.mirror.keeping.schema import SyncKind
    from intercom_bulk.mirror.keeping.syncs import Sync, Window
    from intercom_bulk.mirror.keeping.tombs import Deleted

__all__ = ["MirrorWriter"]


class MirrorWriter:
    """Holds the mirror for writing until it is closed. Its methods may be called from several threads, one after
    another; each is a transaction of its own.

    `lag`: seconds by which Intercom's search index may be behind; what is proved is proved of so much earlier.
    """

    def __init__(self, backend: Backend, *, lag: int = INDEX_LAG) -> None:
        self._index = backend.index
        self._lag = lag
        self._lock = threading.Lock()
        self._on: Connection = backend.write()
        self._book = SyncBook(self._on)
        try:
            self._purge_leftovers()
        except BaseException:
            self._on.close()
            raise

    def _purge_leftovers(self) -> None:
        left = leftovers(self._on)
        if left:
            with self._atomic():
                purge(self._on, self._index, left)

    @contextmanager
    def _atomic(self) -> Iterator[None]:
        with self._lock, self._on.atomic():
            yield

    # -- rows

    def save_contacts(self, documents: Iterable[Mapping[str, Any]], *, seen_at: float) -> int:
        """How many were written: an older `updated_at` than the stored one's loses."""
        rows = [read_contact(document) for document in documents]
        with self._atomic():
            return store_contacts(self._on, rows, seen_at)

    def save_tags(self, documents: Iterable[Mapping[str, Any]], *, seen_at: float) -> None:
        """Of GET /tags."""
        self._name(TAGS, documents, seen_at)

    def save_teams(self, documents: Iterable[Mapping[str, Any]], *, seen_at: float) -> None:
        """Of GET /teams."""
        self._name(TEAMS, documents, seen_at)

    def save_admins(self, documents: Iterable[Mapping[str, Any]], *, seen_at: float) -> None:
        """Of GET /admins."""
        self._name(ADMINS, documents, seen_at)

    def mark_deleted(self, gone: Iterable[Deleted], *, seen_at: float) -> int:
        """Remember that these are gone, mirrored or not; how many of the mirrored ones are newly so. Their rows stay,
        marked, and empty: see purging.py.
        """
        marked = 0
        with self._atomic():
            for batch in chunks(gone):
                marked += bury(self._on, self._index, batch, seen_at)
        return marked

    def mark_contacts(self, gone: Iterable[GoneContact], *, seen_at: float) -> None:
        """Contacts that were deleted, or merged into others, as Intercom told at server time `seen_at`. Nothing of them
        stays but that.
        """
        with self._atomic():
            mark_contacts(self._on, gone, seen_at)

    def compact(self) -> None:
        """Write the full-text index anew: words that are in no conversation any more leave its pages."""
        with self._atomic():
            self._index.compact(self._on)

    # -- syncs

    def begin_sync(
        self, sync_id: str, kind: SyncKind, question: Mapping[str, Any], *, at: float, run_id: str | None = None
    ) -> Sync:
        """A new sync, or another life of one that did not complete: it keeps its question, its start, and its windows;
        those that were being fetched are pending again. Raises `LedgerError` where it was completed.
        """
        with self._atomic():
            return self._book.begin(sync_id, kind, question, at=at, run_id=run_id)

    def count(self, sync_id: str, counts: Counts) -> None:
        """Add to what the sync did: calls, 429s, seconds, what was missed. Rows that are saved count themselves."""
        with self._atomic():
            self._book.add(sync_id, counts)

    def finish_sync(
        self, sync_id: str, state: SyncState, *, at: float, error: str | None = None, read_down_to: int | None = None,
        depth: Depth = Depth.ROW,
    ) -> Proof | None:  # fmt: skip
        """How it ended. `read_down_to`: a completed incremental sync has read everything updated since then, at this
        depth; that proves what was updated up to its *start*. Raises ValueError where one that did not complete claims
        to prove something.

        Read newest first, a conversation that changes meanwhile jumps from below the cursor to the top, and is missed.
        So the claim is only true of a walk by `updated_at` from the oldest change to the end of the list: changes.py.
        """
        if read_down_to is not None and state is not SyncState.COMPLETED:
            raise ValueError("a sync that did not complete proves nothing")
        with self._atomic():
            sync = self._book.get(sync_id)
            self._book.finish(sync_id, state, at=at, error=error)
            if read_down_to is None:
                return None
            proof = proved_by_sync(read_down_to, began=sync.started_at, depth=depth, lag=self._lag)
            if proof is not None:
                self._book.prove(proof, sync_id)
            return proof

    def plan_windows(self, sync_id: str, spans: Sequence[Span]) -> list[Window]:
        with self._atomic():
            return self._book.plan(sync_id, spans)

    def split_window(self, window: Window, spans: Sequence[Span]) -> list[Window]:
        """Smaller windows in the place of one; they begin anew."""
        return self.replace_windows([window], spans)

    def replace_windows(self, windows: Sequence[Window], spans: Sequence[Span]) -> list[Window]:
        """Other windows, of one sync, in the place of these; they begin anew."""
        with self._atomic():
            # In this order: a number that was free again would let a page of the old window count for a new one.
            planned = self._book.plan(windows[0].sync_id, spans)
            for window in windows:
                self._book.drop(window)
            return planned

    def cut_window(self, window: Window, spans: Sequence[Span]) -> tuple[Window, list[Window]]:
        """A window that was read up to where `spans` begin ends there, to be finished; they are windows of their own.
        `expected` was of the whole, and is forgotten.
        """
        cut = replace(window, hi=min(span.lo for span in spans), cursor=None, expected=None)
        with self._atomic():
            planned = self._book.plan(window.sync_id, spans)
            self._book.save(cut)
        return cut, planned

    def reopen_windows(self, sync_id: str) -> None:
        """Those that failed are to be tried again."""
        with self._atomic():
            for window in self._book.windows(sync_id, WindowState.FAILED):
                self._book.save(replace(window, state=WindowState.PENDING))

    def begin_window(self, window: Window, *, at: float) -> Window:
        """One more try, at server time `at`. A window that has a cursor goes on from there, and is as of its first
        page; one that has none begins anew.
        """
        begun = replace(window, state=WindowState.FETCHING, tries=window.tries + 1, error=None)
        if window.cursor is None:
            begun = replace(begun, began_at=at, pages=0, stored=0, expected=None)
        return self._save_window(begun)

    def save_page(
        self, window: Window, documents: Iterable[Mapping[str, Any]], *, seen_at: float, cursor: str | None,
        expected: int | None = None, counts: Counts | None = None,
    ) -> tuple[Window, Stored]:  # fmt: skip
        """A page's rows and the cursor after it, None at the end, in one transaction. `expected` is `total_count`;
        `counts` is what else the sync did since it last said so.
        """
        threads = _read(documents)
        with self._atomic():
            stored = self._store(threads, seen_at)
            saved = replace(
                window,
                cursor=cursor,
                pages=window.pages + 1,
                stored=window.stored + len({thread.row.id for thread in threads}),
                expected=window.expected if expected is None else expected,
            )
            self._book.save(saved)
            self._book.add(window.sync_id, _counted(stored, found=len(threads)) + (counts or Counts()))
        return saved, stored

    def save_rows(
        self, sync_id: str, documents: Iterable[Mapping[str, Any]], *, seen_at: float, counts: Counts | None = None
    ) -> Stored:
        """Conversations that a sync has listed, and what it counts of them, in one transaction."""
        threads = _read(documents)
        with self._atomic():
            stored = self._store(threads, seen_at)
            self._book.add(sync_id, _counted(stored, found=len(threads)) + (counts or Counts()))
        return stored

    def save_threads(
        self, sync_id: str, documents: Iterable[Mapping[str, Any]], *, seen_at: float, counts: Counts | None = None
    ) -> Stored:
        """Threads that a sync has fetched one by one; they were counted when they were listed, but for their parts."""
        threads = _read(documents)
        with self._atomic():
            stored = self._store(threads, seen_at)
            self._book.add(sync_id, Counts(parts=stored.parts) + (counts or Counts()))
        return stored

    def finish_window(self, window: Window, *, depth: Depth) -> Proof | None:
        """Read to its end, at this depth: that proves what was created in it, as of when it began."""
        if window.began_at is None:
            raise ValueError("a window that was not begun proves nothing")
        proof = proved_by_window(window.lo, window.hi, began=window.began_at, depth=depth, lag=self._lag)
        with self._atomic():
            self._book.save(replace(window, state=WindowState.STORED, cursor=None))
            if proof is not None:
                self._book.prove(proof, window.sync_id)
        return proof

    def prove_threads(self, windows: Iterable[Window]) -> None:
        """The threads of all that was found in these, which are stored, are here as well."""
        with self._atomic():
            for window in windows:
                began = window.began_at or 0.0
                proof = proved_by_window(window.lo, window.hi, began=began, depth=Depth.THREAD, lag=self._lag)
                if proof is not None:
                    self._book.prove(proof, window.sync_id)

    def fail_window(self, window: Window, error: str, *, again: bool) -> Window:
        """`again`: it is to be tried once more, from its cursor."""
        state = WindowState.PENDING if again else WindowState.FAILED
        return self._save_window(replace(window, state=state, error=error))

    def close(self) -> None:
        """Let others write."""
        with self._lock:
            self._on.close()

    def __enter__(self) -> MirrorWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _store(self, threads: Sequence[Thread], seen_at: float) -> Stored:
        return store_threads(self._on, self._index, threads, seen_at)

    def _name(self, things: Named, documents: Iterable[Mapping[str, Any]], seen_at: float) -> None:
        with self._atomic():
            store_names(self._on, things, documents, seen_at)

    def _save_window(self, window: Window) -> Window:
        with self._atomic():
            self._book.save(window)
        return window


def _read(documents: Iterable[Mapping[str, Any]]) -> list[Thread]:
    """Before the transaction: reading HTML and packing take longer than writing, and others may write meanwhile."""
    return [read_thread(document) for document in documents]


def _counted(stored: Stored, *, found: int) -> Counts:
    return Counts(
        found=found, added=stored.new, changed=stored.changed, unchanged=stored.unchanged + stored.outdated,
        parts=stored.parts,
    )  # fmt: skip
