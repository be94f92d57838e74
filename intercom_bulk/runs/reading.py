"""How far a source has been read in this pass: open slices, how many readers they deserve, what came of them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from intercom_bulk.clock import Clock
    from intercom_bulk.runs.model import Page, Slice
    from intercom_bulk.runs.seams import Source
    from intercom_bulk.runs.workers import Workers

__all__ = ["Reading"]

MAX_READERS = 8


class Reading:
    """One pass after another over a source. Owned by the engine's thread; the workers do the reading itself."""

    def __init__(self, source: Source, workers: Workers, clock: Clock) -> None:
        self._source = source
        self._workers = workers
        self._clock = clock
        self._open: dict[str, Slice] = {}
        self._busy: set[str] = set()
        self.seconds = 0.5
        self._items_a_page = 150.0
        self.pass_number = 0
        self.pages = 0
        self.new_items = 0
        self._said: int | None = None
        self._left: int | None = None
        self._known_before = 0
        self.cuts: list[Slice] = []
        self._is_resumed = False

    def begin(self) -> None:
        """The next pass."""
        self.pass_number += 1
        self.pages = 0
        self._known_before += self.new_items
        self.new_items = 0
        self._is_resumed = False
        self._open = {part.key: part for part in self._source.open()}
        self._busy.clear()

    def restore(
        self, pass_number: int, parts: Sequence[Slice], known: int, total: int | None, *, is_over: bool
    ) -> None:
        """Go on where an earlier life of the run stood. `is_over`: it came to its end, nothing is to be found."""
        self.pass_number, self._said, self._is_resumed = pass_number, total, not is_over
        self._known_before = known
        self._open = {part.key: part for part in parts or self._source.open() if not part.done}

    @property
    def known(self) -> int:
        """Items found so far, each counted once."""
        return self._known_before + self.new_items

    @property
    def total(self) -> int | None:
        """Items of the whole source, as far as it has said; None: it has not."""
        return self._said if self._left is None else self.known + self._left

    @property
    def may_find_more(self) -> bool:
        """Whether another pass is due: this one found something new, or what it found is not known any more."""
        return self.new_items > 0 or self._is_resumed

    @property
    def finished(self) -> bool:
        """Whether this pass has been read to its end."""
        return self.pass_number > 0 and not self._open

    def read_on(
        self, *, rate: float, room: int, on_page: Callable[[Page], None], on_error: Callable[[Exception], None]
    ) -> None:
        """Read what is open, side by side where that is needed, while `room` allows.

        One cursor yields a page a search latency. Where that is slower than `rate` (items a second), a slice is cut in
        two; the halves are walked by two readers.
        """
        if room <= 0:
            return
        wanted = min(MAX_READERS, math.ceil(1.3 * rate * self.seconds / max(self._items_a_page, 1.0)))
        if self.pages and len(self._open) < min(wanted, room):
            self._split_widest()
        for part in list(self._open.values()):
            if part.key not in self._busy and len(self._busy) < room:
                self._busy.add(part.key)
                self._read(part, on_page, on_error)

    def _read(self, part: Slice, on_page: Callable[[Page], None], on_error: Callable[[Exception], None]) -> None:
        def job() -> tuple[Page, float]:
            began = self._clock.monotonic()
            page = self._source.read(part)
            return page, self._clock.monotonic() - began

        def failed(error: Exception) -> None:
            self._busy.discard(part.key)
            on_error(error)

        self._workers.submit(job, lambda read: on_page(self._take(*read)), failed)

    def _split_widest(self) -> None:
        parts = sorted(self._open.values(), key=_width, reverse=True)
        halves = self._source.split(parts[0]) if parts else None
        if halves is not None:
            for half in halves:
                self._open[half.key] = half
            self.cuts.extend(halves)

    def _take(self, page: Page, seconds: float) -> Page:
        """Take a page in: `seconds` is how long it took. The slice may have been cut while it was being read."""
        key = page.after.key
        self._busy.discard(key)
        self.pages += 1
        self.seconds += 0.3 * (seconds - self.seconds)
        if not page.after.done:
            self._items_a_page += 0.3 * (len(page.items) - self._items_a_page)
        if page.total is not None and self.pass_number == 1:
            self._said = max(self._said or 0, page.total)
        if page.left is not None:
            self._left = page.left
        after = replace(page.after, until=self._open[key].until)
        past_end = after.until is not None and after.position is not None and after.position > after.until
        after = replace(after, done=after.done or past_end)
        if after.done:
            del self._open[key]
        else:
            self._open[key] = after
        return replace(page, after=after)


def _width(part: Slice) -> float:
    start = part.position if part.position is not None else part.lo
    end = part.until if part.until is not None else part.hi
    return end - start if start is not None and end is not None else 0.0
