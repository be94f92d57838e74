"""When may the next call leave? Arithmetic only: every method takes `now`, monotonic seconds.

The server grants `limit` calls in each fixed window of ten seconds and says with every answer how many are left. What
makes that hard is that the answer is old when it arrives, that others spend from the same window, and that nobody
tells where the window ends. So:

- a call in flight is debited from every window it may still be counted in; a lone client cannot overspend;
- what is left is spread over what is left of the window, so that others always find room;
- a new window is believed only when an answer names it. Until then calls must fit into what the old window has left,
  for which a few calls are kept; spread across the expected edge, they also show where it lies.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from dataclasses import dataclass

from intercom_bulk.api.fallback import Aimd, Backoff
from intercom_bulk.api.window import WIDTH, Book, Edge

__all__ = ["Budget", "Pace", "Reading"]

LONGEST_WAIT = 0.1  # so that whatever changes is seen within this time, and a wait computed too long does no harm
SHORT_WAIT = 0.02
CATCH_UP = 0.05  # seconds worth of calls that a late caller may make up for at once
FORGET = 120.0  # a call that has not reported for so long never will
SILENCE = 15.0  # without a header for longer than a window the budget is guesswork
MOST_RETRY_AFTER = 60.0
PEAK = 2.5  # times the even rate: what is left over late in a window is not poured out
LEAST_CALLS, MOST_CALLS = 4, 128
NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one answer said of the window; None where the header is missing or garbage. Times are the server's."""

    limit: int | None
    remaining: int | None
    reset: int | None
    date: int | None


@dataclass(frozen=True, slots=True)
class Budget:
    """For people who watch. `used`: share 0..1 of the window believed spent by all; `rate`: calls/s aimed at."""

    limit: int | None
    used: float | None
    in_flight: int
    rate: float
    waiting: bool
    window_ends_in: float | None


class Pace:
    """One budget, shared by all calls with one token.

    `reserve`: share of the limit held back for others, shrinking to nothing as the window ends. `share`: hard cap on
    our part of each window. Every number that `sent` gives out is handed back once, to `answered`, `refused` or `lost`.
    """

    def __init__(self, *, reserve: float = 0.05, share: float = 1.0) -> None:
        if not (0.0 <= reserve < 1.0 and 0.0 < share <= 1.0):
            msg = f"reserve must be in [0, 1) and share in (0, 1], not {reserve} and {share}"
            raise ValueError(msg)
        self.known = False
        self._reserve, self._share = reserve, share
        self._limit: int | None = None
        self._edge: Edge | None = None
        self._book, self._past = Book(0.0), Book(0.0)
        self._confirmed = False  # an answer has named this window
        self._doubt_since = NEVER  # only calls sent later than this can confirm
        self._settled = True
        self._closed_until = self._closed_at = NEVER
        self._flight: dict[int, float] = {}
        self._calls = 0
        self._blind: list[float] = []  # when our calls left whose answer named no window, or which were lost; sorted
        self._cost = 1.0  # requests a blind call really makes, as Remaining shows
        self._others = 0.0  # calls/s that others make
        self._bias = 0  # 1: the server takes Remaining before it counts the call
        self._rtt = 0.0
        self._measured = 0
        self._aimd: Aimd | None = None
        self._backoff = Backoff()
        self._read_at = NEVER
        self._blank = 0
        self._slot_at = self._sent_at = NEVER
        self._gap = 0.0
        self._rate = self._peak_rate = 0.0
        self._waiting = False
        self._small = 0  # calls left of a job so small that it needs no pacing, else 0
        self._allowed = LEAST_CALLS

    # -- the gate

    def wait(self, now: float, backlog: int | None = None) -> float:
        """Seconds until to ask again, at most 0.1; 0.0: a call may leave now. `backlog`: calls left of the whole job."""
        self._gap, self._small = 0.0, 0
        if not self.known:
            return self._scout(now, NEVER, patience=5.0) if self._flight else 0.0
        self._roll(now)
        self._waiting = now < self._closed_until
        if self._waiting:
            return min(LONGEST_WAIT, self._closed_until - now)
        if self._aimd is not None:
            if not self._confirmed:
                return self._scout(now, self._closed_until)
            return self._paced(now, self._aimd.rate)
        return self._windowed(now, backlog)

    def sent(self, now: float) -> int:
        """A call leaves; the number it is to report under."""
        self._calls += 1
        self._flight[self._calls] = now
        self._sent_at = now
        self._slot_at = max(self._slot_at + self._gap, now - CATCH_UP)
        for call, at in self._flight.items():
            if at >= now - FORGET:
                break
            del self._flight[call]  # the oldest come first, and the loop ends with the change
            break
        return self._calls

    def _scout(self, now: float, since: float, patience: float = 1.0) -> float:
        """One call at a time: none after `since`, or none for so long that the last one may be lost."""
        if self._sent_at < since or now - self._sent_at > max(patience, 3 * self._rtt):
            return 0.0
        return SHORT_WAIT

    def _paced(self, now: float, rate: float) -> float:
        if self._backoff.rate is not None:
            rate = min(rate, self._backoff.rate)
        self._rate = rate
        self._peak_rate = max(self._peak_rate, rate)
        self._gap = 1.0 / max(rate, 1e-3)
        return min(LONGEST_WAIT, max(0.0, self._slot_at + self._gap - now))

    def _windowed(self, now: float, backlog: int | None) -> float:
        edge, limit = self._edge, self._limit
        assert edge is not None  # noqa: S101 - for mypy: known and no fallback means that an edge was found
        assert limit is not None  # noqa: S101
        left, ours = self._left(self._book, edge.start, now)
        others = self._others_now(now)
        stale = min(now - max(self._book.left_at, edge.start), edge.end + edge.slack - now)
        unseen = others * max(stale, 0.0)
        held = int(self._reserve * limit * max(edge.end + edge.slack - now, 0.0) / WIDTH)
        left -= unseen + 2.0 * math.sqrt(unseen) + held
        fits = min(left, ours)
        if self._confirmed:
            fits -= self._kept(now - edge.end)
        else:
            fits = min(fits, self._left_of_past(now))
            if fits < 1.0 and min(left, ours) >= 1.0:
                return self._unproven(now)
        if fits < 1.0:
            self._waiting = self._confirmed
            return SHORT_WAIT
        if backlog is not None and backlog <= 0.5 * fits and self._backoff.rate is None:
            self._small = backlog
            return 0.0
        rest = max(edge.end - edge.slack - now, 0.05)
        free = max(left - max(self._others, others / 2) * max(edge.end - now, 0.0), 0.2 * left)
        return self._paced(now, max(min(free, ours, PEAK * self._even * rest) / rest, 0.1))

    def _unproven(self, now: float) -> float:
        """The new window is due, the old one is spent: a single call goes ahead once the edge is surely behind us."""
        edge = self._edge
        since = edge.start + 2 * edge.slack + 0.05 if edge is not None else now
        since = max(since, self._closed_until)
        if now < since:
            return min(LONGEST_WAIT, since - now)
        return self._scout(now, since)

    def _kept(self, past_edge: float) -> float:
        """Calls of the old window kept back, `past_edge` seconds after its expected end: let go across the band."""
        slack = self._edge.slack if self._edge is not None else 1.0
        keep = max(1, round((self._limit or 0) / 400)) if self._share == 1.0 else 1
        gone = math.floor((keep + 1) * (past_edge + slack) / (2 * slack))
        return float(keep - min(max(gone, 0), keep))

    # -- what is left

    def _left(self, book: Book, start: float, now: float) -> tuple[float, float]:
        """Calls left of a window for all, and for us under `share`.

        Two lower bounds hold for all: what an answer saw, less all that may have been counted since; and, while
        nobody else is about, the limit less all that is ours. The first counts slow calls twice.
        """
        limit = float(self._limit or 0)
        order = min(2.0, max(0.3, 4 * self._rtt))  # a call that left so much earlier than another was counted before it
        slack = self._edge.slack if self._edge is not None else 1.0
        flying = self._flying(start - 2.0)
        since = max(book.left_at - order, start - 2.0)
        blind = len(self._blind) - bisect_left(self._blind, max(book.left_at - order, start - slack))
        left = book.left - self._flying(since) - blind * self._cost
        mine = book.seen + book.blind + flying
        if self._others < 0.05 and not book.changed and limit - book.left <= mine:
            left = max(left, min(limit, book.ceiling) - mine)
        return left, math.floor(self._share * limit + 1e-9) - mine

    def _left_of_past(self, now: float) -> float:
        if self._edge is None:
            return 0.0
        start = self._edge.start
        left, ours = self._left(self._past, start - WIDTH, now)
        unseen = self._others * max(now - max(self._past.left_at, start - WIDTH), 0.0)
        return min(left - unseen - 2.0 * math.sqrt(unseen), ours) - self._kept(now - start)

    def _flying(self, since: float) -> int:
        """Calls in flight that left at `since` or later; the dict is in order of leaving."""
        early = 0
        for at in self._flight.values():
            if at >= since:
                break
            early += 1
        return len(self._flight) - early

    def _others_now(self, now: float) -> float:
        """Calls/s of others: the average, or what this window shows already. Calls in flight may be our own."""
        if self._edge is None or self._limit is None or self._book.changed:
            return self._others
        foreign = self._limit - self._book.left - self._book.seen - self._book.blind - len(self._flight)
        return max(self._others, foreign / max(now - self._edge.start, 1.0))

    @property
    def _even(self) -> float:
        """The limit as calls/s."""
        return self._share * (self._limit or 0) / WIDTH

    # -- what came back

    def answered(self, call: int, now: float, reading: Reading | None, *, accepted: bool = True) -> None:
        """An answer came. `accepted`: it was processed, whatever its status; False for a 429 told elsewhere."""
        sent = self._flight.pop(call, None)
        if sent is None:
            return
        self._measure(now - sent)
        read = self._read(sent, now, reading, accepted=accepted)
        if not accepted:
            return
        self._backoff.accepted(sent, now)
        if not read:
            self._count_blind(sent)
            self._answered_blank(sent, now)
        if self._aimd is not None:
            self._aimd.accepted(now, self._even if self._limit else float("inf"))

    def refused(self, call: int, now: float, reading: Reading | None, *, retry_after: float | None) -> None:
        """A 429. `retry_after`: the server's own wish in seconds. The gate closes once, however many are refused."""
        sent = self._flight.pop(call, None)
        if sent is None:
            return
        self.known = True
        read = self._read(sent, now, reading, accepted=False)
        if retry_after is not None and retry_after > 0:
            if sent > self._closed_at:
                self._close(now, min(retry_after, MOST_RETRY_AFTER))
        elif read and reading is not None and (reading.remaining or 0) > 0:
            self._backoff.refused(sent, now, self._rate or self._even)
        elif not read and self._edge is not None and self._aimd is None:
            self._book.fold(0.0, sent)
        if not read and self._edge is None and self._aimd is None:
            self._aimd = Aimd()
        if self._aimd is not None:
            hold = self._aimd.refused(sent, now)
            if hold and retry_after is None:
                self._close(now, hold)

    def lost(self, call: int, now: float) -> None:
        """No answer. The server may have counted the call: it stays debited until a later one shows the truth."""
        sent = self._flight.pop(call, None)
        if sent is not None:
            self._count_blind(sent)
            self._roll(now)

    def _close(self, now: float, seconds: float) -> None:
        self._closed_at = self._doubt_since = now
        self._closed_until = max(self._closed_until, now + seconds)
        self._confirmed = False
        self._past.left = 0.0

    def _count_blind(self, sent: float) -> None:
        insort(self._blind, sent)
        book = self._book if self._edge is None or sent >= self._edge.start else self._past
        book.blind += self._cost

    def _answered_blank(self, sent: float, now: float) -> None:
        self._blank += 1
        first = self._edge is None
        if self._aimd is None and (first or (self._blank >= 5 and now - self._read_at > SILENCE)):
            self._aimd = Aimd()
            self._confirmed = True
        self.known = True
        beyond = self._edge.start + self._edge.slack if self._edge is not None else NEVER
        if sent >= max(beyond, self._doubt_since):
            self._confirmed = True

    def _measure(self, took: float) -> None:
        """A slow average that one straggler does not move: each sample is clipped to three times the average."""
        self._measured += 1
        weight = max(0.05, 1.0 / self._measured)
        self._rtt += weight * (min(took, 3 * self._rtt) - self._rtt) if self._rtt else took

    # -- the books

    def _read(self, sent: float, now: float, reading: Reading | None, *, accepted: bool) -> bool:
        """Enter an answer into the book of the window it names; whether it named one."""
        if reading is None or not reading.limit or reading.limit < 0:
            return False
        if self._limit != reading.limit:
            self._set_limit(reading.limit)
        if reading.reset is None or reading.remaining is None or not 0 <= reading.remaining <= reading.limit:
            return False
        self._roll(now)
        step = self._place(reading.reset, reading.date, sent, now)
        if step is None:
            return False
        self._read_at, self._blank, self._aimd, self.known = now, 0, None, True
        if step == 1:
            self._turn_page(1)
        book = self._past if step == -1 else self._book
        book.seen += accepted
        self._enter(book, reading, sent, accepted=accepted)
        if step != -1 and sent >= self._doubt_since:
            self._confirmed = True
        return True

    def _place(self, reset: int, date: int | None, sent: float, now: float) -> int | None:
        edge = self._edge
        step = edge.place(reset, sent, now, self._rtt) if edge is not None else None
        if step is not None or (edge is not None and not edge.lost):
            return step
        if date is not None and not -5 <= reset - date <= 3600:
            return None
        self._edge = Edge.first(reset, date, sent, now)
        self._book, self._past = Book(float(self._limit or 0)), Book(0.0)
        self._book.blind = self._cost * (len(self._blind) - bisect_left(self._blind, self._edge.start))
        return 0

    def _enter(self, book: Book, reading: Reading, sent: float, *, accepted: bool) -> None:
        limit, remaining = float(reading.limit or 0), float(reading.remaining or 0)
        book.fold(max(remaining - self._bias, 0.0) if accepted else remaining, sent)
        early = accepted and (remaining >= limit or limit - book.left < book.seen)
        if not self._bias and early and not book.changed:
            self._bias = 1
            book.left -= 1.0

    def _set_limit(self, limit: int) -> None:
        before, self._limit = self._limit, limit
        if before is not None:
            self._book.changed = self._past.changed = True
            self._book.left = min(self._book.left, float(limit))
            self._others *= min(1.0, limit / before)

    def _roll(self, now: float) -> None:
        if self._edge is None:
            return
        windows = self._edge.roll(now)
        if windows:
            self._turn_page(windows)
        elif not self._settled and now > self._edge.start + WIDTH / 2:
            self._settled = True
            self._edge.settle(self._rtt)
            self._audit(self._past, self._edge.start - WIDTH)

    def _turn_page(self, windows: int) -> None:
        limit = float(self._limit or 0)
        self._past = self._book if windows == 1 else Book(limit)
        self._book = Book(limit, ceiling=limit)
        self._confirmed = self._aimd is not None and self._confirmed
        self._settled = windows > 1
        self._backoff.window_passed(windows, self._even)
        self._peak_rate = self._even
        if self._edge is not None:
            del self._blind[: bisect_left(self._blind, self._edge.start - 2 * WIDTH)]

    def _audit(self, book: Book, start: float) -> None:
        """Close the books of a window when all its answers are in: what neither call of ours explains is others'."""
        if self._limit is None or book.changed or not book.seen:
            return
        blind = bisect_left(self._blind, book.left_at) - bisect_left(self._blind, start)
        spent = self._limit - book.left - book.seen
        if blind >= max(10, 0.1 * self._limit):
            self._cost = min(20.0, max(0.2, 0.5 * self._cost + 0.5 * spent / blind))
            spent = 0.0
        self._others = 0.6 * self._others + 0.4 * max(spent - blind * self._cost, 0.0) / WIDTH
        if self._others < 0.02:
            self._others = 0.0

    # -- for those who ask

    def concurrency(self, now: float) -> int:
        """Calls in flight that the rate needs (Little's law with half as much again), 4..128."""
        self._roll(now)
        if self._small:
            wanted = self._small + len(self._flight)
        else:
            rate = self._aimd.rate if self._aimd is not None else max(self._peak_rate, self._even)
            wanted = math.ceil(1.5 * rate * self._rtt) + 4
        wanted = min(MOST_CALLS, max(LEAST_CALLS, wanted))
        if wanted <= self._allowed or len(self._flight) > self._allowed / 2:
            self._allowed = wanted
        return self._allowed

    def budget(self, now: float) -> Budget:
        """How the window stands."""
        self._roll(now)
        ends, used = None, None
        if self._edge is not None and self._limit:
            ends = self._edge.end - now
            left, _ = self._left(self._book, self._edge.start, now)
            used = min(1.0, max(0.0, 1.0 - left / self._limit))
        return Budget(self._limit, used, len(self._flight), self._rate, self._waiting, ends)

    def __repr__(self) -> str:
        mode = "fallback" if self._aimd is not None else "window" if self.known else "probing"
        return f"Pace({mode}, limit={self._limit}, left={self._book.left:g}, in flight={len(self._flight)})"
