"""Execute a plan: a stream of outcomes.

One thread, the caller's, decides everything: it is the generator's own. Worker threads only call the source and the
action and report back through a queue, so the state below needs no lock, and the ledger has one writer. Each turn of
the loop takes what has been reported, records it together with the intents of what goes next in one transaction,
hands that to the workers, and yields. There is no barrier: a slow item holds up nothing but itself.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from intercom_bulk.clock import bind_stop
from intercom_bulk.errors import Gone, IntercomBulkError, RateLimited, Stopped, Unauthorized, UsageError
from intercom_bulk.runs.guard import Guard
from intercom_bulk.runs.model import Item, Outcome, Page, Progress, Receipt, RunState, Slice, Status, Summary
from intercom_bulk.runs.reading import Reading
from intercom_bulk.runs.verdicts import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from intercom_bulk.clock import Clock
    from intercom_bulk.runs.ledger import Ledger
    from intercom_bulk.runs.model import Effect, Plan

__all__ = ["Execution"]

logger = logging.getLogger(__name__)

MAX_WORKERS = 128
TICK = 0.02
"""Seconds: how long outcomes are gathered before they are recorded together. Concurrency allows for it."""
MAX_PASSES = 5
PROGRESS_EVERY = 0.25


@dataclass(frozen=True, slots=True)
class _Report:
    """What a worker says when it is done: the job's own handler, its value or its error."""

    handle: Callable[[object, Exception | None], None]
    value: object
    error: Exception | None


@dataclass(slots=True)
class _Doubt:
    """An item whose answer was lost: looked at again when `due`."""

    item: Item
    outcome: Outcome
    resendable: bool
    checks: int = 0


class Execution:
    """One life of one run. Iterate `outcomes()`; then `summary()`. Not reusable, not thread-safe."""

    def __init__(self, plan: Plan, ledger: Ledger, clock: Clock) -> None:
        self._plan = plan
        self._ledger = ledger
        self._clock = clock
        self._stop = threading.Event()
        self._reports: queue.SimpleQueue[_Report] = queue.SimpleQueue()
        self._guard = Guard(plan.options.canary if not plan.dry_run else 0)
        self._reading = Reading(plan.source)
        self._staged: deque[Item] = deque()
        self._attempts: dict[str, int] = {}
        self._effects: dict[str, Effect] = {}
        self._doubts: list[tuple[float, int, _Doubt]] = []
        self._doubt_number = 0
        self._ready: list[Outcome] = []
        self._outgoing: list[Sequence[Item]] = []
        self._acting = 0
        self._jobs = 0
        self._attempted = 0
        self._counts: Counter[Status] = Counter()
        self._codes: Counter[str] = Counter()
        self._would_change = 0
        self._prepared = False
        self._ending: RunState | None = None
        self._reason: str | None = None
        self._raise: Exception | None = None
        self._bottleneck = False
        self._began = clock.monotonic()
        self._ended: float | None = None
        self._requests_before = (plan.gate.requests, plan.gate.rate_limited)
        self._pace = _Rate(self._began)
        self._next_progress = 0.0

    def outcomes(self) -> Iterator[Outcome]:
        """Run. Closing the iterator, Ctrl-C or an error in the caller's loop stop it: what is in flight is waited for
        and recorded, nothing more is sent.

        Raises what makes the run impossible before its first write (`UsageError`, `Unauthorized`); later halts end
        the stream, and the summary says why.
        """
        pool = ThreadPoolExecutor(self._pool_size(), "intercom-bulk", initializer=bind_stop, initargs=(self._stop,))
        try:
            self._submit(pool, self._plan.action.prepare, self._on_prepared)
            self._reading.begin()
            while not self._is_over():
                self._turn(pool, self._collect(TICK))
                ready, self._ready = self._ready, []
                yield from ready
        except BaseException:
            self._end(RunState.STOPPED, "stopped by the caller")
            raise
        finally:
            self._close(pool)
        if self._raise is not None:
            raise self._raise

    def stop(self) -> None:
        """Ask the run to end: queued items stay `staged`, those in flight are waited for."""
        self._end(RunState.STOPPED, "stopped on request")

    def summary(self) -> Summary:
        """The totals so far."""
        elapsed = (self._ended or self._clock.monotonic()) - self._began
        with self._ledger.atomic():
            counts = self._ledger.counts()
        settled = counts.get(Status.DONE, 0) + counts.get(Status.FAILED, 0) + counts.get(Status.SKIPPED, 0)
        requests, limited = self._plan.gate.requests, self._plan.gate.rate_limited
        return Summary(
            success=counts.get(Status.DONE, 0),
            failed=counts.get(Status.FAILED, 0),
            skipped=counts.get(Status.SKIPPED, 0),
            unknown=counts.get(Status.UNKNOWN, 0) + counts.get(Status.NEEDS_REVIEW, 0) + counts.get(Status.STARTED, 0),
            unprocessed=counts.get(Status.STAGED, 0),
            total_time=timedelta(seconds=elapsed),
            rate=settled / elapsed if elapsed > 0 else 0.0,
            requests=requests - self._requests_before[0],
            rate_limited=limited - self._requests_before[1],
            state=self._final_state(counts),
            run_id=self._plan.run_id,
            reason=self._reason,
            would_change=self._would_change,
            bottleneck=self._bottleneck,
            codes=dict(self._codes),
        )

    # -- the loop

    def _turn(self, pool: ThreadPoolExecutor, reports: Sequence[_Report]) -> None:
        """Record what came in and what goes out in one transaction, then act on it."""
        with self._ledger.atomic():
            for report in reports:
                self._jobs -= 1
                report.handle(report.value, report.error)
            self._select()
        outgoing, self._outgoing = self._outgoing, []
        for batch in outgoing:
            self._send(pool, batch)
        self._check_doubts(pool)
        self._read_on(pool)
        self._report_progress()

    def _collect(self, patience: float) -> list[_Report]:
        """At least one report, unless `patience` seconds pass; then whatever else gathered meanwhile."""
        reports: list[_Report] = []
        try:
            reports.append(self._reports.get(timeout=patience))
            self._clock.sleep(patience / 2)
            while True:
                reports.append(self._reports.get_nowait())
        except queue.Empty:
            return reports

    def _submit(
        self, pool: ThreadPoolExecutor, job: Callable[[], object], handle: Callable[[object, Exception | None], None]
    ) -> None:
        def work() -> None:
            value: object = None
            error: Exception | None = None
            try:
                value = job()
            except Exception as failure:  # noqa: BLE001  the one place where a worker's failure becomes data
                error = failure
            except BaseException as failure:  # noqa: BLE001  SystemExit in user code: a lost report would hang the run
                error = RuntimeError(f"{type(failure).__name__} raised in a worker")
            self._reports.put(_Report(handle, value, error))

        self._jobs += 1
        pool.submit(work)

    def _is_over(self) -> bool:
        if self._jobs or self._reports.qsize():
            return False
        if self._ending is not None:
            return True
        if self._staged and not self._is_spent():
            return False
        if not self._reading.finished and not self._is_spent():
            return False
        if not self._is_spent() and self._sweep_again():
            return False
        return not self._doubts

    def _is_spent(self) -> bool:
        """Whether `max_items` have been attempted (or, in a dry run, found)."""
        limit = self._plan.max_items
        return limit is not None and max(self._attempted, self._would_change) >= limit

    def _sweep_again(self) -> bool:
        """Acting on items may have hidden others: pass after pass, until one finds nothing new."""
        reading = self._reading
        if not self._plan.source.repeatable or self._plan.dry_run:
            return False
        if reading.new_items == 0 or reading.pass_number >= MAX_PASSES:
            return False
        reading.begin()
        return True

    def _end(self, state: RunState, reason: str, error: Exception | None = None) -> None:
        if self._ending is None:
            self._ending, self._reason, self._raise = state, reason, error
            self._stop.set()

    def _close(self, pool: ThreadPoolExecutor) -> None:
        """Wait for what is in flight and record it; nothing new is sent, because the stop signal is set."""
        self._stop.set()
        while self._jobs:
            reports = self._collect(TICK)
            with self._ledger.atomic():
                for report in reports:
                    self._jobs -= 1
                    report.handle(report.value, report.error)
        pool.shutdown()
        self._plan.gate.set_backlog(self._plan.run_id, None)
        self._ended = self._clock.monotonic()
        self._report_progress(last=True)

    # -- reading

    def _read_on(self, pool: ThreadPoolExecutor) -> None:
        if self._ending is not None or self._is_spent():
            return
        budget = self._plan.gate.budget()
        room = self._concurrency() - self._jobs if self._plan.workers is not None else MAX_WORKERS
        lookahead = max(300, 2 * self._concurrency())
        hungry = len(self._staged) < lookahead or self._must_hold_all()
        for part in self._reading.due(rate=budget.rate, room=room, hungry=hungry):
            self._submit(pool, lambda part=part: self._timed_read(part), self._on_page)

    def _timed_read(self, part: Slice) -> tuple[Page, float]:
        began = self._clock.monotonic()
        try:
            page = self._plan.source.read(part)
        except Exception as error:
            raise _ReadFailed(part) from error
        return page, self._clock.monotonic() - began

    def _on_page(self, value: object, error: Exception | None) -> None:
        if isinstance(error, _ReadFailed):
            self._reading.failed(error.part)
            cause = error.__cause__
            if not isinstance(cause, Stopped):
                self._fatal(cause if isinstance(cause, Exception) else error)
            return
        page, seconds = value  # type: ignore[misc]
        page = self._reading.finished_page(page, seconds)
        fresh = self._ledger.stage(page, self._reading.pass_number)
        self._reading.new_items += len(fresh)
        self._staged.extend(fresh)
        refuse = self._plan.options.refuse_above
        known = max(self._reading.total or 0, self._reading.new_items)
        if refuse is not None and known > refuse and self._reading.pass_number == 1 and self._attempted == 0:
            text = f"{known:,} items match, more than refuse_above={refuse:,}: nothing was written."
            self._end(RunState.HALTED, text, UsageError(text))

    def _must_hold_all(self) -> bool:
        """Sweeps, and a refusal without a count, read everything before the first write of the pass."""
        if self._reading.finished:
            return False
        if self._plan.options.refuse_above is not None and self._reading.total is None:
            return True
        return self._reading.pass_number > 1 and len(self._staged) < 20_000

    # -- choosing and sending

    def _concurrency(self) -> int:
        wanted = self._plan.gate.concurrency() + math.ceil(self._plan.gate.budget().rate * TICK * 1.5)
        if self._plan.workers is None:
            return min(wanted, MAX_WORKERS)
        self._bottleneck = self._bottleneck or (wanted > self._plan.workers and len(self._staged) > self._plan.workers)
        return self._plan.workers

    def _pool_size(self) -> int:
        return self._plan.workers or MAX_WORKERS + 8

    def _select(self) -> None:
        """Take staged items as far as there is room, and record their intents."""
        room = self._room()
        chosen: list[Item] = []
        while self._staged and len(chosen) < room and self._ending is None and not self._is_spent():
            item = self._staged.popleft()
            if item.id in self._attempts or self._wants(item):
                chosen.append(item)
                self._attempted += item.id not in self._attempts
                self._attempts[item.id] = self._attempts.get(item.id, 0) + 1
        self._ledger.start(chosen, self._clock.time())
        step = max(1, self._plan.action.max_batch)
        self._outgoing = [chosen[start : start + step] for start in range(0, len(chosen), step)]

    def _room(self) -> int:
        if self._ending is not None or not self._prepared or self._must_hold_all():
            return 0
        free = self._concurrency() - (self._jobs if self._plan.workers is not None else self._acting)
        room = min(free * max(1, self._plan.action.max_batch), self._plan.batch_size)
        if self._plan.dry_run:
            return self._plan.batch_size
        if self._guard.canary_open:
            # Alone and all at once; and while their fate is open nothing else is risked.
            return min(room, self._plan.options.canary - self._attempted)
        # A cursor that loops shows itself on the second page: not more than the canary is written before it is read.
        return room if self._reading.pages >= 2 or self._reading.finished or self._reading.pass_number > 1 else 0

    def _wants(self, item: Item) -> bool:
        """Whether a request is needed; if not, the item settles here, for free."""
        try:
            effect = self._plan.action.effect(item)
        except Exception as error:  # noqa: BLE001  user code: one item's failure, not the run's
            self._settle(judge(item, error, attempts=0, at=self._clock.time()).outcome)
            return False
        if effect is not None and effect.is_done:
            self._settle(self._decided(item, "already_done", "It already is as this run would leave it.", effect))
            return False
        if self._plan.dry_run:
            self._would_change += 1
            self._settle(self._decided(item, "dry_run", "Dry run: it would be changed.", effect))
            return False
        if effect is not None:
            self._effects[item.id] = effect
        return True

    def _decided(self, item: Item, code: str, message: str, effect: Effect | None) -> Outcome:
        before, after = (effect.before, effect.after) if effect is not None else (None, None)
        return Outcome(item.id, Status.SKIPPED, code, message, 0, before, after, at=self._clock.time())

    def _send(self, pool: ThreadPoolExecutor, batch: Sequence[Item]) -> None:
        def handle(value: object, error: Exception | None) -> None:
            self._acting -= 1
            results = [error] * len(batch) if error is not None else list(value)  # type: ignore[call-overload]
            for item, result in zip(batch, results, strict=True):
                self._on_result(item, result)

        self._acting += 1
        self._submit(pool, lambda: self._plan.action.perform(batch), handle)

    def _on_prepared(self, value: object, error: Exception | None) -> None:
        del value
        self._prepared = error is None
        if error is not None and not isinstance(error, Stopped):
            self._fatal(error)

    def _fatal(self, error: Exception) -> None:
        """Nothing can go on. Before the first write the caller gets the error itself."""
        if self._attempted == 0 or not isinstance(error, IntercomBulkError):
            self._end(RunState.HALTED, str(error), error)
        else:
            self._end(RunState.HALTED, str(error))

    # -- results

    def _on_result(self, item: Item, result: Receipt | Exception) -> None:
        attempts = self._attempts[item.id]
        if isinstance(result, Receipt):
            self._settle(self._done(item, attempts, result.request_id))
            return
        verdict = judge(item, result, attempts=attempts, at=self._clock.time())
        if verdict.halt is not None:
            self._fatal(result) if self._counts[Status.DONE] == 0 else self._end(RunState.HALTED, verdict.halt)
        if verdict.unsent:
            self._unsend(item)
        elif verdict.outcome.status is Status.UNKNOWN:
            self._doubt(item, verdict)
        else:
            self._settle(verdict.outcome)

    def _unsend(self, item: Item) -> None:
        """It never left: as if it had not been tried."""
        self._ledger.restage([item], attempted=False)
        self._attempts[item.id] -= 1
        if self._attempts[item.id] == 0:
            del self._attempts[item.id]
            self._attempted -= 1
        self._staged.appendleft(item)

    def _done(self, item: Item, attempts: int, request_id: str | None) -> Outcome:
        effect = self._effects.get(item.id)
        before, after = (effect.before, effect.after) if effect is not None else (None, None)
        return Outcome(item.id, Status.DONE, None, None, attempts, before, after, request_id, at=self._clock.time())

    def _settle(self, outcome: Outcome) -> None:
        """Final: recorded, counted, judged by the guard, and on its way to the caller."""
        self._ledger.settle([outcome])
        self._attempts.pop(outcome.item_id, None)
        self._effects.pop(outcome.item_id, None)
        self._counts[outcome.status] += 1
        if outcome.code is not None:
            self._codes[outcome.code] += 1
        self._ready.append(outcome)
        if outcome.attempts:
            reason = self._guard.observe(outcome)
            if reason is not None:
                self._end(RunState.HALTED, reason)

    # -- answers that never came

    def _doubt(self, item: Item, verdict: Verdict) -> None:
        self._ledger.settle([verdict.outcome])
        if self._guard.canary_open:
            self._guard.observe(verdict.outcome)
        resendable = self._plan.action.idempotent if verdict.resendable is None else verdict.resendable
        doubt = _Doubt(item, verdict.outcome, resendable or self._plan.options.resend_unknown)
        self._put_off(doubt)

    def _put_off(self, doubt: _Doubt) -> None:
        self._doubt_number += 1
        settle = self._plan.settle_set if doubt.resendable else self._plan.settle_append
        heappush(self._doubts, (self._clock.monotonic() + settle, self._doubt_number, doubt))

    def _check_doubts(self, pool: ThreadPoolExecutor) -> None:
        """Look at the items whose time has come; while the run goes on."""
        now = self._clock.monotonic()
        while self._doubts and self._doubts[0][0] <= now and self._ending is None and self._has_room():
            _, _, doubt = heappop(self._doubts)
            self._submit(
                pool,
                lambda doubt=doubt: self._plan.action.already_done(doubt.item),
                lambda value, error, doubt=doubt: self._on_checked(doubt, value, error),
            )

    def _has_room(self) -> bool:
        return self._jobs < (self._plan.workers or MAX_WORKERS)

    def _on_checked(self, doubt: _Doubt, value: object, error: Exception | None) -> None:
        """Present: done. Absent: again if that is harmless. Neither can be told: listed for a person to look at."""
        lost = doubt.outcome
        now = self._clock.time()
        if isinstance(error, Gone):
            self._settle(replace(lost, status=Status.SKIPPED, code="gone", message=str(error), at=now))
        elif isinstance(error, Stopped):
            self._put_off(doubt)
        elif isinstance(error, (Unauthorized, RateLimited)):
            self._put_off(doubt)
            self._end(RunState.HALTED, str(error))
        elif error is not None and doubt.checks < 3:
            doubt.checks += 1
            self._put_off(doubt)
        elif value is True:
            self._settle(self._done(doubt.item, lost.attempts, lost.request_id))
        elif error is not None or not doubt.resendable:
            self._settle(replace(lost, status=Status.NEEDS_REVIEW, at=now))
        elif lost.attempts >= self._plan.options.tries:
            self._settle(replace(lost, status=Status.NEEDS_REVIEW if value is None else Status.FAILED, at=now))
        else:
            self._ledger.restage([doubt.item], attempted=True)
            self._staged.appendleft(doubt.item)

    # -- telling

    def _report_progress(self, *, last: bool = False) -> None:
        now = self._clock.monotonic()
        if now < self._next_progress and not last:
            return
        self._next_progress = now + PROGRESS_EVERY
        settled = self._counts[Status.DONE] + self._counts[Status.FAILED] + self._counts[Status.SKIPPED]
        rate = self._pace.update(now, settled)
        total = self._expected()
        left = None if total is None else max(total - settled, 0)
        if not last:
            self._plan.gate.set_backlog(self._plan.run_id, left)
        if self._plan.options.progress is None:
            return
        budget = self._plan.gate.budget()
        self._plan.options.progress(
            Progress(
                done=self._counts[Status.DONE],
                failed=self._counts[Status.FAILED],
                skipped=self._counts[Status.SKIPPED],
                unknown=len(self._doubts) + self._counts[Status.NEEDS_REVIEW],
                total=total,
                in_flight=self._acting,
                rate=rate,
                eta=left / rate if left is not None and rate > 0 else None,
                budget_used=budget.used,
                limit=budget.limit,
                waiting=budget.waiting,
                window_ends_in=budget.window_ends_in,
                elapsed=now - self._began,
                state=self._ending or RunState.RUNNING,
            )
        )

    def _expected(self) -> int | None:
        """Items of the whole run, as far as is known."""
        known = self._reading.known
        total = known if self._reading.total is None else max(self._reading.total, known)
        if self._reading.total is None and not self._reading.finished:
            return self._plan.max_items
        return total if self._plan.max_items is None else min(total, self._plan.max_items)

    def _final_state(self, counts: dict[Status, int]) -> RunState:
        if self._ending is not None:
            return self._ending
        troubled = counts.get(Status.FAILED, 0) + counts.get(Status.NEEDS_REVIEW, 0)
        return RunState.COMPLETED_WITH_ERRORS if troubled else RunState.COMPLETED


class _ReadFailed(Exception):
    """Carries the slice whose page could not be read."""

    def __init__(self, part: Slice) -> None:
        super().__init__(part.key)
        self.part = part


class _Rate:
    """Items a second over about the last ten seconds."""

    def __init__(self, began: float) -> None:
        self._marks: deque[tuple[float, int]] = deque([(began, 0)])

    def update(self, now: float, settled: int) -> float:
        while len(self._marks) > 1 and self._marks[0][0] < now - 10.0:
            self._marks.popleft()
        then, before = self._marks[0]
        self._marks.append((now, settled))
        return (settled - before) / (now - then) if now > then else 0.0
