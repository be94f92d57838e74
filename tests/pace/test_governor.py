"""The gate in real time: threads, stops, and a fake window server inside the process."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from intercom_bulk.api.governor import Governor
from intercom_bulk.api.pace import Reading
from intercom_bulk.clock import bind_stop
from intercom_bulk.errors import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable


class Windows:
    """Counts calls in ten-second windows of the process's clock."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self.used: dict[int, int] = {}

    def call(self) -> tuple[bool, Reading]:
        with self._lock:
            now = time.time()
            window = int(now // 10)
            used = self.used.get(window, 0)
            if used < self.limit:
                self.used[window] = used + 1
            left = max(self.limit - self.used.get(window, 0), 0)
            return used < self.limit, Reading(self.limit, left, (window + 1) * 10, int(now))


def start(count: int, stop: threading.Event, work: Callable[[], None]) -> list[threading.Thread]:
    def body() -> None:
        bind_stop(stop)
        try:
            while True:
                work()
        except Stopped:
            pass

    threads = [threading.Thread(target=body) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def join(threads: list[threading.Thread], seconds: float) -> float:
    began = time.monotonic()
    for thread in threads:
        thread.join(max(0.0, began + seconds - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads)
    return time.monotonic() - began


def caller(governor: Governor, server: Windows, latency: float = 0.02) -> Callable[[], None]:
    def work() -> None:
        call = governor.acquire()
        accepted, reading = server.call()
        time.sleep(latency)
        if accepted:
            governor.answered(call, reading)
        else:
            governor.refused(call, reading)

    return work


def test_64_threads_share_one_pace_and_stop_at_once() -> None:
    governor, server, stop = Governor(), Windows(1667), threading.Event()
    cpu = time.process_time()
    threads = start(64, stop, caller(governor, server))
    time.sleep(1.5)
    stop.set()
    join(threads, 1.0)  # 0.05 s on a quiet machine
    cpu = time.process_time() - cpu
    assert governor.rate_limited == 0
    assert governor.requests == sum(server.used.values()) > 100
    assert governor.budget().in_flight == 0
    assert cpu / governor.requests < 1e-3  # loosely: 100 us on a quiet machine, most of it the threads' own


def test_the_first_caller_goes_alone() -> None:
    governor, server, stop, leaving = Governor(), Windows(1667), threading.Event(), []

    def work() -> None:
        call = governor.acquire()
        leaving.append(time.monotonic())
        time.sleep(0.3)
        governor.answered(call, server.call()[1])

    threads = start(16, stop, work)
    time.sleep(0.25)
    assert len(leaving) == 1
    stop.set()
    join(threads, 1.0)


def test_each_run_stops_by_its_own_signal() -> None:
    governor = Governor()
    governor.refused(governor.acquire(), None, retry_after=30.0)
    mine, theirs = threading.Event(), threading.Event()
    others = start(4, theirs, lambda: governor.lost(governor.acquire()))
    time.sleep(0.05)
    ours = start(8, mine, lambda: governor.lost(governor.acquire()))
    time.sleep(0.1)
    mine.set()
    assert join(ours, 2.0) < 0.6  # 0.1 s on a quiet machine
    assert all(thread.is_alive() for thread in others)
    theirs.set()
    assert join(others, 2.0) < 0.6


def test_a_stopped_thread_gets_no_call() -> None:
    governor, stop, seen = Governor(), threading.Event(), []
    stop.set()

    def work() -> None:
        bind_stop(stop)
        with pytest.raises(Stopped):
            governor.acquire()
        seen.append(governor.requests)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(1.0)
    assert seen == [0]
    governor.lost(governor.acquire())


def test_a_leader_that_fails_passes_the_lead_on() -> None:
    class Broken:
        def __init__(self) -> None:
            self.fails = True

        def monotonic(self) -> float:
            return time.monotonic()

        def time(self) -> float:
            return time.time()

        def sleep(self, seconds: float) -> None:
            time.sleep(seconds)
            if self.fails:
                self.fails = False
                raise KeyboardInterrupt

    governor = Governor(clock=Broken())
    probe = governor.acquire()
    failed, through = [], []

    def work() -> None:
        try:
            through.append(governor.acquire())
        except KeyboardInterrupt:
            failed.append(1)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    governor.answered(probe, Reading(1667, 1666, 1010, 1005))
    join(threads, 2.0)
    assert len(failed) == 1
    assert len(through) == len(set(through)) == 4


def test_stress_with_changing_limits_ends_without_deadlock() -> None:
    governor, server, stop = Governor(), Windows(4000), threading.Event()
    threads = start(48, stop, caller(governor, server, 0.001))
    ends = time.monotonic() + 1.0
    while time.monotonic() < ends:
        server.limit = 500 if server.limit == 4000 else 4000
        governor.set_backlog("a", 100_000)
        governor.set_backlog("b", 3)
        governor.set_backlog("b", None)
        assert 4 <= governor.concurrency() <= 128
        repr(governor)
        time.sleep(0.02)
    stop.set()
    join(threads, 2.0)
    assert governor.budget().in_flight == 0


def test_backlogs_add_up() -> None:
    governor = Governor()
    governor.answered(governor.acquire(), Reading(1667, 1666, 1010, 1000))
    governor.set_backlog("one", 20)
    governor.set_backlog("two", 20)
    began = time.monotonic()
    for _ in range(40):
        governor.answered(governor.acquire(), None)
    assert time.monotonic() - began < 0.2  # not spread: 40 at the even rate would take 0.24 s
    assert governor.last_success is not None
