"""The four bugs that were made while the algorithm was found (reliability.md A.4), and guards against garbage.

Each test of a bug runs the simulation with the protection switched off as well, and must then see the damage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intercom_bulk.api import pace as pace_module
from intercom_bulk.api.pace import Pace, Reading
from intercom_bulk.api.window import Account, Edge

if TYPE_CHECKING:
    from collections.abc import Iterator

from tests.pace.simulate import Client, Server, World


def ready(*, limit: int = 167, left: int = 166, reserve: float = 0.05, end: int = 10) -> Pace:
    """A pace whose probe was answered at 0.2: the window ends in about `end` seconds."""
    pace = Pace(reserve=reserve)
    assert pace.wait(0.0) == 0.0
    pace.answered(pace.sent(0.0), 0.2, Reading(limit, left, 1010, 1010 - end))
    return pace


def burst(pace: Pace, now: float, most: int = 10_000) -> list[int]:
    """Send whatever may leave at once, in a job too small to be spread."""
    calls: list[int] = []
    while len(calls) < most and pace.wait(now, 1) == 0.0:
        calls.append(pace.sent(now))
    return calls


# -- bug (a): a wait of 1/rate computed near the window's end slept 27 s past the reset


def test_bug_a_no_wait_is_longer_than_a_tenth_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    def longest() -> float:
        pace = ready()
        for t in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0):  # another limit refuses everything: one call in five seconds
            pace.refused(pace.sent(t), t + 0.1, Reading(167, 100, 1010, 1001), retry_after=None)
        return max(pace.wait(6.2 + i / 100) for i in range(10))

    assert longest() <= 0.1
    monkeypatch.setattr(pace_module, "LONGEST_WAIT", 60.0)
    assert longest() > 1.0  # the mutant: such a wait outlives whatever changes meanwhile


@given(
    st.integers(1, 5000),
    st.lists(
        st.tuples(
            st.sampled_from(["wait", "send", "ok", "blank", "429", "lost"]), st.floats(0, 30), st.integers(0, 5000)
        ),
        max_size=60,
    ),
)
@settings(max_examples=80, deadline=None)
def test_waits_are_short_and_the_count_in_flight_is_right(limit: int, steps: list[tuple[str, float, int]]) -> None:
    pace, now, flying = Pace(), 0.0, []
    for what, gap, number in steps:
        now += gap
        reading = Reading(limit, number, 1000 + 10 * int(now / 10), 995 + int(now))
        if what == "wait":
            assert 0.0 <= pace.wait(now, number) <= 0.1
        elif what == "send":
            flying.append((pace.sent(now), now))
        elif flying:
            call, _ = flying.pop(number % len(flying))
            if what == "429":
                pace.refused(call, now, reading, retry_after=None if number % 2 else gap)
            elif what == "lost":
                pace.lost(call, now)
            else:
                pace.answered(call, now, reading if what == "ok" else None)
        if not any(at < now - 120 for _, at in flying):
            assert pace.budget(now).in_flight == len(flying)
        assert 4 <= pace.concurrency(now) <= 128


# -- bug (b): calls in flight were keyed by their time of sending, so simultaneous ones counted once


@given(st.integers(1, 166))
def test_bug_b_calls_sent_at_the_same_instant_are_all_debited(left: int) -> None:
    pace = ready(left=left)
    calls = burst(pace, 0.5)
    assert len(set(calls)) == len(calls) == pace.budget(0.5).in_flight
    assert len(calls) <= left - 1


def test_bug_b_the_mutant_overspends(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        return len(World(Server(lambda _: 167), [Client(Pace())], 100).run().clients[0].refused)

    assert refused() == 0
    monkeypatch.setattr(Account, "_flying", lambda self, since: min(1, len(self.flight)))
    assert refused() > 5


# -- bug (c): at the estimated reset the old window's keep was gone although the real reset was 0.2 s later


def worlds_with_a_late_reset() -> Iterator[World]:
    for phase in (0.2, 0.4, 5.3):
        yield World(Server(lambda _: 1667, phase=phase), [Client(Pace())], 60, latency=0.4).run()


def test_bug_c_nothing_is_refused_when_the_reset_is_later_than_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(len(w.clients[0].refused) for w in worlds_with_a_late_reset()) == 0
    trusting = Pace._begin

    def begin(self: Pace, windows: int) -> None:
        trusting(self, windows)
        self._confirmed = True  # the mutant believes its own estimate

    monkeypatch.setattr(Pace, "_begin", begin)
    assert sum(len(w.clients[0].refused) for w in worlds_with_a_late_reset()) > 20


# -- bug (d): the rate of others was computed before one's own answers were in: one took oneself for the co-tenant


def test_bug_d_one_is_not_ones_own_cotenant(monkeypatch: pytest.MonkeyPatch) -> None:
    def strangers() -> float:
        client = Client(Pace())
        World(Server(lambda _: 1667), [client], 55, latency=0.8).run()
        return float(client.pace._account.others)

    assert strangers() == 0.0
    turn = Account._turn_page

    def early(self: Account, windows: int) -> None:
        assert self.edge is not None
        self._audit(self.book, self.edge.start)  # the mutant closes the books at the very end of the window
        turn(self, windows)

    monkeypatch.setattr(Account, "_turn_page", early)
    monkeypatch.setattr(Account, "_audit", _audit_without_waiting)
    assert strangers() > 1.0


def _audit_without_waiting(self: Account, book: object, start: float) -> None:
    spent = (self.limit or 0) - self.book.left - (self.book.seen - len(self.flight))
    self.others = 0.6 * self.others + 0.4 * max(spent, 0.0) / 10


# -- more


@given(st.integers(2, 200), st.integers(0, 8))
@settings(max_examples=30, deadline=None)
def test_a_lone_client_never_sends_more_than_the_limit_in_a_window(limit: int, phase: int) -> None:
    world = World(Server(lambda _: limit, phase=float(phase)), [Client(Pace())], 35, seed=limit).run()
    assert world.clients[0].refused == []


def test_the_first_call_goes_alone() -> None:
    pace = Pace()
    call = pace.sent(0.0) if pace.wait(0.0) == 0.0 else 0
    assert pace.wait(0.1) > 0.0
    pace.answered(call, 0.2, Reading(167, 166, 1010, 1003))
    assert pace.known
    assert pace.wait(0.3, 10) == 0.0


def test_a_lost_probe_is_followed_by_another() -> None:
    pace = Pace()
    call = pace.sent(0.0)
    pace.lost(call, 1.0)
    assert pace.wait(1.0) == 0.0


@pytest.mark.parametrize(
    "reading",
    [
        Reading(None, None, None, None),
        Reading(0, 0, 1010, 1000),
        Reading(-5, 3, 1010, 1000),
        Reading(167, -1, 1010, 1000),
        Reading(167, 500, 1010, 1000),
        Reading(167, 100, 12, 1000),
        Reading(167, 100, 99_999_999, 1000),
    ],
)
def test_garbage_in_the_headers_is_no_reading(reading: Reading) -> None:
    pace = Pace()
    pace.answered(pace.sent(0.0), 0.2, reading)
    assert repr(pace).startswith("Pace(fallback")
    good = ready(left=100)
    before = good._account.edge
    assert before is not None
    end = before.end
    good.answered(good.sent(0.5), 0.7, reading)
    assert good._account.edge is not None
    assert good._account.edge.end == end


def test_a_burst_of_refusals_closes_the_gate_once_and_retry_after_wins() -> None:
    pace = ready()
    calls = burst(pace, 0.5, 20)
    for i, call in enumerate(calls):
        pace.refused(call, 0.7 + i / 1000, Reading(167, 100, 1010, 1001), retry_after=3.0)
    assert pace.budget(0.8).in_flight == 0
    assert pace.wait(3.6) > 0.0
    assert pace.wait(3.75) == 0.0  # one call asks
    pace.sent(3.75)
    assert pace.wait(3.76) > 0.0  # and goes alone


def test_a_long_retry_after_is_cut_to_a_minute() -> None:
    pace = ready()
    pace.refused(pace.sent(0.5), 0.7, None, retry_after=86_400.0)
    assert pace.wait(60.0) > 0.0
    assert any(pace.wait(60.7 + i / 10) == 0.0 for i in range(40))


def test_an_old_windows_refusal_does_not_close_the_new_one() -> None:
    pace = ready(end=1)
    late = pace.sent(0.4)
    assert pace.wait(3.0) == 0.0
    pace.answered(pace.sent(3.0), 3.2, Reading(167, 166, 1020, 1013))
    pace.refused(late, 3.3, Reading(167, 0, 1010, 1009), retry_after=None)
    assert pace.wait(3.5, 1) == 0.0


def test_a_call_that_never_reports_is_forgotten() -> None:
    pace = ready()
    pace.sent(0.5)
    pace.answered(pace.sent(200.0), 200.2, Reading(167, 166, 1210, 1200))
    assert pace.budget(200.2).in_flight == 0


def test_a_call_reports_once() -> None:
    pace = ready()
    call = pace.sent(0.5)
    pace.lost(call, 0.6)
    pace.answered(call, 0.7, Reading(167, 3, 1010, 1001))
    assert pace._account.book.left > 100


@pytest.mark.parametrize(("reserve", "share"), [(-0.1, 1.0), (1.0, 1.0), (0.05, 0.0), (0.05, 1.1)])
def test_shares_outside_their_range_are_refused(reserve: float, share: float) -> None:
    with pytest.raises(ValueError, match="reserve must be"):
        Pace(reserve=reserve, share=share)


def test_the_edge_finds_its_place_again_when_the_servers_clock_steps() -> None:
    edge = Edge.first(1010, 1000, 0.0, 0.2)
    for _ in range(3):
        assert edge.place(5017, 1.0, 1.2, 0.2) is None
    assert edge.lost


def test_a_reset_between_two_windows_is_a_stray() -> None:
    edge = Edge.first(1010, 1000, 0.0, 0.2)
    assert edge.place(1014, 1.0, 1.2, 0.2) is None
    assert edge.place(1011, 1.0, 1.2, 0.2) == 0  # rounding on the server's side


def test_one_call_is_kept_to_try_the_edge_with() -> None:
    assert len(burst(ready(reserve=0.0), 0.5)) == 165  # of 167: the probe has gone, one is kept


def test_a_remaining_taken_before_the_count_is_noticed() -> None:
    assert ready(left=167)._account.book.left == 166.0


def test_a_burst_of_refusals_by_another_limit_cuts_the_rate_once() -> None:
    pace = ready()
    for call in burst(pace, 0.5, 10):
        pace.refused(call, 0.7, Reading(167, 100, 1010, 1001), retry_after=None)
    rate = pace._backoff.rate
    assert rate is not None
    assert rate >= 0.69 * 16.7


def test_without_confirmation_a_new_window_gets_one_call() -> None:
    """The mutant of this is bug (c): here the state itself."""
    pace = ready(left=0)
    leaving = []
    t = 8.0
    while t < 13.0:
        if pace.wait(t) == 0.0:
            pace.sent(t)
            leaving.append(t)
        t += 0.02
    assert 1 <= len(leaving) <= 3
    assert leaving[0] > 10.0
