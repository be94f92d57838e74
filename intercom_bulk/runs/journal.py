"""The run's own entry in its ledger: how it stands and how far it has read, in step with the items."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from intercom_bulk.runs.model import RunState
from intercom_bulk.runs.record import RunRecord

if TYPE_CHECKING:
    from intercom_bulk.clock import Clock
    from intercom_bulk.runs.ledger import Recovered, RunLedger
    from intercom_bulk.runs.reading import Reading
    from intercom_bulk.runs.seams import Plan
    from intercom_bulk.runs.summary import Summary

__all__ = ["HEARTBEAT", "Journal"]

HEARTBEAT = 2.0
"""Seconds between signs of life in the record: they say how late a dead process may still have sent something."""
_OVER = frozenset({RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS})


class Journal:
    """Written inside the engine's transactions. `is_lost`: the ledger failed and is not asked again."""

    def __init__(self, ledger: RunLedger, plan: Plan, reading: Reading, clock: Clock) -> None:
        self._ledger = ledger
        self._reading = reading
        self._clock = clock
        blank = RunRecord(run_id=plan.run_id, title=plan.title)
        self._written = ledger.record()
        self._record = replace(self._written or blank, **plan.facts)
        self.is_lost = False

    def take_over(self) -> Recovered | None:
        """What an earlier life left; None for a new run. The reading goes on where that one stood."""
        if self._record.pass_number == 0:
            return None
        alive_until = min(self._clock.time(), self._record.updated_at + 2 * HEARTBEAT)
        found = self._ledger.recover(self._record.pass_number, alive_until)
        self._record = replace(
            self._record, lives=self._record.lives + 1, ended=None, ended_at=None, counts={}, codes={}
        )
        is_over = self._record.state in _OVER
        self._reading.restore(self._record.pass_number, found.slices, found.known, self._record.total, is_over=is_over)
        return found

    def keep(self, state: RunState) -> None:
        """Write what changed since the last time: the state, the pass, slices that were cut in two; a sign of life."""
        cuts, self._reading.cuts = self._reading.cuts, []
        for part in cuts:
            self._ledger.save_slice(part, self._reading.pass_number)
        self._record = replace(
            self._record, state=state, pass_number=self._reading.pass_number, total=self._reading.total
        )
        if self._record != self._written or self._clock.time() >= self._record.updated_at + HEARTBEAT:
            self._write()

    def end(self, summary: Summary) -> None:
        """The last entry of this life."""
        now = self._clock.time()
        self._record = replace(
            self._record,
            state=summary.state,
            ended=summary.reason,
            ended_at=now,
            counts={status.value: count for status, count in self._ledger.counts().items()},
            codes=dict(self._ledger.codes()),
        )
        self._write()

    def _write(self) -> None:
        self._written = self._record = replace(self._record, updated_at=self._clock.time())
        self._ledger.save(self._record)
