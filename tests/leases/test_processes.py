"""Real processes, one real sandbox, SIGKILL for one of them. The bench (`processes-*`) has the long forms."""

from __future__ import annotations

import pytest

from bench.children import serve
from bench.processes import Scenario, measure

pytestmark = pytest.mark.slow

LIMIT = 4_000  # calls a minute: 667 a window, which two busy cores bear


def test_four_processes_are_like_one_and_the_part_of_a_killed_one_is_back() -> None:
    scenario = Scenario(name="four", count=4, run_seconds=23.0, kill_at=13.0, limit=LIMIT, first_window_in=2)
    with serve(conversations=20, latency_ms=150, latency_sigma=0.3, limit_per_minute=LIMIT) as site:
        together = measure(site, scenario)
    assert len(together.full) == 2
    assert together.killed_at is not None
    assert together.full[0]["start"] + 10 < together.killed_at < together.full[1]["start"] + 5
    assert min(together.shares) >= 0.95
    assert together.rejected <= 0.001 * together.requests
    assert together.fairness is not None
    assert together.fairness >= 0.5
