"""A run that this process works on: its handle, and what it tells without a look at its items."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from intercom_bulk.runs.model import Status

if TYPE_CHECKING:
    from intercom_bulk.runs.handle import Run
    from intercom_bulk.updaters.base import IntercomBulkUpdater

__all__ = ["Worked"]

HISTORY = 1800
"""Moments of a run's rate that are kept; at one each two seconds, an hour."""


@dataclass(eq=False)
class Worked:
    """A run that this process works on. `before`: codes of its earlier lives, `at_start`: their
    totals; `rates`: (epoch seconds, items/s).
    """

    run: Run
    updater: IntercomBulkUpdater | None
    before: Counter[str] = field(default_factory=Counter)
    rates: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=HISTORY))
    error: str | None = None
    at_start: dict[str, int] = field(default_factory=dict)

    def settled(self) -> Counter[str]:
        """What this life of the run has settled."""
        return Counter(self.counts()) - Counter(self.at_start)

    @property
    def is_over(self) -> bool:
        return self.run.wait(0)

    def counts(self) -> dict[str, int]:
        """How many items stand where, by the engine's own count: no item is read for it."""
        told = self.run.progress()
        if told is None:
            return {}
        staged = max((told.total or 0) - told.settled - told.unknown, 0)
        pairs = {Status.DONE: told.done, Status.FAILED: told.failed, Status.SKIPPED: told.skipped,
                 Status.UNKNOWN: told.unknown, Status.STAGED: staged}  # fmt: skip
        return {status.value: count for status, count in pairs.items()}

    def codes(self) -> dict[str, int]:
        return dict(self.before + Counter(self.run.summary().codes))
