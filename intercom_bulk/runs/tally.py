"""Counting a run: totals, rate, what is left, and the two pictures people get of it."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from intercom_bulk.runs.model import Outcome, RunState, Status
from intercom_bulk.runs.summary import Progress, Summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from intercom_bulk.runs.seams import Budget, Plan

__all__ = ["Tally", "counted"]

SPAN = 10.0
"""Seconds over which the rate is taken: one rate-limit window."""


SETTLED = (Status.DONE, Status.FAILED, Status.SKIPPED, Status.NEEDS_REVIEW)


class Tally:
    """`began` is monotonic time in seconds. Owned by the engine's thread.

    Counts are of the whole run, whatever number of lives it has; rates and times are of this life.
    """

    def __init__(self, plan: Plan, began: float) -> None:
        self._plan = plan
        self._began = began if plan.began is None else plan.began
        self._ended: float | None = None
        self._marks: deque[tuple[float, int]] = deque([(began, 0)])
        self._before = plan.counted or (plan.gate.requests, plan.gate.rate_limited)
        self.counts: Counter[Status] = Counter()
        self.codes: Counter[str] = Counter()
        self.attempted = 0
        self.attempted_before = 0
        self.settled_before = 0
        self.would_change = 0
        self.bottleneck = False

    def take_over(self, ledger: Mapping[Status, int], attempted: int) -> None:
        """What earlier lives of the run have done: its part of the whole, and none of this life's speed."""
        self.counts.update({status: ledger.get(status, 0) for status in SETTLED})
        self.settled_before = self.settled
        self.attempted = self.attempted_before = attempted
        self._marks = deque([(self._marks[0][0], self.settled)])

    def count(self, outcome: Outcome) -> None:
        self.counts[outcome.status] += 1
        if outcome.code is not None:
            self.codes[outcome.code] += 1

    def end(self, now: float) -> None:
        self._ended = now

    @property
    def settled(self) -> int:
        return sum(self.counts.values())

    @property
    def attempted_now(self) -> int:
        """Items first sent in this life of the run."""
        return self.attempted - self.attempted_before

    def is_spent(self) -> bool:
        """Whether `max_items` have been attempted (or, in a dry run, found)."""
        limit = self._plan.max_items
        return limit is not None and max(self.attempted, self.would_change) >= limit

    def expected(self, known: int, total: int | None, *, all_read: bool) -> int | None:
        """Items of the whole run as far as is known: `known` were read, the source spoke of `total`."""
        limit = self._plan.max_items
        if total is None and not all_read:
            return limit
        whole = max(total or 0, known)
        return whole if limit is None else min(whole, limit + self.counts[Status.SKIPPED])

    def progress(self, now: float, *, total: int | None, in_flight: int, in_doubt: int, state: RunState) -> Progress:
        rate = self._rate(now)
        left = None if total is None else max(total - self.settled, 0)
        budget: Budget = self._plan.gate.budget()
        return Progress(
            done=self.counts[Status.DONE],
            failed=self.counts[Status.FAILED],
            skipped=self.counts[Status.SKIPPED],
            unknown=in_doubt + self.counts[Status.NEEDS_REVIEW],
            total=total,
            in_flight=in_flight,
            rate=rate,
            eta=left / rate if left is not None and rate > 0 else None,
            budget_used=budget.used,
            limit=budget.limit,
            waiting=budget.waiting,
            window_ends_in=budget.window_ends_in,
            elapsed=now - self._began,
            state=state,
        )

    def summary(self, now: float, ledger: Mapping[Status, int], state: RunState, reason: str | None) -> Summary:
        """The totals by the ledger's own count, not by ours."""
        elapsed = (now if self._ended is None else self._ended) - self._began
        took = timedelta(seconds=elapsed)
        if state is RunState.COMPLETED and (ledger.get(Status.FAILED) or ledger.get(Status.NEEDS_REVIEW)):
            state = RunState.COMPLETED_WITH_ERRORS
        return replace(
            counted(ledger),
            total_time=took,
            rate=(self.settled - self.settled_before) / took.total_seconds() if took else 0.0,
            requests=self._plan.gate.requests - self._before[0],
            rate_limited=self._plan.gate.rate_limited - self._before[1],
            state=state,
            run_id=self._plan.run_id,
            reason=reason,
            dry_run=self._plan.dry_run,
            would_change=self.would_change,
            bottleneck=self.bottleneck,
            codes=dict(self.codes),
        )

    def _rate(self, now: float) -> float:
        while len(self._marks) > 1 and self._marks[0][0] < now - SPAN:
            self._marks.popleft()
        then, before = self._marks[0]
        self._marks.append((now, self.settled))
        return (self.settled - before) / (now - then) if now > then else 0.0


def counted(ledger: Mapping[Status, int]) -> Summary:
    """A ledger's counts as totals that say nothing else yet."""
    unknown = (Status.NEEDS_REVIEW, Status.UNKNOWN, Status.STARTED)
    return Summary(
        success=ledger.get(Status.DONE, 0),
        failed=ledger.get(Status.FAILED, 0),
        skipped=ledger.get(Status.SKIPPED, 0),
        unknown=sum(ledger.get(status, 0) for status in unknown),
        unprocessed=ledger.get(Status.STAGED, 0),
    )
