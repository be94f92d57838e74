"""A second life of a run: what it takes over, and what it must not take for granted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import ConversationCloser, RunOptions
from intercom_bulk.errors import Transient
from intercom_bulk.runs.doubt import DEATHS
from intercom_bulk.runs.ledger import Ledger
from intercom_bulk.runs.model import Item, Page, RunState, Slice, Status
from intercom_bulk.runs.record import RunRecord
from intercom_bulk.updaters.running.action import UpdaterAction
from tests.runs.machine import Counting, Numbers, execution

if TYPE_CHECKING:
    from pathlib import Path

    from intercom_bulk.runs.model import Outcome


def stopped_after(count: int, source: Numbers, action: Counting, path: Path) -> None:
    """A first life that ends after so many outcomes."""
    ledger = Ledger(path)
    run = execution(source, action, ledger=ledger, workers=2)
    for number, _ in enumerate(run.outcomes(), start=1):
        if number == count:
            run.stop()
    ledger.close()


def resumed(source: Numbers, action: Counting, path: Path) -> Any:
    ledger = Ledger(path)
    run = execution(source, action, ledger=ledger, workers=2)
    list(run.outcomes())
    summary = run.final_summary()
    ledger.close()
    return summary


def test_a_resumed_run_has_a_canary_of_its_own(tmp_path: Path) -> None:
    """Not the first life's, which is over: it would be waited for for ever."""
    action = Counting()
    stopped_after(40, Numbers(200), action, tmp_path / "run.db")
    summary = resumed(Numbers(200), action, tmp_path / "run.db")
    assert (summary.state, summary.success) == (RunState.COMPLETED, 200)
    assert set(action.done.values()) == {1}


def test_what_was_done_before_counts_as_done_and_not_into_the_speed(tmp_path: Path) -> None:
    action = Counting()
    stopped_after(150, Numbers(200), action, tmp_path / "run.db")
    before = len(action.done)
    ledger = Ledger(tmp_path / "run.db")
    run = execution(Numbers(200), action, ledger=ledger, workers=2)
    outcomes = run.outcomes()
    next(outcomes)
    assert run.latest is not None
    assert run.latest.total == 200
    assert before <= run.latest.settled <= 200
    now = len(list(outcomes)) + 1
    summary, last = run.final_summary(), run.latest
    ledger.close()
    assert (last.settled, summary.success) == (200, 200)
    assert now == 200 - before
    assert summary.rate == pytest.approx(now / summary.total_time.total_seconds())
    assert last.rate * last.elapsed <= now + 1, "what earlier lives did is no speed of this one"


def test_the_pass_after_a_pass_that_was_cut_short_is_still_made(tmp_path: Path) -> None:
    """What the first life found is forgotten, so it may have been something: items hidden by it turn up now."""
    source = Numbers(100, repeatable=True, missed=frozenset({7, 99}))
    action = Counting()
    stopped_after(97, source, action, tmp_path / "run.db")
    source.passes = 1
    summary = resumed(source, action, tmp_path / "run.db")
    assert summary.success == 100


def test_a_run_that_is_over_is_not_searched_again(tmp_path: Path) -> None:
    source, action = Numbers(100, repeatable=True), Counting()
    resumed(source, action, tmp_path / "run.db")
    reads = source.reads
    summary = resumed(source, action, tmp_path / "run.db")
    assert (summary.state, summary.success, source.reads) == (RunState.COMPLETED, 100, reads)


def test_a_doubt_settles_from_the_last_moment_that_it_may_have_been_sent(tmp_path: Path) -> None:
    """An intent may have waited for its turn for longer than the server needs."""
    ledger = Ledger(tmp_path / "run.db")
    with ledger.atomic():
        ledger.stage(Page([Item("1")], Slice("0")), 1)
        ledger.start([Item("1")], 100.0)
    ((_, since),) = ledger.recover(1, alive_until=109.0).doubts
    assert since == 109.0
    ((outcome, since),) = ledger.recover(1, alive_until=500.0).doubts
    assert (outcome.status, since) == (Status.UNKNOWN, 109.0)
    ledger.close()


def died_in_flight(path: Path, times: int) -> None:
    """So many lives, each of which ended with item "0" sent and unanswered, as the ledger has it then."""
    ledger = Ledger(path)
    with ledger.atomic():
        ledger.save(RunRecord(run_id="test", title="test", pass_number=1))
        ledger.stage(Page([Item("0")], Slice("0", done=True)), 1)
        ledger.start([Item("0")], 1.0)
    for _ in range(times - 1):
        ledger.recover(1)
        with ledger.atomic():
            ledger.restage([Item("0")], attempted=True)
            ledger.start([Item("0")], 1.0)
    ledger.close()


def last_life(action: Counting, path: Path) -> Outcome:
    ledger = Ledger(path)
    (outcome,) = execution(Numbers(1), action, ledger=ledger).outcomes()
    ledger.close()
    return outcome


def test_the_death_of_a_process_costs_an_item_none_of_its_tries(tmp_path: Path) -> None:
    """What was begun goes first in the next life, so that the same items are in flight whenever lives are short."""
    action = Counting(seen=lambda _: False, idempotent=True)
    died_in_flight(tmp_path / "run.db", DEATHS - 1)
    outcome = last_life(action, tmp_path / "run.db")
    assert (outcome.status, outcome.attempts, action.calls["0"]) == (Status.DONE, DEATHS, 1)


def test_an_answer_that_is_lost_costs_a_try_also_after_deaths(tmp_path: Path) -> None:
    action = Counting(lambda *_: Transient("lost", sent=True, code="timeout"), seen=lambda _: False, idempotent=True)
    died_in_flight(tmp_path / "run.db", 3)
    outcome = last_life(action, tmp_path / "run.db")
    assert (outcome.status, action.calls["0"]) == (Status.FAILED, RunOptions().tries)


@pytest.mark.parametrize(("seen", "status"), [(False, Status.FAILED), (None, Status.NEEDS_REVIEW), (True, Status.DONE)])
def test_an_item_that_every_process_died_of_is_left_alone_in_the_end(
    seen: bool | None, status: Status, tmp_path: Path
) -> None:
    action = Counting(seen=lambda _: seen, idempotent=True)
    died_in_flight(tmp_path / "run.db", DEATHS)
    outcome = last_life(action, tmp_path / "run.db")
    assert (outcome.status, action.calls["0"]) == (status, 0)
    assert status is Status.DONE or str(outcome.message).startswith("100 processes ended while it was in flight")


def test_what_must_not_be_sent_twice_is_not_sent_again_after_the_first_death(tmp_path: Path) -> None:
    action = Counting(seen=lambda _: False)
    died_in_flight(tmp_path / "run.db", 1)
    assert last_life(action, tmp_path / "run.db").status is Status.NEEDS_REVIEW
    assert action.calls["0"] == 0


class Quiet(ConversationCloser):
    """Only searches differently."""


class Talkative(ConversationCloser):
    """Does something else, of which nothing was said."""

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return {"said": item_id}


def test_what_is_said_of_an_action_is_not_said_of_its_override() -> None:
    knows = {"access_token": "sandbox-token", "base_url": "http://127.0.0.1:1", "admin_id": "1"}
    said = [UpdaterAction(kind(**knows), {}, timeout=1.0).idempotent for kind in (ConversationCloser, Quiet, Talkative)]
    assert said == [True, True, False]
