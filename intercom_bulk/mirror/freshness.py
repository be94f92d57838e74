"""Whether the mirror can answer a question. Pure; in what words to say so is for telling.py.

A question is about the conversations created from `start` to `end`, as they stood at `end` or now, whichever was first.
The last five minutes of it are forgiven: what is asked about is the time up to the horizon, `min(end, now)` less
`GRACE`. Then:

    stale     the mirror does not reach the question's start
    partial   it does, but some of the conversations, or later changes of those it has, may be missing
    fresh     nothing up to the horizon is missing, and nothing is there that was deleted before it

`gaps` name what may be missing: spans of creation, spans in which older conversations may have changed, and the span in
which some that are here may have been deleted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING

from intercom_bulk.mirror.keeping.coverage import Coverage
from intercom_bulk.mirror.telling import Telling

if TYPE_CHECKING:
    from datetime import tzinfo

    from intercom_bulk.mirror.keeping.proofs import Deletions, Knowledge

__all__ = ["GRACE", "Freshness", "Gap", "GapKind", "State", "judge"]

GRACE = 300
"""Seconds at the end of a question that nobody waits for."""


class State(StrEnum):
    FRESH = "fresh"
    PARTIAL = "partial"
    STALE = "stale"


class GapKind(StrEnum):
    """What may be missing of a span: conversations created in it, changes made in it to older ones, or which of those
    that are here were deleted in it.
    """

    CONVERSATIONS = "conversations"
    CHANGES = "changes"
    DELETIONS = "deletions"


@dataclass(frozen=True, slots=True)
class Gap:
    """Seconds, `lo` to before `hi`, about which the mirror knows too little to answer."""

    kind: GapKind
    lo: int
    hi: int


@dataclass(frozen=True, slots=True)
class Freshness:
    """The verdict on one question. Times are epoch seconds.

    `up_to`: from the question's start to there nothing is missing; None where the start itself is. `as_of`: what there
    is, is as it stood then. `fillable`: the gaps that a sync may close.
    """

    state: State
    message: str
    gaps: tuple[Gap, ...]
    up_to: int | None
    as_of: int | None
    fillable: tuple[Gap, ...] = ()

    @property
    def data_complete(self) -> bool:
        return self.state is State.FRESH


def judge(
    known: Knowledge, start: float | None, end: float | None, *, now: float, zone: tzinfo = UTC, grace: int = GRACE,
    deletions: Deletions | None = None,
) -> Freshness:  # fmt: skip
    """Compare what is known with a question. No `start`: from where the mirror begins; no `end`: until now. Without
    `deletions`, of those nothing is said.

    A question wholly inside the last five minutes, or after now, is about the second before them: whoever asks again
    when the time has come finds it in step. `zone` is for the message alone.
    """
    begins = known.begins  # of rows, too: words are looked for in all that is here
    horizon = math.ceil(min(now, now if end is None else end)) - grace
    first = math.floor(start) if start is not None else begins if begins is not None else horizon - 1
    first = min(first, horizon - 1)
    holes = known.members.gaps(first, horizon)
    changes = known.missing_changes(first, horizon, horizon)
    fillable = gaps = (*_gaps(GapKind.CONVERSATIONS, holes), *_gaps(GapKind.CHANGES, changes))
    has_some = bool(known.members & Coverage.between(first, horizon))
    unmarked = _unmarked(deletions, horizon, changes) if has_some else None
    if deletions is not None and unmarked is not None:
        gaps = (*gaps, unmarked)
        fillable = gaps if deletions.refusal is None else fillable
    reaches = first in known.members
    state = State.FRESH if not gaps else State.PARTIAL if reaches else State.STALE
    limit = math.ceil(min(now, now if end is None else end))
    as_of = known.current_until(first, horizon)
    told = Telling(known, first, horizon, holes, changes, zone)
    if state is State.STALE:
        message = told.stale()
    else:
        message = told.future(math.floor(start)) if start is not None and start > now else told.reaching(limit)
    if deletions is not None and unmarked is not None:
        message = f"{message} {told.unmarked(unmarked.lo, deletions)}"
    return Freshness(
        state=state,
        message=message,
        gaps=gaps,
        up_to=told.up_to(limit) if reaches else None,
        as_of=as_of,
        fillable=fillable,
    )


def _unmarked(deletions: Deletions | None, horizon: int, changes: Coverage) -> Gap | None:
    """When something may have been deleted without the mirror's notice. Where a sync would tell, and changes of that
    time are not known either, that goes without saying: to be deleted is one.
    """
    if deletions is None or deletions.known_to >= horizon:
        return None
    lo = math.floor(deletions.known_to)
    is_told = deletions.refusal is None and not Coverage.between(lo, horizon) - changes
    return None if is_told else Gap(GapKind.DELETIONS, lo, horizon)


def _gaps(kind: GapKind, missing: Coverage) -> tuple[Gap, ...]:
    return tuple(Gap(kind, span.lo, span.hi) for span in missing)
