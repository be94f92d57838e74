"""A backfill's source: windows of creation, read side by side, page by page, into the mirror.

The engine's slices are lanes: each takes the next window that nobody reads. How far a window was read is in the mirror,
in the transaction that stored the rows, and nowhere else; so it does not matter what the ledger of a killed run says of
it. At depth "thread" the items of a page are the conversations whose stored thread is not current; what a killed run
had stored but not yet handed on is found in the mirror by the next one.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from intercom_bulk.errors import RateLimited, Rejected, SearchLoop, Transient
from intercom_bulk.mirror.coverage import Span
from intercom_bulk.mirror.owed import OwedThreads
from intercom_bulk.mirror.proofs import INDEX_LAG, Depth
from intercom_bulk.mirror.reader import PageReader, TooHeavyError, checked_position
from intercom_bulk.mirror.schema import WindowState
from intercom_bulk.mirror.spans import NARROWEST, joinable, parts_of, title
from intercom_bulk.runs.model import Item, Page, Slice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intercom_bulk.api.pages import RawPage
    from intercom_bulk.mirror.meter import Meter
    from intercom_bulk.mirror.store import MirrorStore
    from intercom_bulk.mirror.syncs import Window
    from intercom_bulk.mirror.writer import MirrorWriter
    from intercom_bulk.workspace import Workspace

__all__ = ["LANES", "WindowSource"]

logger = logging.getLogger(__name__)

LANES = 12
"""Windows in flight, as far as the pace allows."""
TRIES = 3
DEADLINE = 300.0
"""Seconds of reading that one try of a window may take."""
SPARSE = 300
"""Windows are joined while no more conversations than this are expected of them."""
DENSE = 300
"""More than this left after its first page: worth another reader, where one is idle."""
HUGE = 3000
"""More than this is never left to one try."""
OUTAGE = 60.0
"""Seconds without a page from anybody: then Intercom is away, and no window is at fault."""
FAIR = 4
"""A window is joined of at most one in so many of those that wait: the last ones are not left to one reader."""
_WAIT = 0.25
_AT_ONCE = 50
_ALL = 1 << 40
_LONGEST_REST = 20.0
UNREAD = "threads"
"""The slice of what earlier lives found and did not fetch."""


@dataclass(slots=True)
class _Walk:
    """A window that a lane is reading. `spent`: seconds of this try. `foreign`: its cursor is an earlier life's."""

    window: Window
    foreign: bool = False
    position: int | None = None
    spent: float = 0.0
    cursors: set[str] = field(default_factory=set)


class WindowSource:
    """The windows of one sync, which are planned already. Thread-safe, as the lanes need it."""

    repeatable = False

    def __init__(
        self,
        workspace: Workspace,
        store: MirrorStore,
        writer: MirrorWriter,
        sync_id: str,
        *,
        depth: Depth,
        meter: Meter,
        timeout: float = 30.0,
        lanes: int = LANES,
        life: int = 1,
    ) -> None:
        self._workspace = workspace
        self._clock = workspace.clock
        self._store = store
        self._writer = writer
        self._sync_id = sync_id
        self._depth = depth
        self._meter = meter
        self._reader = PageReader(workspace, timeout=timeout)
        self._most_lanes = lanes
        self._owed = OwedThreads()
        self._changed = threading.Condition()
        self._walks: dict[str, _Walk] = {}
        self._failures: dict[int, int] = {}
        self._heavy: dict[str, int] = {}
        self._last_page = self._clock.monotonic()
        self._life = life
        self._lanes = self._named = 0
        known = store.windows(sync_id)
        self._pending = deque(window for window in known if window.state is WindowState.PENDING)
        self._half_read = deque(
            window for window in known if window.state is WindowState.STORED or (window.pages and window.cursor)
        )
        self._found, self._width = 0, 0
        for window in known:
            if window.state is WindowState.STORED:
                self._note_density(window)

    # -- what the engine asks

    def open(self) -> Sequence[Slice]:
        """Lanes for what is pending, and first of all what earlier lives owe."""
        owing = [Slice(UNREAD)] if self._depth is Depth.THREAD and self._half_read else []
        self._lanes = 0
        return [*owing, *(self._lane() for _ in range(self._most_lanes))]

    def read(self, part: Slice) -> Page:
        """One page of the window that this lane reads."""
        if part.key == UNREAD:
            return self._read_owed(part)
        walk = self._walks.get(part.key) or self._take(part.key)
        if walk is None:
            return Page((), replace(part, pages=part.pages + 1, done=self._is_over()))
        began = self._clock.monotonic()
        try:
            items = self._read_on(part.key, walk)
        finally:
            walk.spent += self._clock.monotonic() - began
        after = replace(part, cursor=str(walk.window.number), pages=part.pages + 1)
        return Page(items, after)

    def split(self, part: Slice) -> tuple[Slice, Slice] | None:
        """One more lane, where windows wait for one."""
        with self._changed:
            return (part, self._lane()) if self._pending and self._lanes < self._most_lanes else None

    def settled(self, item_id: str) -> None:
        """A thread is stored, or will never be: windows that waited for it alone are proved."""
        whole = self._owed.settled(item_id)
        if whole:
            self._writer.prove_threads(whole)

    def close(self) -> int:
        """At the end of a run: prove what is whole after all; how many windows are stored and still want threads."""
        if self._depth is not Depth.THREAD:
            return 0
        left = self._owed.take_unsettled()
        whole = [window for window in left if not self._store.threads_unread(window.lo, window.hi, limit=1)]
        if whole:
            self._writer.prove_threads(whole)
        return len(left) - len(whole)

    # -- windows and lanes

    def _lane(self) -> Slice:
        self._lanes += 1
        self._named += 1
        return Slice(f"lane {self._life}.{self._named}")

    def _is_over(self) -> bool:
        """Whether this lane can go: nothing waits, and no window is read whose size nobody knows yet."""
        with self._changed:
            if self._pending:
                return False
            if any(not walk.window.pages for walk in self._walks.values()):
                self._changed.wait(_WAIT)
                return False
            self._lanes -= 1
            return True

    def _take(self, lane: str) -> _Walk | None:
        """The next window, joined with its neighbours where they are sparse."""
        with self._changed:
            if not self._pending:
                return None
            chosen = [self._pending.popleft() for _ in range(self._joinable())]
            walk = self._walks[lane] = _Walk(chosen[0])
        if len(chosen) > 1:
            (walk.window,) = self._writer.replace_windows(chosen, [Span(chosen[-1].lo, chosen[0].hi)])
        walk.foreign = walk.window.cursor is not None
        walk.window = self._writer.begin_window(walk.window, at=self._workspace.now())
        return walk

    def _joinable(self) -> int:
        """How many of the windows that wait are to be read as one. None that was begun is among them."""
        untouched = list(takewhile(lambda window: not window.tries, self._pending))
        if not self._width or not untouched:
            return 1
        count = joinable([window.span for window in untouched], self._found / self._width, most=SPARSE)
        return max(1, min(count, len(self._pending) // FAIR))

    def _note_density(self, window: Window) -> None:
        self._found += window.stored
        self._width += window.hi - window.lo

    def _leave(self, lane: str, *planned: Window, last: bool = False) -> None:
        """The lane is free; these wait for one, next of all or last."""
        with self._changed:
            del self._walks[lane]
            if last:
                self._pending.extend(planned)
            else:
                self._pending.extendleft(reversed(planned))
            self._changed.notify_all()

    # -- one page

    def _read_on(self, lane: str, walk: _Walk) -> Sequence[Item]:
        window, asked = walk.window, self._workspace.now()
        try:
            page = self._reader.read(window.span, window.cursor)
            walk.position = checked_position(page, walk.position)
        except TooHeavyError as error:
            return self._lighten(lane, walk, error)
        except Rejected:
            if not walk.foreign:
                raise
            self._begin_anew(walk)  # a cursor of days ago
            return ()
        except Transient as error:
            return self._failed(lane, walk, error)
        self._last_page = self._clock.monotonic()
        self._heavy.pop(lane, None)
        walk.foreign = False
        self._check_loop(walk, page)
        return self._keep(lane, walk, page, asked)

    def _keep(self, lane: str, walk: _Walk, page: RawPage, asked: float) -> Sequence[Item]:
        cursor = page.cursor if page.items else None
        # A row is as old as the index, not as the answer: a thread that was read since must not lose against it.
        walk.window, _ = self._writer.save_page(
            walk.window,
            [entry for entry in page.items if entry.get("id")],
            seen_at=asked - INDEX_LAG,
            cursor=cursor,
            expected=page.total,
            counts=self._meter.take(),
        )
        items = self._wanted(walk.window, page)
        if cursor is None:
            return [*items, *self._end(lane, walk)]
        if walk.spent > DEADLINE:
            return [*items, *self._failed(lane, walk, TimeoutError(f"it took longer than {DEADLINE:.0f} seconds"))]
        self._share(lane, walk)
        return items

    def _wanted(self, window: Window, page: RawPage) -> list[Item]:
        if self._depth is not Depth.THREAD:
            return []
        ids = self._store.threads_wanted(entry for entry in page.items if entry.get("id"))
        self._owed.owe(window, ids)
        return [Item(item_id) for item_id in ids]

    def _check_loop(self, walk: _Walk, page: RawPage) -> None:
        if page.cursor is not None and (page.cursor in walk.cursors or not page.items):
            raise SearchLoop(
                f"conversations/search keeps answering the same page of {title(walk.window.span)}: the backfill cannot"
                " list every conversation this way."
            )
        walk.cursors.add(page.cursor or "")

    def _end(self, lane: str, walk: _Walk) -> Sequence[Item]:
        """The window was read to its end. What Intercom counts and does not show is a hole."""
        window = walk.window
        if window.expected is not None and window.stored < window.expected:
            told = f"Intercom counts {window.expected:,} conversations in it and shows {window.stored:,}"
            return self._failed(lane, walk, Incomplete(told))
        self._finish(lane, window)
        return ()

    def _finish(self, lane: str, window: Window, *rest: Window) -> None:
        whole = self._depth is Depth.THREAD and self._owed.read(window)
        self._writer.finish_window(window, depth=Depth.THREAD if whole else Depth.ROW)
        with self._changed:
            self._note_density(window)
        self._leave(lane, *rest)

    # -- windows that are too large

    def _share(self, lane: str, walk: _Walk) -> None:
        """What is left of a dense window is for several lanes, where some are idle; too much is never left to one."""
        window = walk.window
        left = (window.expected or 0) - window.stored
        with self._changed:
            self._changed.notify_all()
            idle = len(self._pending) < self._most_lanes
        if left > HUGE:
            self._cut(lane, walk, -(-left // HUGE))
        elif left > DENSE and window.pages == 1 and idle:
            self._cut(lane, walk, -(-left // DENSE))

    def _cut(self, lane: str, walk: _Walk, count: int) -> bool:
        """The window ends before the second of its last row; the rest are so many new ones. Whether that can be."""
        window, position = walk.window, walk.position
        if position is None or not window.lo < position < window.hi:
            return False
        cut, planned = self._writer.cut_window(window, parts_of(Span(position, window.hi), count))
        self._finish(lane, cut, *planned)
        return True

    def _lighten(self, lane: str, walk: _Walk, error: TooHeavyError) -> Sequence[Item]:
        """Smaller pages; where they are as small as they get, shorter windows. A cursor is for pages of one size."""
        self._rest(lane, error)
        window = walk.window
        if error.at_least and self._is_away():
            return ()
        if self._cut(lane, walk, 2 if error.at_least else 1):
            return ()
        if error.at_least and len(window.span) >= 2 * NARROWEST:
            self._owed.forget(window)
            self._leave(lane, *self._writer.split_window(window, parts_of(window.span, 2)))
        elif error.at_least:
            return self._failed(lane, walk, error)
        elif window.cursor is not None:
            self._begin_anew(walk)
        return ()

    def _rest(self, lane: str, error: TooHeavyError) -> None:
        """Longer each time in a row. Raises the error where nobody gets an answer any more."""
        self._heavy[lane] = self._heavy.get(lane, 0) + 1
        if self._clock.monotonic() - self._last_page > OUTAGE and self._is_away():
            raise error.cause
        self._clock.sleep(min(_LONGEST_REST, 0.1 * 2 ** self._heavy[lane]))

    # -- windows that fail

    def _begin_anew(self, walk: _Walk) -> None:
        fresh = replace(walk.window, cursor=None)
        walk.window = self._writer.begin_window(fresh, at=self._workspace.now())
        walk.foreign, walk.position = False, None
        walk.cursors.clear()

    def _failed(self, lane: str, walk: _Walk, error: Exception) -> Sequence[Item]:
        """One of its tries. The last one is a hole: an item of the run that failed, while the others go on."""
        number = walk.window.number
        self._failures[number] = self._failures.get(number, 0) + 1
        again = self._failures[number] < TRIES
        if not again and isinstance(error, (Transient, TooHeavyError)) and self._is_away():
            raise error.cause if isinstance(error, TooHeavyError) else error
        window = replace(walk.window, cursor=None) if isinstance(error, Incomplete) else walk.window
        window = self._writer.fail_window(window, str(error), again=again)
        logger.warning("window %s: %s%s", title(window.span), error, "; once more" if again else "")
        self._leave(lane, *([window] if again else []), last=True)
        told = f"It was tried {TRIES} times: {error}."
        return [] if again else [Item(f"window {title(window.span)}", fail=("window_failed", told))]

    def _is_away(self) -> bool:
        """Whether Intercom answers nothing at all: then no window is at fault."""
        try:
            self._workspace.client.send("GET", "me")
        except Transient:
            return True
        except RateLimited:
            return False
        return False

    # -- what earlier lives owe

    def _read_owed(self, part: Slice) -> Page:
        """Threads that were listed in windows read before, and are not here."""
        with self._changed:
            some = [self._half_read.popleft() for _ in range(min(_AT_ONCE, len(self._half_read)))]
        items: list[Item] = []
        whole: list[Window] = []
        for window in some:
            ids = self._store.threads_unread(window.lo, window.hi, limit=_ALL)
            self._owed.owe(window, ids)
            items += [Item(item_id) for item_id in ids]
            if window.state is WindowState.STORED and self._owed.read(window):
                whole.append(window)
        if whole:
            self._writer.prove_threads(whole)
        return Page(items, replace(part, pages=part.pages + 1, done=not self._half_read))


class Incomplete(Exception):
    """Fewer conversations than were counted."""
