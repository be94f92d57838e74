"""Fetch again what `verify` finds short, and only that. A run, of kind "repair".

What was never read to its end is read. A window that lacks conversations is halved, by counting, down to where they are
missing, and read there. What the mirror has there and Intercom does not show is looked up by itself, one by one, before
it is marked as deleted. Threads that are older than their rows are fetched. A repair that was cut off is not resumed:
the next one finds what is still short.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Protocol, Self

from intercom_bulk.errors import UsageError
from intercom_bulk.mirror.fetching.contacts import Contacts, WithContacts
from intercom_bulk.mirror.fetching.launch import Ending, MirrorLaunch, Work, ended_as, mirror_of
from intercom_bulk.mirror.fetching.threads import ThreadFetch
from intercom_bulk.mirror.fetching.windows import WindowSource
from intercom_bulk.mirror.keeping.coverage import Coverage, Span
from intercom_bulk.mirror.keeping.proofs import INDEX_LAG, Depth
from intercom_bulk.mirror.keeping.schema import SyncKind, WindowState
from intercom_bulk.mirror.keeping.wanted import count_unread, threads_unread
from intercom_bulk.mirror.moments import second_of
from intercom_bulk.mirror.verify import DAY, Checked, count_there, range_of, threads_of, verify
from intercom_bulk.mirror.whose import whose
from intercom_bulk.runs.model import Item, Page, Slice
from intercom_bulk.runs.options import RunOptions
from intercom_bulk.settings import Settings
from intercom_bulk.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import tzinfo

    from intercom_bulk.mirror.fetching.launch import Given
    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.mirror.moments import Moment
    from intercom_bulk.runs.handle import Run
    from intercom_bulk.runs.summary import Summary

__all__ = ["Repair", "narrowed"]

FEW = 300
"""Two pages: to halve what holds no more would save nothing."""
NARROWEST = 60
"""Seconds."""
REST = "rest"
_GLANCE = 0.1
_AT_ONCE = 150


class Repair:
    """Of what was created from `since` up to `until`; None: of all that the mirror claims to have. `width`: seconds of
    the windows that are counted. Times without a zone are in `zone`. `store` None: the mirror of the token's workspace.
    """

    def __init__(
        self, *, since: Moment | None = None, until: Moment | None = None, width: int = DAY, zone: tzinfo = UTC,
        settings: Settings | None = None, store: MirrorStore | None = None,
    ) -> None:  # fmt: skip
        self._lo = None if since is None else int(second_of(since, zone))
        self._hi = None if until is None else int(second_of(until, zone))
        if width < 1:
            raise UsageError(f"width must be a second or more, not {width!r}.")
        self._width = width
        self._workspace = Workspace(settings or Settings.build())
        self._store = store

    @property
    def store(self) -> MirrorStore:
        """The mirror."""
        if self._store is None:
            known = self._workspace.settings
            self._store = mirror_of(known, whose(known, self._workspace).workspace)
        return self._store

    def check(self) -> list[Checked]:
        """Every window, counted here and there."""
        return list(verify(self._workspace, self.store, self._lo, self._hi, width=self._width))

    def start(
        self, checked: Sequence[Checked] | None = None, options: RunOptions | None = None, *,
        parallel_workers: int | None = None,
    ) -> Run | None:  # fmt: skip
        """Begin in the background; None where nothing is short. `checked`: what `check()` gave, if that was asked."""
        wrong = [one for one in (self.check() if checked is None else checked) if not one.is_well]
        if not wrong:
            return None
        lo, hi = range_of(self.store, self._lo, self._hi)
        short = [span for one in wrong if one.here != one.there for span in self._narrowed(one)]
        holes = Coverage.of(one.span for one in wrong if one.is_hole) - self.store.knowledge(Depth.ROW).members
        threads = Coverage.of(one.span for one in wrong) & threads_of(self.store)
        question = {"since": lo, "until": hi, "spans": _plain([*short, *holes]), "threads": _plain(threads)}
        return MirrorLaunch(
            workspace=self._workspace,
            kind=SyncKind.REPAIR,
            title="Repair",
            question=lambda _: question,
            make_work=_work,
            options=options or RunOptions(),
            workers=parallel_workers,
        ).start()

    def run(self, options: RunOptions | None = None) -> Summary | None:
        """Begin, and wait for the end; None where nothing is short. Raises what made it impossible."""
        started = self.start(options=options)
        return None if started is None else started.result()

    def close(self) -> None:
        """Close the connections."""
        self._workspace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Repair(since={self._lo}, until={self._hi})"

    def _narrowed(self, one: Checked) -> list[Span]:
        return narrowed(partial(count_there, self._workspace), self.store, one.span, one.there)


class Counted(Protocol):
    """What has conversations by when they were created."""

    def count_created(self, lo: int, hi: int) -> int: ...


def narrowed(count: Callable[[Span], int], store: Counted, span: Span, there: int) -> list[Span]:
    """Where in a window the two differ, the newest first. `count` asks Intercom, of which `there` is known."""
    if store.count_created(span.lo, span.hi) == there:
        return []
    if there <= FEW or len(span) <= NARROWEST:
        return [span]
    older, newer = Span(span.lo, middle := (span.lo + span.hi) // 2), Span(middle, span.hi)
    of_older = count(older)
    return [*narrowed(count, store, newer, there - of_older), *narrowed(count, store, older, of_older)]


def _plain(spans: Iterable[Span]) -> list[list[int]]:
    """Joined where they meet, the newest first."""
    return [[span.lo, span.hi] for span in reversed(Coverage.of(spans).spans)]


# -- the run


def _work(given: Given) -> Work:
    question, sync = given.sync.question, given.sync
    given.writer.plan_windows(sync.id, _spans(question["spans"]))
    # Rows alone: what is here of rows alone stays so. Which threads are wanted is asked when the rows are here.
    contacts = Contacts(given.workspace, given.store, given.writer, timeout=given.timeout)
    windows = WindowSource(
        given.workspace, given.store, given.writer, sync.id, depth=Depth.ROW, meter=given.meter, timeout=given.timeout,
        life=given.life, on_rows=contacts.offer,
    )  # fmt: skip
    fetch = ThreadFetch(
        given.workspace, given.store, given.writer, sync.id, meter=given.meter, timeout=given.timeout
    )  # fmt: skip
    source = RepairSource(windows, given, _spans(question["threads"]))
    return Work(WithContacts(source, contacts), fetch, source.end)


def _spans(said: Iterable[Sequence[int]]) -> list[Span]:
    return [Span(lo, hi) for lo, hi in said]


@dataclass(slots=True)
class RepairSource:
    """The windows that are short, then what they did not show: conversations that are here and were not found there,
    and threads that are older than their rows.
    """

    windows: WindowSource
    given: Given
    threads: Sequence[Span]
    _left: list[str] | None = None
    repeatable: bool = False

    def open(self) -> Sequence[Slice]:
        return [*self.windows.open(), Slice(REST)]

    def read(self, part: Slice) -> Page:
        if part.key != REST:
            return self.windows.read(part)
        if self._is_reading():
            self.given.workspace.clock.sleep(_GLANCE)
            return Page((), replace(part, pages=part.pages + 1))
        if self._left is None:
            self._left = list(dict.fromkeys(self._owed()))
        start = int(part.cursor or 0)
        ids = self._left[start : start + _AT_ONCE]
        end = start + len(ids)
        after = replace(part, cursor=str(end), pages=part.pages + 1, done=end >= len(self._left))
        return Page([Item(item_id) for item_id in ids], after)

    def split(self, part: Slice) -> tuple[Slice, Slice] | None:
        return None if part.key == REST else self.windows.split(part)

    def _is_reading(self) -> bool:
        return bool(self.given.store.windows(self.given.sync.id, WindowState.PENDING, WindowState.FETCHING))

    def _owed(self) -> Iterator[str]:
        """What a window that was read has shown was seen since the repair began, less the lag of the search."""
        store, before = self.given.store, self.given.sync.started_at - INDEX_LAG
        stored = store.windows(self.given.sync.id, WindowState.STORED)
        for span in Coverage.of(window.span for window in stored):
            unseen = """
                SELECT id FROM conversation
                WHERE deleted_at IS NULL AND created_at >= ? AND created_at < ? AND seen_at < ?
            """
            yield from (row[0] for row in store.sql(unseen, (span.lo, span.hi, before)).rows)
        for span in self.threads:
            yield from threads_unread(store, span.lo, span.hi, limit=1 << 40)

    def end(self, summary: Summary) -> Ending:
        """Threads are proved where none is left unread."""
        store, wanted = self.given.store, Coverage.of(self.threads)
        stored = store.windows(self.given.sync.id, WindowState.STORED)
        within = [window for window in stored if wanted.covers(window.lo, window.hi)]
        self.given.writer.prove_threads(one for one in within if not count_unread(store, one.lo, one.hi))
        return Ending(ended_as(summary))
