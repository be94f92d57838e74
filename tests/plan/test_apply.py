"""A plan is applied to exactly its items, and of those only to what still is as it was seen."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import ConversationCloser, Exclude, RunOptions, RunState, StateChanger, TagAssigner, UsageError
from tests.acceptance.runs import QUICK, assert_nothing_written, assert_one_sentence
from tests.plan.desk import Assigner, Desk, Noter, codes_of, outcomes_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]


def effects(sandbox: Sandbox, *, but: dict[str, int] | None = None) -> dict[str, int]:
    """What the library did: all effects less those of other people."""
    told = {item: count - (but or {}).get(item, 0) for item, count in sandbox.effects().items()}
    return {item: count for item, count in told.items() if count}


@pytest.mark.parametrize("strict", [False, True], ids=["by search", "strict"])
def test_exactly_the_unchanged_ones_are_written_to(start: Start, strict: bool) -> None:
    sandbox = start(conversations=400, arrivals=30.0)
    desk, closer = Desk(sandbox), ConversationCloser(**sandbox.settings_kwargs())
    plan = closer.plan(team_id=sandbox.inbox_id)
    ids = [entry.id for entry in plan.entries()]
    snoozed, replied, closed, assigned, deleted = ids[0:7], ids[7:14], ids[14:21], ids[21:28], ids[28:35:2]
    for item in snoozed:
        desk.snooze(item)
    for item in replied:
        desk.customer_writes(item)
    for item in closed:
        desk.close(item)
    for item in assigned:
        desk.assign(item, "782")  # not a field that closing writes: not "moved"
    sandbox.set(gone_ids=deleted)
    others = sandbox.effects()
    run = closer.apply(plan.path, digest=plan.digest, strict=strict, options=QUICK)
    summary = run.result()
    codes = codes_of(closer, run.run_id)
    assert {item for item, code in codes.items() if code == "moved"} == {*snoozed, *replied}
    assert {item for item, code in codes.items() if code == "already_done"} == set(closed)
    if strict:  # the gone ones do still show in the search: only who reads the item sees it
        assert {item for item, code in codes.items() if code == "gone"} == set(deleted)
    left = set(ids) - {*snoozed, *replied, *closed, *deleted}
    assert effects(sandbox, but=others) == dict.fromkeys(left, 1)
    assert set(codes) == set(ids)
    assert summary.success == len(left)
    newcomers = set(sandbox.arrived()) - set(ids)
    assert newcomers
    assert not newcomers & set(effects(sandbox, but=others))


def test_what_the_search_no_longer_shows_is_asked_for_itself(start: Start) -> None:
    sandbox = start(conversations=20)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    plan = closer.plan(team_id=sandbox.inbox_id)
    deleted = [entry.id for entry in plan.entries()][3:6]
    for item in deleted:
        del sandbox.workspace.conversations[int(item)]
    run = closer.apply(plan.path, digest=plan.digest, options=QUICK)
    assert run.result().success == 17
    assert {i for i, code in codes_of(closer, run.run_id).items() if code == "gone"} == set(deleted)


def test_an_assignee_changed_meanwhile_is_not_overwritten(start: Start) -> None:
    sandbox = start(conversations=30)
    desk, assigner = Desk(sandbox), Assigner(assignee="782", **sandbox.settings_kwargs())
    plan = assigner.plan(team_id=sandbox.inbox_id)
    ids = [entry.id for entry in plan.entries()]
    desk.assign(ids[0], "783")
    desk.assign(ids[1], "782")
    run = assigner.apply(plan.path, digest=plan.digest, options=QUICK)
    assert run.result().success == 28
    outcomes = outcomes_of(assigner, run.run_id)
    assert outcomes[ids[0]].code == "moved"
    assert_one_sentence(outcomes[ids[0]].message)
    assert "admin_assignee_id" in (outcomes[ids[0]].message or "")
    assert outcomes[ids[1]].code == "already_done"
    assert {i["id"]: i["admin"] for i in sandbox.items()}[ids[0]] == 783


def test_what_cannot_be_compared_must_not_have_changed_at_all(start: Start) -> None:
    """Notes: the second apply finds that every item was changed, by the first one."""
    sandbox = start(conversations=25, days=5)
    cautious = Noter(**sandbox.settings_kwargs())
    plan = cautious.plan(team_id=sandbox.inbox_id, body="Checked.")
    with pytest.raises(UsageError, match="Pass irreversible=True to Noter"):
        cautious.apply(plan.path, digest=plan.digest, options=QUICK)
    noter = Noter(irreversible=True, **sandbox.settings_kwargs())
    ids = [entry.id for entry in plan.entries()]
    Desk(sandbox).close(ids[4])
    others = sandbox.effects()
    assert noter.apply(plan.path, digest=plan.digest, options=QUICK).result().success == 24
    again = noter.apply(plan.path, digest=plan.digest, options=QUICK).result()
    assert (again.success, again.codes) == (0, {"moved": 25})
    assert effects(sandbox, but=others) == dict.fromkeys(set(ids) - {ids[4]}, 1)
    conversation = sandbox.workspace.conversations[int(ids[0])]
    assert [part.body for part in conversation.parts] == ["Checked."]


def test_a_plan_of_many_pages_costs_a_search_for_150_items(start: Start) -> None:
    sandbox = start(conversations=1050)
    tagger = TagAssigner(tag="stale", **sandbox.settings_kwargs())
    plan = tagger.plan(team_id=sandbox.inbox_id)
    summary = tagger.apply(plan.path, digest=plan.digest, options=QUICK).result()
    assert summary.success == 1050
    assert set(sandbox.effects().values()) == {1}
    assert summary.requests <= 1050 + 7 + 4


@pytest.mark.parametrize("strict", [False, True], ids=["by search", "strict"])
def test_a_change_younger_than_the_index_is_seen_only_by_strict(start: Start, strict: bool) -> None:
    """The documented limit of reading again by search; whoever cannot live with it says strict=True."""
    sandbox = start(conversations=30, index_lag=30.0)
    assigner = Assigner(assignee="782", **sandbox.settings_kwargs())
    plan = assigner.plan(team_id=sandbox.inbox_id)
    moved = [entry.id for entry in plan.entries()][5]
    Desk(sandbox).assign(moved, "783")
    run = assigner.apply(plan.path, digest=plan.digest, strict=strict, options=QUICK)
    assert run.result().success == (29 if strict else 30)
    assert codes_of(assigner, run.run_id)[moved] == ("moved" if strict else None)


@pytest.mark.parametrize("strict", [False, True], ids=["by search", "strict"])
def test_a_stopped_apply_goes_on_and_does_nothing_twice(start: Start, strict: bool) -> None:
    """What was read before the stop is looked at again: here a person takes items while the run stands still."""
    sandbox = start(conversations=400)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    plan = closer.plan(team_id=sandbox.inbox_id)
    ids = [entry.id for entry in plan.entries()]
    run = closer.apply(plan.path, digest=plan.digest, strict=strict, parallel_workers=4, options=QUICK)
    while not sandbox.effects():
        run.wait(0.01)
    run.stop()
    stopped = run.result()
    assert stopped.state is RunState.STOPPED
    assert 0 < stopped.success < 350
    open_now = {item["id"] for item in sandbox.items(state="open")}
    waiting = [item for item in ids if item in open_now]
    taken = [*waiting[:4], *waiting[-4:]]
    for item in taken:
        Desk(sandbox).snooze(item)
    resumed = ConversationCloser(**sandbox.settings_kwargs()).resume(run.run_id, options=QUICK)
    summary = resumed.result()
    assert resumed.run_id == run.run_id
    assert (summary.success, summary.skipped) == (392, 8)
    assert set(sandbox.effects().values()) == {1}
    codes = codes_of(closer, run.run_id)
    assert {item for item, code in codes.items() if code == "moved"} == set(taken)


def test_a_lost_answer_does_not_close_twice(start: Start) -> None:
    sandbox = start(conversations=200, fault_scope="writes", resets=0.1, repeat_adds_part=True)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    plan = closer.plan(team_id=sandbox.inbox_id)
    assert closer.apply(plan.path, digest=plan.digest, options=QUICK).result().success == 200
    assert sandbox.effects() == dict.fromkeys((entry.id for entry in plan.entries()), 1)


def test_hold_outs_of_the_plan_stay_in_force(start: Start) -> None:
    sandbox = start(conversations=20)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    plan = closer.plan(team_id=sandbox.inbox_id, options=RunOptions(exclude=Exclude(priority=True)))
    urgent = next(iter(sandbox.workspace.conversations.values()))
    urgent.priority = "priority"
    run = closer.apply(plan.path, digest=plan.digest, options=QUICK)
    assert run.result().success == 19
    assert codes_of(closer, run.run_id)[str(urgent.id)] == "held_out"


def test_contacts_and_an_empty_plan(start: Start) -> None:
    sandbox = start(conversations=3, contacts=40)
    users = {"field": "role", "operator": "=", "value": "user"}
    tagger = TagAssigner(tag="vip", on="contacts", **sandbox.settings_kwargs())
    plan = tagger.plan(query=users)
    assert plan.count == 30
    assert tagger.apply(plan.path, digest=plan.digest, options=QUICK).result().success == 30
    nothing = tagger.plan("empty.jsonl", query=users)
    assert nothing.count == 0
    assert tagger.apply(nothing.path, digest=nothing.digest).result().state is RunState.COMPLETED


def refuse(match: str, apply: Callable[[], object]) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        apply()
    assert_one_sentence(str(caught.value))


def test_what_is_not_this_plan_is_refused_before_anything_is_written(start: Start, tmp_path: Path) -> None:
    sandbox, other = start(conversations=10), start(conversations=10, app_id="another1")
    closer = ConversationCloser(**sandbox.settings_kwargs())
    plan = closer.plan(team_id=sandbox.inbox_id)
    right: dict[str, Any] = {"digest": plan.digest}
    refuse("not the plan of this digest", lambda: closer.apply(plan.path, digest="0" * 64))
    refuse("64 hexadecimal", lambda: closer.apply(plan.path, digest="yes"))
    refuse("cannot be read", lambda: closer.apply(tmp_path / "no.jsonl", **right))
    refuse("workspace", lambda: ConversationCloser(**other.settings_kwargs()).apply(plan.path, **right))
    refuse("made by", lambda: TagAssigner(tag="vip", **sandbox.settings_kwargs()).apply(plan.path, **right))
    opener = StateChanger(state="open", **sandbox.settings_kwargs())
    theirs = StateChanger(state="closed", **sandbox.settings_kwargs()).plan("other.jsonl", team_id=sandbox.inbox_id)
    refuse("other arguments", lambda: opener.apply(theirs.path, digest=theirs.digest))
    refuse(
        "more than refuse_above", lambda: closer.apply(plan.path, **right, options=RunOptions(refuse_above=9)).result()
    )
    assert_nothing_written(sandbox)
    assert_nothing_written(other)


def test_an_updater_that_would_write_something_else_is_refused(start: Start) -> None:
    """What it was made with is the same, but somebody set an attribute since."""
    sandbox = start(conversations=10)
    assigner = Assigner(assignee="782", **sandbox.settings_kwargs())
    plan = assigner.plan(team_id=sandbox.inbox_id)
    assigner.assignee = "783"
    refuse("no longer write", lambda: assigner.apply(plan.path, digest=plan.digest, options=QUICK).result())
    assert_nothing_written(sandbox)


def test_a_key_goes_on_with_its_own_plan_only(start: Start) -> None:
    sandbox = start(conversations=10)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    keyed = RunOptions(settle=0.3, run_key="sweep")
    one, two = (
        closer.plan("1.jsonl", max_items=4, team_id=sandbox.inbox_id),
        closer.plan("2.jsonl", team_id=sandbox.inbox_id),
    )
    first = closer.apply(one.path, digest=one.digest, options=keyed).result()
    assert first.success == 4
    refuse("another plan", lambda: closer.apply(two.path, digest=two.digest, options=keyed))
    assert len(sandbox.effects()) == 4


def test_a_plan_that_is_changed_under_the_run_halts_it(start: Start) -> None:
    sandbox = start(conversations=400, latency_ms=10)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    plan = closer.plan(team_id=sandbox.inbox_id)
    run = closer.apply(plan.path, digest=plan.digest, parallel_workers=1, options=QUICK)
    lines = plan.path.read_text().splitlines()
    plan.path.write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    try:
        text = run.result().reason or ""
    except UsageError as error:
        text = str(error)
    assert "was changed" in text
    assert json.loads(lines[1])["id"]
    refuse("not the plan of this digest", lambda: closer.resume(run.run_id))


def test_a_plan_made_before_its_class_moved_is_applied(start: Start) -> None:
    sandbox = start(conversations=5)
    tagger = TagAssigner(tag="stale", **sandbox.settings_kwargs())
    plan = tagger.plan(team_id=sandbox.inbox_id)
    old = plan.path.read_bytes().replace(
        b"intercom_bulk:TagAssigner", b"intercom_bulk.updaters.conversations:TagAssigner"
    )
    assert old != plan.path.read_bytes()
    plan.path.write_bytes(old)
    digest = hashlib.sha256(old).hexdigest()
    assert tagger.apply(plan.path, digest=digest).result().success == 5
