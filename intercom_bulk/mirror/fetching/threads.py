"""Fetch conversations whole: the action of every sync. A thread is in the mirror before the run says that it is done.

Fetching twice does no harm, so an answer that was lost is asked for again, and a run that died goes on with what the
mirror does not have. Threads that arrive together are written together: a commit for each would take longer than the
rate limit does.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import patience, segment
from intercom_bulk.errors import Gone, LedgerError, LeftAlone, Unauthorized
from intercom_bulk.mirror.keeping.documents import read_version
from intercom_bulk.mirror.keeping.tombs import Deleted
from intercom_bulk.mirror.keeping.wanted import has_thread
from intercom_bulk.runs.model import Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from intercom_bulk.api.client import Answer
    from intercom_bulk.mirror.fetching.meter import Meter
    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.mirror.keeping.writer import MirrorWriter
    from intercom_bulk.runs.model import Item
    from intercom_bulk.workspace import Workspace

__all__ = ["ThreadFetch", "ThreadGroup"]

_NAMES = ("tag", "team", "admin")


class ThreadFetch:
    """GET /conversations/{id} into the mirror, for the engine. `on_settled` hears each id once its thread is stored, or
    the conversation known to be gone; from whatever thread.

    A conversation that no longer exists is marked as deleted, and skipped under the code `deleted`: not `gone`, of
    which ten in a row stop a run, since here nothing can be done to the wrong ones.
    """

    steps: Sequence[str] = ()
    max_batch = 1

    def __init__(
        self,
        workspace: Workspace,
        store: MirrorStore,
        writer: MirrorWriter,
        sync_id: str,
        *,
        meter: Meter,
        timeout: float = 30.0,
        on_settled: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._workspace = workspace
        self._store = store
        self._writer = writer
        self._group = ThreadGroup(writer, sync_id, meter)
        self._timeout = timeout
        self._on_settled = on_settled

    def is_idempotent(self, item: Item) -> bool:
        del item
        return True

    def prepare(self) -> None:
        """The names that the mirror's views join. Who may not read them gets ids instead."""
        saves = (self._writer.save_tags, self._writer.save_teams, self._writer.save_admins)
        for name, save in zip(_NAMES, saves, strict=True):
            now = self._workspace.now()
            try:
                listed = self._workspace.directory.entries(name)
            except Unauthorized:
                continue
            save(listed, seen_at=now)

    def effect(self, item: Item) -> None:
        del item

    def perform(self, batch: Sequence[Item]) -> Sequence[Receipt | Exception]:
        return [self._fetch(item.id) for item in batch]

    def already_done(self, item: Item) -> bool | None:
        """No request: the mirror knows."""
        return has_thread(self._store, item.id)

    def _fetch(self, item_id: str) -> Receipt | Exception:
        # Before it is sent: what is said of the time of reading is never later than it was.
        asked = self._workspace.now()
        try:
            answer = self._ask(item_id)
        except Gone as error:
            self._writer.mark_deleted([Deleted(item_id, int(asked))], seen_at=asked)
            self._on_settled(item_id)
            return LeftAlone(f"It does not exist any more: {error}", code="deleted")
        found, _, _ = read_version(answer.body)
        self._group.save(answer.body, asked)
        if found != item_id:  # merged into another one: that is stored, this is no more
            self._writer.mark_deleted([Deleted(item_id, int(asked))], seen_at=asked)
        self._on_settled(item_id)
        return Receipt(answer.request_id)

    def _ask(self, item_id: str) -> Answer:
        path, client = f"conversations/{segment(item_id)}", self._workspace.client
        with patience(self._timeout):
            return self._workspace.outer_attempts.call(lambda: client.send("GET", path), resend=True)


@dataclass(slots=True)
class _Waiting:
    """A thread on its way into the mirror, and what came of it."""

    document: Mapping[str, Any]
    seen_at: float
    over: bool = False
    error: Exception | None = None


class ThreadGroup:
    """Writes what its callers bring, together what comes together: who writes takes along whatever waits, and the
    others find it done. `save` returns when the thread is on the disk.
    """

    def __init__(self, writer: MirrorWriter, sync_id: str, meter: Meter) -> None:
        self._writer = writer
        self._sync_id = sync_id
        self._meter = meter
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: list[_Waiting] = []

    def save(self, document: Mapping[str, Any], seen_at: float) -> None:
        """Raises `LedgerError`, and what is wrong with this document; never with another one."""
        mine = _Waiting(document, seen_at)
        with self._lock:
            self._waiting.append(mine)
        with self._writing:
            if not mine.over:
                self._write_all()
        if mine.error is not None:
            raise mine.error

    def _write_all(self) -> None:
        with self._lock:
            group, self._waiting = self._waiting, []
        try:
            self._write(group)
        except LedgerError as error:
            self._end(group, error)
        except Exception as error:  # noqa: BLE001  one of them cannot be stored: which one?
            if len(group) == 1:
                self._end(group, error)
                return
            for one in group:
                self._write_alone(one)
        else:
            self._end(group, None)

    def _write_alone(self, one: _Waiting) -> None:
        try:
            self._write([one])
        except Exception as error:  # noqa: BLE001  the failure of its own caller
            self._end([one], error)
        else:
            self._end([one], None)

    def _write(self, group: Sequence[_Waiting]) -> None:
        """As of the earliest: nothing is said to have been read later than it was."""
        documents, seen_at = [one.document for one in group], min(one.seen_at for one in group)
        self._writer.save_threads(self._sync_id, documents, seen_at=seen_at, counts=self._meter.take())

    def _end(self, group: Sequence[_Waiting], error: Exception | None) -> None:
        for one in group:
            one.over, one.error = True, error
