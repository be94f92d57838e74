"""The mirror counted against Intercom, window by window of creation. Reads only; one request of a window.

Intercom counts what a search would find (`total_count`), the mirror what it has and does not know to be deleted. Equal
numbers are no proof that they are the same conversations, but what a sync has lost shows.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import patience
from intercom_bulk.api.pages import SORT_KEY, Search, endpoint, read_page
from intercom_bulk.errors import Transient, UsageError
from intercom_bulk.mirror.keeping.coverage import Coverage, Span
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.keeping.wanted import count_unread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.workspace import Workspace

__all__ = ["DAY", "Checked", "count_there", "created_within", "range_of", "verify", "windows_of"]

DAY = 86_400
TIMEOUT = 30.0
SIDE_BY_SIDE = 8
"""Windows that are counted at once."""
MOST = 10_000
"""Windows."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One window. `here` and `there`: conversations created in it, in the mirror and at Intercom. `is_hole`: not all of
    it was ever read to its end. `unread`: of those here, how many lack their thread as it is now, between the first
    and the last that was read; `cut`: how many threads are longer than what Intercom shows of them, which no repair
    can mend.
    """

    span: Span
    here: int
    there: int
    is_hole: bool = False
    unread: int = 0
    cut: int = 0

    @property
    def missing(self) -> int:
        return max(self.there - self.here, 0)

    @property
    def extra(self) -> int:
        """Those that Intercom does not find: deleted, as a rule, and not known to be."""
        return max(self.here - self.there, 0)

    @property
    def is_well(self) -> bool:
        return self.here == self.there and not self.unread and not self.is_hole


def verify(
    workspace: Workspace, store: MirrorStore, lo: int | None = None, hi: int | None = None, *, width: int = DAY
) -> Iterator[Checked]:
    """Every window of what was created in [lo, hi), oldest first; None: from where the mirror begins to where it ends.

    `width` is that of a window in seconds. Raises `UsageError` where there is nothing to count.
    """
    spans = windows_of(*range_of(store, lo, hi), width=width)
    rows, threads = store.knowledge(Depth.ROW).members, threads_of(store)
    pool = ThreadPoolExecutor(SIDE_BY_SIDE, "intercom-bulk-verify")
    try:
        asked = [pool.submit(copy_context().run, count_there, workspace, span) for span in spans]
        for span, there in zip(spans, asked, strict=True):
            found = there.result()
            yield _looked(store, span, found, rows, threads)
    finally:
        pool.shutdown(cancel_futures=True)


def _looked(store: MirrorStore, span: Span, there: int, rows: Coverage, threads: Coverage) -> Checked:
    """What the mirror has of a window of which Intercom has so many."""
    return Checked(
        span,
        here=store.count_created(span.lo, span.hi),
        there=there,
        is_hole=not rows.covers(span.lo, span.hi),
        unread=sum(count_unread(store, part.lo, part.hi) for part in threads & Coverage((span,))),
        cut=store.count_short(span.lo, span.hi),
    )


def threads_of(store: MirrorStore) -> Coverage:
    """From the first to the last second of creation of which threads are mirrored. Elsewhere rows are all there is."""
    known = store.knowledge(Depth.THREAD).members
    return Coverage() if known.start is None or known.end is None else Coverage.between(known.start, known.end)


def range_of(store: MirrorStore, lo: int | None, hi: int | None) -> tuple[int, int]:
    """What is asked about; where nothing is said, all that the mirror claims to have. Holes lie within it."""
    members = store.knowledge(Depth.ROW).members
    if members.start is None or members.end is None:
        if lo is None or hi is None:
            raise UsageError("The mirror is empty: run a backfill first.")
        return lo, hi
    # What was created after the last sync is no fault of the mirror's.
    lo, hi = members.start if lo is None else lo, members.end if hi is None else min(hi, members.end)
    if hi <= lo:
        raise UsageError("There is no time between since and until that the mirror reaches: check them.")
    return lo, hi


def windows_of(lo: int, hi: int, *, width: int = DAY) -> Sequence[Span]:
    """Days by UTC, as backfills cut them. Raises `UsageError` for more than anybody would count."""
    if (hi - lo) // width > MOST:
        raise UsageError(f"That would be more than {MOST:,} windows to count: take wider ones, or a shorter time.")
    edges = [lo, *range(lo - lo % width + width, hi, width), hi]
    return [Span(start, end) for start, end in pairwise(edges)]


def count_there(workspace: Workspace, span: Span) -> int:
    """How many conversations created in these seconds Intercom has, by its search, which lags a little."""
    search = Search(endpoint("conversations/search"), created_within(span), 1)
    with patience(TIMEOUT):
        page = workspace.reads.call(lambda: read_page(workspace.client, search, None), resend=True)
    if page.total is None:
        raise Transient("The search did not say how many it found.", sent=True, code="bad_answer")
    return page.total


def created_within(span: Span) -> dict[str, Any]:
    """Exactly these seconds, whether Intercom's `>` and `<` include equality or not."""
    before, after = span.lo - 1, span.hi
    told = ((">", before), ("!=", before), ("<", after), ("!=", after))
    return {
        "operator": "AND",
        "value": [{"field": SORT_KEY, "operator": sign, "value": second} for sign, second in told],
    }
