"""A list of ids as the source of a run: each row an item, or a row with the reason why it is none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from intercom_bulk.api.client import segment
from intercom_bulk.errors import ItemIdError, UsageError
from intercom_bulk.runs.model import Item, Page, Slice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intercom_bulk.runs.inputs import InputReader, Row
    from intercom_bulk.updaters.running.lookup import Lookup

__all__ = ["ListedItems"]

FEWEST = 3
"""Of so many, all gone is no accident."""


class ListedItems:
    """The rows of a list in their order. The cursor is a byte of the file that it is kept in.

    `lookup` None: bare ids. The first page is as short as the canary (`first` items, 0: no canary): where nothing of it
    exists and more is to come, the list is of another workspace or of other things, and reading raises `UsageError`.
    """

    repeatable = False

    def __init__(self, reader: InputReader, lookup: Lookup | None, *, first: int) -> None:
        self._reader = reader
        self._lookup = lookup
        self._first = first

    @property
    def reads(self) -> int:
        """Requests that looking things up has taken."""
        return self._lookup.reads if self._lookup is not None else 0

    def open(self) -> Sequence[Slice]:
        return [Slice("0")]

    def read(self, part: Slice) -> Page:
        """A page; its length does not matter to the cursor. Raises `UsageError` where the file was changed."""
        most = self._lookup.per_page if self._lookup is not None else 150
        is_first = part.cursor is None and self._first > 0
        rows, end = self._reader.read(int(part.cursor or 0), min(self._first, most) if is_first else most)
        items = self._items(rows)
        done = end >= self._reader.size
        if is_first and not done:
            _check_existence(items)
        return Page(items, replace(part, cursor=str(end), pages=part.pages + 1, done=done), self._reader.count)

    def split(self, part: Slice) -> None:
        del part

    def _items(self, rows: Sequence[Row]) -> list[Item]:
        listed = [_item(row) for row in rows]
        wanted = dict.fromkeys(item.id for item in listed if item.fail is None and item.skip is None)
        if self._lookup is None or not wanted:
            return listed
        found = self._lookup.items(list(wanted))
        return [
            _current(replace(found[item.id], row=item.row), row.as_of) if item.id in wanted else item
            for item, row in zip(listed, rows, strict=True)
        ]


def _item(row: Row) -> Item:
    if row.problem is not None:
        is_bad = row.problem[0] == "bad_id"
        return Item(row.label, fail=row.problem) if is_bad else Item(row.label, skip=row.problem)
    try:
        segment(row.text)
    except ItemIdError as error:
        return Item(row.label, fail=("bad_id", str(error)))
    return Item(row.text, row=row.label)


def _current(item: Item, as_of: int | None) -> Item:
    """The item, unless it has changed since it was chosen: then what it was chosen for may hold no longer."""
    updated_at = item.data.get("updated_at")
    if as_of is None or not isinstance(updated_at, int) or updated_at <= as_of:
        return item
    return replace(
        item, skip=("moved", f"Item {item.id} has changed since it was chosen: sync the mirror, and ask it again.")
    )


def _check_existence(items: Sequence[Item]) -> None:
    rows = [item for item in items if item.row is not None]
    if len(rows) >= FEWEST and all(item.skip is not None and item.skip[0] == "gone" for item in rows):
        raise UsageError(
            f"None of the first {len(rows)} ids of the list exists: are they of this workspace, and of these things?"
            " Nothing was written; pass canary=0 if that was to be expected."
        )
