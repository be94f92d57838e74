"""A backfill's source: windows of creation, read side by side, page by page, into the mirror.

The engine's slices are lanes: each takes the next window that nobody reads. How far a window was read is in the mirror,
in the transaction that stored the rows, and nowhere else; so it does not matter what the ledger of a killed run says of
it. At depth "thread" the items of a page are the conversations whose stored thread is not current; what a killed run
had stored but not yet handed on is found in the mirror by the next one.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from intercom_bulk.errors import Rejected, SearchLoop, Transient
from intercom_bulk.mirror.fetching.lanes import Lanes
from intercom_bulk.mirror.fetching.owed import OwedThreads
from intercom_bulk.mirror.fetching.patience import Incomplete, Patience, Trouble
from intercom_bulk.mirror.fetching.reader import PageReader, TooHeavyError, checked_position
from intercom_bulk.mirror.fetching.spans import NARROWEST, parts_of, title
from intercom_bulk.mirror.keeping.coverage import Span
from intercom_bulk.mirror.keeping.proofs import INDEX_LAG, Depth
from intercom_bulk.mirror.keeping.schema import WindowState
from intercom_bulk.mirror.keeping.wanted import threads_unread, threads_wanted
from intercom_bulk.runs.model import Item, Page, Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from intercom_bulk.api.pages import RawPage
    from intercom_bulk.mirror.fetching.meter import Meter
    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.mirror.keeping.syncs import Window
    from intercom_bulk.mirror.keeping.writer import MirrorWriter
    from intercom_bulk.workspace import Workspace

__all__ = ["LANES", "WindowSource"]

logger = logging.getLogger(__name__)

LANES = 16
"""Windows in flight, as far as the pace allows."""
DENSE = 300
"""More than this left: worth another reader, where one is idle."""
HUGE = 3000
"""More than this is never left to one try: with a second a page it takes 20 seconds."""
UNREAD = "threads"
"""The slice of what earlier lives found and did not fetch."""
_AT_ONCE = 50
_ALL = 1 << 40


@dataclass(slots=True)
class _Walk:
    """A window that a lane is reading. `foreign`: its cursor is an earlier life's."""

    window: Window
    trouble: Trouble
    foreign: bool
    position: int | None = None
    cursors: set[str] = field(default_factory=set)


class WindowSource:
    """The windows of one sync, which are planned already. Thread-safe, as the lanes need it.

    `life`: of the run, so that no lane is called as one of an earlier life. `on_rows` hears what was stored.
    """

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
        on_rows: Callable[[Sequence[Mapping[str, Any]]], object] = lambda _: None,
    ) -> None:
        self._workspace = workspace
        self._clock = workspace.clock
        self._store = store
        self._writer = writer
        self._depth = depth
        self._meter = meter
        self._reader = PageReader(workspace, timeout=timeout)
        self._owed = OwedThreads()
        self._sync_id = sync_id
        self._life, self._named = life, 0
        self._on_rows = on_rows
        self._walks: dict[str, _Walk] = {}
        self._patience = Patience(workspace)
        known = store.windows(sync_id)
        self._lanes = Lanes(known, most=lanes)
        self._half_read = deque(one for one in known if one.state is WindowState.STORED or one.cursor is not None)

    # -- what the engine asks

    def open(self) -> Sequence[Slice]:
        """Lanes for what is pending, and first of all what earlier lives owe."""
        owing = [Slice(UNREAD)] if self._depth is Depth.THREAD and self._half_read else []
        return [*owing, *(self._lane() for _ in range(self._lanes.open_all()))]

    def read(self, part: Slice) -> Page:
        """One page of the window that this lane reads."""
        if part.key == UNREAD:
            return self._read_owed(part)
        walk = self._walks.get(part.key) or self._take(part.key)
        after = replace(part, pages=part.pages + 1)
        if walk is None:
            return Page((), replace(after, done=self._lanes.close_one()))
        items = self._read_on(part.key, walk)
        return Page(items, replace(after, cursor=str(walk.window.number)), left=self._rows_left())

    def _rows_left(self) -> int | None:
        """Conversations that are still to be listed, so that people see how far it is. None: not every window was
        looked at yet; or only rows are read, and those are no items.
        """
        if self._depth is not Depth.THREAD or self._lanes.are_waiting:
            return None
        left = 0
        for window in self._store.windows(self._sync_id, WindowState.PENDING, WindowState.FETCHING):
            if window.expected is None:
                return None
            left += max(window.expected - window.stored, 0)
        return left

    def split(self, part: Slice) -> tuple[Slice, Slice] | None:
        """One more lane, where windows wait for one."""
        return (part, self._lane()) if self._lanes.open_one() else None

    def settled(self, item_id: str) -> None:
        """A thread is stored, or will never be: windows that waited for it alone are proved."""
        whole = self._owed.settled(item_id)
        if whole:
            self._writer.prove_threads(whole)

    def close(self) -> int:
        """At the end of a run: prove what is whole after all; how many windows are stored and still want threads."""
        left = self._owed.take_unsettled()
        whole = [window for window in left if not threads_unread(self._store, window.lo, window.hi, limit=1)]
        if whole:
            self._writer.prove_threads(whole)
        return len(left) - len(whole)

    def _lane(self) -> Slice:
        self._named += 1
        return Slice(f"lane {self._life}.{self._named}")

    def _take(self, lane: str) -> _Walk | None:
        chosen = self._lanes.take(lane)
        if not chosen:
            return None
        window = chosen[0]
        if len(chosen) > 1:
            (window,) = self._writer.replace_windows(chosen, [Span(chosen[-1].lo, window.hi)])
        begun = self._writer.begin_window(window, at=self._workspace.now())
        walk = self._walks[lane] = _Walk(begun, self._patience.of(begun), foreign=begun.cursor is not None)
        return walk

    def _leave(self, lane: str, *planned: Window, last: bool = False) -> None:
        """The lane is free; these wait for one."""
        self._walks.pop(lane)
        self._lanes.put(*planned, last=last)
        self._lanes.sized(lane)

    # -- one page

    def _read_on(self, lane: str, walk: _Walk) -> Sequence[Item]:
        window, asked, began = walk.window, self._workspace.now(), self._clock.monotonic()
        try:
            page = self._reader.read(window.span, window.cursor)
        except TooHeavyError as error:
            walk.trouble.seconds += self._clock.monotonic() - began
            return self._lighten(lane, walk, error)
        except Rejected:
            if not walk.foreign:
                raise
            self._begin_anew(walk)  # a cursor of days ago
            return ()
        except Transient as error:
            walk.trouble.seconds += self._clock.monotonic() - began
            return self._failed(lane, walk, error)
        self._patience.page_came(walk.trouble)
        walk.position = checked_position(page, walk.position)
        walk.foreign = False
        self._check_loop(walk, page)
        return self._keep(lane, walk, page, asked)

    def _keep(self, lane: str, walk: _Walk, page: RawPage, asked: float) -> Sequence[Item]:
        rows = [entry for entry in page.items if entry.get("id")]
        # A row is as old as the index, not as the answer: a thread that was read since must not lose against it.
        walk.window, _ = self._writer.save_page(
            walk.window,
            rows,
            seen_at=asked - INDEX_LAG,
            cursor=page.cursor,
            expected=page.total,
            counts=self._meter.take(),
        )
        self._on_rows(rows)
        items: Sequence[Item] = ()
        if self._depth is Depth.THREAD:
            ids = threads_wanted(self._store, rows)
            self._owed.owe(walk.window, ids)
            items = [Item(item_id) for item_id in ids]
        if page.cursor is None:
            return [*items, *self._end(lane, walk)]
        self._share(lane, walk)
        return items

    def _check_loop(self, walk: _Walk, page: RawPage) -> None:
        if page.cursor is None:
            return
        if page.cursor in walk.cursors or not page.items:
            raise SearchLoop(
                f"conversations/search keeps answering the same page of {title(walk.window.span)}: the backfill cannot"
                " list every conversation this way."
            )
        walk.cursors.add(page.cursor)

    def _end(self, lane: str, walk: _Walk) -> Sequence[Item]:
        """The window was read to its end. What Intercom counts and does not show is a hole."""
        window = walk.window
        if window.expected is not None and window.stored < window.expected:
            told = f"Intercom counts {window.expected:,} conversations in it and shows {window.stored:,}"
            return self._failed(lane, walk, Incomplete(told))
        self._finish(lane, window)
        return ()

    def _finish(self, lane: str, window: Window, *rest: Window) -> None:
        """`rest` takes the place of what was not read of it."""
        whole = self._depth is Depth.THREAD and self._owed.read(window)
        self._writer.finish_window(window, depth=Depth.THREAD if whole else Depth.ROW)
        self._lanes.read(window)
        self._leave(lane, *rest)

    # -- windows that are too large

    def _share(self, lane: str, walk: _Walk) -> None:
        """What is left of a dense window is for several lanes, where some are idle; too much is never left to one."""
        left = (walk.window.expected or 0) - walk.window.stored
        if left > HUGE:
            is_cut = self._cut(lane, walk, -(-left // HUGE))
        else:
            is_cut = left > DENSE and self._lanes.are_idle and self._cut(lane, walk, -(-left // DENSE))
        if not is_cut and (left <= DENSE or self._lanes.are_idle):
            self._lanes.sized(lane)  # nobody needs to wait for a part of it

    def _cut(self, lane: str, walk: _Walk, count: int) -> bool:
        """The window ends before the second of its last row; the rest are so many new ones. Whether that can be."""
        window, position = walk.window, walk.position
        if position is None or not window.lo < position < window.hi:
            return False
        cut, planned = self._writer.cut_window(window, parts_of(Span(position, window.hi), count))
        self._patience.share(walk.trouble, planned)
        self._finish(lane, cut, *planned)
        return True

    def _lighten(self, lane: str, walk: _Walk, error: TooHeavyError) -> Sequence[Item]:
        """Smaller pages; where they are as small as they get, shorter windows. A cursor is for pages of one size."""
        window = walk.window
        if walk.trouble.is_over:
            return self._failed(lane, walk, error)
        self._patience.rest(walk.trouble, error)
        if error.at_least and self._patience.is_away():
            return ()
        if self._cut(lane, walk, 2 if error.at_least else 1):
            return ()
        if error.at_least and len(window.span) >= 2 * NARROWEST:
            self._split(lane, walk)
        elif error.at_least:
            return self._failed(lane, walk, error)
        elif window.cursor is not None:
            self._begin_anew(walk)
        return ()

    def _split(self, lane: str, walk: _Walk) -> None:
        self._owed.forget(walk.window)
        halves = self._writer.split_window(walk.window, parts_of(walk.window.span, 2))
        self._patience.share(walk.trouble, halves)
        self._leave(lane, *halves)

    # -- windows that fail

    def _begin_anew(self, walk: _Walk) -> None:
        fresh = replace(walk.window, cursor=None)
        walk.window = self._writer.begin_window(fresh, at=self._workspace.now())
        walk.foreign, walk.position = False, None
        walk.cursors.clear()

    def _failed(self, lane: str, walk: _Walk, error: Exception) -> Sequence[Item]:
        """One of its tries. The last one is a hole: an item of the run that failed, while the others go on."""
        window = replace(walk.window, cursor=None) if isinstance(error, Incomplete) else walk.window
        again = self._patience.failed(window) and not walk.trouble.is_over
        if not again and isinstance(error, (Transient, TooHeavyError)) and self._patience.is_away():
            raise error.cause if isinstance(error, TooHeavyError) else error
        window = self._writer.fail_window(window, str(error), again=again)
        logger.warning("window %s: %s%s", title(window.span), error, "; once more" if again else "")
        if again:
            self._leave(lane, window, last=True)
            return ()
        self._leave(lane)
        return [Item(f"window {title(window.span)}", fail=("window_failed", f"It could not be read: {error}."))]

    # -- what earlier lives owe

    def _read_owed(self, part: Slice) -> Page:
        """Threads that were listed in windows read before, and are not here."""
        some = [self._half_read.popleft() for _ in range(min(_AT_ONCE, len(self._half_read)))]
        items: list[Item] = []
        whole: list[Window] = []
        for window in some:
            ids = threads_unread(self._store, window.lo, window.hi, limit=_ALL)
            self._owed.owe(window, ids)
            items += [Item(item_id) for item_id in ids]
            if window.state is WindowState.STORED and self._owed.read(window):
                whole.append(window)
        if whole:
            self._writer.prove_threads(whole)
        return Page(items, replace(part, pages=part.pages + 1, done=not self._half_read))
