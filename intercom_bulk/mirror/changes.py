"""What changed since the last time: conversations by `updated_at`, the oldest change first, read to the very end.

Why this way round. What changes while it is listed moves to the end of the list. Read newest first, it jumps from below
the cursor to above it and is missed; read oldest first, it jumps ahead of the cursor, and is met there. A position only
ever grows, and so does the cursor; whoever was ahead of it and is listed until the end has been met, at the latest on
the last page, which is one answer and thus one moment. So after a walk to the end nothing is missing of what the index
showed at the start: no second look at the top, however much changes meanwhile.

The floor is in the query, so a walk lists as few pages as one that starts at the top and stops early.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.pages import RawPage, Search, endpoint
from intercom_bulk.errors import SearchLoop, SearchUnordered, Transient
from intercom_bulk.runs.model import Item, Page, Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Ask = Callable[[Search, str | None], RawPage]
    Keep = Callable[[list[dict[str, Any]]], Sequence[str]]

__all__ = ["ChangeSource", "ask_smaller", "changed_since"]

logger = logging.getLogger(__name__)

PER_PAGE = 150
SMALLEST = 9
"""Rows: a page that cannot be had with so few is not to be had (intercom-api.md 2.4: large ones answer 502 or 504)."""
_WALK, _CONTACTS = "changes", "contacts"
_DAY = 86_400
_AT_ONCE = 50
"""Contacts whose conversations are asked for in one search."""


class ChangeSource:
    """The conversations that changed at or after second `floor`. `keep` stores rows, and says of which of them the
    threads are wanted: those are the items.

    `contacts_first`: beside the walk, those who wrote since then are looked up, and what they wrote in, so that a
    customer's news need not wait for its turn. Nothing is left out for it: what teammates change does not show on
    contacts, and not every conversation has one, so that only the walk proves anything.
    """

    repeatable = False

    def __init__(self, ask: Ask, keep: Keep, floor: int, *, contacts_first: bool = False) -> None:
        self._ask = ask
        self._keep = keep
        self._floor = floor
        self._contacts_first = contacts_first
        self._cursors: set[str] = set()
        self.reached_end = False
        """Whether the walk has come to the end of the list, in this life."""

    def open(self) -> Sequence[Slice]:
        self._cursors.clear()
        self.reached_end = False
        keys = [_CONTACTS, _WALK] if self._contacts_first else [_WALK]
        return [Slice(key, lo=self._floor) for key in keys]

    def read(self, part: Slice) -> Page:
        """One page. Raises `SearchLoop` or `SearchUnordered` where the walk would prove nothing."""
        return self._read_contacts(part) if part.key == _CONTACTS else self._read_changes(part)

    def split(self, part: Slice) -> None:
        """Never: the end of the list is one place."""

    # -- the walk

    def _read_changes(self, part: Slice) -> Page:
        raw = self._ask(changed_since(self._floor), part.cursor)
        position = self._checked_order(part, raw)
        self._check_loop(raw)
        wanted = self._kept(raw.items)
        done = raw.cursor is None or not raw.items
        self.reached_end |= done
        after = replace(part, cursor=raw.cursor, position=position, pages=part.pages + 1, done=done)
        return Page(wanted, after)

    def _kept(self, rows: list[dict[str, Any]]) -> list[Item]:
        return [Item(item_id) for item_id in self._keep(rows)] if rows else []

    def _checked_order(self, part: Slice, raw: RawPage) -> float | None:
        """A list in another order may be cut anywhere."""
        last = part.position
        for row in raw.items:
            changed = row.get("updated_at")
            if not isinstance(changed, int):
                continue
            if last is not None and changed < last:
                raise SearchUnordered(
                    "conversations/search does not list by updated_at, so what changed cannot be told from it: backfill"
                    " the days that matter instead."
                )
            last = changed
        return last

    def _check_loop(self, raw: RawPage) -> None:
        if raw.cursor is not None and raw.cursor in self._cursors:
            raise SearchLoop("conversations/search keeps answering the same page: try again later.")
        if raw.cursor is not None:
            self._cursors.add(raw.cursor)

    # -- those who wrote

    def _read_contacts(self, part: Slice) -> Page:
        """A page of contacts and their conversations. The search knows whole days; what is older is sorted out here."""
        raw = self._ask(_wrote_since(self._floor), part.cursor)
        recent = [row for row in raw.items if (row.get("last_replied_at") or 0) >= self._floor]
        items = self._conversations_of([str(row["id"]) for row in recent])
        is_last = raw.cursor is None or len(recent) < len(raw.items) or not raw.items
        return Page(items, replace(part, cursor=raw.cursor, pages=part.pages + 1, done=is_last))

    def _conversations_of(self, contacts: Sequence[str]) -> list[Item]:
        if not contacts:
            return []
        search, cursor, items = changed_since(self._floor, contacts=contacts), None, list[Item]()
        while True:
            raw = self._ask(search, cursor)
            items += self._kept(raw.items)
            cursor = raw.cursor
            if cursor is None or not raw.items:
                return items


def changed_since(floor: int, *, contacts: Sequence[str] = ()) -> Search:
    """Conversations that changed at or after `floor`. Whether `>` means "or equal" is not documented: it is asked for
    a second earlier.
    """
    query: dict[str, Any] = {"field": "updated_at", "operator": ">", "value": floor - 1}
    if contacts:
        of = {"field": "contact_ids", "operator": "IN", "value": list(contacts)}
        query = {"operator": "AND", "value": [query, of]}
    return Search(endpoint("conversations/search"), query, PER_PAGE, sort="updated_at")


def _wrote_since(floor: int) -> Search:
    """`>` a time means from the day after it on, in the workspace's zone: so it is asked for two days earlier."""
    query = {"field": "last_replied_at", "operator": ">", "value": floor - 2 * _DAY}
    return Search(endpoint("contacts/search"), query, _AT_ONCE, sort="last_replied_at", order="descending")


def ask_smaller(ask: Ask) -> Ask:
    """The same, with pages of half the size as often as one cannot be had, and from then on."""
    smallest = 0

    def asking(search: Search, cursor: str | None) -> RawPage:
        nonlocal smallest
        size = min(search.per_page, smallest or search.per_page)
        while True:
            try:
                return ask(replace(search, per_page=size), cursor)
            except Transient as error:
                if size <= SMALLEST:
                    raise
                size = max(size // 2, SMALLEST)
                smallest = min(smallest or size, size)
                logger.info("%s: pages of %d from here on (%s)", search.endpoint.path, size, error.code)

    return asking
