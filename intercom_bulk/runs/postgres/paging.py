"""A page of a run's items in SQL: what people look at while the run goes on, so it may cost that run nothing.

Items that something is said of have an index, which those that were simply done never enter: no update of theirs is any
dearer for it. Whatever ends other than done is told (`told_code`), so the few that failed are found without a look at
all the others. Only a text that ids may hold is looked for in all of them, and then in ids alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from intercom_bulk.runs.model import Status
from intercom_bulk.runs.rows import ascii_lower

if TYPE_CHECKING:
    from intercom_bulk.runs.postgres.session import Statement

__all__ = ["COLUMNS", "INDEX", "page_of", "told_code"]

COLUMNS = "started_at, item_id, status, code, message, attempts, before, after, request_id, at, detail, step"
_TOLD = "(code IS NOT NULL OR message IS NOT NULL)"
INDEX = f"CREATE INDEX item_told ON intercom_bulk.item (run_id, item_id) WHERE {_TOLD}"
_WHOLE = f"""
    SELECT {COLUMNS} FROM ({{}} ORDER BY item_id LIMIT %s) AS found (id),
        LATERAL (SELECT * FROM intercom_bulk.item WHERE run_id = %s AND item_id = found.id OFFSET 0) AS item
    ORDER BY item_id
"""  # noqa: S608  our own names
"""Lateral and OFFSET: left to itself PostgreSQL walks the whole run beside the few that were found."""
_QUIET = frozenset({Status.STAGED, Status.STARTED, Status.DONE})
_SAID = """(strpos(lower(code COLLATE "C"), %s) > 0 OR strpos(lower(message COLLATE "C"), %s) > 0)"""
_CALLED = """strpos(lower(item_id COLLATE "C"), %s) > 0"""


def page_of(run_id: str, *, status: Status | None, text: str | None, after: str, limit: int) -> Statement:
    """See `RunLedger.page`; rows of `COLUMNS`."""
    place = "run_id = %s AND item_id > %s"
    values: tuple[str, ...] = (run_id, after)
    if status is not None:
        place, values = f"{place} AND status = %s", (run_id, after, status.value)
    if status is not None and status not in _QUIET:
        place = f"{place} AND {_TOLD}"
    if not text:
        return _rows(place), (*values, limit)
    sought = ascii_lower(text)
    if _TOLD in place:
        return _rows(f"{place} AND ({_SAID} OR {_CALLED})"), (*values, sought, sought, sought, limit)
    found = f"{_ids(f'{place} AND {_TOLD} AND {_SAID}')} UNION {_ids(f'{place} AND {_CALLED}')}"
    asked = (*values, sought, sought, limit, *values, sought, limit)
    return _WHOLE.format(found), (*asked, limit, run_id)


def told_code(status: Status, code: str | None) -> str | None:
    """What is kept as the code of an item; the empty one stands for none."""
    return code if code or status in _QUIET else ""


def _rows(chosen: str) -> str:
    return f"SELECT {COLUMNS} FROM intercom_bulk.item WHERE {chosen} ORDER BY item_id LIMIT %s"  # noqa: S608  ours


def _ids(chosen: str) -> str:
    return f"(SELECT item_id FROM intercom_bulk.item WHERE {chosen} ORDER BY item_id LIMIT %s)"  # noqa: S608  ours
