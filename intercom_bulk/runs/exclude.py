"""Which items a run holds out, whatever the search says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from intercom_bulk.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Exclude"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclude:
    """Hold-outs: items that are skipped as "held_out", with the reason, decided from the search result.

    `customer_wrote_within`: the customer wrote at most so long ago (a timedelta, or minutes). `priority`: marked as
    priority. `sla`: an SLA runs, or was missed. For conversations only.
    """

    customer_wrote_within: timedelta | float | None = None
    priority: bool = False
    sla: bool = False

    def __post_init__(self) -> None:
        """Raises `UsageError` for what cannot be meant."""
        if not isinstance(self.priority, bool) or not isinstance(self.sla, bool):
            raise UsageError("Exclude(priority=..., sla=...) are True or False.")
        wanted = self.customer_wrote_within
        if wanted is not None and (isinstance(wanted, bool) or not isinstance(wanted, (int, float, timedelta))):
            raise UsageError("Exclude(customer_wrote_within=...) is a timedelta or a number of minutes.")
        if self.seconds is not None and not 0 < self.seconds <= 10 * 365 * 86_400:
            raise UsageError("Exclude(customer_wrote_within=...) must be more than 0 and at most ten years.")

    @property
    def seconds(self) -> float | None:
        """`customer_wrote_within` in seconds."""
        wanted = self.customer_wrote_within
        if wanted is None:
            return None
        return wanted.total_seconds() if isinstance(wanted, timedelta) else float(wanted) * 60

    def to_record(self) -> dict[str, Any]:
        """Plain JSON, for a run's record."""
        minutes = None if self.seconds is None else self.seconds / 60
        return {"customer_wrote_within": minutes, "priority": self.priority, "sla": self.sla}

    @classmethod
    def from_record(cls, said: Mapping[str, Any] | None) -> Exclude | None:
        """What `to_record` wrote; None where nothing was."""
        return None if said is None else cls(**said)
