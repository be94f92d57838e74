"""The book of syncs: what was asked, how far it got, what it proved. It shares transactions with the rows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from intercom_bulk.errors import LedgerError, UnknownRun
from intercom_bulk.mirror.keeping.coverage import Span
from intercom_bulk.mirror.keeping.proofs import Axis, Deletions, Depth, Proof
from intercom_bulk.mirror.keeping.schema import SyncKind, SyncState, WindowState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from intercom_bulk.mirror.keeping.backend import Connection

__all__ = ["Counts", "Sync", "SyncBook", "Window"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What a sync did. `found` conversations were listed; `missed` is what the sync before should have found."""

    calls: int = 0
    rate_limited: int = 0
    found: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    parts: int = 0
    missed: int = 0
    seconds: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """One sync, over all its lives. Times are the server's; `question` is what it was asked for, as JSON."""

    id: str
    kind: SyncKind
    question: Mapping[str, Any]
    state: SyncState
    started_at: float
    ended_at: float | None = None
    run_id: str | None = None
    lives: int = 1
    counts: Counts = field(default_factory=Counts)
    error: str | None = None

    def seen_dead(self) -> Sync:
        """As it is to whoever finds it running though its process is gone."""
        return replace(self, state=SyncState.INTERRUPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Conversations created in [lo, hi). `began_at`: when its first page was asked for, in whatever life: nothing is
    known of later. `cursor` is the next page's, None where none was read or none is left.
    """

    sync_id: str
    number: int
    lo: int
    hi: int
    state: WindowState = WindowState.PENDING
    cursor: str | None = None
    began_at: float | None = None
    expected: int | None = None
    stored: int = 0
    pages: int = 0
    tries: int = 0
    error: str | None = None

    @property
    def span(self) -> Span:
        return Span(self.lo, self.hi)


_COUNTS = tuple(one.name for one in fields(Counts))
_SYNC = "SELECT id, kind, question, state, started_at, ended_at, run_id, lives, error, {} FROM sync".format(  # noqa: S608
    ", ".join(_COUNTS)
)
_WINDOW_COLUMNS = tuple(one.name for one in fields(Window))
_WINDOW = f"SELECT {', '.join(_WINDOW_COLUMNS)} FROM sync_window"  # noqa: S608  names of columns
_ADD = ", ".join(f"{name} = {name} + ?" for name in _COUNTS)


class SyncBook:
    """Reads, and within the caller's transactions writes, the tables of syncs."""

    def __init__(self, connection: Connection) -> None:
        self._on = connection

    # -- syncs

    def begin(
        self, sync_id: str, kind: SyncKind, question: Mapping[str, Any], *, at: float, run_id: str | None
    ) -> Sync:
        """A new sync, or another life of one that did not complete; it keeps the question that it began with. Raises
        `LedgerError` where it was completed.
        """
        known = self.find(sync_id)
        if known is None:
            self._on.execute(
                "INSERT INTO sync (id, kind, run_id, question, state, started_at) VALUES (?, ?, ?, ?, ?, ?)",
                (sync_id, kind.value, run_id, json.dumps(dict(question), default=str), SyncState.RUNNING.value, at),
            )
        elif known.state is SyncState.COMPLETED:
            raise LedgerError(f"Sync {sync_id} was completed: begin a new one.")
        else:
            self._on.execute(
                "UPDATE sync SET state = ?, ended_at = NULL, error = NULL, lives = lives + 1 WHERE id = ?",
                (SyncState.RUNNING.value, sync_id),
            )
            self._on.execute(
                "UPDATE sync_window SET state = ? WHERE sync_id = ? AND state = ?",
                (WindowState.PENDING.value, sync_id, WindowState.FETCHING.value),
            )
        return self.get(sync_id)

    def finish(self, sync_id: str, state: SyncState, *, at: float, error: str | None = None) -> None:
        self._one(
            "UPDATE sync SET state = ?, ended_at = ?, error = ? WHERE id = ?",
            (state.value, at, error, sync_id),
            sync_id,
        )

    def add(self, sync_id: str, counts: Counts) -> None:
        """Count what was done since the last time."""
        if counts != Counts():
            added = tuple(getattr(counts, name) for name in _COUNTS)
            self._one(f"UPDATE sync SET {_ADD} WHERE id = ?", (*added, sync_id), sync_id)  # noqa: S608  names

    def find(self, sync_id: str) -> Sync | None:
        row = self._on.row(f"{_SYNC} WHERE id = ?", (sync_id,))
        return _sync(row) if row is not None else None

    def get(self, sync_id: str) -> Sync:
        """Raises `UnknownRun`."""
        found = self.find(sync_id)
        if found is None:
            raise UnknownRun(f"There is no sync {sync_id[:60]!r} in this mirror.")
        return found

    def history(self, limit: int = 50, *, kind: SyncKind | None = None) -> list[Sync]:
        """The newest first."""
        where = "" if kind is None else " WHERE kind = ?"
        parameters: tuple[object, ...] = () if kind is None else (kind.value,)
        return [
            _sync(row)
            for row in self._on.rows(f"{_SYNC}{where} ORDER BY started_at DESC, id DESC LIMIT ?", (*parameters, limit))
        ]

    def last_completed(self) -> Sync | None:
        """The last one that ended well, or with holes, and read conversations."""
        rows = self._on.rows(
            f"{_SYNC} WHERE state IN ('completed', 'holes') AND kind IN ('backfill', 'incremental')"
            " ORDER BY started_at DESC LIMIT 1"
        )
        return next(map(_sync, rows), None)

    def deletions_known_to(self) -> float | None:
        """When the last look at all deletions began; before the first one, when anything was read at all."""
        sql = """
            SELECT coalesce(
                (SELECT started_at FROM sync WHERE kind = 'deletions' AND state = 'completed'
                    ORDER BY started_at DESC LIMIT 1),
                (SELECT started_at FROM sync WHERE kind <> 'deletions' ORDER BY started_at LIMIT 1)
            )
        """
        (at,) = self._on.row(sql) or (None,)
        return None if at is None else float(at)

    def deletions(self) -> Deletions | None:
        """How far it is known what was deleted; None: nothing was ever read."""
        at = self.deletions_known_to()
        if at is None:
            return None
        sql = "SELECT state, error FROM sync WHERE kind = 'deletions' ORDER BY started_at DESC LIMIT 1"
        state, error = self._on.row(sql) or (None, None)
        return Deletions(at, error if state == SyncState.FAILED else None)

    # -- windows

    def plan(self, sync_id: str, spans: Sequence[Span]) -> list[Window]:
        """Add windows, numbered in this order after those that are there."""
        (last,) = self._on.row("SELECT coalesce(max(number), 0) FROM sync_window WHERE sync_id = ?", (sync_id,)) or (0,)
        made = [Window(sync_id=sync_id, number=last + n, lo=span.lo, hi=span.hi) for n, span in enumerate(spans, 1)]
        sql = "INSERT INTO sync_window (sync_id, number, lo, hi, state) VALUES (?, ?, ?, ?, ?)"
        self._on.execute_many(sql, [(w.sync_id, w.number, w.lo, w.hi, w.state.value) for w in made])
        return made

    def drop(self, window: Window) -> None:
        """Others have taken its place."""
        self._on.execute("DELETE FROM sync_window WHERE sync_id = ? AND number = ?", (window.sync_id, window.number))

    def window(self, sync_id: str, number: int) -> Window:
        """Raises `UnknownRun`."""
        row = self._on.row(f"{_WINDOW} WHERE sync_id = ? AND number = ?", (sync_id, number))
        if row is None:
            raise UnknownRun(f"There is no window {number} in sync {sync_id[:60]!r}.")
        return _window(row)

    def windows(self, sync_id: str, *states: WindowState) -> list[Window]:
        """In the order of their numbers; all, or those in one of these states."""
        chosen = [state.value for state in states or WindowState]
        sql = f"{_WINDOW} WHERE sync_id = ? AND state IN ({','.join('?' * len(chosen))}) ORDER BY number"
        return [_window(row) for row in self._on.rows(sql, (sync_id, *chosen))]

    def save(self, window: Window) -> None:
        self._one(
            "UPDATE sync_window SET hi = ?, state = ?, cursor = ?, began_at = ?, expected = ?, stored = ?, pages = ?,"
            " tries = ?, error = ? WHERE sync_id = ? AND number = ?",
            (
                window.hi, window.state.value, window.cursor, window.began_at, window.expected, window.stored,
                window.pages, window.tries, window.error, window.sync_id, window.number,
            ),
            f"{window.sync_id}, window {window.number}",
        )  # fmt: skip

    # -- proofs

    def prove(self, proof: Proof, sync_id: str) -> None:
        """Add what is proved. Syncs join where they meet, windows replace what they read again, so that a year of syncs
        is a few rows.
        """
        axis, depth, span = proof.axis.value, proof.depth.value, proof.span
        as_of = proof.as_of
        if proof.axis is Axis.UPDATED:
            where = "axis = ? AND depth = ? AND lo <= ? AND hi >= ?"
            met = list(self._on.rows(f"SELECT lo, hi FROM proof WHERE {where}", (axis, depth, span.hi, span.lo)))  # noqa: S608
            self._on.execute(f"DELETE FROM proof WHERE {where}", (axis, depth, span.hi, span.lo))  # noqa: S608
            span = Span(min([span.lo, *(lo for lo, _ in met)]), max([span.hi, *(hi for _, hi in met)]))
            as_of = span.hi
        else:
            self._on.execute(
                "DELETE FROM proof WHERE axis = ? AND depth = ? AND lo >= ? AND hi <= ? AND as_of <= ?",
                (axis, depth, span.lo, span.hi, as_of),
            )
        self._on.execute(
            "INSERT INTO proof (axis, depth, lo, hi, as_of, sync_id) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (axis, depth, span.lo, span.hi, as_of, sync_id),
        )

    def proofs(self) -> list[Proof]:
        """All of them, of both depths."""
        rows = self._on.rows("SELECT axis, depth, lo, hi, as_of FROM proof ORDER BY axis, depth, lo, hi, as_of")
        return [Proof(Axis(axis), Depth(depth), Span(lo, hi), as_of) for axis, depth, lo, hi, as_of in rows]

    def _one(self, sql: str, parameters: Sequence[object], what: str) -> None:
        if self._on.execute(sql, parameters) != 1:
            raise UnknownRun(f"There is no sync {what[:80]} in this mirror.")


def _sync(row: tuple[Any, ...]) -> Sync:
    sync_id, kind, question, state, started_at, ended_at, run_id, lives, error, *counts = row
    return Sync(
        id=sync_id,
        kind=SyncKind(kind),
        question=json.loads(question),
        state=SyncState(state),
        started_at=started_at,
        ended_at=ended_at,
        run_id=run_id,
        lives=lives,
        error=error,
        counts=Counts(*counts),
    )


def _window(row: tuple[Any, ...]) -> Window:
    known = dict(zip(_WINDOW_COLUMNS, row, strict=True))
    return Window(**{**known, "state": WindowState(known["state"])})
