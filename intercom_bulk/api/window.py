"""The server's ten-second window: where it ends on our own monotonic clock, and what is left of it.

The local wall clock plays no part: an answer names its window (`X-RateLimit-Reset`), and the window's place in time
follows from when the call was sent. Fixed windows of ten seconds: Intercom's rate limiting page, and every recorded
`Reset`.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from intercom_bulk.api.peers import Common, Peers, has_moved, lift

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intercom_bulk.api.peers import Member

__all__ = ["NEVER", "WIDTH", "Account", "Book", "Edge", "Reading"]

WIDTH = 10.0
NEVER = float("-inf")
FIRST_SLACK = 0.6  # the Date header has whole seconds: half a second either way, and a little for the journey
MOST_SLACK = 1.5
GUARD = 1.0  # standard deviations of what others may have taken unseen; calls in flight are debited twice besides
STRAY_RESETS = 3  # so many resets in a row that fit no window: the server's windows have moved


@dataclass(frozen=True, slots=True)
class Reading:
    """What one answer said of the window; None where the header is missing or garbage. Times are the server's."""

    limit: int | None
    remaining: int | None
    reset: int | None
    date: int | None


@dataclass(slots=True)
class Book:
    """What is known of one window. `left`: least Remaining seen; `left_at`: when the call that saw it was sent."""

    left: float
    left_at: float = NEVER
    seen: int = 0  # our accepted calls whose answer named this window
    blind: float = 0.0  # the cost of our calls that may have been counted, though no answer said so
    foreign: float = NEVER  # the least that others must have spent, whatever became of our calls in flight
    changed: bool = False  # the limit changed meanwhile: the sums do not add up
    peers: Peers = field(default_factory=Peers)  # other processes of ours

    def fold(self, left: float, sent: float) -> None:
        """Keep the least: answers overtake each other, and within a window Remaining only falls."""
        if left < self.left or (left == self.left and sent > self.left_at):
            self.left = left
            self.left_at = sent

    def shut(self) -> None:
        """A refusal: the window is spent, whatever our own sums say."""
        self.left, self.foreign = 0.0, float("inf")


@dataclass(slots=True)
class Edge:
    """The end of the current window as a time of *sending*: calls sent after it are counted in the next one.

    `reset` is the server's name for the window (epoch seconds), `end` monotonic seconds, `slack` the half-width of
    the band round `end` in which a call may land on either side.
    """

    reset: int
    end: float
    slack: float = FIRST_SLACK
    last_old: float = NEVER  # latest sending, relative to the start, that still landed in the window before
    first_new: float = float("inf")  # earliest sending, relative to the start, that landed in this window
    strays: int = 0

    @classmethod
    def first(cls, reset: int, date: int | None, sent: float, now: float) -> Edge:
        """From one answer: only a *difference* of server times is used. Without a Date the end is a guess."""
        if date is None:
            return cls(reset, (sent + now) / 2 + WIDTH / 2, MOST_SLACK)
        ahead = min(max(reset - date - 0.5, 0.0), 3600.0)
        return cls(reset, (sent + now) / 2 + ahead)

    @property
    def start(self) -> float:
        return self.end - WIDTH

    def adopt(self, common: Common, *, corrected: bool) -> int:
        """Take over what other processes found out, and where they saw the end if that is `corrected`; the windows
        stepped over.
        """
        passed = round((common.reset - self.reset) / WIDTH)
        if passed:
            self._step(passed)
        if corrected:
            self._shift(common.end - self.end)
            self.slack = common.slack
        self.last_old = max(self.last_old, common.last_old - self.start)
        self.first_new = min(self.first_new, common.first_new - self.start)
        return passed

    def roll(self, now: float) -> int:
        """Step over the windows that have ended; how many they were."""
        if now < self.end:
            return 0
        passed = int((now - self.end) // WIDTH) + 1
        self._step(passed)
        return passed

    def place(self, reset: int, sent: float, now: float, rtt: float) -> int | None:
        """0: the call was counted in the current window, -1: in the one before, None: in none we still keep.

        1: in the next one, which has therefore begun (`advance` has been done). A call on the wrong side of our edge
        moves the edge.
        """
        steps = round((reset - self.reset) / WIDTH)
        if abs(reset - self.reset - steps * WIDTH) > 2 or steps > 1 or (steps < -1 and sent > self.start):
            self.strays += 1
            return None
        self.strays = 0
        if steps == 1:
            self._step(1)
            self._landed_new(sent, now)
        elif steps == 0:
            self._landed_new(sent, now)
        elif steps == -1:
            self._landed_old(sent, rtt)
        return steps if steps >= -1 else None

    @property
    def lost(self) -> bool:
        """Whether the answers contradict our windows altogether, so that the edge must be found anew."""
        return self.strays >= STRAY_RESETS

    def settle(self, rtt: float) -> None:
        """Once a window, when all answers from round its start are in: narrow the band to what they showed."""
        low, high = max(self.last_old, -self.slack), min(self.first_new, self.slack)
        needed = 0.6 * abs(high - low) + max(0.02, 0.15 * rtt)
        self._shift((low + high) / 2)
        if low > high:
            self.slack = min(MOST_SLACK, max(needed, 0.9 * self.slack))
        else:
            self.slack = min(self.slack, max(needed, 0.3 * self.slack))

    def _step(self, windows: int) -> None:
        self.reset += int(windows * WIDTH)
        self.end += windows * WIDTH
        self.last_old, self.first_new = NEVER, float("inf")

    def _landed_old(self, sent: float, rtt: float) -> None:
        late = sent - self.start
        self.last_old = max(self.last_old, late)
        if late > self.slack:  # certain: the window cannot have ended before this call left, but for the journey
            self._widen(late)
            self._shift(max(late / 2, late - rtt))

    def _landed_new(self, sent: float, now: float) -> None:
        early = sent - self.start
        self.first_new = min(self.first_new, early)
        if now < self.start:  # certain: the window has begun, for here is its answer
            self._widen(min(-early, MOST_SLACK))
            self._shift(now - self.start)
        elif early < -self.slack:  # a slow journey looks the same, so go by small steps
            self._shift(-self.slack / 4)
            self._widen(0.0)

    def _widen(self, error: float) -> None:
        self.slack = min(MOST_SLACK, max(1.15 * self.slack, error))

    def _shift(self, by: float) -> None:
        self.end += by
        self.last_old -= by
        self.first_new -= by


class Account:
    """What is left of the window, by what the answers said and by what we sent ourselves.

    Calls in flight are debited from each window that may still count them. `others` is what everybody else spends, in
    calls/s. `blind` calls were sent, but no answer named their window: they were lost, or their answer was seen by
    foreign code only.
    """

    def __init__(self, share: float) -> None:
        self.limit: int | None = None
        self.edge: Edge | None = None
        self.book, self.past = Book(0.0), Book(0.0)
        self.flight: dict[int, float] = {}  # when each left, in order of leaving
        self.others = 0.0
        self.rtt = 0.0
        self.share = share
        self._answers = 0
        self._blind: list[float] = []  # when they left, sorted
        self._cost = 1.0  # requests that a blind call really makes, as Remaining shows
        self._bias = 0  # 1: the server takes Remaining before it counts the call
        self._settled = True
        self._told: tuple[float, float] | None = None  # phase and slack of the edge as others know it
        self._edge_at = NEVER

    def measure(self, took: float) -> None:
        """Average the latency, slowly, and so that no straggler moves it: samples are clipped to three times it."""
        self._answers += 1
        weight = max(0.05, 1.0 / self._answers)
        self.rtt += weight * (min(took, 3 * self.rtt) - self.rtt) if self.rtt else took

    # -- what is left

    def left(self, now: float) -> tuple[float, float]:
        """Calls left of the current window for all, after what others may have taken unseen, and for us."""
        if self.edge is None:
            return 0.0, 0.0
        left, ours = self._left(self.book, self.edge.start)
        stale = now - max(self.book.left_at, self.edge.start)
        unseen = self.others_now(now) * max(stale, 0.0)
        return left - unseen - GUARD * math.sqrt(unseen), ours

    def left_of_past(self, now: float) -> float:
        """The same of the window before: for the time in which it may not have ended yet."""
        if self.edge is None:
            return 0.0
        start = self.edge.start - WIDTH
        left, ours = self._left(self.past, start)
        unseen = self.others * max(now - max(self.past.left_at, start), 0.0)
        return min(left - unseen - GUARD * math.sqrt(unseen), ours)

    def _left(self, book: Book, start: float) -> tuple[float, float]:
        """Two lower bounds: what an answer saw, less all that may have been counted since; and, while nobody else is
        about, the limit less all that is ours. The first counts slow calls twice.
        """
        limit = float(self.limit or 0)
        order = min(2.0, max(0.3, 4 * self.rtt))  # a call that left so much before another was counted before it
        slack = self.edge.slack if self.edge is not None else 1.0
        since = book.left_at - order
        blind = len(self._blind) - bisect_left(self._blind, max(since, start - slack))
        flying = self._flying(start - 2.0)
        seen = flying if since <= start - 2.0 else self._flying(since)
        left = book.left - seen - blind * self._cost - book.peers.since(book.left_at)
        mine = book.seen + book.blind + flying + book.peers.taken
        if self.others < 0.05 and book.foreign <= 0 and not book.changed:
            left = max(left, limit - mine)
        mine += book.peers.beneath - book.peers.taken
        return left, math.floor(self.share * limit + 1e-9) - mine

    def _flying(self, since: float) -> int:
        early = 0
        for at in self.flight.values():
            if at >= since:
                break
            early += 1
        return len(self.flight) - early

    def others_now(self, now: float) -> float:
        """Calls/s of others: the average, or more if this window shows it. Calls in flight may be our own."""
        book = self.book
        if self.edge is None or self.limit is None or book.changed:
            return self.others
        foreign = book.peers.foreign
        if foreign is None:
            foreign = self.limit - book.left - book.seen - book.blind - len(self.flight)
        return max(self.others, foreign / max(now - self.edge.start, 1.0))

    # -- entries

    def enter_blind(self, sent: float) -> None:
        """A call that may have been counted, though no answer says so."""
        insort(self._blind, sent)
        book = self.book if self.edge is None or sent >= self.edge.start else self.past
        book.blind += self._cost

    def enter(self, reading: Reading, sent: float, now: float, *, accepted: bool) -> int | None:
        """Enter an answer into the book of the window it names; the steps from the current one, None for none.

        1: the next window has begun, and is now the current one.
        """
        if not reading.limit or reading.limit < 0:
            return None
        if self.limit != reading.limit:
            self._set_limit(reading.limit)
        if reading.reset is None or reading.remaining is None or not 0 <= reading.remaining <= reading.limit:
            return None
        step = self._place(reading.reset, reading.date, sent, now)
        if step is None:
            return None
        if step == 1:
            self._turn_page(1)
        book = self.past if step == -1 else self.book
        book.seen += accepted
        self._fold(book, float(reading.remaining), sent, accepted=accepted)
        return step

    def _fold(self, book: Book, remaining: float, sent: float, *, accepted: bool) -> None:
        limit = float(self.limit or 0)
        book.fold(max(remaining - self._bias, 0.0) if accepted else remaining, sent)
        early = accepted and (remaining >= limit or limit - book.left < book.seen)
        if early and not self._bias and not book.changed:
            self._bias = 1
            book.left -= 1.0
        if not accepted and remaining == 0:
            book.shut()
        if book.peers.foreign is None:  # else the reading may be newer than what the others told: see `meet`
            book.foreign = max(book.foreign, limit - book.left - book.seen - book.blind - len(self.flight))

    def _place(self, reset: int, date: int | None, sent: float, now: float) -> int | None:
        edge = self.edge
        step = edge.place(reset, sent, now, self.rtt) if edge is not None else None
        if step is not None or (edge is not None and not edge.lost):
            return step
        if date is not None and not -5 <= reset - date <= 3600:
            return None  # garbage, or a window that ended long ago
        self.edge = Edge.first(reset, date, sent, now)
        self.book, self.past = Book(float(self.limit or 0)), Book(0.0)
        self.book.blind = self._cost * (len(self._blind) - bisect_left(self._blind, self.edge.start))
        return 0

    def _set_limit(self, limit: int) -> None:
        before, self.limit = self.limit, limit
        if before is not None:
            self.book.changed = self.past.changed = True
            self.book.left = min(self.book.left, float(limit))
            self.others *= min(1.0, limit / before)

    # -- other processes

    def mine(self) -> tuple[float, float]:
        """Calls of ours that may be counted in this window, and in the one before."""
        start = self.edge.start if self.edge is not None else 0.0
        flying = self._flying(start - 2.0)
        return self.book.seen + self.book.blind + flying, self.past.seen + self.past.blind + len(self.flight)

    def tell(self, now: float, *, read_at: float, confirmed_at: float, closed_until: float) -> Common | None:
        """What we know of the window, for others."""
        edge, book, past = self.edge, self.book, self.past
        if edge is None or not self.limit:
            return None
        if (edge.end - edge.reset, edge.slack) != self._told:
            self._told, self._edge_at = (edge.end - edge.reset, edge.slack), now
        return Common(
            at=now,
            limit=self.limit,
            read_at=read_at,
            reset=edge.reset,
            end=edge.end,
            slack=edge.slack,
            edge_at=self._edge_at,
            left=book.left,
            left_at=book.left_at,
            past_left=past.left,
            past_left_at=past.left_at,
            shut=book.foreign == float("inf"),
            last_old=edge.start + edge.last_old,
            first_new=edge.start + edge.first_new,
            confirmed_at=confirmed_at,
            closed_until=closed_until,
        )

    def adopt(self, common: Common, *, newer_limit: bool) -> int:
        """Take over what others know; the windows stepped over."""
        if self.limit != common.limit and (newer_limit or self.limit is None):
            self._set_limit(common.limit)
        edge, limit = self.edge, float(self.limit or 0)
        if edge is None or has_moved(common, edge):
            self.edge = Edge(common.reset, common.end, common.slack)
            self.book, self.past, windows = Book(limit), Book(limit), 1
        else:
            common = lift(common, edge.reset)
            windows = edge.adopt(common, corrected=common.edge_at > self._edge_at)
            if windows:
                self._turn_page(windows)
        edge = self.edge
        assert edge is not None  # noqa: S101  narrowing
        self._told = (edge.end - edge.reset, edge.slack)
        self._edge_at = max(self._edge_at, common.edge_at)
        self.book.fold(common.left, common.left_at)
        self.past.fold(common.past_left, common.past_left_at)
        if common.shut:
            self.book.shut()
        return windows

    def meet(self, now: float, common: Common | None, peers: Sequence[Member]) -> None:
        """What the other processes have taken, and so what strangers must have: of `common`, for what we read since may
        count calls that nobody has told us of.
        """
        edge = self.edge
        if edge is None or not (peers or self.book.peers.answered or self.past.peers.answered):
            return  # alone: what nobody told us of is strangers'
        windows = ((self.book, edge.reset, edge.start), (self.past, edge.reset - int(WIDTH), edge.start - WIDTH))
        for book, reset, start in windows:
            book.peers.learn(now, peers, (reset, start), self.share)
        if common is not None and common.reset == edge.reset:
            self._suspect(self.book, min(common.left, common.limit), self.mine()[0])
            self._suspect(self.past, min(common.past_left, common.limit), self.mine()[1])

    def _suspect(self, book: Book, left: float, mine: float) -> None:
        foreign = float(self.limit or 0) - left - mine - book.peers.taken
        if book.peers.foreign is None and book.foreign < float("inf"):
            book.foreign = NEVER  # until now we took their calls for strangers'
        book.peers.foreign = foreign
        if not book.changed:
            book.foreign = max(book.foreign, foreign)

    def part(self) -> None:
        """The others tell nothing any more: to us they are strangers."""
        self.book.peers, self.past.peers = Peers(), Peers()

    # -- time goes by

    def roll(self, now: float) -> int:
        """Step over the windows that have ended by our clock; how many."""
        if self.edge is None:
            return 0
        windows = self.edge.roll(now)
        if windows:
            self._turn_page(windows)
        elif not self._settled and now > self.edge.start + WIDTH / 2:
            self._settled = True
            self.edge.settle(self.rtt)
            self._audit(self.past, self.edge.start - WIDTH)
        return windows

    def _turn_page(self, windows: int) -> None:
        limit = float(self.limit or 0)
        self.past = self.book if windows == 1 else Book(limit)
        self.book = Book(limit)
        self._settled = windows > 1
        if self.edge is not None:
            del self._blind[: bisect_left(self._blind, self.edge.start - 2 * WIDTH)]

    def _audit(self, book: Book, start: float) -> None:
        """Close the books of a window once all its answers are in: what no call of ours explains is others'."""
        if self.limit is None or book.changed or not book.seen:
            return
        blind = bisect_left(self._blind, book.left_at) - bisect_left(self._blind, start)
        spent = self.limit - book.left - book.seen - book.peers.taken
        if blind >= max(10, 0.1 * self.limit):
            self._cost = min(20.0, max(1.0, 0.5 * self._cost + 0.5 * spent / blind))
            spent = 0.0
        self.others = 0.6 * self.others + 0.4 * max(spent - blind * self._cost, 0.0) / WIDTH
        if self.others < 0.02:
            self.others = 0.0
