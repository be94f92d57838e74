"""Every error of this package, named by what to do next.

    IntercomBulkError
    ├── UsageError (ValueError)          mend the call or the settings; nothing was sent that writes
    │   ├── SettingsError                  token, region, base URL, environment
    │   ├── QueryError                     a filter outside the limits of Intercom's search
    │   ├── UnknownNameError               a team, tag or admin that the workspace does not have
    │   ├── ItemIdError                    an id that is not one path segment
    │   └── NoResumableRun                 no run of the pipeline that could be gone on with
    ├── ApiError                         Intercom, or the way to it, said no
    │   ├── RateLimited                    wait for the gate; the request was not processed
    │   ├── Transient                      try again; when `sent`, only after reading the item back
    │   ├── Unauthorized                   mend the token or its permissions, then resume
    │   ├── Gone                           the item itself no longer exists: nothing to do
    │   └── Rejected                       mend the request: the same one would fail again
    ├── LedgerError                      the record of a run cannot be kept or read: mend the disk or the file
    │   ├── RunBusy                        another process works on this run: wait, or stop that one
    │   │   └── PipelineBusy                 a run of the pipeline is under way: it has its `run_id`
    │   └── UnknownRun                     there is no run of this id
    ├── LeftAlone                        this item is not to be touched: it is skipped, and listed with the reason
    │   └── ChangedSince                   somebody changed the item since
    ├── SearchError                      the search cannot be trusted to list every item
    │   ├── SearchLoop                     a cursor came back, or a page without new ids promised more
    │   └── SearchUnordered                the search ignores the sort that was asked for
    └── Stopped                          the run was asked to stop while this call was waiting

No error carries a request, a header or a token. Messages are one sentence that says what to change.
"""

from __future__ import annotations

__all__ = [
    "ApiError",
    "ChangedSince",
    "Gone",
    "IntercomBulkError",
    "ItemIdError",
    "LedgerError",
    "LeftAlone",
    "NoResumableRun",
    "PipelineBusy",
    "QueryError",
    "RateLimited",
    "Rejected",
    "RunBusy",
    "SearchError",
    "SearchLoop",
    "SearchUnordered",
    "SettingsError",
    "Stopped",
    "Transient",
    "Unauthorized",
    "UnknownNameError",
    "UnknownRun",
    "UsageError",
]


class IntercomBulkError(Exception):
    """The root: `except IntercomBulkError` catches whatever this package raises on purpose."""


class UsageError(IntercomBulkError, ValueError):
    """The call or the settings need mending; nothing that writes was sent."""


class SettingsError(UsageError):
    """A setting is missing or malformed."""


class QueryError(UsageError):
    """A search filter is outside what Intercom's search accepts."""


class UnknownNameError(UsageError):
    """The workspace has no team, tag or admin of this name or id."""


class ItemIdError(UsageError):
    """An item id that could change the path it is put into."""


class NoResumableRun(UsageError):
    """There is no run of the pipeline to go on with: none that matches, or this one is over."""


class ApiError(IntercomBulkError):
    """An answer from Intercom, or the lack of one.

    `code` is Intercom's error code or our own word for the failure; `status` the HTTP status, if there was one;
    `request_id` Intercom's id of the request, to quote to its support.
    """

    def __init__(self, message: str, *, code: str, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.request_id = request_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r}, code={self.code!r}, status={self.status})"


class RateLimited(ApiError):
    """429: refused before it was processed, so always safe to send again once the gate opens.

    `retry_after` is the server's own wish in seconds, where it gave one.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, status: int | None = 429, request_id: str | None = None
    ) -> None:
        super().__init__(message, code="rate_limit_exceeded", status=status, request_id=request_id)
        self.retry_after = retry_after


class Transient(ApiError):
    """A failure that may pass. `sent` says whether the request may have been processed all the same.

    `resendable` is set by whoever knows the request: True where a second effect would be harmless, False where it
    would not (a note, a reply), None where the action as a whole decides.
    """

    def __init__(
        self,
        message: str,
        *,
        sent: bool,
        code: str,
        status: int | None = None,
        request_id: str | None = None,
        resendable: bool | None = None,
    ) -> None:
        super().__init__(message, code=code, status=status, request_id=request_id)
        self.sent = sent
        self.resendable = resendable


class Unauthorized(ApiError):
    """401, or 403 with an Intercom body: the token is wrong or lacks a permission. The whole run halts, resumable."""


class Gone(ApiError):
    """The item's own path answers that it does not exist (any more)."""


class Rejected(ApiError):
    """A 4xx that the same request would get again. `target` tells a missing admin, tag or team from a bad item."""

    def __init__(
        self, message: str, *, code: str, status: int | None, request_id: str | None = None, target: bool = False
    ) -> None:
        super().__init__(message, code=code, status=status, request_id=request_id)
        self.target = target


class SearchError(IntercomBulkError):
    """The search cannot be trusted to list every item once."""


class SearchLoop(SearchError):
    """A cursor that was seen before, or a page without new ids while more are promised."""


class SearchUnordered(SearchError):
    """Page one, or a later one, is not in the order that was asked for."""


class LedgerError(IntercomBulkError):
    """The record of a run cannot be kept or read. Without it nothing is sent."""


class RunBusy(LedgerError):
    """Another process works on this run."""


class PipelineBusy(RunBusy):
    """One run of the pipeline at a time works for a workspace. `run_id`: which one does; None: it has only begun."""

    def __init__(self, message: str, *, run_id: int | None = None) -> None:
        super().__init__(message)
        self.run_id = run_id


class UnknownRun(LedgerError):
    """There is no run of this id."""


class LeftAlone(IntercomBulkError):
    """An item that is not to be touched: skipped under `code`, and listed with this sentence."""

    code = "left_alone"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or type(self).code


class ChangedSince(LeftAlone):
    """The item is not as it was when this was decided: it is skipped and listed, never overwritten."""

    code = "changed_since"


class Stopped(IntercomBulkError):
    """Raised out of a wait when the run is stopping. Nothing was sent."""
