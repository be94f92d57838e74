"""kill -9 at any moment: nothing is lost, nothing is done twice, what cannot be proved is listed.

The whole of it, 200 kills and every named point for every kind of run, is `make crash`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.crash.doom import KINDS
from tests.crash.trial import Trial, sandbox

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


RANDOM = [pytest.param(kind, marks=() if kind == "note" else pytest.mark.long) for kind in KINDS]
"""`make test` has the kind that can be done twice by mistake, and each kind at the worst moments."""


@pytest.mark.parametrize("kind", RANDOM)
def test_a_run_killed_at_random_moments_loses_and_repeats_nothing(kind: str, home: Path) -> None:
    dice = random.Random(f"short {kind}")
    with sandbox(160) as site:
        trial = Trial(site, home, kind, "by night")
        trial.kill_at_random(5, dice, longest=0.5)
        verdict = trial.finish()
    assert verdict.faults == []
    assert verdict.items == 160
    assert trial.kills >= 3


POINTS = [
    ("close", [("key-reserved", 1), ("file-made", 1), ("after-commit:page", 1)]),
    ("tag", [("run-recorded", 1), ("before-commit:intents", 3), ("after-commit:outcomes", 2), ("after-commit:end", 1)]),
    ("steps", [("after-commit:step", 5), ("before-commit:step", 3), ("after-send", 20), ("after-look", 2)]),
    ("note", [("after-commit:intents", 3), ("after-commit:recovery", 1), ("after-send", 20), ("after-look", 1)]),
]


@pytest.mark.parametrize(("kind", "points"), POINTS)
def test_a_run_killed_at_the_worst_moments_loses_and_repeats_nothing(
    kind: str, points: list[tuple[str, int]], home: Path
) -> None:
    with sandbox(80) as site:
        trial = Trial(site, home, kind, "at the worst")
        trial.kill_at(points)
        verdict = trial.finish()
    assert verdict.faults == []


def test_without_the_intent_on_disk_items_are_done_twice(home: Path) -> None:
    """The naive twin: the same trial over a ledger that records after the fact must find the fault, or it proves
    nothing."""
    with sandbox(120) as site:
        trial = Trial(site, home, "note", "naive", naive=True)
        trial.kill_at([("after-send", 20), ("after-send", 20)])
        verdict = trial.finish()
    assert verdict.twice > 0


def test_a_resumed_run_does_not_begin_again(home: Path) -> None:
    """Killed at nine tenths, it makes at most 12 % of the requests of a whole run. `make crash` does it with 20,000."""
    whole, rest = requests_after_a_kill(home, items=1_000)
    assert rest <= 0.12 * whole


def requests_after_a_kill(home: Path, items: int) -> tuple[int, int]:
    """Requests of a whole run, and of the second life of one that was killed when nine tenths were sent."""
    with sandbox(items, latency_ms=2, search_latency_ms=5) as site:
        life = Trial(site, home, "close", "whole").begin(settle=0.3)
        life.hear("over")
        life.end()
        whole = site.stats()["total"]
        site.reset()
        trial = Trial(site, home, "close", "cut")
        first = trial.begin(settle=0.3, point="after-send", nth=round(0.9 * items))
        assert first.end() == -9
        before = site.stats()["total"]
        second = trial.begin(settle=0.3)
        told = second.hear("over")
        second.end()
        assert told["success"] == items
        return whole, site.stats()["total"] - before
