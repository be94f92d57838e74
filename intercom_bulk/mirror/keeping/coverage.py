"""Sets of seconds, kept as intervals. Pure arithmetic.

Intervals are half-open, `lo <= second < hi`, over whole epoch seconds: that is how Intercom counts, and neighbours
meet without a question of who owns the edge. Windows that overlap are no trouble: a union counts every second once.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["EMPTY", "Coverage", "Span"]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The seconds from `lo` up to, not including, `hi`. Raises ValueError where that is no second."""

    lo: int
    hi: int

    def __post_init__(self) -> None:
        if self.hi <= self.lo:
            raise ValueError(f"a span needs a second at least: {self.lo} to {self.hi}")

    def __len__(self) -> int:
        return self.hi - self.lo

    def __contains__(self, second: float) -> bool:
        return self.lo <= second < self.hi


@dataclass(frozen=True, slots=True)
class Coverage:
    """A set of seconds. `spans` are in order, and neither overlap nor touch: equal sets are equal objects.

    Made by `Coverage.of`; `|` `&` `-` are union, intersection and difference.
    """

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Coverage:
        """The seconds of all of them, in whatever order they come."""
        joined: list[Span] = []
        for span in sorted(spans):
            if joined and span.lo <= joined[-1].hi:
                joined[-1] = Span(joined[-1].lo, max(joined[-1].hi, span.hi))
            else:
                joined.append(span)
        return cls(tuple(joined))

    @classmethod
    def between(cls, lo: int, hi: int) -> Coverage:
        """One span; none where `hi` is not after `lo`."""
        return cls((Span(lo, hi),)) if hi > lo else EMPTY

    def __or__(self, other: Coverage) -> Coverage:
        return Coverage.of((*self.spans, *other.spans))

    def __and__(self, other: Coverage) -> Coverage:
        return Coverage(tuple(_common(self.spans, other.spans)))

    def __sub__(self, other: Coverage) -> Coverage:
        return Coverage(tuple(_without(self.spans, other.spans)))

    def __contains__(self, second: float) -> bool:
        return self.span_of(second) is not None

    def __iter__(self) -> Iterator[Span]:
        return iter(self.spans)

    def __bool__(self) -> bool:
        return bool(self.spans)

    def __len__(self) -> int:
        """How many seconds."""
        return sum(len(span) for span in self.spans)

    def span_of(self, second: float) -> Span | None:
        """The unbroken span around a second."""
        place = bisect_right(self.spans, second, key=lambda span: span.lo)
        found = self.spans[place - 1] if place else None
        return found if found is not None and second in found else None

    def gaps(self, lo: int, hi: int) -> Coverage:
        """What of `lo` to `hi` is not in the set."""
        return Coverage.between(lo, hi) - self

    def covers(self, lo: int, hi: int) -> bool:
        """Whether every second from `lo` up to `hi` is in the set."""
        if hi <= lo:
            return True
        span = self.span_of(lo)
        return span is not None and span.hi >= hi

    @property
    def start(self) -> int | None:
        """The first second."""
        return self.spans[0].lo if self.spans else None

    @property
    def end(self) -> int | None:
        """The second after the last."""
        return self.spans[-1].hi if self.spans else None


EMPTY = Coverage()


def _common(ours: tuple[Span, ...], theirs: tuple[Span, ...]) -> Iterator[Span]:
    left = right = 0
    while left < len(ours) and right < len(theirs):
        a, b = ours[left], theirs[right]
        lo, hi = max(a.lo, b.lo), min(a.hi, b.hi)
        if lo < hi:
            yield Span(lo, hi)
        if a.hi <= b.hi:
            left += 1
        else:
            right += 1


def _without(ours: tuple[Span, ...], theirs: tuple[Span, ...]) -> Iterator[Span]:
    place = 0
    for span in ours:
        lo = span.lo
        while place < len(theirs) and theirs[place].hi <= lo:
            place += 1
        beyond = place
        while beyond < len(theirs) and theirs[beyond].lo < span.hi:
            if theirs[beyond].lo > lo:
                yield Span(lo, theirs[beyond].lo)
            lo = theirs[beyond].hi
            beyond += 1
        if lo < span.hi:
            yield Span(lo, span.hi)
