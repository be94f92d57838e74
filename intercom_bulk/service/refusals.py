"""What the service refuses, and the number that HTTP has for it. Messages are one sentence that says what to do."""

from __future__ import annotations

from intercom_bulk.errors import (
    ApiError,
    IntercomBulkError,
    LedgerError,
    RateLimited,
    RunBusy,
    SearchError,
    Stopped,
    UnknownRun,
    UsageError,
)

__all__ = ["Conflict", "NotThere", "Overloaded", "status_of"]


class Conflict(UsageError):
    """It cannot be done as things stand."""


class NotThere(UsageError):
    """There is nothing of this name."""


class Overloaded(UsageError):
    """As much is being done as goes at a time."""


_BY_KIND: tuple[tuple[type[IntercomBulkError], int], ...] = (
    (NotThere, 404),
    (UnknownRun, 404),
    (Conflict, 409),
    (RunBusy, 409),
    (Overloaded, 503),
    (UsageError, 400),
    (RateLimited, 503),
    (ApiError, 502),
    (SearchError, 502),
    (Stopped, 503),
    (LedgerError, 503),
)
"""The first that fits."""


def status_of(error: IntercomBulkError) -> int:
    """The status of an answer that says this: 4xx is the caller's to mend, 502 Intercom's, 503 passes or is ours."""
    return next((status for kind, status in _BY_KIND if isinstance(error, kind)), 502)
