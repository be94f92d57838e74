"""From what an attempt raised to what it means for the item and for the run."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from intercom_bulk.errors import (
    ApiError,
    Gone,
    LedgerError,
    LeftAlone,
    RateLimited,
    Rejected,
    Stopped,
    Transient,
    Unauthorized,
    UsageError,
)
from intercom_bulk.runs.model import Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.runs.model import Item

__all__ = ["Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One attempt's end. Neither `halt` nor `unsent`: `outcome` stands as it is.

    `unsent`: nothing left the machine, so the item is staged as before. `halt`: the sentence to end the run with.
    `resendable` overrides the action's idempotence for this attempt, where the request itself is known.
    """

    outcome: Outcome
    unsent: bool = False
    halt: str | None = None
    resendable: bool | None = None


def judge(item: Item, error: Exception, *, attempts: int, at: float, redact: Callable[[str], str] = str) -> Verdict:
    """The table of the design, §6. `at` in epoch seconds. `redact` takes secrets out of what user code says."""

    def outcome(status: Status, detail: str | None = None) -> Outcome:
        code = error.code if isinstance(error, ApiError) else type(error).__name__
        return Outcome(
            item_id=item.id,
            status=status,
            code=code,
            message=redact(str(error)) or type(error).__name__,
            attempts=attempts,
            request_id=error.request_id if isinstance(error, ApiError) else None,
            at=at,
            detail=detail,
            target=isinstance(error, Rejected) and error.target,
        )

    match error:
        case Stopped():
            return Verdict(outcome(Status.STAGED), unsent=True)
        case Unauthorized() | RateLimited() | LedgerError():
            return Verdict(outcome(Status.STAGED), unsent=True, halt=str(error))
        case Gone():
            return Verdict(outcome(Status.SKIPPED))
        case LeftAlone():
            return Verdict(replace(outcome(Status.SKIPPED), code=error.code))
        case Transient(sent=True):
            return Verdict(outcome(Status.UNKNOWN), resendable=error.resendable)
        case ApiError() | UsageError():
            return Verdict(outcome(Status.FAILED))
        case _:
            # A bug in somebody's perform_action: the place is worth more than the sentence.
            return Verdict(outcome(Status.FAILED, redact("".join(traceback.format_exception(error)))))
