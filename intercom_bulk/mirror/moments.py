"""Times as people give them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from intercom_bulk.errors import UsageError

if TYPE_CHECKING:
    from datetime import tzinfo

__all__ = ["Moment", "second_of"]

Moment = datetime | float | str
"""A time: a datetime, epoch seconds, or ISO 8601. Without a zone it is in the workspace's."""
_LATEST = 32_503_680_000
"""The year 3000: what is later was meant in milliseconds."""


def second_of(moment: Moment, zone: tzinfo = UTC) -> float:
    """Epoch seconds. Raises `UsageError`."""
    if isinstance(moment, (int, float)):
        second = float(moment)
    else:
        at = _parsed(moment) if isinstance(moment, str) else moment
        second = (at if at.tzinfo is not None else at.replace(tzinfo=zone)).timestamp()
    if not 0 <= second < _LATEST:
        raise UsageError(f"{moment!r} is not a time since 1970 in seconds: milliseconds are to be divided by 1000.")
    return second


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text[:40]!r} is not a time: write 2026-11-20 or 2026-11-20T14:30:00Z.") from None
