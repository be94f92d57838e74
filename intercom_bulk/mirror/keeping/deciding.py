"""What a conversation that was read does to what is stored of it: nothing goes back in time, and equal news changes
nothing. Pure.

A conversation is two registers, its row and its thread, each as of an `updated_at` and read at a server time. The later
pair wins, each for itself; so documents may come in any order, twice, and from several syncs. A row from a search never
touches the parts. Parts that a thread no longer shows are gone, except those before the first that it shows: Intercom
shows the newest 500 only, and older ones, once stored, are kept.

Of one that is known to be deleted nothing is stored but that there was one, and when: see purging.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from intercom_bulk.mirror.keeping.documents import values
from intercom_bulk.mirror.keeping.purging import emptied

if TYPE_CHECKING:
    from intercom_bulk.mirror.keeping.documents import Thread

__all__ = ["Known", "Stored", "Work", "decide"]


@dataclass(frozen=True, slots=True)
class Stored:
    """What a batch did: conversations that are new, changed or as they were, those that were older than what is stored,
    and parts written.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    outdated: int = 0
    parts: int = 0

    def __add__(self, other: Stored) -> Stored:
        return Stored(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    @property
    def total(self) -> int:
        return self.new + self.changed + self.unchanged + self.outdated


@dataclass(slots=True)
class Known:
    """What is stored of a conversation."""

    key: int
    updated_at: int
    seen_at: float
    thread_updated_at: int | None
    thread_seen_at: float | None
    parts_stored: int
    deleted_at: int | None
    raw: bytes | None
    parts: dict[str, tuple[int, int, bytes]] = field(default_factory=dict)
    """Position, `created_at` and JSON of each."""

    @property
    def thread_version(self) -> tuple[float, float]:
        """Below any other where no thread was read."""
        return (self.thread_updated_at or 0, self.thread_seen_at or 0.0)


@dataclass(slots=True)
class Work:
    """The statements of a batch, gathered."""

    seen_at: float
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    touched: list[tuple[Any, ...]] = field(default_factory=list)
    raws: list[tuple[int, bytes]] = field(default_factory=list)
    linked: list[Thread] = field(default_factory=list)
    parts: list[tuple[Any, ...]] = field(default_factory=list)
    gone_parts: list[tuple[str, str]] = field(default_factory=list)
    threads: list[tuple[Any, ...]] = field(default_factory=list)
    reread: list[tuple[int, Thread]] = field(default_factory=list)


def decide(work: Work, thread: Thread, known: Known | None, key: int, deleted_at: int | None) -> Stored:
    """Gather in `work` what is to be written. `key`: for one that is not `known`; `deleted_at`: it is known deleted."""
    row, now = thread.row, (thread.row.updated_at, work.seen_at)
    key = key if known is None else known.key
    if deleted_at is not None:
        return _decide_gone(work, thread, known, key, deleted_at)
    revived = known is not None and known.deleted_at is not None  # whatever it was, nothing of it is left
    row_wins = known is None or revived or now >= (known.updated_at, known.seen_at)
    row_differs = row_wins and (known is None or known.raw != thread.raw)
    if row_differs:
        depth = "row" if known is None or known.thread_updated_at is None else "thread"
        work.rows.append((key, work.seen_at, depth, None, *values(row)))
        work.raws.append((key, thread.raw))
        work.linked.append(thread)
    elif row_wins:
        work.touched.append((work.seen_at, key))
    written = _decide_parts(work, thread, known, key)
    if row_differs or written:
        work.reread.append((key, thread))
    if known is None:
        return Stored(new=1, parts=written or 0)
    if row_differs or written:
        return Stored(changed=1, parts=written or 0)
    return Stored(unchanged=1) if row_wins else Stored(outdated=1)


def _decide_gone(work: Work, thread: Thread, known: Known | None, key: int, deleted_at: int) -> Stored:
    """A search whose index lags still shows it: what it says is not stored."""
    if known is not None:
        return Stored(outdated=1)
    work.rows.append((key, work.seen_at, "row", deleted_at, *values(emptied(thread.row))))
    return Stored(new=1)


def _decide_parts(work: Work, thread: Thread, known: Known | None, key: int) -> int:
    """How many parts are to be written or taken away."""
    row = thread.row
    if thread.parts is None:
        return 0
    if known is not None and (row.updated_at, work.seen_at) < known.thread_version:
        return 0
    there = known.parts if known is not None else {}
    given = {part.id: part for part in thread.parts}
    news = [part for part in given.values() if part.id not in there or there[part.id][2] != part.raw]
    moved = [
        part
        for part in given.values()
        if part.id in there and there[part.id][2] == part.raw and there[part.id][0] != part.position
    ]
    begins = min(((part.created_at, part.position) for part in given.values()), default=(0, 0))
    capped = len(given) < thread.total_parts
    gone = [
        part_id
        for part_id, (position, created_at, _) in there.items()
        if part_id not in given and (not capped or (created_at, position) >= begins)
    ]
    work.parts += [(row.id, *values(part)) for part in (*news, *moved)]
    work.gone_parts += [(row.id, part_id) for part_id in gone]
    stored = len(there) - len(gone) + sum(part_id not in there for part_id in given)
    work.threads.append((row.updated_at, work.seen_at, row.parts_expected, thread.total_parts, stored, key))
    return len(news) + len(gone)
