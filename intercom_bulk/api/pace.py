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
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intercom_bulk.api.fallback import Aimd, Backoff
from intercom_bulk.api.peers import LEASE, Member, Part, Report
from intercom_bulk.api.window import NEVER, WIDTH, Account, Edge, Reading
from intercom_bulk.errors import UsageError

if TYPE_CHECKING:
    from intercom_bulk.api.peers import Common, News

__all__ = ["Budget", "Pace", "Reading"]

LONGEST_WAIT = 0.1  # so that whatever changes is seen within this time, and a wait computed too long does no harm
SHORT_WAIT = 0.02
PLAN = 0.01  # seconds that a rate stands, for working it out costs some 15 us
CATCH_UP = 0.05  # seconds worth of calls that a late caller may make up for at once
FORGET = 120.0  # a call that has not reported for so long never will
SILENCE = 15.0  # without a header for longer than a window the budget is guesswork
MOST_RETRY_AFTER = 60.0
PEAK = 2.5  # times the even rate: what is left over late in a window is not poured out
LEAST_CALLS, MOST_CALLS = 4, 128
LEAST_SMALL = 16


@dataclass(frozen=True, slots=True)
class Budget:
    """For people who watch. `used`: share 0..1 of the window believed spent by all; `rate`: calls/s aimed at."""

    limit: int | None
    used: float | None
    in_flight: int
    rate: float
    waiting: bool
    window_ends_in: float | None


UNEXPLAINED = 0.1
"""Share of the limit believed left above which a 429 without headers cannot be the window's."""
FLOOR = 0.1
"""Share of the even rate that such refusals leave us, as long as some calls get through."""


class Pace:
    """One budget, shared by all calls with one token.

    `reserve`: share of the limit held back for others, shrinking to nothing as the window ends. `share`: hard cap on
    our part of each window. Every number that `sent` gives out is handed back once, to `answered`, `refused` or `lost`.
    """

    def __init__(self, *, reserve: float = 0.05, share: float = 1.0) -> None:
        self.known = False
        self._account = Account(share)
        self.adjust(reserve=reserve, share=share)
        self._confirmed = False  # an answer has named this window
        self._confirmed_at = NEVER  # when the latest call left whose answer did
        self._doubt_since = NEVER  # only calls sent later than this can confirm
        self._closed_until = self._closed_at = NEVER
        self._calls = 0
        self._aimd: Aimd | None = None  # set: no headers, the rate is found by trial
        self._backoff = Backoff()
        self._read_at = NEVER
        self._blank = 0
        self._sent_at = self._slot_at = NEVER
        self._gap = 0.0
        self._rate = self._peak_rate = 0.0
        self._plan_until, self._fits = NEVER, 0.0
        self._waiting = False
        self._small = 0  # calls left of a job so small that it needs no pacing, else 0
        self._allowed = LEAST_CALLS
        self.part = Part()  # of the budget, when other processes spend from it too

    # -- the gate

    def adjust(self, *, reserve: float, share: float) -> None:
        """Change the policy from here on. Raises `UsageError` for shares that cannot be meant."""
        if not (0.0 <= reserve < 1.0 and 0.0 < share <= 1.0):
            raise UsageError(f"reserve must be in [0, 1) and share in (0, 1], not {reserve} and {share}.")
        self._reserve, self._share = reserve, share
        self._account.share = share

    def wait(self, now: float, backlog: int | None = None) -> float:
        """Seconds until to ask again, at most 0.1; 0.0: a call may leave. `backlog`: calls left of the whole job."""
        seconds = self._wait(now, backlog)
        if self.part.enabled:
            self.part.waits(now, held=seconds > 0.0)
        return seconds

    def _wait(self, now: float, backlog: int | None) -> float:
        if now < self._plan_until and self._fits >= 1.0:
            return 0.0 if self._small else self._paced(now, self._rate)
        self._gap, self._small = 0.0, 0
        if not self.known:
            flying = bool(self._account.flight)  # a probe that was lost is over: the next one need not wait for it
            return self._scout(now, NEVER, patience=5.0 if flying else 0.0) if flying or self.part.active else 0.0
        self._roll(now)
        self._waiting = now < self._closed_until
        if self._waiting:
            return min(LONGEST_WAIT, self._closed_until - now)
        if self._aimd is not None:
            return self._paced(now, self._aimd.rate) if self._confirmed else self._scout(now, self._closed_until)
        edge = self._account.edge
        return self._windowed(now, edge, backlog) if edge is not None else SHORT_WAIT

    def sent(self, now: float) -> int:
        """A call leaves; the number it is to report under."""
        self._calls += 1
        flight = self._account.flight
        flight[self._calls] = self._sent_at = now
        self._slot_at = max(self._slot_at + self._gap, now - CATCH_UP)
        self._fits -= 1.0
        self.part.sent()
        oldest = next(iter(flight))
        if flight[oldest] < now - FORGET:
            del flight[oldest]
        return self._calls

    def _scout(self, now: float, since: float, patience: float = 1.0) -> float:
        """One call at a time: go if none has left after `since`, or the last one is overdue."""
        overdue = now - self._sent_at > max(patience, 3 * self._account.rtt)
        if self._sent_at >= since and not overdue:
            return SHORT_WAIT
        return 0.0 if self.part.may_scout() else SHORT_WAIT

    def _paced(self, now: float, rate: float) -> float:
        if self._backoff.rate is not None:
            rate = min(rate, self._backoff.rate)
        self._rate = rate
        self._peak_rate = max(self._peak_rate, rate)
        self._gap = 1.0 / max(rate, 1e-3)
        return min(LONGEST_WAIT, max(0.0, self._slot_at + self._gap - now))

    def _windowed(self, now: float, edge: Edge, backlog: int | None) -> float:
        left, ours = self._room(now, edge)
        fits = min(left, ours)
        if self._confirmed:
            fits -= self._kept(edge, now - edge.end)
        else:
            old = self._account.left_of_past(now) - self._kept(edge, now - edge.start)
            if old < 1.0 <= fits:
                return self._unproven(now, edge)
            fits = min(fits, old)
        if fits < 1.0:
            self._waiting = self._confirmed
            return SHORT_WAIT
        self._fits, self._plan_until = self.part.leased(fits), min(now + PLAN, edge.end)
        if backlog is not None and backlog <= 0.5 * fits / self.part.parts and self._backoff.rate is None:
            self._small, wait, asked = backlog, 0.0, backlog
        else:
            wait = self._paced(now, self._spread(now, edge, left, ours))
            asked = min(int(LEASE * self._rate), int(fits))
        if wait > 0.0 or self._fits >= 1.0:
            return wait
        self.part.ask(asked, sure=bool(self._small))
        return SHORT_WAIT

    def _room(self, now: float, edge: Edge) -> tuple[float, float]:
        """Calls left of the window for all but the reserve, and for us."""
        left, ours = self._account.left(now)
        reserve = int(self._reserve * (self._account.limit or 0) * max(edge.end + edge.slack - now, 0.0) / WIDTH)
        return left - reserve, ours

    def _spread(self, now: float, edge: Edge, left: float, ours: float) -> float:
        """Calls/s that spend what is ours by the time the window may end; a fifth at least, however busy others are."""
        rest = max(edge.end - edge.slack - now, 0.05)
        others = max(self._account.others, self._account.others_now(now) / 2)
        free = max(left - others * max(edge.end - now, 0.0), 0.2 * left)
        return max(min(self.part.fair(min(free, ours), rest) / rest, PEAK * self._even), 0.1)

    def _unproven(self, now: float, edge: Edge) -> float:
        """The new window is due, the old one is spent: a single call goes ahead once the edge is surely behind us."""
        since = max(edge.start + 2 * edge.slack + 0.05, self._closed_until)
        return min(LONGEST_WAIT, since - now) if now < since else self._scout(now, since)

    def _kept(self, edge: Edge, beyond: float) -> float:
        """Calls of the old window kept back `beyond` seconds after its expected end: let go across the band."""
        keep = max(1, round((self._account.limit or 0) / 400)) if self._share == 1.0 else 1
        gone = math.floor((keep + 1) * (beyond + edge.slack) / (2 * edge.slack))
        return float(keep - min(max(gone, 0), keep))

    @property
    def _even(self) -> float:
        return self._share * (self._account.limit or 0) / WIDTH

    # -- what came back

    def answered(self, call: int, now: float, reading: Reading | None, *, accepted: bool = True) -> None:
        """An answer came. `accepted`: it was processed, whatever its status; False for a 429 told elsewhere."""
        sent = self._account.flight.pop(call, None)
        if sent is None:
            return
        self._account.measure(now - sent)
        read = self._read(reading, sent, now, accepted=accepted)
        if not accepted:
            return
        self._backoff.accepted(sent, now)
        if not read:
            self._account.enter_blind(sent)
            self._answered_blank(sent, now)
        if self._aimd is not None:
            self._aimd.accepted(now, self._even if self._account.limit else float("inf"))

    def refused(self, call: int, now: float, reading: Reading | None, *, retry_after: float | None) -> None:
        """A 429. `retry_after`: the server's own wish in seconds. The gate closes once, however many are refused."""
        sent = self._account.flight.pop(call, None)
        if sent is None:
            return
        self.known, self._plan_until = True, NEVER
        read = self._read(reading, sent, now, accepted=False)
        if not read and self._account.edge is None and self._aimd is None:
            self._aimd = Aimd()
        hold = self._aimd.refused(sent, now) if self._aimd is not None else 0.0
        if retry_after is not None and retry_after > 0:
            if sent > self._closed_at:
                self._close(now, min(retry_after, MOST_RETRY_AFTER))
        elif hold:
            self._close(now, hold)
        elif read and reading is not None and reading.remaining:
            self._backoff.refused(sent, now, self._rate or self._even)
        elif not read and self._aimd is None:
            self._refused_unexplained(sent, now)

    def _refused_unexplained(self, sent: float, now: float) -> None:
        """A 429 that names no window: our own account of the window tells whether that can have been the reason."""
        account = self._account
        if account.limit and account.left(now)[0] > UNEXPLAINED * account.limit:
            self._backoff.refused(sent, now, self._rate or self._even, floor=FLOOR * self._even)
        else:
            account.book.shut()

    def lost(self, call: int, now: float) -> None:
        """No answer. The server may have counted the call: it stays debited until a later answer shows the truth."""
        sent = self._account.flight.pop(call, None)
        if sent is not None:
            self._roll(now)
            self._account.enter_blind(sent)

    def _read(self, reading: Reading | None, sent: float, now: float, *, accepted: bool) -> bool:
        """Whether the answer named a window."""
        self._roll(now)
        step = self._account.enter(reading, sent, now, accepted=accepted) if reading is not None else None
        if step is None:
            return False
        self._read_at, self._blank, self._aimd, self.known = now, 0, None, True
        if step == 1:
            self._begin(1)
        if step >= 0 and sent >= self._doubt_since:
            self._confirmed = True
            self._confirmed_at = max(self._confirmed_at, sent)
        return True

    def _answered_blank(self, sent: float, now: float) -> None:
        self._blank += 1
        self.known = True
        edge = self._account.edge
        if self._aimd is None and (edge is None or (self._blank >= 5 and now - self._read_at > SILENCE)):
            self._aimd = Aimd()
            self._confirmed, self._plan_until = True, NEVER
        beyond = edge.start + 2 * edge.slack + 0.2 if edge is not None else NEVER
        if sent >= max(beyond, self._doubt_since):
            self._confirmed = True

    def _close(self, now: float, seconds: float) -> None:
        self._closed_at = self._doubt_since = now
        self._closed_until = max(self._closed_until, now + seconds)
        self._confirmed = False
        self._account.past.shut()

    def _roll(self, now: float) -> None:
        windows = self._account.roll(now)
        if windows:
            self._begin(windows)

    def _begin(self, windows: int) -> None:
        self._confirmed = self._aimd is not None and self._confirmed
        self._plan_until = self._confirmed_at = NEVER
        self.part.begin()
        self._backoff.window_passed(windows, self._even)
        self._peak_rate = self._even

    # -- other processes with the same token

    def due(self, now: float) -> bool:
        """Whether it is time to tell the others and to ask for calls."""
        return self.part.due(now, unsure=not self.known or not self._confirmed)

    def report(self, now: float) -> Report:
        """What to tell them. Whoever asks must hand in what comes back (`learn`), and let no call leave before."""
        self._roll(now)
        account, edge = self._account, self._account.edge
        want, scout = self.part.asked()
        mine, past = account.mine()
        told = Member(
            at=now,
            reset=edge.reset if edge is not None else 0,
            mine=mine,
            past=past,
            flying=len(account.flight),
            confirmed=self._confirmed,
            share=self._share,
        )
        member = self.part.member(now, told, slowed=self._backoff.rate is not None)
        if edge is None:
            return Report(member, scout=scout)
        left, _ = self._room(now, edge)
        before = account.left_of_past(now) - self._kept(edge, now - edge.start)
        return Report(
            member,
            account.tell(now, read_at=self._read_at, confirmed_at=self._confirmed_at, closed_until=self._closed_until),
            start=edge.start,
            want=want,
            most=left + mine + account.book.peers.taken - self._confirmed * self._kept(edge, now - edge.end),
            past_most=before + past + account.past.peers.taken,
            share_most=math.floor(self._share * (account.limit or 0) + 1e-9),
            scout=scout,
        )

    def learn(self, now: float, report: Report, news: News | None) -> None:
        """What came back; None: nothing can be shared for now."""
        self._plan_until = NEVER
        if news is None:
            self.part.leave()
            self._account.part()
            return
        if news.common is not None:
            self._adopt(now, news.common)
        self._account.meet(now, news.common, news.peers)
        edge = self._account.edge
        self.part.learn(now, news, same_window=edge is not None and edge.reset == report.member.reset)

    def _adopt(self, now: float, common: Common) -> None:
        self._roll(now)
        newer = common.read_at > self._read_at
        windows = self._account.adopt(common, newer_limit=newer)
        self.known = True
        if newer:
            self._read_at, self._blank, self._aimd = common.read_at, 0, None
        if windows:
            self._begin(windows)
        edge = self._account.edge
        told_at = common.confirmed_at
        if edge is not None and common.reset == edge.reset and NEVER < told_at >= self._doubt_since:
            self._confirmed = True
            self._confirmed_at = max(self._confirmed_at, told_at)
        if common.closed_until > max(self._closed_until, now):
            self._close(now, common.closed_until - now)

    # -- for those who ask

    def concurrency(self, now: float) -> int:
        """Calls in flight that the rate needs (Little's law with half as much again), 4..128."""
        self._roll(now)
        flying = len(self._account.flight)
        rate = self._aimd.rate if self._aimd is not None else max(self._peak_rate, self._even)
        wanted = math.ceil(1.5 * rate * self._account.rtt) + 4
        if self._small:
            # Unpaced, but no wider than the limit would ever need: what goes wrong goes wrong for fewer items.
            wanted = min(self._small + flying, max(wanted, LEAST_SMALL))
        wanted = min(MOST_CALLS, max(LEAST_CALLS, wanted))
        if wanted <= self._allowed or flying > self._allowed / 2:
            self._allowed = wanted
        return self._allowed

    def budget(self, now: float) -> Budget:
        """How the window stands."""
        self._roll(now)
        account = self._account
        ends, used = None, None
        if account.edge is not None and account.limit:
            ends = account.edge.end - now
            used = min(1.0, max(0.0, 1.0 - account.left(now)[0] / account.limit))
        return Budget(account.limit, used, len(account.flight), self._rate, self._waiting, ends)

    def __repr__(self) -> str:
        mode = "fallback" if self._aimd is not None else "window" if self.known else "probing"
        account = self._account
        return f"Pace({mode}, limit={account.limit}, left={account.book.left:g}, in flight={len(account.flight)})"
