"""What the processes of one host tell each other of the budget they share. Values and arithmetic; no file, no clock.

Each tells how much of the window it may have spent (`Member`) and what its answers said of the window (`Common`). The
tellings are merged and calls are granted in one transaction (`leases.py`), so the sum of what all may have spent never
passes what one governor alone would have spent. Everything belongs to a window: who dies is forgotten with it.

Times are monotonic seconds, which all processes of a host share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Common", "Member", "News", "Part", "Peers", "Report", "grant", "has_moved", "lift", "merge"]

WIDTH = 10.0
NEVER = float("-inf")
LATER = float("inf")
STALE = 2 * WIDTH  # what is older tells nothing of the current window
LEASE = 0.25  # seconds worth of calls that a process takes at once, and between two tellings
ANXIOUS = 0.05  # between two tellings while nobody knows whether the window has begun
SOON = 0.02  # at least between two tellings
ALONE = 5.0  # until sharing is tried again
SMOOTH = 0.5  # over which a process's own rate and hunger are averaged
HUNGRY = 0.5  # share of the time that calls have to wait in a process that could use more
ALIVE = 1.0  # seconds after which a process that is silent gets no part
ASTRAY = 2.0  # a call may be counted so many seconds after it left


@dataclass(frozen=True, slots=True)
class Common:
    """What is known of the window that ends with `reset`; `at`: when it was told.

    `left`, `left_at`: least Remaining seen and when the call that saw it left; `past_*`: the window before. `edge_at`:
    when `end` and `slack` were last corrected. `last_old`, `first_new`: latest call that was counted in the window
    before, earliest in this one. `confirmed_at`: latest call whose answer named this window.
    """

    at: float
    limit: int
    read_at: float
    reset: int
    end: float
    slack: float
    edge_at: float
    left: float
    left_at: float = NEVER
    past_left: float = LATER
    past_left_at: float = NEVER
    shut: bool = False
    last_old: float = NEVER
    first_new: float = LATER
    confirmed_at: float = NEVER
    closed_until: float = NEVER


@dataclass(frozen=True, slots=True)
class Member:
    """What one process may have spent: of the window `reset`, and of the one before (`past`).

    `flying`: calls in flight, which are in `mine` and `past` too. `lease`: granted and not sent. `rate`: calls/s it
    sends; `hungry`: it would send more.
    """

    at: float
    reset: int
    mine: float = 0.0
    past: float = 0.0
    flying: float = 0.0
    lease: float = 0.0
    confirmed: bool = False
    share: float = 1.0
    rate: float = 0.0
    hungry: bool = True


@dataclass(frozen=True, slots=True)
class Report:
    """What a process tells, and what it asks for: `want` calls, as long as no more than `most` of this window, and
    (while the window is not confirmed) `past_most` of the one before, are spent by all. `share_most`: the same for all
    who may have no larger share than we. `scout`: may I send the one call that finds out?
    """

    member: Member
    common: Common | None = None
    start: float = 0.0
    want: int = 0
    most: float = 0.0
    past_most: float = LATER
    share_most: float = LATER
    scout: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """What all know, what the others tell, and what was granted."""

    common: Common | None
    peers: tuple[Member, ...] = ()
    granted: int = 0
    may_scout: bool = False


@dataclass(slots=True)
class Peers:
    """What the others may have spent of one window: `taken`, with what they hold unspent.

    `answered`: when we heard how many of it were answered. `beneath`: the part of those whose share is no larger than
    ours. `foreign`: the least that strangers must have spent, by the last telling; None: nobody tells us anything.
    """

    taken: float = 0.0
    beneath: float = 0.0
    foreign: float | None = None
    answered: list[tuple[float, float]] = field(default_factory=list)

    def since(self, at: float) -> float:
        """Calls that a call of ours which left at `at` may not have seen counted."""
        for when, answered in reversed(self.answered):
            if when <= at:
                return max(self.taken - answered, 0.0)
        return self.taken

    def learn(self, now: float, peers: Sequence[Member], window: tuple[int, float], share: float) -> None:
        """Replace what was known. `window`: its name and when it began."""
        spent = [(member, *_told_of(member, *window)) for member in peers]
        self.taken = sum(sent + held for _, sent, held in spent)
        self.beneath = sum(sent + held for member, sent, held in spent if member.share <= share)
        self.answered.append((now, sum(max(sent - member.flying, 0.0) for member, sent, _ in spent)))


def _told_of(member: Member, reset: int, start: float) -> tuple[float, float]:
    """Calls of that window a process may have sent, and those it may still send unasked."""
    ahead = round((member.reset - reset) / WIDTH)
    if ahead == 0:
        return member.mine, member.lease
    if ahead == 1:
        return member.past, 0.0 if member.confirmed else member.lease
    if (
        ahead == -1 and member.at >= start - ASTRAY
    ):  # it has not looked since: what it had in flight may be counted here
        return member.flying, member.lease if member.at >= start - ALIVE else 0.0
    return 0.0, 0.0


def merge(told: Common | None, mine: Common | None, now: float) -> Common | None:
    """What both know together, of the newer window."""
    if told is not None and not now - STALE <= told.at <= now + ALIVE:
        told = None  # long ago, or before the machine was started
    if told is None or mine is None:
        return told or mine
    newer, older = (mine, told) if mine.edge_at >= told.edge_at else (told, mine)
    if has_moved(mine, told):
        return newer
    reset = max(mine.reset, told.reset)
    newer, older = lift(newer, reset), lift(older, reset)
    fresh = max((told, mine), key=lambda one: one.read_at)
    left, left_at = min((one.left, -one.left_at) for one in (newer, older))
    past_left, past_left_at = min((one.past_left, -one.past_left_at) for one in (newer, older))
    return replace(
        newer,
        at=max(told.at, mine.at),
        limit=fresh.limit,
        read_at=fresh.read_at,
        left=left,
        left_at=-left_at,
        past_left=past_left,
        past_left_at=-past_left_at,
        shut=newer.shut or older.shut,
        last_old=max(newer.last_old, older.last_old),
        first_new=min(newer.first_new, older.first_new),
        confirmed_at=max(newer.confirmed_at, older.confirmed_at),
        closed_until=max(newer.closed_until, older.closed_until),
    )


class _Window(Protocol):
    @property
    def reset(self) -> int: ...
    @property
    def end(self) -> float: ...


def has_moved(one: _Window, other: _Window) -> bool:
    """Whether the server's windows, or its clock, are others than they were: the two know nothing of each other.

    One window is told from the next by its number; a clock that was set back would make it one of long ago, and to step
    from there to here would be to wait for that long.
    """
    drift = (one.end - one.reset) - (other.end - other.reset)
    return bool((one.reset - other.reset) % 10) or abs(drift) > WIDTH


def lift(common: Common, reset: int) -> Common:
    """The same seen from a later window."""
    windows = round((reset - common.reset) / WIDTH)
    if windows <= 0:
        return common
    once = windows == 1
    return replace(
        common,
        reset=reset,
        end=common.end + windows * WIDTH,
        left=LATER,
        left_at=NEVER,
        past_left=common.left if once else LATER,
        past_left_at=common.left_at if once else NEVER,
        shut=False,
        last_old=NEVER,
        first_new=LATER,
        confirmed_at=NEVER,
    )


def grant(report: Report, peers: Sequence[Member]) -> int:
    """How many calls the process may have on top of its lease."""
    me = report.member
    current = [(member, sum(_told_of(member, me.reset, report.start))) for member in peers]
    mine = me.mine + me.lease
    free = min(
        report.most - mine - sum(spent for _, spent in current),
        report.share_most - mine - sum(spent for member, spent in current if member.share <= me.share),
    )
    if not me.confirmed:
        before = sum(sum(_told_of(member, me.reset - int(WIDTH), report.start - WIDTH)) for member in peers)
        free = min(free, report.past_most - me.past - me.lease - before)
    return max(0, min(report.want, int(free + 1e-9)))


class Part:
    """Our part of a budget that several processes share. Does nothing, and costs nothing, until it is `enabled`."""

    def __init__(self) -> None:
        self.enabled = False  # there is somebody to tell
        self.active = False  # and the last telling went well
        self.lease = 0
        self._scout = self._asks_scout = False
        self._want = 0
        self._told_at = NEVER
        self._sent = 0
        self._held = 0.0
        self._is_held, self._looked_at = False, NEVER
        self._rate, self._hunger = 0.0, 1.0
        self._hungry, self._modest, self._aside = 0, 0, 0.0

    # -- what happens

    def waits(self, now: float, *, held: bool) -> None:
        """Somebody asked whether a call may leave; `held`: not yet."""
        if self._is_held:
            self._held += now - self._looked_at
        self._is_held, self._looked_at = held, now

    def sent(self) -> None:
        """A call leaves."""
        self._sent += 1
        self._scout = False
        if self.lease:
            self.lease -= 1

    def begin(self) -> None:
        """A new window: leases were for the old one."""
        self.lease = 0

    # -- what follows from it

    def leased(self, fits: float) -> float:
        """How many of the calls that fit may leave without asking."""
        return min(fits, self.lease) if self.active else fits

    def ask(self, calls: int, *, sure: bool) -> None:
        """Ask for calls at the next telling. Unless it is `sure` that all will be used, the modest ask for less."""
        self._want = max(1, calls if sure or self._hunger >= HUNGRY else min(calls, self._enough))

    @property
    def _enough(self) -> int:
        return math.ceil(2 * LEASE * self._rate)

    def may_scout(self) -> bool:
        """Whether we are the one that finds out; if not, ask to be."""
        self._asks_scout = self.active and not self._scout
        return not self._asks_scout

    @property
    def parts(self) -> int:
        """Processes that could use more, with us."""
        return 1 + self._hungry

    def fair(self, free: float, seconds: float) -> float:
        """Our part of the calls to be spent in so many seconds: an even one of what the modest leave."""
        if not self.active:
            return free
        return max((free - self._aside * seconds) / self.parts, free / (self.parts + self._modest))

    def due(self, now: float, *, unsure: bool) -> bool:
        """Whether to tell and ask now. `unsure`: nobody may know yet whether the window has begun."""
        if not self.enabled:
            return False
        if not self.active:
            every = ALONE
        elif self._want or (self._asks_scout and unsure):
            every = SOON
        else:
            every = ANXIOUS if unsure else LEASE
        return now - self._told_at >= every

    # -- telling

    def member(self, now: float, member: Member, *, slowed: bool) -> Member:
        """Fill in what we are doing. `slowed`: something else keeps us from using our part."""
        self.waits(now, held=self._is_held)
        took = now - self._told_at
        if 0 < took < LATER:
            weight = 1.0 - math.exp(-took / SMOOTH)
            self._rate += weight * (self._sent / took - self._rate)
            self._hunger += weight * (min(self._held / took, 1.0) - self._hunger)
        self._told_at, self._sent, self._held = now, 0, 0.0
        hungry = self._hunger >= HUNGRY and not slowed
        if not hungry:
            self.lease = min(self.lease, self._enough + 1)  # the rest is given back
        return replace(member, lease=float(self.lease), rate=self._rate, hungry=hungry)

    def asked(self) -> tuple[int, bool]:
        """What to ask for; asked once."""
        asked = self._want, self._asks_scout
        self._want, self._asks_scout = 0, False
        return asked

    def learn(self, now: float, news: News, *, same_window: bool) -> None:
        """What came back."""
        self.active = True
        self._scout = news.may_scout
        if same_window:
            self.lease += news.granted + news.may_scout
        alive = [peer for peer in news.peers if peer.at >= now - ALIVE]
        self._hungry = sum(peer.hungry for peer in alive)
        self._modest = len(alive) - self._hungry
        self._aside = sum(peer.rate for peer in alive if not peer.hungry)

    def leave(self) -> None:
        """Nothing can be shared for now."""
        self.active = self._scout = self._asks_scout = False
        self.lease = self._want = self._hungry = self._modest = 0
        self._aside = 0.0
