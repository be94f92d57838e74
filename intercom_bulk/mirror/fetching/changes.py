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
    from collections.abc import Callable, Iterator, Sequence

    from intercom_bulk.runs.seams import Source

    Ask = Callable[[Search, str | None], RawPage]
    Keep = Callable[[list[dict[str, Any]], float], Sequence[str]]

__all__ = ["ChangeSource", "SideBySide", "WritersSource", "ask_smaller", "changed_since"]

logger = logging.getLogger(__name__)

PER_PAGE = 150
SMALLEST = 9
"""Rows: a page that cannot be had with so few is not to be had (intercom-api.md 2.4: large ones answer 502 or 504)."""
_WALK, _WRITERS = "changes", "writers"
_DAY = 86_400
_AT_ONCE = 50
"""Contacts whose conversations are asked for in one search."""


class ChangeSource:
    """The conversations that changed at or after second `floor`. `keep` stores rows as they were when they were asked
    for, by `now`, the server's clock, and says of which of them the threads are wanted: those are the items.
    """

    repeatable = False

    def __init__(self, ask: Ask, keep: Keep, floor: int, now: Callable[[], float]) -> None:
        self._ask = ask
        self._keep = keep
        self._floor = floor
        self._now = now
        self._cursors: set[str] = set()
        self.reached_end = False
        """Whether the walk has come to the end of the list."""

    def open(self) -> Sequence[Slice]:
        self._cursors.clear()
        self.reached_end = False
        return [Slice(_WALK, lo=self._floor)]

    def read(self, part: Slice) -> Page:
        """One page. Raises `SearchLoop` or `SearchUnordered` where the walk would prove nothing."""
        asked_at = self._now()
        raw = self._ask(changed_since(self._floor), part.cursor)
        position = self._checked_order(part, raw)
        self._check_loop(raw)
        wanted = self._keep(raw.items, asked_at) if raw.items else ()
        done = raw.cursor is None or not raw.items
        self.reached_end |= done
        after = replace(part, cursor=raw.cursor, position=position, pages=part.pages + 1, done=done)
        return Page([Item(item_id) for item_id in wanted], after)

    def split(self, part: Slice) -> None:
        """Never: the end of the list is one place."""

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


class WritersSource:
    """The conversations of the contacts who wrote at or after second `floor`, so that a customer's news need not wait
    for its turn in the walk. It proves nothing: what teammates change does not show on contacts, and not every
    conversation has one. So it is read beside the walk, never in its place.
    """

    repeatable = False

    def __init__(self, ask: Ask, keep: Keep, floor: int, now: Callable[[], float]) -> None:
        self._ask = ask
        self._keep = keep
        self._floor = floor
        self._now = now

    def open(self) -> Sequence[Slice]:
        return [Slice(_WRITERS, lo=self._floor)]

    def read(self, part: Slice) -> Page:
        """A page of contacts and their conversations. The search knows whole days; what is older is sorted out here."""
        raw = self._ask(_wrote_since(self._floor), part.cursor)
        recent = [str(one["id"]) for one in raw.items if (one.get("last_replied_at") or 0) >= self._floor]
        items = list(self._conversations_of(recent)) if recent else []
        done = raw.cursor is None or len(recent) < len(raw.items) or not raw.items
        return Page(items, replace(part, cursor=raw.cursor, pages=part.pages + 1, done=done))

    def split(self, part: Slice) -> None:
        """Never."""

    def _conversations_of(self, contacts: Sequence[str]) -> Iterator[Item]:
        search, cursor = changed_since(self._floor, contacts=contacts), None
        while True:
            asked_at = self._now()
            raw = self._ask(search, cursor)
            yield from (Item(item_id) for item_id in (self._keep(raw.items, asked_at) if raw.items else ()))
            cursor = raw.cursor
            if cursor is None or not raw.items:
                return


class SideBySide:
    """Several sources as one, each read by its own slices. None of them is repeatable or can be split."""

    repeatable = False

    def __init__(self, *sources: Source) -> None:
        self._sources = sources
        self._by_key: dict[str, Source] = {}

    def open(self) -> Sequence[Slice]:
        opened = [(part, source) for source in self._sources for part in source.open()]
        self._by_key = {part.key: source for part, source in opened}
        return [part for part, _ in opened]

    def read(self, part: Slice) -> Page:
        return self._by_key[part.key].read(part)

    def split(self, part: Slice) -> None:
        """Never."""


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
