"""What comes of the attempts: an outcome, the item's next step, or a doubt and the look that ends it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from intercom_bulk.errors import LedgerError, RateLimited, Stopped, Transient, Unauthorized
from intercom_bulk.runs.doubt import Doubt, Seen, decide
from intercom_bulk.runs.model import Effect, Item, Outcome, Receipt, Status, StepRecord
from intercom_bulk.runs.selection import Try
from intercom_bulk.runs.verdicts import judge
from intercom_bulk.runs.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from intercom_bulk.clock import Clock
    from intercom_bulk.runs.breaker import Breaker
    from intercom_bulk.runs.doubt import Doubts
    from intercom_bulk.runs.guard import Guard
    from intercom_bulk.runs.ledger import Recovered, RunLedger
    from intercom_bulk.runs.seams import Plan
    from intercom_bulk.runs.selection import Selection
    from intercom_bulk.runs.tally import Tally
    from intercom_bulk.runs.verdicts import Verdict

__all__ = ["Results"]


class Results:
    """Records what came back, in the engine's transactions. Owned by the engine's thread.

    `halt` ends the run with a sentence.
    """

    def __init__(
        self,
        plan: Plan,
        ledger: RunLedger,
        clock: Clock,
        *,
        items: Selection,
        doubts: Doubts,
        breaker: Breaker,
        guard: Guard,
        tally: Tally,
        halt: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._ledger = ledger
        self._clock = clock
        self._items = items
        self._doubts = doubts
        self._breaker = breaker
        self._guard = guard
        self._tally = tally
        self._halt = halt
        self._walks: dict[str, Walk] = {}
        self._ready: list[Outcome] = []

    def take_ready(self) -> Sequence[Outcome]:
        """The outcomes since the last time, for the caller."""
        ready, self._ready = self._ready, []
        return ready

    # -- items on their way in

    def enter(self, item: Item, effect: Effect | Exception | None) -> Item:
        """An item that is new to the ledger, at the first of its steps that has something to do."""
        if not isinstance(effect, Effect) or not effect.parts or item.skip is not None or effect.is_done:
            return item
        walk = self._walks[item.id] = self._pass_over(item.id, Walk(effect))
        return replace(item, step=walk.step)

    def take_over(self, found: Recovered) -> None:
        """What an earlier life of the run left: items to go on with, and attempts to look at."""
        now = self._clock.monotonic()
        for item, attempts in found.staged:
            known, attempt = self._where_it_stood(item, Try(attempts, now), found)
            self._items.take_over(known, attempt)
        for outcome, started_at in found.doubts:
            since = now - max(self._clock.time() - started_at, 0.0)
            item = Item(outcome.item_id, effect=outcome.effect, step=outcome.step)
            known, attempt = self._where_it_stood(item, Try(outcome.attempts, since), found)
            self._items.take_over(known, attempt, staged=False)
            lost = replace(outcome, attempts=attempt.number)
            self._doubts.put(Doubt(known, lost, self._is_resendable(known)), since)

    def _where_it_stood(self, item: Item, attempt: Try, found: Recovered) -> tuple[Item, Try]:
        """The item with the effects of all its steps, and the attempts that the one it stands at has had."""
        if item.id not in found.steps:
            return item, attempt
        walk = self._walks[item.id] = Walk.recovered(item.effect, found.steps[item.id])
        mine = replace(attempt, number=attempt.number - walk.attempts, again=walk.attempts > 0)
        return replace(item, effect=walk.effect), mine

    # -- what an attempt came to

    def received(self, batch: Sequence[Item], results: Sequence[Receipt | Exception]) -> None:
        """The end of one call, which may have been for several items: it was lost or answered once."""
        self._note_answer(next((result for result in results if not _is_lost(result)), results[0]))
        for item, result in zip(batch, results, strict=True):
            self._on_result(item, result)

    def _on_result(self, item: Item, result: Receipt | Exception) -> None:
        attempts, now = self._items.current(item.id).number, self._clock.time()
        if isinstance(result, Receipt):
            done = Outcome(item.id, Status.DONE, message=result.note, attempts=attempts, request_id=result.request_id)
            self._end_attempt(item, replace(done, at=now))
            return
        verdict = judge(item, result, attempts=attempts, at=now, redact=self._plan.redact)
        if verdict.halt is not None:
            self._halt(verdict.halt)
        if verdict.unsent:
            self._ledger.restage([item], attempted=False)
            self._items.unsend(item)
        elif verdict.outcome.status is Status.UNKNOWN:
            self._put_in_doubt(item, verdict)
        else:
            self._end_attempt(item, verdict.outcome)

    def _note_answer(self, result: object) -> None:
        now = self._clock.monotonic()
        if _is_lost(result):
            self._breaker.lost(now)
        elif not isinstance(result, Stopped):
            self._breaker.answered()
        reason = self._breaker.verdict(now)
        if reason is not None:
            self._halt(f"{reason} The last failure: {result}")

    def _end_attempt(self, item: Item, outcome: Outcome) -> None:
        """The end of the item, or of one of its steps."""
        walk = self._walks.get(item.id)
        if walk is None:
            self.settle(outcome)
        elif walk.passes(outcome):
            self._step_on(item, walk, outcome)
        else:
            self.settle(walk.stopped(outcome, self._plan.action.steps))

    def _step_on(self, item: Item, walk: Walk, outcome: Outcome) -> None:
        """A step is over: on record, together with where the item stands now."""
        over = StepRecord(
            walk.step,
            at=outcome.at,
            attempts=outcome.attempts,
            request_id=outcome.request_id,
            code=outcome.code,
            message=outcome.message,
        )
        after = self._walks[item.id] = self._pass_over(item.id, walk.after(over), over)
        if after.is_over:
            self.settle(after.arrived(outcome))
        else:
            self._ledger.restage([item], attempted=True)
            self._items.step_on(Item(item.id, step=after.step))

    def _pass_over(self, item_id: str, walk: Walk, *over: StepRecord) -> Walk:
        """Record the steps that are `over`, and those behind them that have nothing to do."""
        idle = walk.already_done(self._clock.time())
        if over or idle:
            self._ledger.complete(item_id, [*over, *idle])
        for record in idle:
            walk = walk.after(record)
        return walk

    def settle(self, outcome: Outcome) -> None:
        """Final: recorded, counted, judged by the guard, and on its way to the caller."""
        effect, walk = self._items.forget(outcome.item_id), self._walks.pop(outcome.item_id, None)
        if effect is not None and effect.is_known:
            outcome = replace(outcome, before=effect.before, after=effect.after)
        self._ledger.settle([outcome])
        self._tally.count(outcome)
        reason = self._guard.observe(outcome) if outcome.attempts and self._plan.guarded else None
        self._ready.append(outcome if walk is None else replace(outcome, attempts=walk.attempts_in_all(outcome)))
        if reason is not None:
            self._halt(reason)

    # -- answers that never came

    def look(self, room: int) -> int:
        """Read back items whose time has come, at most `room` of them; how many."""
        return self._doubts.look(room, self._on_seen)

    def _is_resendable(self, item: Item) -> bool:
        return self._plan.action.is_idempotent(item) or self._plan.options.resend_unknown

    def _put_in_doubt(self, item: Item, verdict: Verdict) -> None:
        self._ledger.settle([verdict.outcome])
        if self._guard.canary_open:
            self._guard.observe(verdict.outcome)
        known = self._is_resendable(item)
        if verdict.resendable is not None:
            known = verdict.resendable or self._plan.options.resend_unknown
        self._doubts.put(Doubt(item, verdict.outcome, known), self._items.current(item.id).started)

    def _on_seen(self, doubt: Doubt, seen: Seen) -> None:
        if seen is None or seen is False:
            self._breaker.untold()  # that it came to nothing says only that reading works; a write has to show more
        else:
            self._note_answer(seen)
        if isinstance(seen, (Unauthorized, RateLimited, LedgerError)):
            self._halt(str(seen))
        if isinstance(seen, (Unauthorized, RateLimited, LedgerError, Stopped)):
            self._doubts.put_back(doubt)
            return
        outcome = decide(doubt, seen, tries=self._plan.options.tries, at=self._clock.time())
        if outcome is None:
            self._doubts.look_again(doubt)
        elif outcome.status is Status.STAGED:
            self._ledger.restage([doubt.item], attempted=True)
            self._items.again(doubt.item)
        else:
            self._end_attempt(doubt.item, outcome)


def _is_lost(result: object) -> bool:
    return isinstance(result, Transient) and result.sent
