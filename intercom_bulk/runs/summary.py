"""The totals of a run: while it works, and at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from intercom_bulk.runs.model import RunState

__all__ = ["Progress", "Summary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A moment of a run. `total`, `eta` (seconds) and `limit` are None while they are not known."""

    done: int
    failed: int
    skipped: int
    unknown: int
    total: int | None
    in_flight: int
    rate: float
    eta: float | None
    budget_used: float | None
    limit: int | None
    waiting: bool
    window_ends_in: float | None
    elapsed: float
    state: RunState

    @property
    def settled(self) -> int:
        return self.done + self.failed + self.skipped


@dataclass(frozen=True, eq=False)
class Summary(Mapping[str, Any]):
    """The end of a run, as attributes and, like the original script's result, as a mapping.

    `success + failed + skipped + unknown + unprocessed` are the items known. `total_time` is a timedelta, `rate` items
    settled per second, `would_change` what a dry run would have written, `bottleneck` whether `parallel_workers` held
    the run back, `reason` why it halted.
    """

    success: int = 0
    failed: int = 0
    skipped: int = 0
    unknown: int = 0
    unprocessed: int = 0
    total_time: timedelta = timedelta(0)
    rate: float = 0.0
    requests: int = 0
    rate_limited: int = 0
    state: RunState = RunState.COMPLETED
    run_id: str = ""
    reason: str | None = None
    dry_run: bool = False
    would_change: int = 0
    bottleneck: bool = False
    codes: Mapping[str, int] = field(default_factory=dict)

    @property
    def known(self) -> int:
        """Items of the run, whatever came of them."""
        return self.success + self.failed + self.skipped + self.unknown + self.unprocessed

    def __getitem__(self, key: str) -> Any:
        if key not in _SUMMARY_KEYS:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(_SUMMARY_KEYS)

    def __len__(self) -> int:
        return len(_SUMMARY_KEYS)

    def __str__(self) -> str:
        parts = [f"{self.success:,} done", f"{self.failed:,} failed", f"{self.skipped:,} skipped"]
        if self.dry_run:
            parts = [
                f"dry run: {self.would_change:,} would be changed",
                f"{self.skipped - self.would_change:,} would not",
            ]
        if self.unknown:
            parts.append(f"{self.unknown:,} to review")
        if self.unprocessed:
            parts.append(f"{self.unprocessed:,} not processed")
        text = f"{', '.join(parts)} in {self.total_time.total_seconds():.1f} s ({self.rate:.1f} items/s)"
        return f"{text}; {self.state}: {self.reason}" if self.reason else text


_SUMMARY_KEYS = tuple(f.name for f in fields(Summary))
