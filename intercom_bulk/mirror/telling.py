"""What the mirror knows of a question's time, as a person would want to hear it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from intercom_bulk.mirror.keeping.coverage import Coverage

if TYPE_CHECKING:
    from datetime import tzinfo

    from intercom_bulk.mirror.keeping.proofs import Deletions, Knowledge

__all__ = ["Telling"]

_NAMED = 3
"""So many holes are named in a message; the others are counted."""


@dataclass(frozen=True, slots=True)
class Telling:
    """Of the seconds from `first` to `horizon`: `holes` are of creation, `changes` those that may be missing."""

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

    def unmarked(self, since: int, deletions: Deletions) -> str:
        told = f"Conversations deleted since {self._at(since)} may still be there"
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
