"""Execute a plan: a stream of outcomes.

One thread decides everything: the one that iterates (`stream.py` gives it one of its own, where no Ctrl-C can land in
the middle of a step). Worker threads only call the source and the action and report
back through a queue, so the state below needs no lock, and the ledger has one writer. Each turn of the loop records
what came in and the intents of what goes next in one transaction, hands that to the workers, and yields. There is no
barrier between batches: a slow item holds up nothing but itself.
"""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from intercom_bulk.errors import IntercomBulkError, LedgerError, Stopped, UsageError
from intercom_bulk.runs.breaker import Breaker
from intercom_bulk.runs.doubt import Doubts
from intercom_bulk.runs.guard import Guard
from intercom_bulk.runs.journal import Journal
from intercom_bulk.runs.model import Item, RunState
from intercom_bulk.runs.reading import Reading
from intercom_bulk.runs.results import Results
from intercom_bulk.runs.selection import Selection
from intercom_bulk.runs.tally import Tally
from intercom_bulk.runs.wishes import Wish
from intercom_bulk.runs.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from intercom_bulk.clock import Clock
    from intercom_bulk.runs.ledger import RunLedger
    from intercom_bulk.runs.model import Effect, Outcome, Page, Receipt
    from intercom_bulk.runs.seams import Plan
    from intercom_bulk.runs.summary import Progress, Summary
    from intercom_bulk.runs.workers import Report

__all__ = ["MAX_WORKERS", "Execution"]

logger = logging.getLogger(__name__)

MAX_WORKERS = 128
READERS = 8
"""Threads beside those, so that a full house of actions never keeps the next page waiting."""
TICK = 0.02
"""Seconds over which outcomes gather before they are recorded together. The number in flight allows for it."""
FEW = 32
MAX_PASSES = 5
PROGRESS_EVERY = 0.25
LISTEN_EVERY = 0.5
"""Seconds between looks at what another process may ask of the run."""


class Execution:
    """One life of one run: iterate `outcomes()`, then ask for the `summary()`."""

    def __init__(self, plan: Plan, ledger: RunLedger, clock: Clock) -> None:
        self._plan = plan
        self._ledger = ledger
        self._clock = clock
        self._stop = threading.Event()
        self._workers = Workers(plan.workers or MAX_WORKERS + READERS, self._stop, clock)
        self._guard = Guard(0 if plan.dry_run else plan.options.canary)
        self._breaker = Breaker(plan.options.patience)
        self._reading = Reading(plan.source, self._workers, clock)
        self._tally = Tally(plan, clock.monotonic())
        self._doubts = Doubts(plan, self._workers, clock)
        self._journal = Journal(ledger, plan, self._reading, clock)
        self._paused = False
        self._items = Selection(
            plan, self._guard, self._reading, self._tally, clock, lambda outcome: self._results.settle(outcome)
        )
        self._results = Results(
            plan,
            ledger,
            clock,
            items=self._items,
            doubts=self._doubts,
            breaker=self._breaker,
            guard=self._guard,
            tally=self._tally,
            halt=lambda reason: self._end(RunState.HALTED, reason),
        )
        self._acting = 0
        self._prepared = False
        self._early: list[Page] = []
        self._ending: RunState | None = None
        self._over = False
        self._reason: str | None = None
        self._error: Exception | None = None
        self._progress = plan.options.progress
        self._next_progress = 0.0
        self._next_look = 0.0
        self.latest: Progress | None = None

    def outcomes(self) -> Generator[Outcome, None, None]:
        """Run. Closing the iterator stops it: what is in flight is waited for and recorded, nothing more is sent.

        Raises what makes the run impossible before its first write (`UsageError`, `Unauthorized`, `SearchError`);
        later halts end the stream, and the summary says why.
        """
        try:
            self._workers.submit(self._plan.action.prepare, self._on_prepared, self._fatal)
            self._begin()
            while not self._is_over():
                self._listen()
                self._turn()
                yield from self._results.take_ready()
        except Stopped as error:
            self._end(RunState.STOPPED, str(error))
        except LedgerError as error:
            # Nothing was sent whose intent is not on the disk; what is in flight is read back when the run is resumed.
            self._journal.is_lost = True
            self._end(RunState.HALTED, str(error), error)
        except BaseException:
            self._end(RunState.STOPPED, "stopped by the caller")
            raise
        finally:
            self._close()
        if self._error is not None:
            raise self._error

    @property
    def was_refused(self) -> bool:
        """Nothing was sent, because more matched than expected or a name does not exist."""
        refused = isinstance(self._error, UsageError) and self._tally.attempted == 0
        return refused and self._plan.kind == "update"

    def stop(self) -> None:
        """Ask the run to end: queued items stay `staged`, those in flight are waited for. Any thread may ask."""
        if not self._over:
            self._end(RunState.STOPPED, "stopped on request")

    def summary(self) -> Summary:
        """The totals so far, by our own count."""
        return self._tally.summary(self._clock.monotonic(), dict(self._tally.counts), self._state(), self._reason)

    def final_summary(self) -> Summary:
        """The totals of a run that is over, by what the ledger has."""
        return self.summary() if self._journal.is_lost else self._total()

    def _total(self) -> Summary:
        state = self._ending or RunState.COMPLETED
        return self._tally.summary(self._clock.monotonic(), self._ledger.counts(), state, self._reason)

    def abort(self) -> None:
        """Stop, and do not even wait for the answers under way: those items are in doubt. Any thread may ask."""
        self.stop()
        self._plan.abort()

    def pause(self) -> None:
        """Send nothing more until `resume()`; what is in flight ends. Any thread may ask."""
        self._paused = True

    def resume(self) -> None:
        """Go on after `pause()`."""
        self._paused = False

    # -- the loop

    def _begin(self) -> None:
        """A new run starts reading; one that had an earlier life goes on where the ledger says it stood."""
        found = self._journal.take_over()
        if found is None:
            self._reading.begin()
            return
        self._tally.take_over(self._ledger.counts(), found.attempted)
        self._results.take_over(found)

    def _state(self) -> RunState:
        if self._ending is not None:
            return self._ending
        if self._paused:
            return RunState.PAUSING if self._workers.busy else RunState.PAUSED
        return RunState.RUNNING

    def _listen(self) -> None:
        """To other processes."""
        now = self._clock.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LISTEN_EVERY
        match self._ledger.wish():
            case Wish.PAUSE:
                self.pause()
            case Wish.UNPAUSE:
                self.resume()
            case Wish.STOP:
                self.stop()

    def _turn(self) -> None:
        # With a few threads each one counts: what it reports is not kept waiting for company.
        gather = 0.0 if self._plan.workers is not None and self._plan.workers <= FEW else TICK / 2
        reports = self._workers.collect(TICK, gather)
        with self._ledger.atomic():
            self._journal.keep(self._state())
            for report in reports:
                report.deliver()
            chosen = self._items.choose(self._free())
            self._ledger.start(chosen, self._clock.time())
        self._send(chosen)
        self._look_at_doubts()
        self._read_on()
        self._tell()

    def _is_over(self) -> bool:
        if self._workers.busy or (self._paused and self._ending is None):
            return False
        if self._ending is not None:
            return True
        if self._tally.is_spent():
            return not self._items.has_next() and not self._doubts
        if self._items or not self._reading.finished:
            return False
        return not self._sweep_again() and not self._doubts

    def _sweep_again(self) -> bool:
        """Acting on items may have hidden others: pass after pass, until one finds nothing new."""
        if not self._plan.source.repeatable or self._plan.dry_run:
            return False
        if not self._reading.may_find_more or self._reading.pass_number >= MAX_PASSES:
            return False
        self._reading.begin()
        return True

    def _end(self, state: RunState, reason: str, error: Exception | None = None) -> None:
        if self._ending is None:
            self._ending, self._reason, self._error = state, reason, error
            self._stop.set()

    def _close(self) -> None:
        """Wait for what is in flight and record it; the stop signal keeps everything else from being sent."""
        self._stop.set()
        while self._workers.busy:
            self._record_end_of(self._workers.collect(TICK, TICK / 2))
        self._workers.close()
        self._plan.gate.set_backlog(self._plan.run_id, None)
        self._tally.end(self._clock.monotonic())
        self._over = True  # whoever asks for its end from now on is late: all records of it say the same
        self._say_end()
        self._record_end_of([])
        self._tell(last=True)

    def _say_end(self) -> None:
        """To whoever keeps more than the ledger does."""
        try:
            self._plan.on_end(self.final_summary())
        except LedgerError as error:
            self._end(RunState.HALTED, str(error), error)

    def _record_end_of(self, reports: Sequence[Report]) -> None:
        """Record what was in flight, and how the run stands. A ledger that failed is not asked again."""
        if self._journal.is_lost:
            return
        try:
            with self._ledger.atomic():
                for report in reports:
                    report.deliver()
                if not self._workers.busy:
                    self._journal.end(self._total())
        except LedgerError as error:
            self._journal.is_lost = True
            self._end(RunState.HALTED, str(error), error)

    # -- reading

    def _read_on(self) -> None:
        if self._ending is not None or self._paused or self._tally.is_spent():
            return
        rate = self._plan.gate.budget().rate * self._items_a_call()
        ahead = max(300, 2 * self._concurrency(), math.ceil(2 * rate * self._reading.seconds))
        hungry = len(self._items) < ahead or self._items.must_hold() or self._items.awaits_page()
        room = MAX_WORKERS if self._plan.workers is None else self._plan.workers - self._workers.busy
        self._reading.read_on(rate=rate, room=room if hungry else 0, on_page=self._on_page, on_error=self._fatal)

    def _on_page(self, page: Page) -> None:
        if not self._prepared:
            self._early.append(page)
            return
        effects = {item.id: self._items.weigh(item) for item in page.items}
        fresh = self._ledger.stage(page, self._reading.pass_number, effects)
        self._take_in(fresh, effects)
        again = _repetitions(page.items, fresh)
        if again:
            self._take_in(self._ledger.stage(replace(page, items=again), self._reading.pass_number), {})
        refuse = self._plan.options.refuse_above
        known = max(self._reading.total or 0, self._reading.known)
        if refuse is not None and known > refuse and self._tally.attempted == 0 and not self._plan.dry_run:
            text = f"{known:,} items match, more than refuse_above={refuse:,}: nothing was written."
            self._end(RunState.HALTED, text, UsageError(text))

    def _take_in(self, fresh: Sequence[Item], effects: Mapping[str, Effect | Exception | None]) -> None:
        self._reading.new_items += len(fresh)
        for item in fresh:
            effect = effects.get(item.id)
            self._items.add(self._results.enter(item, effect), effect)

    # -- sending

    def _free(self) -> int:
        """How many more calls may be in flight now."""
        if self._ending is not None or self._paused or not self._prepared:
            return 0
        if self._breaker.is_open and self._doubts.is_due() and not self._items.is_retry_next():
            return 0  # a look at an item harms nothing and answers the same question: it goes first
        free = self._concurrency() - (self._acting if self._plan.workers is None else self._workers.busy)
        return self._breaker.room(self._clock.monotonic(), free)

    def _concurrency(self) -> int:
        """As many in flight as the rate needs, and some for the time that outcomes gather."""
        wanted = min(self._plan.gate.concurrency() + math.ceil(1.5 * TICK * self._plan.gate.budget().rate), MAX_WORKERS)
        if self._plan.workers is None:
            return wanted
        self._tally.bottleneck |= wanted > self._plan.workers and len(self._items) > self._plan.workers
        return self._plan.workers

    def _items_a_call(self) -> float:
        """More than one where calls take batches, less where an item takes several steps."""
        return self._plan.action.max_batch / max(1, len(self._plan.action.steps))

    def _send(self, chosen: Sequence[Item]) -> None:
        step = self._plan.action.max_batch
        for start in range(0, len(chosen), step):
            self._perform(chosen[start : start + step])

    def _perform(self, batch: Sequence[Item]) -> None:
        def on_results(results: Sequence[Receipt | Exception]) -> None:
            self._acting -= 1
            self._results.received(batch, results)

        self._acting += 1
        self._breaker.sent(self._clock.monotonic())
        try:
            self._workers.submit(
                lambda: self._plan.action.perform(batch), on_results, lambda error: on_results([error] * len(batch))
            )
        except Stopped as error:
            self._end(RunState.STOPPED, str(error))
            with self._ledger.atomic():
                on_results([error] * len(batch))

    def _look_at_doubts(self) -> None:
        if self._ending is not None or self._paused or not self._prepared:
            return
        if self._breaker.is_open and self._items.is_retry_next():
            return  # what was looked at goes first: it is the probe now
        now = self._clock.monotonic()
        room = self._breaker.room(now, (self._plan.workers or MAX_WORKERS) - self._workers.busy)
        if self._results.look(room):
            self._breaker.sent(now)

    def _on_prepared(self, _: None) -> None:
        self._prepared = True
        early, self._early = self._early, []
        for page in early:
            self._on_page(page)

    def _fatal(self, error: Exception) -> None:
        """Nothing can go on. Before the first write the caller gets the error itself, and always when it is a bug."""
        if isinstance(error, Stopped):
            return
        is_expected = isinstance(error, IntercomBulkError) and self._tally.attempted > 0
        self._end(RunState.HALTED, str(error), None if is_expected else error)

    # -- telling

    def _tell(self, *, last: bool = False) -> None:
        now = self._clock.monotonic()
        if now < self._next_progress and not last:
            return
        self._next_progress = now + PROGRESS_EVERY
        reading = self._reading
        total = self._tally.expected(reading.known, reading.total, all_read=reading.finished)
        if not last:
            left = None if total is None else max(total - self._tally.settled, 0)
            calls = None if left is None else math.ceil(left / self._items_a_call())
            self._plan.gate.set_backlog(self._plan.run_id, calls)
        doubts, state = len(self._doubts), self._state()
        self.latest = self._tally.progress(now, total=total, in_flight=self._acting, in_doubt=doubts, state=state)
        if self._progress is None:
            return
        try:
            self._progress(self.latest)
        except Exception:
            logger.exception("the progress callback failed and is not called again")
            self._progress = None


def _repetitions(items: Sequence[Item], fresh: Sequence[Item]) -> list[Item]:
    """The rows of a list whose id this run had met before. A page and its cursor are recorded together, so none of
    them is one that an earlier life of the run took in."""
    new = {(item.id, item.row) for item in fresh}
    return [
        Item(item.row, skip=("duplicate", f"{item.id} is in the list already."))
        for item in items
        if item.row is not None and (item.id, item.row) not in new
    ]
