"""A backfill that is killed at random moments ends with the whole of it. Fifty kills of a larger one: `make crash`."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.crash.backfill import trial

if TYPE_CHECKING:
    from pathlib import Path


def test_a_backfill_killed_at_random_moments_ends_with_everything(home: Path) -> None:
    verdict = trial(3, 240, home, random.Random("short"), longest=0.9)
    assert verdict.faults == []
    assert verdict.kills >= 1
