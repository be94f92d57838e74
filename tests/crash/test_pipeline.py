"""A pipeline that is killed in a phase ends with what an undisturbed one has. More kills, in its fetch and in every
phase, and the built-in ones: `make crash`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.crash.pipeline import trial

if TYPE_CHECKING:
    from pathlib import Path


def test_a_pipeline_killed_on_its_way_ends_with_what_an_undisturbed_one_has(home: Path) -> None:
    verdict = trial(1, 60, home, random.Random("short"), batch=10, stages=["classification"], latency=5.0)
    assert verdict.faults == []
    assert verdict.kills == {"classification": 1}
