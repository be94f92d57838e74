"""Runs of several steps an item: each step once, in order, on record, whatever cuts the run short."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intercom_bulk.errors import Gone, LeftAlone, Rejected, Transient, Unauthorized
from intercom_bulk.runs.ledger import Ledger
from intercom_bulk.runs.model import Effect, Item, Outcome, Page, Receipt, RunState, Slice, Status, StepRecord
from intercom_bulk.runs.options import RunOptions
from intercom_bulk.runs.record import RunRecord
from tests.runs.machine import Numbers, OpenGate, execution, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

LOST = Transient("lost", sent=True, code="reset")
BAD = Rejected("no", code="bad", status=422)
NOTHING = Effect({}, {})


def part(name: str, *, done: bool = False) -> Effect:
    return Effect({name: "new" if done else "old"}, {name: "new"})


@dataclass
class Stepping:
    """Does steps and remembers in which order. `script` may return or raise what a step comes to."""

    steps: Sequence[str] = ("note", "tag", "close")
    script: Callable[[str, int, int], Exception | None] = lambda _id, _step, _nth: None
    seen: Callable[[str, int], bool | None] = lambda _id, _step: None
    parts: Callable[[Item], Sequence[Effect | None] | None] = lambda _item: (part("a"), part("b"), part("c"))
    appends: frozenset[int] = frozenset({0})
    max_batch: int = 1
    order: list[tuple[str, int]] = field(default_factory=list)
    done: Counter[tuple[str, int]] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def prepare(self) -> None:
        return

    def is_idempotent(self, item: Item) -> bool:
        return item.step not in self.appends

    def effect(self, item: Item) -> Effect | None:
        parts = self.parts(item)
        return None if parts is None else Effect.of(parts)

    def perform(self, batch: Sequence[Item]) -> Sequence[Receipt | Exception]:
        return [self._one(item) for item in batch]

    def _one(self, item: Item) -> Receipt | Exception:
        with self.lock:
            self.order.append((item.id, item.step))
            nth = self.order.count((item.id, item.step))
        error = self.script(item.id, item.step, nth)
        if error is not None:
            return error
        with self.lock:
            self.done[item.id, item.step] += 1
        return Receipt(f"r{item.step}")

    def already_done(self, item: Item) -> bool | None:
        return self.seen(item.id, item.step)


def statuses(outcomes: Sequence[Outcome]) -> Counter[Status]:
    return Counter(outcome.status for outcome in outcomes)


def test_each_item_takes_each_step_once_and_is_reported_once() -> None:
    action = Stepping()
    outcomes, summary = run(Numbers(120), action)
    assert (summary.success, summary.state) == (120, RunState.COMPLETED)
    assert len(outcomes) == 120
    assert {(o.status, o.step, o.attempts, o.request_id) for o in outcomes} == {(Status.DONE, 3, 3, "r2")}
    assert {(tuple(o.before or ()), tuple(o.after or ())) for o in outcomes} == {(("c", "b", "a"), ("a", "b", "c"))}
    assert set(action.done.values()) == {1}
    taken: dict[str, list[int]] = {}
    for item_id, step in action.order:
        taken.setdefault(item_id, []).append(step)
    assert set(map(tuple, taken.values())) == {(0, 1, 2)}


def test_an_item_is_finished_before_another_is_begun() -> None:
    action = Stepping()
    run(Numbers(40), action, workers=1, options=RunOptions(canary=0))
    assert action.order == [(str(n), step) for n in range(40) for step in range(3)]


def test_the_canary_goes_all_the_way_before_the_eleventh_item_is_begun() -> None:
    action = Stepping()
    run(Numbers(200), action, gate=OpenGate(width=64))
    first_new = next(place for place, (item_id, _) in enumerate(action.order) if int(item_id) >= 10)
    assert Counter(action.order[:first_new]) == Counter((str(n), step) for n in range(10) for step in range(3))


@pytest.mark.parametrize("limit", [1, 9, 11, 30])
def test_max_items_counts_items_and_not_steps(limit: int) -> None:
    action = Stepping()
    _, summary = run(Numbers(100), action, max_items=limit, gate=OpenGate(width=64))
    assert (summary.success, len(action.order)) == (limit, 3 * limit)


def test_a_failed_step_ends_its_item_and_says_where() -> None:
    action = Stepping(script=lambda i, step, _n: BAD if int(i) % 20 == 7 and step == 1 else None)
    outcomes, summary = run(Numbers(100), action)
    failed = [o for o in outcomes if o.status is Status.FAILED]
    assert {(o.step, o.code, o.message) for o in failed} == {(1, "bad", "Step 2 of 3 (tag): no")}
    assert (summary.success, summary.failed) == (95, 5)
    assert sum(count for (_, step), count in action.done.items() if step == 2) == 95


def test_failures_of_a_late_step_halt_the_canary() -> None:
    action = Stepping(script=lambda _i, step, _n: BAD if step == 2 else None)
    _, summary = run(Numbers(500), action)
    assert summary.state is RunState.HALTED
    assert summary.failed <= 10
    assert summary.codes == {"bad": summary.failed}


def test_a_step_that_shows_already_needs_no_request() -> None:
    action = Stepping(parts=lambda item: (part("a", done=item.data["n"] % 2 == 0), part("b", done=True), part("c")))
    outcomes, _ = run(Numbers(60), action)
    assert {step for _, step in action.order} == {0, 2}
    assert {o.attempts for o in outcomes if int(o.item_id) % 2 == 0} == {1}
    assert {(o.status, o.step) for o in outcomes} == {(Status.DONE, 3)}


def test_what_comes_after_a_step_that_cannot_tell_is_done_regardless() -> None:
    """The step before may have changed it."""
    action = Stepping(parts=lambda _: (part("a", done=True), None, part("c", done=True)))
    run(Numbers(20), action)
    assert {step for _, step in action.order} == {1, 2}


def test_an_item_that_shows_every_step_already_is_skipped() -> None:
    action = Stepping(parts=lambda _: (part("a", done=True), part("b", done=True), NOTHING))
    outcomes, _ = run(Numbers(20), action)
    assert not action.order
    assert {(o.status, o.code) for o in outcomes} == {(Status.SKIPPED, "already_done")}


def test_an_item_of_which_each_step_says_that_it_was_done_is_skipped_too() -> None:
    there = LeftAlone("there", code="already_done")
    action = Stepping(script=lambda i, step, _n: there if i != "5" or step != 1 else None)
    outcomes, _ = run(Numbers(30), action)
    assert statuses(outcomes) == {Status.SKIPPED: 29, Status.DONE: 1}
    assert {o.code for o in outcomes if o.status is Status.SKIPPED} == {"already_done"}


def test_notes_of_the_steps_are_told_at_the_end() -> None:
    stays = LeftAlone("The note stays.", code="stays")
    outcomes, _ = run(Numbers(20), Stepping(script=lambda _i, step, _n: stays if step == 0 else None))
    assert {(o.status, o.message) for o in outcomes} == {(Status.DONE, "The note stays.")}


@pytest.mark.parametrize(
    ("error", "code"), [(LeftAlone("closed", code="closed"), "closed"), (Gone("not there", code="gone"), "gone")]
)
def test_an_item_left_alone_in_mid_way_is_no_skip(error: Exception, code: str) -> None:
    """Something was written to it."""
    action = Stepping(script=lambda i, step, _n: error if step == 1 and int(i) % 20 == 7 else None)
    outcomes, _ = run(Numbers(60), action)
    assert {(o.status, o.code) for o in outcomes if o.status is not Status.DONE} == {(Status.FAILED, code)}


def test_an_item_left_alone_at_its_first_step_is_skipped() -> None:
    action = Stepping(script=lambda i, _s, _n: LeftAlone("closed", code="closed") if int(i) % 20 == 7 else None)
    outcomes, _ = run(Numbers(60), action)
    assert {(o.status, o.code) for o in outcomes if o.status is not Status.DONE} == {(Status.SKIPPED, "closed")}


def test_a_dry_run_takes_no_step() -> None:
    action = Stepping(parts=lambda _: (part("a", done=True), part("b"), part("c")))
    outcomes, summary = run(Numbers(60), action, dry_run=True)
    assert not action.order
    assert summary.would_change == 60
    assert {o.code for o in outcomes} == {"dry_run"}


def test_bare_ids_take_every_step() -> None:
    action = Stepping(parts=lambda _: None)
    outcomes, _ = run(Numbers(30), action)
    assert set(action.done.values()) == {1}
    assert {(o.status, o.step, o.before) for o in outcomes} == {(Status.DONE, 3, None)}


# -- lost answers


def test_a_lost_answer_is_of_its_step_alone() -> None:
    looked: list[int] = []

    def seen(_id: str, step: int) -> bool:
        looked.append(step)
        return True

    action = Stepping(script=lambda _i, step, _n: LOST if step == 1 else None, seen=seen)
    outcomes, _ = run(Numbers(40), action)
    assert statuses(outcomes) == {Status.DONE: 40}
    assert set(looked) == {1}
    assert Counter(step for _, step in action.order) == {0: 40, 1: 40, 2: 40}


def test_a_step_that_did_not_arrive_is_repeated_only_where_that_is_harmless() -> None:
    def script(item_id: str, step: int, nth: int) -> Exception | None:
        return LOST if nth == 1 and (step == 1 or (step == 0 and item_id == "30")) else None

    action = Stepping(script=script, seen=lambda _i, _s: False)
    outcomes, _ = run(Numbers(60), action)
    (review,) = [o for o in outcomes if o.status is not Status.DONE]
    assert (review.item_id, review.status, review.step) == ("30", Status.NEEDS_REVIEW, 0)
    assert (review.message or "").startswith("Step 1 of 3 (note): ")
    assert {o.attempts for o in outcomes if o is not review} == {4}
    assert ("30", 1) not in action.done


def test_tries_are_counted_for_each_step() -> None:
    action = Stepping(script=lambda i, _s, nth: LOST if nth < 3 and i == "30" else None, seen=lambda _i, _s: False)
    action.appends = frozenset()
    outcomes, _ = run(Numbers(60), action, options=RunOptions(tries=3))
    assert {(o.status, o.attempts) for o in outcomes} == {(Status.DONE, 3), (Status.DONE, 9)}


# -- another life


def live(action: Stepping, path: Path, *, stop_after: int | None = None, **plan: object) -> list[Outcome]:
    """One life of a run on record, stopped when so many steps were sent."""
    ledger = Ledger(path)
    execute = execution(Numbers(30), action, ledger=ledger, **plan)
    inner, count = action.script, 0

    def script(item_id: str, step: int, nth: int) -> Exception | None:
        nonlocal count
        count += 1
        if count == stop_after:
            execute.stop()
        return inner(item_id, step, nth)

    action.script = script
    try:
        return list(execute.outcomes())
    finally:
        action.script = inner
        ledger.close()


@pytest.mark.parametrize("workers", [1, 4, None])
@pytest.mark.parametrize("stop_after", [1, 2, 3, 4, 17, 45])
def test_a_run_stopped_anywhere_goes_on_with_the_next_step(
    tmp_path: Path, stop_after: int, workers: int | None
) -> None:
    action, path = Stepping(), tmp_path / "run.db"
    first = live(action, path, stop_after=stop_after, workers=workers)
    second = live(action, path, workers=workers)
    assert {o.item_id for o in first} | {o.item_id for o in second} == {str(n) for n in range(30)}
    assert len(first) + len(second) == 30
    assert set(action.done.values()) == {1}
    assert len(action.done) == 90
    assert {(o.step, o.attempts) for o in [*first, *second]} == {(3, 3)}


def test_max_items_holds_over_the_lives_of_a_run(tmp_path: Path) -> None:
    action, path = Stepping(), tmp_path / "run.db"
    live(action, path, stop_after=14, workers=4, max_items=12)
    live(action, path, workers=4, max_items=12)
    assert set(Counter(item_id for item_id, _ in action.done).values()) == {3}
    assert len(action.done) == 36


def test_what_was_begun_is_finished_though_the_limit_is_spent(tmp_path: Path) -> None:
    action, path = Stepping(), tmp_path / "run.db"
    live(action, path, stop_after=4, workers=1, max_items=2, options=RunOptions(canary=0))
    assert ("1", 1) not in action.done
    live(action, path, workers=1, max_items=2)
    assert Counter(item_id for item_id, _ in action.done) == {"0": 3, "1": 3}


def test_an_interrupted_step_is_looked_at_and_the_finished_ones_are_not(tmp_path: Path) -> None:
    """As kill -9 leaves it: the intent of step 2 is on the disk, its outcome is not."""
    path = tmp_path / "run.db"
    ledger = Ledger(path)
    effect = Effect.of((part("a"), part("b"), part("c")))
    with ledger.atomic():
        ledger.save(RunRecord(run_id="test", title="test", pass_number=1))
        ledger.stage(Page([Item("x"), Item("y")], Slice("0", cursor="30", done=True)), 1, {"x": effect, "y": effect})
        ledger.start([Item("x"), Item("y")], 1.0)
        ledger.complete("x", [StepRecord(0, at=2.0, attempts=1, request_id="r0")])
        ledger.restage([Item("x")], attempted=True)
        ledger.start([Item("x")], 3.0)
    ledger.close()
    looked: list[tuple[str, int]] = []

    def seen(item_id: str, step: int) -> bool:
        looked.append((item_id, step))
        return True

    action = Stepping(seen=seen)
    outcomes = live(action, path)
    assert sorted(looked) == [("x", 1), ("y", 0)]
    assert sorted(action.order) == [("x", 2), ("y", 1), ("y", 2)]
    assert {(o.status, o.step, o.attempts) for o in outcomes} == {(Status.DONE, 3, 3)}


def test_a_refusal_of_the_token_in_mid_way_leaves_the_item_at_its_step(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    action = Stepping(script=lambda i, step, _n: Unauthorized("no", code="x") if (i, step) == ("20", 1) else None)
    live(action, path, workers=1)
    ledger = Ledger(path)
    (standing,) = [o for o in ledger.outcomes(Status.STAGED) if o.item_id == "20"]
    assert (standing.step, standing.attempts) == (1, 1)
    assert [record.at is not None for record in ledger.steps("20")["20"]] == [True, False, False]
    ledger.close()
    action.script = lambda _i, _s, _n: None
    live(action, path, workers=1)
    assert set(action.done.values()) == {1}
    assert len(action.done) == 90


@given(st.lists(st.sampled_from(["known", "done", "unknown"]), min_size=1, max_size=6), st.integers(0, 6))
def test_the_next_step_is_the_first_that_may_have_something_to_do(kinds: list[str], start: int) -> None:
    """Against a plain reading of the rule."""
    parts = {"known": part("a"), "done": part("a", done=True), "unknown": None}
    effect = Effect.of([parts[kind] for kind in kinds])
    open_ones = [
        number
        for number, kind in enumerate(kinds)
        if number >= start and (kind != "done" or "unknown" in kinds[:number])
    ]
    assert effect.next_step(start) == (open_ones[0] if open_ones else None)
    assert effect.is_done == (set(kinds) == {"done"})
