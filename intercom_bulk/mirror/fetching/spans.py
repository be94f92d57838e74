"""How a stretch of time is laid out in windows, and what they are called. Pure.

Days are those of UTC. The newest comes first: that is what people ask about.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from intercom_bulk.mirror.keeping.coverage import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DAY", "NARROWEST", "days_of", "joinable", "parts_of", "title"]

DAY = 86_400
NARROWEST = 60
"""Seconds: no window is narrower, unless it was asked for so."""


def days_of(lo: int, hi: int) -> list[Span]:
    """One span a day, cut at midnight."""
    edges = [lo, *range(lo - lo % DAY + DAY, hi, DAY), hi]
    return [Span(a, b) for a, b in pairwise(edges) if b > a][::-1]


def parts_of(span: Span, count: int) -> list[Span]:
    """At most so many equal parts, none under `NARROWEST`; one where that cannot be."""
    count = max(1, min(count, len(span) // NARROWEST))
    edges = [span.lo + len(span) * n // count for n in range(count)] + [span.hi]
    return [Span(a, b) for a, b in pairwise(edges)][::-1]


def joinable(spans: Sequence[Span], density: float, *, most: float) -> int:
    """How many of the first spans, which follow each other backwards in time without a gap, are to be read as one, so
    that at most `most` conversations are expected in it. `density` is conversations a second. At least one.
    """
    count = 1
    while count < len(spans) and spans[count].hi == spans[count - 1].lo:
        if density * (spans[0].hi - spans[count].lo) > most:
            break
        count += 1
    return count


def title(span: Span) -> str:
    """What people call it: a day, several days, or hours of one."""
    first, end = (datetime.fromtimestamp(second, UTC) for second in (span.lo, span.hi))
    if span.lo % DAY == 0 and span.hi % DAY == 0:
        last = end - timedelta(days=1)
        return f"{first:%Y-%m-%d}" if last == first else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    same_day = span.lo // DAY == (span.hi - 1) // DAY
    return f"{first:%Y-%m-%d %H:%M:%S} to {end:{'%H:%M:%S' if same_day else '%Y-%m-%d %H:%M:%S'}}"
