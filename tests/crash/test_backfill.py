"""A backfill that is killed at random moments ends with the whole of it. Fifty kills of a larger one: `make crash`."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from intercom_bulk import RunOptions
from tests.crash.backfill import at_random, in_flight, trial

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.slow


def test_a_backfill_killed_at_random_moments_ends_with_everything(home: Path) -> None:
    verdict = trial(at_random(3, random.Random("short")), 240, home)
    assert verdict.faults == []
    assert verdict.kills >= 1


def test_a_backfill_that_is_killed_over_the_same_threads_fetches_them_in_the_end(home: Path) -> None:
    """As often as an item has tries: what was begun goes first, so it is in flight again in every short life."""
    assert trial(in_flight(RunOptions().tries), 40, home).faults == []
