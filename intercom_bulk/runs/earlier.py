"""The items of an earlier run as the source of another: what an undo takes back, what a retry tries again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from intercom_bulk.runs.model import Item, Outcome, Page, Slice, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from intercom_bulk.runs.store import RunStore

__all__ = ["EarlierItems"]


class EarlierItems:
    """Items of a run by status, newest first. `make_items` may use the network: it is called in a reader's thread.

    The cursor is the last outcome's time and id, so the reading is resumed like any other.
    """

    repeatable = False

    def __init__(
        self,
        store: RunStore,
        run_id: str,
        statuses: Sequence[Status],
        make_items: Callable[[Sequence[Outcome]], Sequence[Item]],
        *,
        per_page: int = 500,
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._statuses = tuple(statuses)
        self._make_items = make_items
        self._per_page = per_page

    def open(self) -> Sequence[Slice]:
        return [Slice("0")]

    def read(self, part: Slice) -> Page:
        ledger = self._store.read(self._run_id)
        try:
            found = ledger.settled(self._statuses, below=_place(part.cursor), limit=self._per_page)
            counts = ledger.counts()
        finally:
            ledger.close()
        cursor = f"{found[-1].at!r} {found[-1].item_id}" if found else part.cursor
        after = replace(part, cursor=cursor, pages=part.pages + 1, done=len(found) < self._per_page)
        return Page(self._make_items(found), after, sum(counts.get(s, 0) for s in self._statuses))

    def split(self, part: Slice) -> None:
        del part


def _place(cursor: str | None) -> tuple[float, str] | None:
    if cursor is None:
        return None
    at, _, item_id = cursor.partition(" ")
    return float(at), item_id
