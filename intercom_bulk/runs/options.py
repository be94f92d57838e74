"""What can be said of a run beside what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from intercom_bulk.errors import UsageError
from intercom_bulk.runs.ids import Ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from intercom_bulk.runs.exclude import Exclude
    from intercom_bulk.runs.summary import Progress

__all__ = ["RunOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Everything about a run that is not a search keyword. The defaults are the safe ones.

    `reason`: why, for the record. `run_key`: your own name for the run; starting again with the same one goes on with
    that run instead of starting another. `progress`: called about four times a second, from the run's own thread.
    `refuse_above`: refuse, before any write, when more items match (a dry run only counts). `cutoff`: of a search only
    items created up to then (epoch seconds; None: up to the start), so that what was looked at is what is done.
    `source`: a list of ids in place of the search, see `Ids`; any iterable of ids will do. `exclude`: items to hold
    out, see `Exclude`. `canary`: how many items go first, alone (0: none). `reserve`: share of the limit kept free for
    others until late in each window. `share`: hard cap on our part of it. `settle`: seconds from an attempt without an
    answer to the look at the item (None: 5 for an idempotent action, else the larger of the read time-out and 60).
    `tries`: attempts an item gets; those that ended with their process do not count. `patience`: seconds that Intercom
    may answer nothing before the run halts, resumable. `resend_unknown`: repeat even what cannot be proved absent.
    """

    reason: str | None = None
    run_key: str | None = None
    progress: Callable[[Progress], None] | None = None
    refuse_above: int | None = None
    cutoff: int | None = None
    source: Ids | Iterable[object] | None = None
    exclude: Exclude | None = None
    canary: int = 10
    reserve: float = 0.05
    share: float = 1.0
    settle: float | None = None
    tries: int = 4
    patience: float = 120.0
    resend_unknown: bool = False

    def __post_init__(self) -> None:
        """Raises `UsageError` for a value that cannot be meant."""
        if not 0.0 <= self.reserve < 1.0:
            raise UsageError(f"reserve must be at least 0 and less than 1, not {self.reserve!r}.")
        if not 0.0 < self.share <= 1.0:
            raise UsageError(f"share must be more than 0 and at most 1, not {self.share!r}.")
        if self.canary < 0 or self.tries < 1:
            raise UsageError(f"canary must be 0 or more and tries 1 or more, not {self.canary!r} and {self.tries!r}.")
        if self.settle is not None and self.settle < 0:
            raise UsageError(f"settle must be 0 seconds or more, or None, not {self.settle!r}.")
        if self.refuse_above is not None and self.refuse_above < 0:
            raise UsageError(f"refuse_above must be 0 or more, or None, not {self.refuse_above!r}.")
        if self.source is not None and not isinstance(self.source, Ids):
            # Here, so that a generator which a preview has read is the same list to the run.
            object.__setattr__(self, "source", Ids(self.source))
