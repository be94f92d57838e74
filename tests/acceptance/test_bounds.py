"""How much a run may do, and what it says meanwhile."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import ConversationCloser, Progress, RunOptions, RunState, Status, UsageError
from tests.acceptance.old_style import CustomUpdater
from tests.acceptance.runs import QUICK, assert_accounted, assert_nothing_written, closed, opened, run, writes

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]


def close(sandbox: Sandbox, **arguments: Any) -> Any:
    return run(ConversationCloser(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id, state="open", **arguments)


@pytest.mark.parametrize("most", [1, 7, 37, 151])
@pytest.mark.parametrize("workers", [None, 3])
def test_max_items_is_exact(start: Start, most: int, workers: int | None) -> None:
    sandbox = start(conversations=400, latency_ms=10)
    done = close(sandbox, max_items=most, parallel_workers=workers)
    assert len(done.done) == done.summary.success == most
    assert writes(sandbox) == len(sandbox.effects()) == most


def test_max_items_counts_what_was_tried_failures_included_and_skips_are_free(start: Start) -> None:
    sandbox = start(conversations=300, share_closed=0.4)
    bad = [item["id"] for item in sandbox.items(state="open")][12:20]
    sandbox.set(poison_422_ids=bad)
    query = {"field": "team_assignee_id", "operator": "=", "value": sandbox.inbox_id}
    done = run(ConversationCloser(**sandbox.settings_kwargs()), query=query, max_items=50)
    assert (done.summary.success, done.summary.failed) == (42, 8)
    assert done.summary.skipped > 10
    assert writes(sandbox) == 50


def test_max_items_is_exact_when_answers_are_lost_and_tried_again(start: Start) -> None:
    """A second try of the same item is not a second item."""
    sandbox = start(conversations=300, resets=0.2, fault_scope="writes")
    done = close(sandbox, max_items=60)
    assert len(done.outcomes) == done.summary.success == 60
    assert len(sandbox.effects()) == 60
    assert set(sandbox.effects().values()) == {1}


def test_max_items_of_zero_does_nothing(start: Start) -> None:
    sandbox = start(conversations=20)
    assert close(sandbox, max_items=0).summary.success == 0
    assert_nothing_written(sandbox)


@pytest.mark.parametrize("updater", [ConversationCloser, CustomUpdater])
def test_a_dry_run_writes_nothing_and_says_what_it_would_do(start: Start, updater: type[ConversationCloser]) -> None:
    sandbox = start(conversations=320)
    wanted = opened(sandbox)
    state: dict[str, Any] = {"state": "open"} if updater is ConversationCloser else {}
    done = run(updater(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id, dry_run=True, **state)
    assert_nothing_written(sandbox)
    assert done.summary.would_change == 320
    assert {outcome.item_id for outcome in done.outcomes} == wanted
    assert {outcome.status for outcome in done.outcomes} == {Status.SKIPPED}
    assert done.summary.success == 0


def test_a_dry_run_tells_what_is_already_so_from_what_it_would_change(start: Start) -> None:
    sandbox = start(conversations=200, share_closed=0.5)
    wanted = opened(sandbox)
    query = {"field": "team_assignee_id", "operator": "=", "value": sandbox.inbox_id}
    done = run(ConversationCloser(**sandbox.settings_kwargs()), query=query, dry_run=True)
    assert done.summary.would_change == len(wanted)
    assert {outcome.item_id for outcome in done.outcomes if outcome.code != "already_done"} == wanted
    assert_nothing_written(sandbox)


def test_more_matches_than_refuse_above_are_refused_before_the_first_write(start: Start) -> None:
    sandbox = start(conversations=301)
    with pytest.raises(UsageError, match="301"):
        close(sandbox, options=RunOptions(refuse_above=300))
    assert_nothing_written(sandbox)


def test_as_many_matches_as_refuse_above_are_fine(start: Start) -> None:
    sandbox = start(conversations=300)
    assert close(sandbox, options=RunOptions(refuse_above=300)).summary.success == 300


def test_refuse_above_holds_for_a_source_that_gives_no_count(start: Start) -> None:
    sandbox = start(conversations=60)

    class Listed(CustomUpdater):
        def search_items(self, per_page: int = 150, **search_kwargs: Any) -> Any:
            yield from sorted(opened(sandbox))

    with pytest.raises(UsageError, match="refuse_above=50"):
        run(Listed(**sandbox.settings_kwargs()), options=RunOptions(refuse_above=50), team_id=sandbox.inbox_id)
    assert_nothing_written(sandbox)


@pytest.mark.parametrize("updater", [ConversationCloser, CustomUpdater])
def test_one_worker_is_serial(start: Start, updater: type[ConversationCloser]) -> None:
    sandbox = start(conversations=200, latency_ms=3, search_latency_ms=5, resets=0.02)
    state: dict[str, Any] = {"state": "open"} if updater is ConversationCloser else {}
    done = run(updater(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id, parallel_workers=1, **state)
    assert sandbox.stats()["peak_concurrent"] == 1
    assert done.summary.success == 200
    assert done.summary.bottleneck


@pytest.mark.parametrize("workers", [2, 15])
def test_a_number_of_workers_is_a_hard_cap(start: Start, workers: int) -> None:
    sandbox = start(conversations=300, latency_ms=10)
    close(sandbox, parallel_workers=workers)
    assert 2 <= sandbox.stats()["peak_concurrent"] <= workers


def test_the_canary_goes_alone(start: Start) -> None:
    """Ten items are sent; before their answers are in nothing else is risked."""
    sandbox = start(conversations=200, latency_ms=30, poison_422=1.0)
    done = close(sandbox)
    assert done.summary.state is RunState.HALTED
    assert writes(sandbox) == 10


def test_progress_is_told_often_and_makes_sense(start: Start) -> None:
    sandbox = start(conversations=500, latency_ms=60, poison_422=0.02, limit_per_minute=60_000)
    told: list[Progress] = []
    done = close(sandbox, options=RunOptions(progress=told.append), parallel_workers=20)
    assert len(told) >= done.summary.total_time.total_seconds() * 2
    for earlier, later in itertools.pairwise(told):
        assert earlier.elapsed <= later.elapsed
        assert earlier.settled <= later.settled
    for moment in told:
        assert moment.settled + moment.unknown + moment.in_flight <= 500
        assert moment.total in {None, 500}
        assert moment.in_flight <= 20
        assert moment.eta is None or moment.eta >= 0
        assert moment.budget_used is None or 0 <= moment.budget_used <= 1
        assert moment.window_ends_in is None or moment.window_ends_in <= 11
        assert moment.rate >= 0
    last = told[-1]
    assert last.limit == 10_000
    assert (last.done, last.failed, last.in_flight, last.eta) == (done.summary.success, done.summary.failed, 0, 0)
    assert last.total == 500


def test_progress_counts_an_item_in_doubt_while_it_is_in_doubt(start: Start) -> None:
    sandbox = start(conversations=60, hangs=0.1, fault_scope="writes")
    told: list[Progress] = []
    options = RunOptions(progress=told.append, settle=1.0)
    done = close(sandbox, options=options, timeout=0.3)
    assert max(moment.unknown for moment in told) > 0
    assert told[-1].unknown == 0
    assert_accounted(done, closed(sandbox))


def test_a_progress_callback_that_fails_does_not_stop_the_run(start: Start) -> None:
    sandbox = start(conversations=60)

    def fail(_: Progress) -> None:
        raise ZeroDivisionError

    assert close(sandbox, options=RunOptions(progress=fail, settle=QUICK.settle)).summary.success == 60


def test_a_summary_says_what_it_took(start: Start) -> None:
    sandbox = start(conversations=200)
    done = close(sandbox)
    summary = done.summary
    assert summary.state is RunState.COMPLETED
    assert summary.requests == sandbox.stats()["total"]
    assert summary.rate == pytest.approx(200 / summary.total_time.total_seconds())
    assert summary.rate_limited == 0
    assert summary.run_id
    assert "200 done" in str(summary)


def test_what_was_before_is_told_of_each_item(start: Start) -> None:
    sandbox = start(conversations=30)
    done = close(sandbox)
    assert all(o.before == {"state": "open", "snoozed_until": None} for o in done.outcomes)
    assert all(o.after == {"state": "closed"} and o.attempts == 1 and o.at > 0 for o in done.outcomes)
