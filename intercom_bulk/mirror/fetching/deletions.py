"""What was deleted: the list of deleted conversations, the newest first, down to what is known.

Deleting meanwhile pushes entries down the list, to where they are read twice: none is missed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from intercom_bulk.api.pages import Search, endpoint
from intercom_bulk.errors import Gone, Rejected, Unauthorized
from intercom_bulk.mirror.keeping.tombs import Deleted
from intercom_bulk.runs.model import Page, Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from intercom_bulk.mirror.fetching.changes import Ask

__all__ = ["DeletionSource"]

_KEY = "deletions"
_SEARCH = Search(endpoint("conversations/deleted"), {"order": "desc"}, 60)


class DeletionSource:
    """Reads the list down to second `since`; `mark` takes what it says, and when it was asked. It has no items: all is
    said in the list.

    `is_complete`: it has been read so far. `refusal`: why it could not be, where Intercom refuses the list (before API
    2.16 there is none): what was deleted then shows only when it is asked for.
    """

    repeatable = False

    def __init__(
        self, ask: Ask, mark: Callable[[list[Deleted], float], object], since: int, now: Callable[[], float]
    ) -> None:
        self._ask = ask
        self._now = now
        self._mark = mark
        self._since = since
        self.is_complete = False
        self.refusal: str | None = None

    def open(self) -> Sequence[Slice]:
        self.is_complete = False
        return [Slice(_KEY)]

    def read(self, part: Slice) -> Page:
        asked_at = self._now()
        try:
            raw = self._ask(_SEARCH, part.cursor)
        except (Gone, Rejected, Unauthorized) as error:
            self.refusal = str(error)
            return Page([], replace(part, done=True))
        listed = [
            Deleted(str(one["id"]), int(one["deleted_at"]), one.get("metrics_retained"))
            for one in raw.items
            if one.get("id") and isinstance(one.get("deleted_at"), int)
        ]
        self._mark(listed, asked_at)
        is_known = any(one.at < self._since for one in listed)
        done = is_known or raw.cursor is None or not raw.items
        self.is_complete |= done
        return Page([], replace(part, cursor=raw.cursor, pages=part.pages + 1, done=done))

    def split(self, part: Slice) -> None:
        """Never."""
