"""What the processes of one host tell each other of the budget they share. Values and arithmetic; no file, no clock.

Each tells how much of the window it may have spent (`Member`) and what its answers said of the window (`Common`). The
tellings are merged and calls are granted in one transaction (`leases.py`), so the sum of what all may have spent never
passes what one governor alone would have spent. Everything belongs to a window: who dies is forgotten with it.

Times are monotonic seconds, which all processes of a host share.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Common", "Member", "News", "Peers", "Report", "grant", "lift", "merge"]

WIDTH = 10.0
NEVER = float("-inf")
LATER = float("inf")
STALE = 2 * WIDTH  # what is older tells nothing of the current window
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
    """What the others may have spent of one window, `taken` with and `told` without what they hold unspent.

    `beneath`: the part of those whose share is no larger than ours. `foreign`: the least that strangers must have
    spent, by the last telling; None: nobody tells us anything.
    """

    taken: float = 0.0
    beneath: float = 0.0
    foreign: float | None = None
    told: list[tuple[float, float]] = field(default_factory=list)

    def since(self, at: float) -> float:
        """Calls that may have left after `at`."""
        for when, sent in reversed(self.told):
            if when <= at:
                return max(self.taken - sent, 0.0)
        return self.taken

    def learn(self, now: float, peers: Sequence[Member], window: tuple[int, float], share: float) -> None:
        """Replace what was known. `window`: its name and when it began."""
        spent = [(member, *_told_of(member, *window)) for member in peers]
        self.taken = sum(sent + held for _, sent, held in spent)
        self.beneath = sum(sent + held for member, sent, held in spent if member.share <= share)
        self.told.append((now, sum(sent for _, sent, _ in spent)))


def _told_of(member: Member, reset: int, start: float) -> tuple[float, float]:
    """Calls of that window a process may have sent, and those it may still send unasked."""
    ahead = round((member.reset - reset) / WIDTH)
    if ahead == 0:
        return member.mine, member.lease
    if ahead == 1:
        return member.past, 0.0 if member.confirmed else member.lease
    if ahead == -1 and member.at >= start - ASTRAY:  # it has not looked since: what it had in flight may be counted here
        return member.flying, member.lease
    return 0.0, 0.0


def merge(told: Common | None, mine: Common | None, now: float) -> Common | None:
    """What both know together, of the newer window."""
    if told is not None and not now - STALE <= told.at <= now + ALIVE:
        told = None  # long ago, or before the machine was started
    if told is None or mine is None:
        return told or mine
    newer, older = (mine, told) if mine.edge_at >= told.edge_at else (told, mine)
    if (mine.reset - told.reset) % 10:
        return newer  # the server's windows have moved
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
