"""Items by their ids, as they are now."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING

from intercom_bulk.api.client import patience, segment
from intercom_bulk.errors import Gone, ItemIdError, Rejected, Transient
from intercom_bulk.runs.model import Item
from intercom_bulk.sources import search_by_ids
from intercom_bulk.updaters.running.searching import endpoint_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from intercom_bulk.updaters.base import IntercomBulkUpdater

__all__ = ["BY_ID", "Lookup"]

BY_ID = frozenset({"conversations/search", "contacts/search", "tickets/search"})
"""Searches that know `id IN` (OpenAPI 2.16). Items of the others are looked at one by one."""

NUMBERED = frozenset({"conversations/search", "tickets/search"})
"""Whose ids are numbers. A search for anything else is refused whole; and in a path the word `last` would be a
conversation, which is not the one that anybody meant (OpenAPI 2.16, `/conversations/{id}/reply`)."""

SIDE_BY_SIDE = 8
"""Reads of single items under way at once. One reader's connections; a search brings 150 items in one."""


FEWEST = 3
"""Of so many, none answered is no accident."""


class Lookup:
    """Looks items up, `per_page` at a time: in one search where that knows `id IN`, and by itself each that is not
    found there. The search lags some seconds behind the items. `workers` caps the reads under way at once.
    """

    def __init__(self, updater: IntercomBulkUpdater, *, timeout: float, workers: int | None = None) -> None:
        self._updater = updater
        self._where = where = endpoint_of(updater)
        self._timeout = timeout
        self._width = min(SIDE_BY_SIDE, workers or SIDE_BY_SIDE)
        self._searches = where.path in BY_ID
        self._numbered = where.path in NUMBERED
        self.per_page = min(150, where.max_per_page) if self._searches else 50
        self.reads = 0

    def items(self, ids: Sequence[str]) -> dict[str, Item]:
        """What there is of each: its data, or why it is skipped (`gone`) or has failed (what Intercom said)."""
        found = {item_id: _refused(item_id, numbered=self._numbered) for item_id in ids}
        usable = [item_id for item_id, item in found.items() if item is None]
        known = self._searched(usable)
        left = [item_id for item_id in usable if item_id not in known]
        read = dict(zip(left, self._read_each(left), strict=True))
        return {item_id: item or read.get(item_id) or Item(item_id, known[item_id]) for item_id, item in found.items()}

    def _searched(self, ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        if not ids or not self._searches:
            return {}
        self.reads += 1
        workspace = self._updater.workspace
        return search_by_ids(
            workspace.client,
            workspace.reads,
            self._where,
            ids,
            item_id=self._updater.get_item_id,
            timeout=self._timeout,
        )

    def _read_each(self, ids: Sequence[str]) -> list[Item]:
        """An answer that never comes is the item's own trouble, unless all of a page have it."""
        found = self._asked_for(ids)
        lost = [one for one in found if isinstance(one, Transient)]
        if lost and len(lost) == len(ids) >= FEWEST:
            raise lost[-1]
        return [
            Item(item_id, fail=(one.code, str(one))) if isinstance(one, Transient) else one
            for item_id, one in zip(ids, found, strict=True)
        ]

    def _asked_for(self, ids: Sequence[str]) -> list[Item | Transient]:
        self.reads += len(ids)
        if self._width == 1 or len(ids) <= 1:
            return [self._read(item_id) for item_id in ids]
        pool = ThreadPoolExecutor(self._width, "intercom-bulk-look")
        try:
            # With this thread's context, whose run may be asked to stop.
            futures = [pool.submit(copy_context().run, self._read, item_id) for item_id in ids]
            return [future.result() for future in futures]
        finally:
            pool.shutdown(cancel_futures=True)

    def _read(self, item_id: str) -> Item | Transient:
        try:
            with patience(self._timeout):
                return Item(item_id, self._updater.read_item(item_id))
        except Gone as error:
            return Item(item_id, skip=("gone", str(error)))
        except Rejected as error:
            return Item(item_id, fail=(error.code, str(error)))
        except Transient as error:
            return error


def _refused(item_id: str, *, numbered: bool) -> Item | None:
    try:
        segment(item_id)
    except ItemIdError as error:
        return Item(item_id, fail=("bad_id", str(error)))
    if numbered and not item_id.isdigit():
        return Item(item_id, fail=("bad_id", f"{item_id[:60]!r} is no id of these: they are numbers."))
    return None
