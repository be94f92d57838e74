"""The one retry loop: what it repeats, what it charges, when it gives up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from intercom_bulk.api.attempts import Attempts
from intercom_bulk.errors import RateLimited, Rejected, Transient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class FakeClock:
    """Time that passes only in sleeps, and by `step` at each look."""

    def __init__(self, step: float = 0.0) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._step = step

    def monotonic(self) -> float:
        self.now += self._step
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def failing(errors: Iterable[Exception]) -> tuple[Callable[[], str], list[int]]:
    waiting, calls = list(errors), [0]

    def once() -> str:
        calls[0] += 1
        if waiting:
            raise waiting.pop(0)
        return "done"

    return once, calls


SENT = Transient("lost", sent=True, code="reset")
UNSENT = Transient("refused", sent=False, code="refused")
LIMITED = RateLimited("slow down")


def test_what_never_arrived_is_repeated() -> None:
    once, calls = failing([UNSENT, UNSENT])
    assert Attempts(FakeClock()).call(once, resend=False) == "done"
    assert calls == [3]


def test_what_may_have_been_processed_is_not_repeated_unless_it_reads() -> None:
    once, calls = failing([SENT])
    with pytest.raises(Transient):
        Attempts(FakeClock()).call(once, resend=False)
    assert calls == [1]
    once, calls = failing([SENT])
    assert Attempts(FakeClock()).call(once, resend=True) == "done"


def test_a_429_costs_no_try() -> None:
    once, calls = failing([LIMITED] * 50 + [UNSENT] * 3)
    assert Attempts(FakeClock(), tries=4).call(once, resend=False) == "done"
    assert calls == [54]


def test_tries_run_out() -> None:
    once, calls = failing([UNSENT] * 9)
    with pytest.raises(Transient):
        Attempts(FakeClock(), tries=4).call(once, resend=False)
    assert calls == [4]


def test_a_refusal_is_final() -> None:
    once, calls = failing([Rejected("no", code="x", status=422)])
    with pytest.raises(Rejected):
        Attempts(FakeClock()).call(once, resend=True)
    assert calls == [1]


def test_a_gate_that_stays_closed_is_given_up_after_its_patience() -> None:
    once, calls = failing([LIMITED] * 10_000)
    with pytest.raises(RateLimited):
        Attempts(FakeClock(step=10.0), patience=900.0).call(once, resend=True)
    assert 80 < calls[0] < 100


def test_pauses_are_jittered_and_bounded_and_go_through_the_clock() -> None:
    clock = FakeClock()
    once, _ = failing([UNSENT] * 20)
    with pytest.raises(Transient):
        Attempts(clock, tries=20).call(once, resend=True)
    assert len(clock.slept) == 19
    assert all(0.0 <= pause <= 20.0 for pause in clock.slept)
    assert len(set(clock.slept)) > 10, "without jitter a fleet of threads comes back at the same moment"


def test_one_call_does_not_spend_another_ones_tries() -> None:
    attempts = Attempts(FakeClock(), tries=3)
    for _ in range(5):
        once, _calls = failing([UNSENT, UNSENT])
        assert attempts.call(once, resend=False) == "done"
