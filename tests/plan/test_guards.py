"""Filters and hold-outs: decided from the search result, without a request, and never silently off."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import ConversationCloser, Exclude, RunOptions, TagAssigner, UsageError
from intercom_bulk.errors import LeftAlone
from intercom_bulk.updaters.running.holdouts import customer_wrote_at, leave_alone
from tests.acceptance.runs import assert_nothing_written, run
from tests.plan.desk import Desk, codes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]


def test_a_filtered_item_is_skipped_without_a_request_and_costs_no_max_items(start: Start) -> None:
    sandbox = start(conversations=60)
    chosen = {item["id"] for item in sandbox.items()[::3]}

    class Chosen(ConversationCloser):
        def should_process(self, item: dict[str, Any]) -> bool:
            return item["id"] in chosen

    done = run(Chosen(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id, max_items=20)
    assert set(sandbox.effects()) == chosen == done.done
    assert done.summary.codes == {"filtered": 40}


@pytest.mark.parametrize("skew", [0.0, 7200.0], ids=["clocks agree", "ours is two hours slow"])
def test_a_customer_who_wrote_just_now_is_left_alone(start: Start, skew: float) -> None:
    """Reckoned by the server's clock: by ours, two hours slow or fast, the wrong ones would be held out."""
    sandbox = start(conversations=40, clock_skew=skew, days=30)
    busy = {item["id"] for item in sandbox.items()[:5]}
    for item_id in busy:
        Desk(sandbox).customer_writes(item_id)
    options = RunOptions(settle=0.3, exclude=Exclude(customer_wrote_within=timedelta(minutes=5)))
    done = run(ConversationCloser(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id, options=options)
    held = {o.item_id for o in done.outcomes if o.code == "held_out"}
    assert busy <= held
    assert {o.message for o in done.outcomes if o.code == "held_out"} == {"The customer wrote in the last 5 minutes."}
    assert len(held) <= 8
    assert done.summary.success == 40 - len(held)


def test_priority_is_held_out(start: Start) -> None:
    sandbox = start(conversations=10)
    urgent = list(sandbox.workspace.conversations.values())[:3]
    for conversation in urgent:
        conversation.priority = "priority"
    options = RunOptions(settle=0.3, exclude=Exclude(priority=True))
    closer = ConversationCloser(**sandbox.settings_kwargs())
    summary = closer.bulk_process(team_id=sandbox.inbox_id, options=options)
    codes = codes_of(closer, summary.run_id)
    assert {item for item, code in codes.items() if code == "held_out"} == {str(c.id) for c in urgent}


@pytest.mark.parametrize(
    ("sla", "held"),
    [(None, False), ("hit", False), ("cancelled", False), ("active", True), ("missed", True), ("new word", True)],
)
def test_an_sla_that_runs_or_was_missed_is_held_out(start: Start, sla: str | None, held: bool) -> None:
    closer = ConversationCloser(**start(conversations=1).settings_kwargs())
    item = {"id": "1", "sla_applied": None if sla is None else {"sla_status": sla}}
    if held:
        with pytest.raises(LeftAlone, match="SLA"):
            leave_alone(closer, Exclude(sla=True), item)
    else:
        leave_alone(closer, Exclude(sla=True), item)


def test_when_a_customer_last_wrote_is_taken_from_whatever_tells_it() -> None:
    assert customer_wrote_at({}) is None
    assert customer_wrote_at({"statistics": {"last_contact_reply_at": 7}, "waiting_since": 5}) == 7
    assert customer_wrote_at({"statistics": None, "waiting_since": 5}) == 5
    assert customer_wrote_at({"created_at": 3, "source": {"author": {"type": "lead"}}}) == 3
    assert customer_wrote_at({"created_at": 3, "source": {"author": {"type": "admin"}}}) is None


def test_a_guard_that_could_not_work_is_refused(start: Start) -> None:
    sandbox = start(conversations=5)

    class Blind(ConversationCloser):
        def search_items(self, per_page: int = 150, **search_kwargs: Any) -> Iterator[str]:
            yield from super().search_items(per_page, **search_kwargs)

    class BlindAndPicky(Blind):
        def should_process(self, item: dict[str, Any]) -> bool:
            return False

    options = RunOptions(exclude=Exclude(priority=True))
    with pytest.raises(UsageError, match="exclude="):
        Blind(**sandbox.settings_kwargs()).bulk_process(team_id=sandbox.inbox_id, options=options)
    with pytest.raises(UsageError, match="should_process"):
        BlindAndPicky(**sandbox.settings_kwargs()).bulk_process(team_id=sandbox.inbox_id)
    everybody: dict[str, Any] = {"query": {"field": "role", "operator": "=", "value": "user"}}
    with pytest.raises(UsageError, match="for conversations"):
        TagAssigner(tag="vip", on="contacts", **sandbox.settings_kwargs()).bulk_process(options=options, **everybody)
    assert_nothing_written(sandbox)


@pytest.mark.parametrize(
    "wrong", [{"customer_wrote_within": 0}, {"customer_wrote_within": "5"}, {"priority": "high"}, {"sla": 1}]
)
def test_a_hold_out_that_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Exclude(**wrong)


def test_a_resumed_run_keeps_its_hold_outs(start: Start) -> None:
    sandbox = start(conversations=500)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    options = RunOptions(settle=0.3, exclude=Exclude(customer_wrote_within=timedelta(days=45)))
    preview = closer.preview(team_id=sandbox.inbox_id, options=options)
    with closer.stream(team_id=sandbox.inbox_id, options=options, parallel_workers=4) as stream:
        for _ in range(60):
            next(stream)
    summary = closer.resume(stream.summary().run_id, options=RunOptions(settle=0.3)).result()
    assert summary.success == preview.count == sum(sandbox.effects().values())
