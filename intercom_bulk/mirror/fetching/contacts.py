"""The people of the conversations that are mirrored: asked for by their ids, 150 a call, beside the reading of rows.

Wanted are those that are not here, and those who wrote since they were read. What else changes in a contact (a new
address, say) moves none of their conversations, and is read by a full sync alone: a row of table `contact` is as of its
`seen_at`, and nothing is claimed of later.

Whom the search does not show is asked for alone, once: merged into another, deleted or archived, or too new for it.
What cannot be read is left for the next one to want; it proves nothing about conversations, and stops none of them.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import patience, segment
from intercom_bulk.api.pages import RawPage, Search, endpoint, read_page
from intercom_bulk.errors import ApiError, Gone, Rejected, Unauthorized
from intercom_bulk.mirror.keeping.documents import contacts_of
from intercom_bulk.mirror.keeping.fields import id_of
from intercom_bulk.mirror.keeping.people import GoneContact
from intercom_bulk.mirror.keeping.proofs import INDEX_LAG
from intercom_bulk.mirror.keeping.wanted import contacts_unread, contacts_wanted
from intercom_bulk.runs.model import Page, Slice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.mirror.keeping.writer import MirrorWriter
    from intercom_bulk.runs.seams import Source
    from intercom_bulk.workspace import Workspace

__all__ = ["Contacts", "WithContacts"]

AT_ONCE = 150
"""Ids of one search, and contacts of its page. Where Intercom takes fewer, it is asked for fewer."""
ENOUGH = 75
"""So many that wait are worth a call while there are rows to read."""
FEWEST = 10
TRIES = 3
"""Failures in a row after which no more contacts are asked for."""
_SEARCH = endpoint("contacts/search")
logger = logging.getLogger(__name__)


class Contacts:
    """Of one sync; any thread may offer, and work. `since`: whoever was read before that server time is wanted again.

    `read` counts those that were stored; `refusal` says why no more are asked for, where that is so.
    """

    def __init__(
        self, workspace: Workspace, store: MirrorStore, writer: MirrorWriter, *, timeout: float, since: float = 0.0
    ) -> None:
        self._workspace = workspace
        self._store = store
        self._writer = writer
        self._timeout = timeout
        self._since = since
        self._lock = threading.Lock()
        self._waiting: dict[str, None] = {}
        self._alone: deque[str] = deque()
        self._in_flight: set[str] = set()
        self._given_up: set[str] = set()
        self._at_once = AT_ONCE
        self._failures = 0
        self.read = 0
        self.refusal: str | None = None

    def offer(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Conversations that were listed."""
        wrote: dict[str, int] = {}
        for row in rows:
            for contact_id, at in contacts_of(row).items():
                wrote[contact_id] = max(at, wrote.get(contact_id, 0))
        self._want(contacts_wanted(self._store, wrote, since=self._since))

    def offer_range(self, lo: int, hi: int) -> None:
        """The contacts of what is stored of the conversations created in [lo, hi)."""
        self._want(contacts_unread(self._store, lo, hi))

    @property
    def is_waiting(self) -> bool:
        """Whether there is work left."""
        with self._lock:
            return bool(self._waiting or self._alone)

    def work(self, least: int = 1) -> bool:
        """One call, where one is due or at least so many are waiting; whether there was."""
        with self._lock:
            batch = [self._alone.popleft()] if self._alone else []
            is_alone = bool(batch)
            if not is_alone and len(self._waiting) >= least:
                batch = list(self._waiting)[: self._at_once]
                for contact_id in batch:
                    del self._waiting[contact_id]
            self._in_flight.update(batch)
        if not batch:
            return False
        try:
            self._fetch_one(batch[0]) if is_alone else self._fetch(batch)
        except ApiError as error:
            self._failed(batch, error, is_alone=is_alone)
        else:
            self._failures = 0
        finally:
            with self._lock:
                self._in_flight.difference_update(batch)
        return True

    def _want(self, ids: Iterable[str]) -> None:
        with self._lock:
            if self.refusal is None:
                known = self._in_flight | self._given_up
                self._waiting.update((contact_id, None) for contact_id in ids if contact_id not in known)

    # -- calls

    def _fetch(self, ids: Sequence[str]) -> None:
        """A row is as old as the index, not as the answer."""
        asked, shown = self._workspace.now(), set[str]()
        search = Search(_SEARCH, {"field": "id", "operator": "IN", "value": list(ids)}, min(AT_ONCE, len(ids)))
        cursor: str | None = None
        for _ in ids:  # one page as a rule; where it shows fewer at a time, never more than one for each
            page = self._page(search, cursor)
            people = [one for one in page.items if one.get("id")]
            self._save(people, asked - INDEX_LAG)
            shown.update(str(one["id"]) for one in people)
            cursor = page.cursor
            if cursor is None or not people:
                break
        with self._lock:
            self._alone.extend(contact_id for contact_id in ids if contact_id not in shown)

    def _page(self, search: Search, cursor: str | None) -> RawPage:
        with patience(self._timeout):
            return self._workspace.reads.call(lambda: read_page(self._workspace.client, search, cursor), resend=True)

    def _fetch_one(self, contact_id: str) -> None:
        """Its own address tells what became of it."""
        asked, path = self._workspace.now(), f"contacts/{segment(contact_id)}"
        try:
            with patience(self._timeout):
                answer = self._workspace.reads.call(lambda: self._workspace.client.send("GET", path), resend=True)
        except Gone as error:
            self._mark(contact_id, error.canonical, asked)
            return
        found = id_of(answer.body.get("id"))
        if found is not None:
            self._save([answer.body], asked)
        if found is not None and found != contact_id:
            self._mark(contact_id, found, asked)

    def _mark(self, contact_id: str, merged_into: str | None, asked: float) -> None:
        at = int(asked) if merged_into is None else None
        self._writer.mark_contacts([GoneContact(contact_id, at, merged_into)], seen_at=asked)
        if merged_into is not None:
            self._want(contacts_wanted(self._store, {merged_into: 0}, since=self._since))

    def _save(self, people: Sequence[Mapping[str, Any]], seen_at: float) -> None:
        self._writer.save_contacts(people, seen_at=seen_at)
        with self._lock:
            self.read += len(people)

    # -- failures

    def _failed(self, batch: Sequence[str], error: ApiError, *, is_alone: bool) -> None:
        """Fewer at a time; in the end, none."""
        with self._lock:
            self._failures += 1
            is_over = isinstance(error, Unauthorized) or self._failures >= TRIES
            if is_alone or (isinstance(error, Rejected) and len(batch) == 1):
                self._given_up.update(batch)
            elif not is_over:
                self._at_once = max(FEWEST, len(batch) // 2)
                self._waiting.update(dict.fromkeys(batch))
            if is_over and self.refusal is None:
                self.refusal = str(error)
                self._waiting.clear()
                self._alone.clear()
                logger.warning("contacts cannot be read: %s", error)


class WithContacts:
    """A source whose readers fetch contacts too: each whenever enough of them wait, and one call's worth when it has
    come to its end; the last one, whatever is left. Contacts are no items: what is here of them the mirror knows, so
    nothing of it is resumed.
    """

    def __init__(self, source: Source, contacts: Contacts) -> None:
        self._source = source
        self._contacts = contacts
        self._lock = threading.Lock()
        self._readers = 0
        self._over: set[str] = set()
        self.repeatable = source.repeatable

    def open(self) -> Sequence[Slice]:
        opened = self._source.open()
        with self._lock:
            self._readers = len(opened)
            self._over.clear()
        return opened

    def read(self, part: Slice) -> Page:
        if part.key in self._over:
            self._contacts.work()
            return Page((), replace(part, pages=part.pages + 1, done=not self._is_needed()))
        if self._contacts.work(ENOUGH):
            return Page((), replace(part, pages=part.pages + 1))
        page = self._source.read(part)
        if not page.after.done:
            return page
        with self._lock:
            self._readers -= 1
            self._over.add(part.key)
        return replace(page, after=replace(page.after, done=not self._contacts.is_waiting))

    def split(self, part: Slice) -> tuple[Slice, Slice] | None:
        halves = self._source.split(part) if part.key not in self._over else None
        with self._lock:
            self._readers += halves is not None
        return halves

    def _is_needed(self) -> bool:
        """Whether what waits is left to this one: the others have come to their end."""
        with self._lock:
            return self._readers <= 0 and self._contacts.is_waiting
