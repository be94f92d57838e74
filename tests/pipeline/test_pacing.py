"""Phases that call something with a limit: how fast they may, how many at once, and what a refusal does."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intercom_bulk.api.steady import SteadyPace
from intercom_bulk.errors import RateLimited, UsageError
from tests.pipeline.conftest import COUNT, DAYS
from tests.pipeline.phases import Telling
from tests.pipeline.test_running import results

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intercom_bulk.insights.phase import Document
    from tests.pipeline.conftest import Made


@given(st.integers(1, 5000), st.lists(st.floats(0.0, 30.0), min_size=1, max_size=60))
def test_calls_are_never_closer_than_the_limit_has_it(per_minute: int, idle: list[float]) -> None:
    pace, now, sent = SteadyPace(per_minute), 1000.0, list[float]()
    for pause in idle:
        now += pause
        for _ in range(10**4):
            wait = pace.wait(now)
            if wait <= 0.0:
                break
            now += wait
        pace.sent(now)
        sent.append(now)
    assert all(later - earlier >= 60.0 / per_minute - 1e-6 for earlier, later in pairwise(sent))


def test_a_refusal_shuts_the_gate_once_for_all_that_were_in_flight() -> None:
    pace = SteadyPace(600)
    first = pace.sent(0.0)
    second = pace.sent(0.1)
    pace.refused(first, 0.2, None, retry_after=5.0)
    pace.refused(second, 0.3, None, retry_after=50.0)  # it left before the first refusal
    assert pace.wait(5.0) == pytest.approx(0.1)
    assert pace.wait(5.21) == 0.0
    third = pace.sent(5.21)
    pace.refused(third, 5.3, None, retry_after=None)
    assert pace.wait(7.0) > 0.0  # of its own accord, longer after each
    assert pace.budget(7.0).waiting


def test_as_many_are_in_flight_as_the_limit_needs() -> None:
    pace = SteadyPace(600)
    for at in range(20):
        pace.answered(pace.sent(float(at)), at + 2.0, None)
    assert 30 <= pace.concurrency(30.0) <= 32
    assert SteadyPace(6).concurrency(0.0) == 2


def test_a_limit_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="requests_per_minute"):
        SteadyPace(0)


class Model(Telling):
    """Answers slowly, several at a time; refuses one call."""

    requests_per_minute = 6000
    refuses = 1

    def __init__(self) -> None:
        super().__init__()
        self.together = threading.Barrier(2)
        self.calls = 0

    def process(self, batch: Sequence[Document]) -> Any:
        with self._lock:
            self.calls += 1
            number = self.calls
        if number <= 2:
            self.together.wait(20)  # breaks where calls come one at a time
        if number == 5:
            raise RateLimited("too many", retry_after=0.01)
        with self._lock:
            return super().process(batch)


def test_a_paced_phase_has_several_calls_in_flight_and_sends_a_refused_one_again(made: Made) -> None:
    model = Model()
    pipeline = made(model)
    status = pipeline.start(DAYS).result()
    assert (status.status, status.warning, status.phases["telling"]["done"]) == ("completed", None, COUNT)
    assert sorted(model.seen) == sorted(results(pipeline, "telling"))
    assert model.calls == COUNT + 1
