"""Whether the mirror can answer a question, and in what words to say so. Pure.

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
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from intercom_bulk.mirror.coverage import Coverage

if TYPE_CHECKING:
    from datetime import tzinfo

    from intercom_bulk.mirror.proofs import Knowledge

__all__ = ["GRACE", "Deletions", "Freshness", "Gap", "GapKind", "State", "judge"]

GRACE = 300
"""Seconds at the end of a question that nobody waits for."""
_NAMED = 3
"""So many holes are named in a message; the others are counted."""


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
class Deletions:
    """What was deleted before second `known_to` is marked. `refusal`: why the last look at the list of deleted ones saw
    nothing of it.
    """

    known_to: float
    refusal: str | None = None


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
    told = _Telling(known, first, horizon, holes, changes, zone)
    if state is State.STALE:
        message = told.stale()
    else:
        message = told.future(math.floor(start)) if start is not None and start > now else told.reaching(limit)
    if deletions is not None and unmarked is not None:
        message = f"{message} {told.unmarked(unmarked, deletions)}"
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


@dataclass(frozen=True, slots=True)
class _Telling:
    """A verdict, as a person would want to hear it."""

    known: Knowledge
    first: int
    horizon: int
    holes: Coverage
    changes: Coverage
    zone: tzinfo

    def up_to(self, limit: int) -> int | None:
        """Without a hole from the start to there, and nothing beyond what was asked."""
        span = self.known.members.span_of(self.first)
        if span is None:
            return None
        ends = [span.hi, limit]
        if self.changes.start is not None:
            ends.append(max(self.changes.start, self.first))
        return min(ends)

    def future(self, start: int) -> str:
        """Nobody knows anything of it, and there is nothing: that the rest is fresh says nothing of it."""
        return f"The time asked about has not come yet: it begins at {self._at(start)}."

    def stale(self) -> str:
        members = self.known.members
        asked = members & Coverage.between(self.first, self.horizon)
        if members.end is None and self.known.is_shallow:
            return "Only rows are here, not the messages after the first: run a backfill of whole conversations."
        if members.end is None:
            return "The mirror is empty: run a backfill first."
        if asked.start is not None:
            rest = self._missing(self.holes - Coverage.between(self.first, asked.start))
            return f"Does not reach back to {self._at(self.first)}: begins at {self._at(asked.start)}{rest}."
        if members.end <= self.first:
            return f"Includes conversations up to {self._at(members.end)} only: nothing of the time asked about."
        return "Nothing of the time asked about is in the mirror: backfill it."

    def reaching(self, limit: int) -> str:
        """Trailing holes are "newer ones"; holes that something follows are named."""
        end = self.known.members & Coverage.between(self.first, limit)
        newest = end.end if end.end is not None else self.first
        inner = self.holes & Coverage.between(self.first, newest)
        trailing = bool(self.holes - inner)
        if self.changes and not self.holes and self.changes.end == self.horizon and len(self.changes.spans) == 1:
            since = self._at(self.changes.spans[0].lo)
            return f"Includes conversations up to {self._at(newest)}; changes since {since} may be missing."
        tail = "; may be missing newer ones" if trailing else ""
        changed = self._changed(newest if trailing else self.horizon)
        return f"Includes conversations up to {self._at(newest)}{self._missing(inner)}{tail}{changed}."

    def unmarked(self, gap: Gap, deletions: Deletions) -> str:
        told = f"Conversations deleted since {self._at(gap.lo)} may still be there"
        why = f": Intercom did not tell which. {deletions.refusal}" if deletions.refusal is not None else ""
        return f"{told}{why}" if why.endswith(".") else f"{told}{why}."

    def _missing(self, holes: Coverage) -> str:
        return f", except of {self._spans(holes)}" if holes else ""

    def _changed(self, newest: int) -> str:
        """Where newer conversations are said to be missing, changes in their time go without saying."""
        told = Coverage(tuple(span for span in self.changes if span.lo < newest))
        return f"; changes made from {self._spans(told)} may be missing" if told else ""

    def _spans(self, spans: Coverage) -> str:
        named = [f"{self._at(span.lo)} to {self._at(span.hi)}" for span in spans.spans[:_NAMED]]
        more = len(spans.spans) - _NAMED
        return " and ".join(filter(None, [", ".join(named), f"{more} more span{'s' * (more > 1)}" if more > 0 else ""]))

    def _at(self, second: int) -> str:
        return datetime.fromtimestamp(second, self.zone).strftime("%Y-%m-%d %H:%M")
