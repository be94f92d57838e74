"""Where the items of a run come from: a search, a frozen plan, a list of ids, or somebody's own iterator."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import patience
from intercom_bulk.api.pages import SORT_KEY, RawPage, Search, read_page
from intercom_bulk.api.query import both
from intercom_bulk.api.scroll import Scroll
from intercom_bulk.errors import SearchError, SearchLoop, SearchUnordered
from intercom_bulk.runs.model import Item, Page, Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from intercom_bulk.api.attempts import Attempts
    from intercom_bulk.api.client import Client
    from intercom_bulk.api.pages import Endpoint
    from intercom_bulk.runs.plan import PlanEntry, PlanReader

__all__ = ["IteratorSource", "PlanSource", "SearchSource", "search_by_ids"]

NARROWEST = 60
"""Seconds of `created_at`: a slice narrower than this is not worth a second cursor."""


class SearchSource:
    """The items that match a search and were created up to `cutoff` (the server's epoch seconds).

    Where the endpoint sorts, pages are walked by `created_at` ascending, which no action changes: an item that leaves
    the search cannot shift those behind it. Every page is checked to be in that order.

    `keep` sorts out what the query could not say: what it refuses is no item of the source, whose total is then not
    known beforehand.
    """

    repeatable = True

    def __init__(
        self,
        client: Client,
        attempts: Attempts,
        search: Search,
        *,
        item_id: Callable[[dict[str, Any]], str],
        cutoff: int,
        timeout: float = 30.0,
        keep: Callable[[Mapping[str, Any]], bool] | None = None,
    ) -> None:
        self._client = client
        self._attempts = attempts
        self._search = search
        self._keep = keep
        self._item_id = item_id
        self._cutoff = cutoff
        self._timeout = timeout
        self._can_bound = search.endpoint.by_second and both(dict(search.query), *_bounds(0, cutoff)) is not None
        self._scroll = Scroll(client, attempts, search) if search.endpoint.style == "scroll" else None
        self._cursors: dict[str, set[str]] = {}
        self._last_ids: dict[str, frozenset[str]] = {}

    def open(self) -> Sequence[Slice]:
        self._cursors.clear()
        self._last_ids.clear()
        if self._scroll is not None:
            self._scroll.begin()
        return [Slice("0", hi=self._cutoff, until=self._cutoff) if self._can_bound else Slice("0")]

    def read(self, part: Slice) -> Page:
        """One page of a slice. Raises `SearchLoop` or `SearchUnordered` where the walk cannot be trusted."""
        bounded = self._bounded(part)
        with patience(self._timeout):
            raw = self._raw(bounded, part)
        position = self._checked_order(part, raw)
        if self._scroll is None:
            self._check_loop(part, raw)
        after = replace(
            part, cursor=raw.cursor, position=position, pages=part.pages + 1, done=raw.cursor is None or not raw.items
        )
        items = [Item(self._id_of(entry), entry) for entry in raw.items if self._is_in(part, entry)]
        return Page(items, after, raw.total if self._is_whole(part) and self._keep is None else None)

    def _raw(self, search: Search, part: Slice) -> RawPage:
        if self._scroll is not None:
            return self._scroll.read(part.cursor)  # it looks after itself: it may begin again, under one parameter
        return self._attempts.call(lambda: read_page(self._client, search, part.cursor), resend=True)

    def split(self, part: Slice) -> tuple[Slice, Slice] | None:
        """The rest of a slice in two halves of time, or None where that is not possible or not worth it."""
        if not self._can_bound or part.position is None or part.until is None:
            return None
        if part.until - part.position < NARROWEST:
            return None
        middle = (part.position + part.until) // 2
        rest = Slice(f"{part.key}.{int(middle)}", lo=middle, hi=part.until, until=part.until, position=middle)
        return replace(part, until=middle), rest

    def _bounded(self, part: Slice) -> Search:
        if not self._can_bound or part.hi is None:
            return self._search
        query = both(dict(self._search.query), *_bounds(part.lo, part.hi))
        return self._search if query is None else replace(self._search, query=query)

    def _is_whole(self, part: Slice) -> bool:
        return part.lo is None

    def _is_in(self, part: Slice, entry: dict[str, Any]) -> bool:
        """Checked here too: whether `<` means "or equal" is not documented, and contacts know only whole days."""
        created = entry.get(SORT_KEY)
        if isinstance(created, int) and not (part.lo or 0) <= created <= self._cutoff:
            return False
        return self._keep is None or self._keep(entry)

    def _checked_order(self, part: Slice, raw: RawPage) -> float | None:
        if not self._search.endpoint.sorted:
            return None
        last = part.position
        for entry in raw.items:
            created = entry.get(SORT_KEY)
            if not isinstance(created, int):
                continue
            if last is not None and created < last and part.cursor is not None:
                raise SearchUnordered(_UNORDERED.format(path=self._search.endpoint.path))
            if last is not None and created < last and entry is not raw.items[0]:
                raise SearchUnordered(_UNORDERED.format(path=self._search.endpoint.path))
            last = created
        return last

    def _check_loop(self, part: Slice, raw: RawPage) -> None:
        if raw.cursor is None:
            return
        seen = self._cursors.setdefault(part.key, set())
        ids = frozenset(str(entry.get("id")) for entry in raw.items)
        again = bool(ids) and ids == self._last_ids.get(part.key)
        if raw.cursor in seen or again:
            raise SearchLoop(
                f"{self._search.endpoint.path} keeps answering the same page: the run cannot list every item this way;"
                " narrow the query, or act on a list of ids."
            )
        seen.add(raw.cursor)
        self._last_ids[part.key] = ids

    def _id_of(self, entry: dict[str, Any]) -> str:
        try:
            return str(self._item_id(entry))
        except (KeyError, TypeError, IndexError) as error:
            raise SearchError(f"get_item_id() found no id in an item of {self._search.endpoint.path}.") from error


_UNORDERED = (
    "{path} does not answer in the order that was asked for (created_at ascending), so pages could be missed while"
    " items change: nothing more was sent; act on a list of ids instead."
)


def _bounds(lo: float | None, hi: float) -> list[dict[str, Any]]:
    """`created_at` from lo to hi, both included, whether Intercom's `>` and `<` are strict or not."""
    upper = {"field": SORT_KEY, "operator": "<", "value": int(hi) + 1}
    return [upper] if lo is None else [{"field": SORT_KEY, "operator": ">", "value": int(lo) - 1}, upper]


class IteratorSource:
    """Bare ids from any iterable, read once, a page at a time. There is no `before`, hence nothing to undo from."""

    repeatable = False

    def __init__(
        self, ids: Iterable[object] | None, *, per_page: int = 150, total: int | None = None, told: str = "The source"
    ) -> None:
        """`told`: who yields the ids. Raises `SearchError` where that is nobody."""
        if ids is None:
            raise SearchError(f"{told} returned None: it has to yield the ids of the items.")
        self._ids = iter(ids)
        self._told = told
        self._per_page = per_page
        self._total = total

    def open(self) -> Sequence[Slice]:
        return [Slice("0")]

    def read(self, part: Slice) -> Page:
        items = [Item(self._id_of(entry)) for entry in islice(self._ids, self._per_page)]
        after = replace(part, pages=part.pages + 1, done=len(items) < self._per_page)
        return Page(items, after, self._total)

    def split(self, part: Slice) -> None:
        del part

    def _id_of(self, entry: object) -> str:
        if entry is None:
            raise SearchError(f"{self._told} yielded None where the id of an item was due: nothing was done for it.")
        return str(entry)


class PlanSource:
    """The items of a plan and no others, in its order. The cursor is the number of the next line.

    `look` says of a page of entries what is to become of each.
    """

    repeatable = False

    def __init__(
        self, plan: PlanReader, look: Callable[[Sequence[PlanEntry]], Sequence[Item]], *, per_page: int = 150
    ) -> None:
        self._plan = plan
        self._look = look
        self._per_page = per_page

    def open(self) -> Sequence[Slice]:
        return [Slice("0")]

    def read(self, part: Slice) -> Page:
        """Raises `UsageError` where the file no longer is the one that was checked."""
        start, count = int(part.cursor or 0), self._plan.header.count
        entries = self._plan.read(start, self._per_page)
        end = start + len(entries)
        after = replace(part, cursor=str(end), pages=part.pages + 1, done=end >= count)
        return Page(self._look(entries), after, count)

    def split(self, part: Slice) -> None:
        del part


def search_by_ids(
    client: Client,
    attempts: Attempts,
    where: Endpoint,
    ids: Sequence[str],
    *,
    item_id: Callable[[dict[str, Any]], str],
    timeout: float,
) -> Mapping[str, dict[str, Any]]:
    """What a search knows of these items, at most `where.max_per_page`: one request. It lags behind the items."""
    search = Search(where, {"field": "id", "operator": "IN", "value": list(ids)}, where.max_per_page)
    with patience(timeout):
        raw = attempts.call(lambda: read_page(client, search, None), resend=True)
    return {item_id(entry): entry for entry in raw.items}
