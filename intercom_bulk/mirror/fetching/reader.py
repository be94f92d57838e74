"""One page of one window, in pages as large as Intercom bears: what it does not answer in time is asked for in smaller
ones, and then, when that does not help, in shorter windows.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from intercom_bulk.api.client import patience
from intercom_bulk.api.pages import SORT_KEY, RawPage, Search, endpoint, read_page
from intercom_bulk.errors import SearchUnordered, Transient

if TYPE_CHECKING:
    from intercom_bulk.mirror.keeping.coverage import Span
    from intercom_bulk.workspace import Workspace

__all__ = ["FULL", "PageReader", "TooHeavyError", "checked_position"]

FULL = 150
"""Conversations on a page (OpenAPI 2.16, pagination)."""
LEAST = 15
GOOD = 50
"""So many pages in a row make the next ones larger again."""
_SEARCH = endpoint("conversations/search")


class TooHeavyError(Exception):
    """502, 504, or no answer in time: of less, there may be one. `at_least`: pages are as small as they get."""

    def __init__(self, cause: Transient, *, at_least: bool) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.at_least = at_least


class PageReader:
    """Shared by the readers of all windows: what one of them learns about the size of pages serves the others."""

    def __init__(self, workspace: Workspace, *, timeout: float) -> None:
        self._workspace = workspace
        self._timeout = timeout
        self._lock = threading.Lock()
        self._size = FULL
        self._good = 0

    @property
    def size(self) -> int:
        return self._size

    def read(self, span: Span, cursor: str | None) -> RawPage:
        """Conversations created in `span`, the oldest first, and perhaps some created in the second before or after: it
        is not documented whether `>` and `<` mean "or equal". Raises `TooHeavyError`.
        """
        size = self._size
        bounds = [
            {"field": SORT_KEY, "operator": ">", "value": span.lo - 1},
            {"field": SORT_KEY, "operator": "<", "value": span.hi},
        ]
        search = Search(_SEARCH, {"operator": "AND", "value": bounds}, size)
        with patience(self._timeout):
            page = self._workspace.reads.call(lambda: self._once(search, cursor), resend=True)
        with self._lock:
            self._good += 1
            if self._good >= GOOD:
                self._good, self._size = 0, min(FULL, 2 * self._size)
        return page

    def _once(self, search: Search, cursor: str | None) -> RawPage:
        try:
            return read_page(self._workspace.client, search, cursor)
        except Transient as error:
            if error.status not in {502, 504} and error.code != "read_timeout":
                raise
            raise TooHeavyError(error, at_least=self._shrink(search.per_page)) from error

    def _shrink(self, used: int) -> bool:
        """Once for all who asked for as much. Whether there was nothing to shrink."""
        with self._lock:
            self._good = 0
            self._size = min(self._size, max(LEAST, used // 2))
        return used <= LEAST


def checked_position(page: RawPage, last: int | None) -> int | None:
    """The second at which the last of these was created. Raises `SearchUnordered`."""
    for entry in page.items:
        created = entry.get(SORT_KEY)
        if not isinstance(created, int):
            continue
        if last is not None and created < last:
            raise SearchUnordered(
                "conversations/search does not answer in the order that was asked for (created_at ascending), so pages"
                " could be missed: nothing more was read."
            )
        last = created
    return last
