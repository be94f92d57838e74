"""What a finished window or sync proves, and what follows from all of them together. Pure arithmetic.

Two kinds of reading leave two kinds of proof. A window of a backfill, asked for conversations created in [lo, hi) at
server time T, holds all of those, as they were at T. An incremental sync that began at T and read everything updated
since `floor` holds every conversation changed in [floor, T), as it was at T or later. From both, T is less than it
seems: the search's index lags, so what is told is true of `INDEX_LAG` seconds earlier.

Being created is a change, too. So of a conversation created in second c, nothing up to second h is missing when every
second of [c, h) is known for it: from c to the moment its window was read, and wherever a sync has read changes. That
is all of freshness; `Knowledge` answers it for many conversations at a time, by the second they were created in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from intercom_bulk.mirror.keeping.coverage import Coverage, Span

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["INDEX_LAG", "Axis", "Deletions", "Depth", "Knowledge", "Proof", "proved_by_sync", "proved_by_window"]

INDEX_LAG = 60
"""Seconds by which the search may be behind what was written (intercom-api.md 5.9: not documented)."""


class Axis(StrEnum):
    """By which time conversations were asked for."""

    CREATED = "created"
    UPDATED = "updated"


class Depth(StrEnum):
    """How much of a conversation is stored: what a search shows of it, or its parts as well."""

    ROW = "row"
    THREAD = "thread"

    @property
    def serving(self) -> tuple[Depth, ...]:
        """The depths of proofs that are enough for a question of this one."""
        return (Depth.THREAD,) if self is Depth.THREAD else (Depth.ROW, Depth.THREAD)


@dataclass(frozen=True, slots=True)
class Deletions:
    """What was deleted before second `known_to` is marked. `refusal`: why the last look at the list of deleted ones saw
    nothing of it.
    """

    known_to: float
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """Everything created (or changed) in `span` is stored at `depth`, as it was at second `as_of`: never before the
    span ends.
    """

    axis: Axis
    depth: Depth
    span: Span
    as_of: int


def proved_by_window(lo: int, hi: int, *, began: float, depth: Depth, lag: int = INDEX_LAG) -> Proof | None:
    """By a window read to its end; `began` is the server's time when its first page was asked for, in whatever life."""
    as_of = math.floor(began) - lag
    hi = min(hi, as_of)
    return Proof(Axis.CREATED, depth, Span(lo, hi), as_of) if hi > lo else None


def proved_by_sync(floor: int, *, began: float, depth: Depth, lag: int = INDEX_LAG) -> Proof | None:
    """By an incremental sync read down to `floor`; it says nothing of what changed after it `began`."""
    hi = math.floor(began) - lag
    return Proof(Axis.UPDATED, depth, Span(floor, hi), hi) if hi > floor else None


class Knowledge:
    """All that is proved for questions of one depth."""

    def __init__(self, proofs: Iterable[Proof], depth: Depth = Depth.ROW) -> None:
        known = list(proofs)
        fit = [proof for proof in known if proof.depth in depth.serving]
        self.depth = depth
        self.is_shallow = bool(known) and not fit
        """Whether there is something, but nothing of this depth."""
        self.begins = min((proof.span.lo for proof in known), default=None)
        """The first second of which anything is known, at whatever depth."""
        self.changes = Coverage.of(proof.span for proof in fit if proof.axis is Axis.UPDATED)
        """Changed in one of these seconds: stored, whenever it was created."""
        self._windows = [proof for proof in fit if proof.axis is Axis.CREATED]

    @cached_property
    def members(self) -> Coverage:
        """Created in one of these seconds: stored."""
        return Coverage.of(proof.span for proof in self._windows) | self.changes

    @cached_property
    def _read_at(self) -> list[tuple[Coverage, int]]:
        """The seconds of creation by the latest moment at which a window read them."""
        left = Coverage.of(proof.span for proof in self._windows)
        found: dict[int, list[Span]] = {}
        for proof in sorted(self._windows, key=lambda proof: -proof.as_of):
            now_read = Coverage((proof.span,)) & left
            if now_read:
                found.setdefault(proof.as_of, []).extend(now_read)
                left -= now_read
            if not left:
                break
        return [(Coverage.of(spans), as_of) for as_of, spans in found.items()]

    def unread_since(self, lo: int, hi: int) -> int | None:
        """The first second from which a sync has to have read changes, for all that is known of creation in [lo, hi);
        None where nothing is known.
        """
        asked = Coverage.between(lo, hi)
        first = [as_of for read, as_of in self._read_at if read & asked]
        never_windowed = (asked & self.changes) - Coverage.of(proof.span for proof in self._windows)
        if never_windowed.start is not None:
            first.append(never_windowed.start)
        return min(first, default=None)

    def missing_changes(self, lo: int, hi: int, until: int) -> Coverage:
        """When, before `until`, what is known of creation in [lo, hi) may have changed without the mirror's notice."""
        since = self.unread_since(lo, hi)
        return self.changes.gaps(since, until) if since is not None else Coverage()

    def current_until(self, lo: int, hi: int) -> int | None:
        """The second up to which nothing is missing of what is known of creation in [lo, hi); None: nothing known."""
        since = self.unread_since(lo, hi)
        if since is None:
            return None
        span = self.changes.span_of(since)
        return span.hi if span is not None else since

    @property
    def floor(self) -> int | None:
        """Where the next incremental sync has to begin, so that nothing that is stored misses a change; None: there is
        nothing to go on from.
        """
        if self.members.start is None or self.members.end is None:
            return None
        return self.current_until(self.members.start, self.members.end)

    def __repr__(self) -> str:
        return f"Knowledge({self.depth}, members={self.members.spans}, changes={self.changes.spans})"
