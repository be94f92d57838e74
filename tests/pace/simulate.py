"""A fixed-window server, co-tenants and a client in virtual time, to drive `Pace` exactly as `Governor` does.

The client: `C` threads of which one at a time holds the turn (asks, sleeps what it is told, asks again); a thread
whose call has left waits for its answer. Latency is lognormal; the server counts a call at `count_at` of its latency.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from intercom_bulk.api.pace import Pace, Reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.api.governor import Shared

EPOCH = 1_790_000_000


@dataclass
class Server:
    """`limit_at` maps time to the limit; `skew` is the error of its clock; `phase` moves its windows off :00."""

    limit_at: Callable[[float], int]
    skew: float = 0.0
    phase: float = 0.0
    headers_at: Callable[[float], bool] = lambda _: True
    before_decrement: bool = False
    refusals_count: bool = False
    refuse_all_at: Callable[[float], bool] = lambda _: False
    other_limit_at: Callable[[float], bool] = lambda _: False
    used: Counter[int] = field(default_factory=Counter)
    asked: Counter[int] = field(default_factory=Counter)
    limits: dict[int, int] = field(default_factory=dict)

    def window(self, t: float) -> int:
        return math.floor((t + self.skew - self.phase) / 10.0)

    def count(self, t: float) -> tuple[bool, Reading | None]:
        w, limit = self.window(t), self.limit_at(t)
        self.limits[w] = max(limit, self.limits.get(w, 0))
        self.asked[w] += 1
        before = max(limit - self.used[w], 0)
        reset = EPOCH + math.ceil((w + 1) * 10 + self.phase)
        other = self.other_limit_at(t)
        ok = before >= 1 and not self.refuse_all_at(t) and not other
        if ok or self.refusals_count:
            self.used[w] += 1
        after = max(limit - self.used[w], 0)
        left = before if ok and self.before_decrement else after
        if self.refuse_all_at(t):
            left = 0
        date = EPOCH + math.floor(t + self.skew)
        return ok, (Reading(limit, left, reset, date) if self.headers_at(t) else None)


@dataclass
class Client:
    pace: Pace
    threads: int | None = None  # None: as many as Pace wants
    jobs: int | None = None  # calls to get accepted
    backlog: bool = True
    blind: bool = False  # its answers are seen by nobody but once a window
    cost: int = 1
    lost_share: float = 0.0
    stop_at: float = math.inf
    start_at: float = 0.0
    shared: Shared | None = None  # with other clients
    tellings: int = 0
    sent: list[float] = field(default_factory=list)
    accepted: list[tuple[float, int]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    done_at: float = 0.0
    most_in_flight: int = 0
    waits: int = 0


@dataclass
class World:
    server: Server
    clients: list[Client]
    seconds: float
    latency: float = 0.25
    sigma: float = 0.5
    count_at: float = 0.3
    seed: int = 1
    others: Callable[[random.Random], list[float]] | None = None
    other_rejected: int = 0
    other_calls: int = 0
    other_used: Counter[int] = field(default_factory=Counter)

    def run(self) -> World:
        self.rng = random.Random(self.seed)
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._n = 0
        self._idle: dict[int, int] = {}
        for at in self.others(self.rng) if self.others else []:
            self.at(at, self._other)
        for client in self.clients:
            client.pace.part.enabled = client.shared is not None
            self.at(client.start_at + self.rng.uniform(0, 0.01), partial(self._turn, c=client))
        while self._events:
            t, _, do = heapq.heappop(self._events)
            if t > self.seconds:
                break
            do(t)
        return self

    def at(self, t: float, do: Callable[[float], None]) -> None:
        self._n += 1
        heapq.heappush(self._events, (t, self._n, do))

    def _other(self, t: float) -> None:
        ok, _ = self.server.count(t)
        self.other_calls += 1
        self.other_rejected += not ok
        self.other_used[self.server.window(t)] += ok

    def _turn(self, t: float, c: Client) -> None:
        """The holder of the turn asks; while no thread is free the turn rests until an answer comes."""
        self._idle[id(c)] = 0
        flight = len(c.pace._account.flight)
        c.most_in_flight = max(c.most_in_flight, flight)
        left = None if c.jobs is None else c.jobs - len(c.accepted) - flight
        if t > c.stop_at or (left is not None and left <= 0):
            return
        if flight >= (c.threads or c.pace.concurrency(t)):
            self._idle[id(c)] = 1
            return
        backlog = None if left is None or not c.backlog else left
        wait = c.pace.wait(t, backlog)
        while c.shared is not None and c.pace.due(t):
            self._tell(t, c, c.shared)
            wait = c.pace.wait(t, backlog)
        c.waits += 1
        assert 0.0 <= wait <= 0.1
        if wait > 0:
            self.at(t + max(wait, 0.002) + self.rng.uniform(0, 0.0005), lambda u: self._turn(u, c))
            return
        self._send(t, c)
        self.at(t + 0.0002, lambda u: self._turn(u, c))

    def _tell(self, t: float, c: Client, shared: Shared) -> None:
        report = c.pace.report(t)
        c.pace.learn(t, report, shared.exchange(report))
        c.tellings += 1

    def _send(self, t: float, c: Client) -> None:
        call = c.pace.sent(t)
        c.sent.append(t)
        took = self.latency * math.exp(self.sigma * self.rng.gauss(0, 1))
        box: list[tuple[bool, Reading | None]] = []
        for _ in range(c.cost):
            self.at(t + took * self.count_at, lambda u: box.append(self.server.count(u)))
        self.at(t + took, lambda u: self._answer(u, c, call, t, box[-1]))

    def _answer(self, t: float, c: Client, call: int, sent: float, got: tuple[bool, Reading | None]) -> None:
        ok, reading = got
        if self.rng.random() < c.lost_share:
            c.pace.lost(call, t)
        elif ok:
            hidden = c.blind and call % max(self.server.limit_at(t) // c.cost, 1) != 1
            c.pace.answered(call, t, None if hidden else reading)
            c.accepted.append((sent, -1 if reading is None or reading.reset is None else reading.reset))
            c.done_at = t
        else:
            c.refused.append(t)
            c.pace.refused(call, t, reading, retry_after=None)
        if self._idle.get(id(c)):
            self._turn(t, c)

    # -- figures

    def full_windows(self) -> list[int]:
        """All windows of the server but the first and the last in which somebody of ours was busy."""
        end = min(self.seconds, max(c.done_at for c in self.clients))
        return list(range(self.server.window(0.0) + 1, self.server.window(end)))

    def use(self) -> list[float]:
        """Share of the limit used in each full window, of what the co-tenant left."""
        s = self.server
        return [
            (s.used[w] - self.other_used[w]) / max(s.limits.get(w, 1) - self.other_used[w], 1)
            for w in self.full_windows()
        ]

    def refused_share(self) -> float:
        sent = sum(len(c.sent) for c in self.clients)
        return sum(len(c.refused) for c in self.clients) / max(sent, 1)


def poisson(rate: float, seconds: float) -> Callable[[random.Random], list[float]]:
    def times(rng: random.Random) -> list[float]:
        out, t = [], rng.expovariate(rate)
        while t < seconds:
            out.append(t)
            t += rng.expovariate(rate)
        return out

    return times
