"""The engine's promises, with a source and an action made of plain Python."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from intercom_bulk.clock import SYSTEM
from intercom_bulk.errors import Gone, RateLimited, Rejected, Transient, Unauthorized, UsageError
from intercom_bulk.runs.ledger import Ledger
from intercom_bulk.runs.model import Effect, Item, Outcome, Page, RunState, Slice, Status
from intercom_bulk.runs.options import RunOptions
from intercom_bulk.runs.seams import Plan
from intercom_bulk.runs.stream import OutcomeStream
from tests.runs.machine import Counting, Numbers, OpenGate, execution, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from intercom_bulk.runs.summary import Progress

pytestmark = pytest.mark.slow

LOST = Transient("lost", sent=True, code="reset")
BAD = Rejected("no", code="bad", status=422)


def statuses(outcomes: Sequence[Outcome]) -> Counter[Status]:
    return Counter(outcome.status for outcome in outcomes)


def test_every_item_is_done_once_and_reported_once() -> None:
    action = Counting()
    outcomes, summary = run(Numbers(1_000), action)
    assert sorted(int(o.item_id) for o in outcomes) == list(range(1_000))
    assert set(action.done.values()) == {1}
    assert (summary.success, summary.state, summary.unprocessed) == (1_000, RunState.COMPLETED, 0)


def test_an_empty_source_is_a_completed_run() -> None:
    outcomes, summary = run(Numbers(0, repeatable=True), Counting())
    assert not outcomes
    assert summary.state is RunState.COMPLETED


def test_the_first_ten_go_alone_and_all_at_once() -> None:
    gate, before_canary_ended = threading.Event(), []
    action = Counting()

    def script(item_id: str, _nth: int) -> None:
        if int(item_id) < 10:
            if action.at_once == 10:
                gate.set()
            gate.wait(5)
        else:
            before_canary_ended.append(sum(action.done[str(n)] for n in range(10)))

    action.script = script
    run(Numbers(200), action, gate=OpenGate(width=32))
    assert gate.is_set(), "the ten were not in flight together"
    assert min(before_canary_ended) == 10


def test_three_failures_of_the_first_ten_halt_the_run() -> None:
    action = Counting(script=lambda _id, _nth: BAD)
    outcomes, summary = run(Numbers(500), action)
    assert summary.state is RunState.HALTED
    assert sum(action.calls.values()) <= 10
    assert "items failed" in (summary.reason or "")
    assert len(outcomes) <= 10
    assert summary.unprocessed >= 40


def test_a_missing_target_in_mid_run_halts_it_soon() -> None:
    missing = Rejected("no such tag", code="tag_not_found", status=404, target=True)
    action = Counting(script=lambda item_id, _nth: missing if int(item_id) >= 100 else None)
    _, summary = run(Numbers(1_000), action)
    assert summary.state is RunState.HALTED
    assert "tag_not_found" in (summary.reason or "")
    assert summary.failed <= 3 + 8


def test_single_failures_stop_nothing() -> None:
    action = Counting(script=lambda item_id, _nth: BAD if int(item_id) % 10 == 5 else None)
    outcomes, summary = run(Numbers(1_000), action)
    assert statuses(outcomes) == {Status.DONE: 900, Status.FAILED: 100}
    assert summary.state is RunState.COMPLETED_WITH_ERRORS


def test_gone_items_are_skipped_with_the_reason() -> None:
    gone = Gone("not there", code="gone", status=404)
    outcomes, _ = run(Numbers(100), Counting(script=lambda i, _n: gone if int(i) % 7 == 3 else None))
    assert {o.code for o in outcomes if o.status is Status.SKIPPED} == {"gone"}


def test_an_error_in_user_code_is_one_items_failure_with_its_traceback() -> None:
    def script(item_id: str, _nth: int) -> None:
        if item_id == "17":
            raise KeyError("oops")

    outcomes, _ = run(Numbers(50), Counting(script=script))
    (failed,) = [o for o in outcomes if o.status is Status.FAILED]
    assert (failed.item_id, failed.code) == ("17", "KeyError")
    assert "in script" in (failed.detail or "")


def test_a_secret_in_the_message_of_a_bug_is_not_recorded() -> None:
    def script(item_id: str, _nth: int) -> None:
        if item_id == "17":
            raise ValueError("Bearer s3cret")

    outcomes, _ = run(Numbers(50), Counting(script=script), redact=lambda text: text.replace("s3cret", "…"))
    (failed,) = [o for o in outcomes if o.status is Status.FAILED]
    assert "s3cret" not in f"{failed.message} {failed.detail}"
    assert failed.message == "Bearer …"


def test_system_exit_in_user_code_does_not_hang_the_run() -> None:
    def script(item_id: str, _nth: int) -> None:
        if item_id == "17":
            raise SystemExit

    outcomes, _ = run(Numbers(50), Counting(script=script))
    assert statuses(outcomes)[Status.FAILED] == 1


@pytest.mark.parametrize("error", [Unauthorized("no", code="forbidden", status=403), RateLimited("closed for long")])
def test_what_concerns_the_whole_run_halts_it_and_leaves_the_items_staged(error: Exception) -> None:
    action = Counting(script=lambda item_id, _nth: error if int(item_id) >= 100 else None)
    outcomes, summary = run(Numbers(500), action)
    assert summary.state is RunState.HALTED
    assert statuses(outcomes) == {Status.DONE: len(outcomes)}
    assert summary.success + summary.unprocessed >= 150
    assert summary.unknown == summary.failed == 0


# -- lost answers


def test_a_lost_answer_of_an_applied_action_is_done_and_not_repeated() -> None:
    action = Counting(script=lambda _id, _n: LOST, seen=lambda _id: True, idempotent=True)
    outcomes, _ = run(Numbers(60), action)
    assert statuses(outcomes) == {Status.DONE: 60}
    assert set(action.calls.values()) == {1}


def test_a_lost_answer_of_an_action_that_did_not_arrive_is_repeated_where_that_is_harmless() -> None:
    action = Counting(script=lambda _id, n: LOST if n == 1 else None, seen=lambda _id: False, idempotent=True)
    outcomes, _ = run(Numbers(60), action)
    assert {(o.status, o.attempts) for o in outcomes} == {(Status.DONE, 2)}


@pytest.mark.parametrize("seen", [False, None])
def test_an_append_whose_answer_was_lost_is_left_to_a_person(seen: bool | None) -> None:
    action = Counting(script=lambda i, _n: LOST if int(i) % 20 == 0 else None, seen=lambda _id: seen)
    outcomes, summary = run(Numbers(60), action)
    assert statuses(outcomes) == {Status.DONE: 57, Status.NEEDS_REVIEW: 3}
    assert set(action.calls.values()) == {1}
    assert (summary.unknown, summary.state) == (3, RunState.COMPLETED_WITH_ERRORS)


def test_resend_unknown_overrides_that() -> None:
    action = Counting(script=lambda _id, n: LOST if n == 1 else None)
    outcomes, _ = run(Numbers(20), action, options=RunOptions(resend_unknown=True))
    assert statuses(outcomes) == {Status.DONE: 20}


def test_the_request_knows_better_than_the_action_whether_it_may_be_repeated() -> None:
    harmless = Transient("lost", sent=True, code="reset", resendable=True)
    action = Counting(script=lambda _id, n: harmless if n == 1 else None, seen=lambda _id: False)
    outcomes, _ = run(Numbers(20), action)
    assert statuses(outcomes) == {Status.DONE: 20}


def test_tries_run_out_and_the_item_fails() -> None:
    action = Counting(script=lambda i, _n: LOST if i == "30" else None, seen=lambda _id: False, idempotent=True)
    outcomes, _ = run(Numbers(60), action, options=RunOptions(tries=3))
    (failed,) = [o for o in outcomes if o.status is not Status.DONE]
    assert (failed.item_id, failed.status, failed.attempts, failed.code) == ("30", Status.FAILED, 3, "reset")


def test_a_look_that_keeps_failing_leaves_the_item_to_a_person() -> None:
    action = Counting(script=lambda i, _n: LOST if i == "30" else None, seen=lambda _id: LOST, idempotent=True)
    outcomes, _ = run(Numbers(60), action)
    assert statuses(outcomes)[Status.NEEDS_REVIEW] == 1


def test_an_item_that_is_gone_when_looked_at_is_skipped() -> None:
    gone = Gone("not there", code="gone", status=404)
    action = Counting(script=lambda i, _n: LOST if i == "30" else None, seen=lambda _id: gone)
    outcomes, _ = run(Numbers(60), action)
    assert statuses(outcomes) == {Status.DONE: 59, Status.SKIPPED: 1}


def test_a_server_that_answers_nothing_is_not_hammered_and_the_items_are_not_lost() -> None:
    action = Counting(script=lambda _id, _n: LOST, seen=lambda _id: LOST, idempotent=True)
    execute_for = threading.Timer(3.0, lambda: stopping.stop())
    ledger = Ledger()
    stopping = execution(Numbers(5_000), action, ledger=ledger, settle_set=60.0)
    execute_for.start()
    outcomes = list(stopping.outcomes())
    summary = stopping.final_summary()
    ledger.close()
    assert not outcomes
    assert sum(action.calls.values()) <= 25 + 11 + 3
    assert summary.unknown + summary.unprocessed >= 300


def test_a_short_outage_costs_no_item() -> None:
    sent = Counter[str]()

    def script(item_id: str, _nth: int) -> Exception | None:
        sent["all"] += 1
        return LOST if 100 <= sent["all"] < 122 else None  # 20 open the breaker, two are its probes

    action = Counting(script=script, seen=lambda _id: False, idempotent=True)
    _, summary = run(Numbers(300), action)
    assert summary.success == 300


# -- limits of the caller


@pytest.mark.parametrize("limit", [0, 1, 9, 10, 11, 57])
def test_max_items_is_exact(limit: int) -> None:
    action = Counting()
    _, summary = run(Numbers(300), action, max_items=limit, gate=OpenGate(width=64))
    assert sum(action.calls.values()) == summary.success == limit


def test_max_items_counts_attempts_and_not_skips() -> None:
    def decide(item: Item) -> Effect:
        return Effect({"s": "done" if item.data["n"] % 2 else "open"}, {"s": "done"})

    action = Counting(decide=decide)
    _, summary = run(Numbers(300), action, max_items=20)
    assert sum(action.calls.values()) == 20
    assert summary.skipped >= 19


def test_a_second_try_is_not_a_second_item_under_max_items() -> None:
    action = Counting(script=lambda _id, n: LOST if n == 1 else None, seen=lambda _id: False, idempotent=True)
    _, summary = run(Numbers(300), action, max_items=15)
    assert summary.success == 15


def test_one_worker_is_serial() -> None:
    action = Counting()
    run(Numbers(100), action, workers=1)
    assert action.peak == 1


def test_a_batch_goes_out_together_and_each_item_has_its_outcome() -> None:
    action = Counting(max_batch=7, script=lambda i, _n: BAD if i == "40" else None)
    outcomes, _ = run(Numbers(100), action)
    assert statuses(outcomes) == {Status.DONE: 99, Status.FAILED: 1}


def test_a_dry_run_performs_nothing_and_says_what_it_would_do() -> None:
    action = Counting(decide=lambda item: Effect({"s": "open"}, {"s": "closed" if item.data["n"] % 2 else "open"}))
    outcomes, summary = run(Numbers(100), action, dry_run=True)
    assert not action.calls
    assert summary.would_change == 50
    assert Counter(o.code for o in outcomes) == {"dry_run": 50, "already_done": 50}
    assert all(o.before == {"s": "open"} for o in outcomes)


@pytest.mark.parametrize("total", [500, None])
def test_refuse_above_writes_nothing_when_more_match(total: int | None) -> None:
    action = Counting()
    with pytest.raises(UsageError, match="more than refuse_above=100: nothing was written"):
        run(Numbers(500, total=total), action, options=RunOptions(refuse_above=100))
    assert not action.calls


@pytest.mark.parametrize("total", [100, None])
def test_refuse_above_lets_pass_what_was_expected(total: int | None) -> None:
    _, summary = run(Numbers(100, total=total), Counting(), options=RunOptions(refuse_above=100))
    assert summary.success == 100


def test_a_refused_preparation_raises_before_anything_is_performed() -> None:
    action = Counting(refuse=UsageError("no such tag"))
    with pytest.raises(UsageError, match="no such tag"):
        run(Numbers(100), action)
    assert not action.calls


# -- reading


def test_sweeps_find_what_acting_hid_and_end_when_nothing_is_new() -> None:
    source, action = Numbers(300, repeatable=True, missed=frozenset({3, 77, 299})), Counting()
    _, summary = run(source, action)
    assert summary.success == 300
    assert source.passes == 3
    assert set(action.done.values()) == {1}


def test_a_looping_cursor_is_seen_before_more_than_the_canary_went() -> None:
    class Looping(Numbers):
        def read(self, part: Slice) -> Page:
            if part.pages:
                raise UsageError("the same page again")
            return super().read(part)

    action = Counting()
    _, summary = run(Looping(500), action)
    assert summary.state is RunState.HALTED
    assert sum(action.calls.values()) <= 10


@pytest.mark.parametrize("per_page", [299, 300, 301, 500, 5_000])
def test_a_first_page_larger_than_the_run_reads_ahead_does_not_hold_it_up(per_page: int) -> None:
    _, summary = run(Numbers(1_200, per_page=per_page), Counting())
    assert summary.success == 1_200


@pytest.mark.parametrize("per_page", [pytest.param(150, marks=pytest.mark.long), 500, 2_000])
def test_a_second_life_with_much_left_over_goes_on(per_page: int, tmp_path: Path) -> None:
    source, path = Numbers(3_000, per_page=per_page), tmp_path / "run.db"
    ledger = Ledger(path)
    first = execution(source, Counting(), ledger=ledger, gate=OpenGate(width=64))
    outcomes = first.outcomes()
    for _ in range(60):
        next(outcomes)
    outcomes.close()
    ledger.close()
    again = Ledger(path)
    execute = execution(source, Counting(), ledger=again)
    list(execute.outcomes())
    assert execute.final_summary().success == 3_000
    again.close()


def test_slices_are_read_side_by_side_where_one_is_too_slow() -> None:
    class Splittable(Numbers):
        def open(self) -> Sequence[Slice]:
            return [Slice("0", lo=0, hi=self.count - 1, until=self.count - 1, position=0)]

        def read(self, part: Slice) -> Page:
            SYSTEM.sleep(0.05)
            start = int(part.cursor if part.cursor is not None else part.lo or 0)
            end = min(start + self.per_page, int(part.hi or 0) + 1)
            after = replace(part, cursor=str(end), position=float(end), pages=part.pages + 1, done=end > (part.hi or 0))
            return Page([Item(str(n), {"n": n}) for n in range(start, end)], after)

        def split(self, part: Slice) -> tuple[Slice, Slice] | None:  # type: ignore[override]
            position, until = part.position or 0, part.until or 0
            if until - position < 100:
                return None
            middle = (position + until) // 2
            return replace(part, until=middle), Slice(f"{part.key}.{middle}", middle, until, until, None, middle)

    ledger = Ledger()
    action = Counting()
    execute = execution(Splittable(3_000), action, ledger=ledger)
    outcomes = list(execute.outcomes())
    ledger.close()
    assert len({o.item_id for o in outcomes}) == len(outcomes) == 3_000
    assert set(action.done.values()) == {1}


def test_memory_of_the_walk_is_bounded_by_what_goes_out() -> None:
    source, action = Numbers(100_000, per_page=150), Counting()
    ledger = Ledger()
    outcomes = execution(source, action, ledger=ledger).outcomes()
    ahead: list[int] = []
    for _ in range(3_000):
        next(outcomes)
        ahead.append(source.reads * 150 - len(ahead))
    outcomes.close()
    ledger.close()
    assert max(ahead) <= 150 * 4


# -- stopping


def stream(source: Numbers, action: Counting) -> OutcomeStream:
    def plan() -> Plan:
        return Plan(run_id="t", title="t", source=source, action=action, gate=OpenGate())

    return OutcomeStream(Ledger, plan, SYSTEM, ahead=50)


def test_closing_the_iterator_ends_the_run_and_records_what_was_in_flight() -> None:
    action = Counting()
    outcomes = stream(Numbers(10_000), action)
    for _ in range(30):
        next(outcomes)
    outcomes.close()
    sent = sum(action.calls.values())
    summary = outcomes.summary()
    assert sent < 1_000
    assert summary.state is RunState.STOPPED
    assert summary.success == sent == sum(action.calls.values())
    assert next(outcomes, None) is None


def test_an_exception_in_the_callers_loop_stops_the_run() -> None:
    action = Counting()

    def caller() -> None:
        with stream(Numbers(10_000), action) as outcomes:
            for outcome in outcomes:
                raise RuntimeError(outcome.item_id)

    with pytest.raises(RuntimeError):
        caller()
    assert sum(action.calls.values()) < 1_000
    assert not [t for t in threading.enumerate() if t.name.startswith("intercom-bulk")]


def test_dropping_the_iterator_stops_the_run() -> None:
    action = Counting()
    outcomes = stream(Numbers(1_000_000), action)
    next(outcomes)
    del outcomes
    gc.collect()
    assert_all_threads_end()
    assert sum(action.calls.values()) < 1_000


def test_a_reader_that_dies_without_closing_does_not_leave_the_run_hanging() -> None:
    action = Counting()
    outcomes = stream(Numbers(1_000_000), action)
    reader = threading.Thread(target=lambda: next(outcomes))
    reader.start()
    reader.join()
    assert_all_threads_end()
    assert sum(action.calls.values()) < 1_000
    assert outcomes.summary().state is RunState.STOPPED


def assert_all_threads_end() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("intercom-bulk"):
            thread.join(timeout=10)
            assert not thread.is_alive()


def test_a_stream_that_is_never_iterated_starts_nothing() -> None:
    action = Counting()
    stream(Numbers(100), action).close()
    assert not action.calls


def test_what_the_run_raises_arrives_in_the_callers_thread() -> None:
    with pytest.raises(UsageError, match="no such tag"):
        list(stream(Numbers(10), Counting(refuse=UsageError("no such tag"))))


# -- telling


def test_progress_ends_with_the_totals() -> None:
    seen: list[Progress] = []
    run(Numbers(500, total=500), Counting(), options=RunOptions(progress=seen.append))
    assert (seen[-1].done, seen[-1].total, seen[-1].in_flight) == (500, 500, 0)
    assert all(0 <= p.settled <= 500 for p in seen)


def test_a_progress_callback_that_fails_does_not_stop_the_run(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Progress) -> None:
        raise ZeroDivisionError

    _, summary = run(Numbers(100), Counting(), options=RunOptions(progress=broken))
    assert summary.success == 100
    assert caplog.text.count("not called again") == 1


def test_a_summary_reads_like_the_dict_it_replaces() -> None:
    _, summary = run(Numbers(10), Counting())
    assert summary["success"] == 10
    assert {"success", "failed", "total_time", "rate"} <= set(summary)
    assert dict(summary)["failed"] == 0
    with pytest.raises(KeyError):
        summary["nonsense"]
