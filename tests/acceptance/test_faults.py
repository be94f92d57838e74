"""Whatever the network and the server do, every item ends with a reason and none is changed twice (Done-when 4)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import ConversationCloser, ConversationUpdater, RunOptions, RunState, Status, TagAssigner
from tests.acceptance.runs import QUICK, assert_accounted, closed, hasty, opened, run, sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk import Progress
    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]

ALL_AT_ONCE = {
    "errors_5xx": 0.1,
    "resets": 0.05,
    "resets_after_share": 0.5,
    "hangs": 0.01,
    "cut_bodies": 0.01,
    "html_200": 0.005,
    "gone": 0.01,
}
ALONE: dict[str, dict[str, Any]] = {
    "server errors": {"errors_5xx": 0.1},
    "server errors, half of them after the effect": {"errors_5xx": 0.1, "errors_5xx_after_share": 0.5},
    "resets": {"resets": 0.1},
    "hangs": {"hangs": 0.03},
    "cut bodies": {"cut_bodies": 0.05},
    "cut headers": {"cut_headers": 0.05},
    "empty answers": {"empty_200": 0.05},
    "pages of HTML with status 200": {"html_200": 0.05},
    "pages of HTML with status 403": {"html_403": 0.05},
    "429s without headers": {"plain_429": 0.05},
    "answers that drip": {"drips": 0.02},
}
CLOSE: dict[str, Any] = {"state": "open", "timeout": 0.5}


class NoteWriter(ConversationUpdater):
    """Adds a note to each conversation: a second one would be read by people."""

    def perform_action(self, item_id: str) -> dict[str, Any]:
        body = {"message_type": "note", "type": "admin", "admin_id": self.admin_id, "body": "Seen by the bulk run."}
        return self.request("POST", f"conversations/{item_id}/reply", json=body)


def close(sandbox: Sandbox, **arguments: Any) -> Any:
    return run(ConversationCloser(settings=hasty(sandbox)), team_id=sandbox.inbox_id, **{**CLOSE, **arguments})


def test_all_faults_at_once_leave_no_item_without_a_reason_and_none_closed_twice(start: Start) -> None:
    """Without the read-back some 25 of the items are closed twice."""
    sandbox = start(conversations=1200, **ALL_AT_ONCE)
    wanted = opened(sandbox)
    done = close(sandbox)
    assert sandbox.stats()["faults"].keys() == {"5xx", "reset", "hang", "cut_body", "html_200"}
    assert_accounted(done, wanted)
    assert set(sandbox.effects().values()) == {1}
    assert done.done <= closed(sandbox)
    assert closed(sandbox) <= done.ids(Status.DONE, Status.FAILED, Status.NEEDS_REVIEW)
    assert len(done.ids(Status.SKIPPED)) > 0
    assert len(done.ids(Status.FAILED, Status.NEEDS_REVIEW)) <= 12
    assert done.summary.state in {RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS}


@pytest.mark.parametrize("faults", ALONE.values(), ids=ALONE)
def test_each_fault_alone_is_outlived(start: Start, faults: dict[str, Any]) -> None:
    """Four tries of one in ten: an item in ten thousand may fail, with a reason; none is closed twice."""
    sandbox = start(conversations=150, drip_seconds=0.05, **faults)
    wanted = opened(sandbox)
    done = close(sandbox)
    assert sandbox.stats()["faults"]
    assert_accounted(done, wanted)
    assert done.done <= closed(sandbox)
    assert len(done.done) >= len(wanted) - 1
    assert set(sandbox.effects().values()) == {1}


def test_faults_do_not_tag_an_item_twice_either(start: Start) -> None:
    sandbox = start(conversations=200, resets=0.1, cut_bodies=0.05)
    done = run(TagAssigner(tag="stale", settings=hasty(sandbox)), team_id=sandbox.inbox_id, timeout=0.5)
    assert_accounted(done, {item["id"] for item in sandbox.items()})
    assert {item["id"] for item in sandbox.items() if item["tags"] == ["101"]} == done.done
    assert set(sandbox.effects().values()) == {1}


def test_when_every_answer_is_lost_after_the_effect_every_item_is_done_once(start: Start) -> None:
    """Without the read-back all of them are closed again."""
    sandbox = start(conversations=200, cut_bodies=1.0, fault_scope="writes")
    wanted = opened(sandbox)
    done = close(sandbox)
    assert done.done == wanted
    assert sandbox.effects() == dict.fromkeys(wanted, 1)


def test_a_server_that_is_still_at_it_is_not_asked_too_early(start: Start) -> None:
    """One answer in five comes after the time-out, and many of those effects too. Without the wait (`settle`) the item
    is read back before its effect shows, and closed again."""
    sandbox = start(conversations=200, latency_ms=100, latency_sigma=1.0, effect_at=0.9)
    wanted = opened(sandbox)
    done = close(sandbox, timeout=0.25, options=RunOptions(settle=1.5))
    assert_accounted(done, wanted)
    assert any(outcome.attempts > 1 for outcome in done.outcomes) or done.summary.requests > 250
    assert sandbox.effects() == dict.fromkeys(closed(sandbox), 1)


def test_a_note_is_never_written_twice_and_what_is_in_doubt_is_listed(start: Start) -> None:
    sandbox = start(conversations=200, resets=0.1, cut_bodies=0.05, fault_scope="writes")
    wanted = {item["id"] for item in sandbox.items()}
    done = run(NoteWriter(settings=hasty(sandbox)), team_id=sandbox.inbox_id)
    lost = sum(sandbox.stats()["faults"].values())
    noted = sandbox.effects()
    assert_accounted(done, wanted)
    assert set(noted.values()) == {1}
    assert len(done.ids(Status.NEEDS_REVIEW)) == lost > 0
    assert done.done == wanted - done.ids(Status.NEEDS_REVIEW)
    assert done.done <= set(noted)
    assert done.summary.unknown == lost


def test_a_note_in_doubt_is_written_again_when_that_was_asked_for(start: Start) -> None:
    sandbox = start(conversations=100, resets=0.1, resets_after_share=0.0, fault_scope="writes")
    wanted = {item["id"] for item in sandbox.items()}
    options = RunOptions(settle=0.2, resend_unknown=True)
    done = run(NoteWriter(settings=hasty(sandbox)), team_id=sandbox.inbox_id, options=options)
    assert done.done == wanted == set(sandbox.effects())


def test_a_note_that_surely_never_arrived_is_simply_written_again(start: Start) -> None:
    sandbox = start(conversations=100, plain_429=0.05, html_403=0.05, fault_scope="writes")
    wanted = {item["id"] for item in sandbox.items()}
    done = run(NoteWriter(settings=hasty(sandbox)), team_id=sandbox.inbox_id)
    assert done.done == wanted
    assert sandbox.effects() == dict.fromkeys(wanted, 1)


@pytest.mark.parametrize("kind", ["poison_500_ids", "poison_422_ids"])
def test_an_item_that_always_fails_gets_at_most_four_requests_and_stops_no_other(start: Start, kind: str) -> None:
    sandbox = start(conversations=200)
    wanted = sorted(opened(sandbox))
    bad = {wanted[0], wanted[61], wanted[-1]}
    sandbox.set(**{kind: sorted(bad)})
    done = close(sandbox)
    assert done.ids(Status.FAILED, Status.NEEDS_REVIEW) == bad
    assert done.done == set(wanted) - bad
    parts = sandbox.stats()["requests"]["POST /conversations/*/parts"]
    assert sum(parts.values()) - parts["200"] <= 4 * len(bad)


def test_writes_that_always_fail_halt_the_run_within_the_guards(start: Start) -> None:
    """Four tries each, whatever the kind of 5xx."""
    sandbox = start(conversations=400, errors_5xx=1.0, fault_scope="writes")
    done = close(sandbox, parallel_workers=10, options=replace(QUICK, patience=4.0))
    assert done.summary.state is RunState.HALTED
    assert len(done.ids(Status.FAILED)) <= 25
    assert sandbox.stats()["requests"]["POST /conversations/*/parts"].keys() <= {"500", "502", "503", "504"}
    assert sandbox.stats()["faults"]["5xx"] <= 4 * 40


def test_in_an_outage_hardly_anything_is_sent(start: Start) -> None:
    """Without the breaker some 2,000 requests reach the server in those three seconds."""
    sandbox = start(conversations=800)
    outage = {"began": 0.0, "sent": 0}
    closer = ConversationCloser(settings=hasty(sandbox))

    def watch(progress: Progress) -> None:
        if progress.done >= 100 and not outage["began"]:
            sandbox.set(errors_5xx=1.0)
            outage.update(began=progress.elapsed, sent=sent(sandbox))
        elif outage["began"] and progress.elapsed > outage["began"] + 3.0:
            outcomes.stop()

    options = RunOptions(settle=0.3, progress=watch)
    with closer.stream(team_id=sandbox.inbox_id, options=options, parallel_workers=20, **CLOSE) as outcomes:
        list(outcomes)
    assert outage["began"] > 0
    assert sent(sandbox) - outage["sent"] <= 120
    summary = outcomes.summary()
    assert summary.success + summary.failed + summary.unknown + summary.unprocessed <= 800
    assert summary.failed <= 3
    assert summary.state is RunState.STOPPED


def test_an_outage_that_passes_is_waited_out(start: Start) -> None:
    sandbox = start(conversations=400)
    wanted = opened(sandbox)
    outage = {"began": 0.0}

    def watch(progress: Progress) -> None:
        if progress.done >= 100 and not outage["began"]:
            outage["began"] = progress.elapsed
            sandbox.set(errors_5xx=1.0)
        elif outage["began"] and progress.elapsed > outage["began"] + 1.5:
            sandbox.set(errors_5xx=0.0)

    done = close(sandbox, options=RunOptions(settle=1.0, progress=watch))
    assert sandbox.stats()["faults"]["5xx"] > 0
    assert_accounted(done, wanted)
    assert len(done.done) >= 390
    assert set(sandbox.effects().values()) == {1}


@pytest.mark.slow
def test_when_all_is_refused_for_a_while_hardly_anything_is_sent_and_no_item_is_lost(start: Start) -> None:
    """A 429 closes the gate for all threads: sixteen that each try again would send a thousand."""
    sandbox = start(conversations=150)
    wanted = opened(sandbox)

    def reopen(progress: Progress) -> None:
        if progress.elapsed > 1.0:
            sandbox.set(plain_429=0.0)

    options = RunOptions(settle=QUICK.settle, progress=reopen)
    closer = ConversationCloser(settings=hasty(sandbox))
    done = run(
        closer,
        lambda settled: sandbox.set(plain_429=1.0) if settled == 20 else None,
        team_id=sandbox.inbox_id,
        options=options,
        parallel_workers=16,
        **CLOSE,
    )
    assert sandbox.effects() == dict.fromkeys(wanted, 1)
    assert done.done == wanted
    assert 0 < sandbox.stats()["statuses"]["429"] <= 120
    assert done.summary.rate_limited == sandbox.stats()["statuses"]["429"]


def test_a_429_costs_an_item_none_of_its_tries(start: Start) -> None:
    """Every second request is refused: one item in sixteen is refused four times or more."""
    sandbox = start(conversations=100, plain_429=0.5, fault_scope="writes")
    wanted = opened(sandbox)
    done = close(sandbox)
    assert sandbox.stats()["statuses"]["429"] > 50
    assert done.done == wanted
    assert {outcome.attempts for outcome in done.outcomes} == {1}
