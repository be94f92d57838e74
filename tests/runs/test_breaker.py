"""An outage is neither hammered nor waited for without end."""

from __future__ import annotations

from intercom_bulk.runs.breaker import AMONG, LOST, Breaker


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker(patience=60.0)
    for _ in range(LOST):
        breaker.lost(at)
    return breaker


def test_scattered_losses_do_not_open_it() -> None:
    breaker = Breaker()
    for number in range(1_000):
        breaker.lost(float(number))
        breaker.answered()
    assert breaker.room(1_000.0, 50) == 50


def test_most_of_the_last_attempts_lost_open_it() -> None:
    breaker = Breaker()
    for _ in range(AMONG - LOST):
        breaker.answered()
    for _ in range(LOST - 1):
        breaker.lost(0.0)
    assert not breaker.is_open
    breaker.lost(0.0)
    assert breaker.is_open
    assert breaker.room(0.5, 50) == 0


def test_after_the_pause_one_probe_at_a_time_goes() -> None:
    breaker = opened()
    assert breaker.room(1.0, 50) == 1
    breaker.sent(1.0)
    assert breaker.room(1.0, 50) == 0


def test_a_probe_that_is_lost_doubles_the_pause_up_to_a_bound() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(8):
        start = now
        while breaker.room(now, 1) == 0:
            now += 0.25
        pauses.append(now - start)
        breaker.sent(now)
        breaker.lost(now)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0, 20.0]


def test_one_answer_ends_it() -> None:
    breaker = opened()
    breaker.sent(1.0)
    breaker.answered()
    assert breaker.room(1.0, 50) == 50
    assert breaker.verdict(10_000.0) is None


def test_answers_of_what_was_in_flight_do_not_count_as_probes() -> None:
    breaker = opened()
    for _ in range(30):
        breaker.lost(0.2)
    assert breaker.room(1.0, 50) == 1


def test_patience_ends_with_a_sentence() -> None:
    breaker = opened()
    assert breaker.verdict(59.0) is None
    assert breaker.verdict(61.0) == "Intercom has not answered for 61 seconds; resume when it does."
