"""The one scroll that a workspace has: companies, page after page, from the first to the last.

A scroll is no cursor that could be asked again: every answer moves it on, and it dies after a minute without use
(OpenAPI 2.16, GET /companies/scroll). So whatever is lost on the way (an answer, the minute, the process) means to
begin again: the first page comes once more, and whoever reads drops what is known already. The end is an empty page and
nothing else; a 404 is a scroll that died.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intercom_bulk.api.pages import RawPage, read_page
from intercom_bulk.errors import ApiError, Gone, Rejected, SearchError, SearchLoop, Transient

if TYPE_CHECKING:
    from intercom_bulk.api.attempts import Attempts
    from intercom_bulk.api.client import Client
    from intercom_bulk.api.pages import Search

__all__ = ["Scroll"]

logger = logging.getLogger(__name__)

BUSY_FOR = 70.0
"""Seconds to wait for another scroll of the workspace to end: one that nobody uses dies after 60."""
ASK_EVERY = 5.0
"""Seconds between two tries to open one; the first come sooner, at 0.25, 0.5, 1 ..."""
BREAKS = 5
"""A scroll may break off any number of times while each gets further than the ones before; this often without."""


@dataclass(slots=True)
class _Open:
    """The scroll that is being read: its parameter, the pages read of it, the first id on the last of them."""

    parameter: str
    pages: int = 1
    newest: str | None = None


class Scroll:
    """Reads the pages of one walk after another. Not thread-safe: a scroll has one reader."""

    def __init__(self, client: Client, attempts: Attempts, search: Search) -> None:
        self._client = client
        self._attempts = attempts
        self._search = search
        self._open: _Open | None = None
        self._farthest = 0
        self._breaks = 0

    def begin(self) -> None:
        """Another walk: what an earlier one left open is not gone on with."""
        self._open, self._farthest, self._breaks = None, 0, 0

    def read(self, cursor: str | None) -> RawPage:
        """The page that follows `cursor`, or the first one where that can no longer be had.

        Raises `SearchError` while somebody else scrolls, or where the scroll breaks off again and again.
        """
        if self._open is not None and cursor == self._open.parameter:
            page = self._next(self._open)
            if page is not None:
                return page
        elif cursor is not None:
            logger.info("%s: the scroll of an earlier life is not gone on with: from the start", self._path)
        return self._first()

    @property
    def _path(self) -> str:
        return self._search.endpoint.path

    def _next(self, now: _Open) -> RawPage | None:
        """None: it broke off."""
        try:
            page = self._page(now.parameter)
        except (Gone, Rejected, Transient) as error:
            if not _is_broken(error):
                raise
            self._broke(now, error)
            return None
        now.pages += 1
        self._check_progress(now, page)
        return self._opened(page, now)

    def _first(self) -> RawPage:
        clock, pause, lost = self._attempts.clock, 0.25, 0
        until = clock.monotonic() + BUSY_FOR
        while True:
            try:
                return self._opened(self._page(None), None)
            except (Rejected, Transient) as error:
                lost += self._is_lost(error)
                if lost >= BREAKS:
                    raise
                if error.code != "scroll_exists":
                    until = clock.monotonic() + BUSY_FOR  # it may have been opened for us all the same, and lives on
                elif clock.monotonic() + pause > until:
                    raise SearchError(_BUSY) from error
                if pause == 0.25:
                    logger.warning("%s: %s; trying for up to %d s", self._path, error, BUSY_FOR)
            clock.sleep(pause)
            pause = min(2 * pause, ASK_EVERY)

    def _is_lost(self, error: Rejected | Transient) -> bool:
        """Whether an answer was lost, not refused: then the same may be asked again. Raises what is neither."""
        if error.code == "scroll_exists":
            return False
        if isinstance(error, Transient) and error.sent:
            return True
        raise error

    def _page(self, cursor: str | None) -> RawPage:
        """An answer that was lost may have moved the scroll on: nothing is sent again that arrived."""
        return self._attempts.call(lambda: read_page(self._client, self._search, cursor), resend=False)

    def _opened(self, page: RawPage, now: _Open | None) -> RawPage:
        if page.cursor is None:
            self._open = None
            return page
        self._open = now or _Open(page.cursor)
        self._open.parameter = page.cursor
        self._open.newest = str(page.items[0].get("id"))
        return page

    def _check_progress(self, now: _Open, page: RawPage) -> None:
        if page.items and str(page.items[0].get("id")) == now.newest:
            raise SearchLoop(f"{self._path} keeps answering the same page: the run cannot list every company this way.")

    def _broke(self, now: _Open, error: ApiError) -> None:
        logger.warning("%s broke off after %d pages (%s): from the start", self._path, now.pages, error.code)
        self._open = None
        self._breaks = 0 if now.pages > self._farthest else self._breaks + 1
        self._farthest = max(self._farthest, now.pages)
        if self._breaks >= BREAKS:
            raise SearchError(
                f"{self._path} broke off {BREAKS} times without getting past page {self._farthest} ({error}): try"
                ' later, or list the companies with source="list".'
            ) from error


_BUSY = (
    f"Another scroll over the companies has been open for {BUSY_FOR:.0f} s, and a workspace has only one at a time:"
    ' wait until the other integration is through, or list them with source="list".'
)


def _is_broken(error: ApiError) -> bool:
    """A scroll that is unknown by now, or whose answer was lost on the way."""
    return error.status == 404 or (isinstance(error, Transient) and error.sent)
