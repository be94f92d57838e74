"""Several steps on each conversation of a sandbox: done, cut short, taken back."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import (
    ConversationUpdater,
    RunOptions,
    Runs,
    RunState,
    Settings,
    StateChanger,
    Status,
    Step,
    Steps,
    TagAssigner,
    UsageError,
)
from intercom_bulk import steps as s
from tests.steps.notes import Broken, Lasting, Leaver
from tests.undo.person import Person

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from intercom_bulk import Outcome
    from intercom_bulk.sandbox import Sandbox, SandboxProcess

    Start = Callable[..., Sandbox]

pytestmark = pytest.mark.slow

EVERYTHING: dict[str, Any] = {"query": {"field": "created_at", "operator": ">", "value": 0}}
QUICK = RunOptions(settle=0.2)
LATER = int(time.time()) + 5 * 86_400 + 12_345
VARIED: dict[str, Any] = {"share_snoozed": 0.3, "share_closed": 0.2, "share_tagged": 0.6, "share_other_team": 0.4}


def leave(body: str = "<p>Swept.</p>") -> Step:
    return Step(Leaver, {"body": body})


def state(sandbox: Sandbox | SandboxProcess) -> dict[str, dict[str, Any]]:
    volatile = {"effects", "parts", "updated_at"}
    return {one["id"]: {k: v for k, v in one.items() if k not in volatile} for one in sandbox.items()}


def done(updater: Steps, **keywords: Any) -> str:
    run = updater.start(**{**EVERYTHING, "options": QUICK, **keywords})
    assert run.result().state is RunState.COMPLETED, run.result()
    return run.run_id


def outcomes(run_id: str) -> dict[str, Outcome]:
    return {outcome.item_id: outcome for outcome in Runs().outcomes(run_id)}


@pytest.fixture
def varied(start: Start) -> Sandbox:
    return start(conversations=60, string_assignees=0.5, **VARIED)


def test_each_conversation_gets_every_step_and_one_outcome(varied: Sandbox) -> None:
    before, effects = state(varied), varied.effects()
    steps = Steps(leave(), s.tag("stale"), s.assign(team="Sales", reopen=True), s.close(), **varied.settings_kwargs())
    run_id = done(steps)
    after, told = state(varied), outcomes(run_id)
    assert {one["state"] for one in after.values()} == {"closed"}
    assert all("stale" in _names(varied, one) for one in after.values())
    assert {(o.status, o.step) for o in told.values()} == {(Status.DONE, 4)}
    counted = {item_id: count - effects.get(item_id, 0) for item_id, count in varied.effects().items()}
    assert set(counted) == set(before)
    for item_id, count in counted.items():
        records = Runs().steps(run_id, item_id)
        assert [record.step for record in records] == [0, 1, 2, 3]
        assert sum(record.wrote for record in records) == count


def _names(sandbox: Sandbox, one: dict[str, Any]) -> set[str]:
    return {sandbox.workspace.tags[tag] for tag in one["tags"]}


def test_a_step_would_leave_it_alone_and_nothing_was_written(varied: Sandbox) -> None:
    """`close` comes first, and `assign` without reopen=True leaves closed ones alone: known before the first write."""
    before, effects = state(varied), varied.effects()
    run_id = done(Steps(s.tag("stale"), s.close(), s.assign(team="Sales"), **varied.settings_kwargs()))
    assert {(o.status, o.code) for o in outcomes(run_id).values()} == {(Status.SKIPPED, "closed")}
    assert {(o.message or "")[:21] for o in outcomes(run_id).values()} == {"Step 3 of 3 (assign):"}
    assert (state(varied), varied.effects()) == (before, effects)


def test_what_shows_already_is_not_written_again(varied: Sandbox) -> None:
    steps = Steps(s.tag("stale"), s.set_title("Old"), s.close(), **varied.settings_kwargs())
    done(steps)
    effects = varied.effects()
    run_id = done(steps)
    assert {(o.status, o.code) for o in outcomes(run_id).values()} == {(Status.SKIPPED, "already_done")}
    assert varied.effects() == effects
    Person(varied).open(next(iter(effects)))
    run_id = done(steps)
    (again,) = [o for o in outcomes(run_id).values() if o.status is Status.DONE]
    assert [record.code for record in Runs().steps(run_id, again.item_id)] == ["already_done", "already_done", None]
    assert varied.effects()[again.item_id] == effects[again.item_id] + 2


def test_a_bug_in_a_step_ends_the_item_there(start: Start, tmp_path: Path) -> None:
    sandbox = start(conversations=40)
    steps = Steps(s.tag("stale"), Step(Broken), s.close(), **sandbox.settings_kwargs())
    run = steps.start(**EVERYTHING, options=RunOptions(settle=0.2, canary=0))
    run.result()
    told = outcomes(run.run_id)
    failed = {item_id for item_id, o in told.items() if o.status is Status.FAILED}
    assert failed == {item_id for item_id in told if int(item_id) % 3 == 0}
    assert {told[item_id].message for item_id in failed} == {"Step 2 of 3 (Broken): three"}
    closed = {item_id for item_id, one in state(sandbox).items() if one["state"] == "closed"}
    assert closed == set(told) - failed
    runs = Runs()
    rows = runs.export(run.run_id, tmp_path / "a.csv").read_text(encoding="utf-8-sig").splitlines()
    assert rows[0].endswith(",step")
    assert sum(row.endswith(",1") and "Step 2 of 3 (Broken)" in row for row in rows) == len(failed)
    lines = runs.export(run.run_id, tmp_path / "a.jsonl", "jsonl").read_text().splitlines()
    assert {json.loads(line)["step"] for line in lines[1:]} == {1, 3}
    assert "Step 2 of 3 (Broken): three" in runs.export(run.run_id, tmp_path / "a.md", "markdown").read_text()


def test_a_retry_goes_on_at_the_step_that_failed(start: Start) -> None:
    sandbox = start(conversations=30)
    steps = Steps(leave(), s.tag("stale"), s.close(), **sandbox.settings_kwargs())
    poisoned = list(state(sandbox))[20:22]
    run = steps.start(parallel_workers=1, **EVERYTHING, options=QUICK)
    run.wait(0)
    run.result()
    assert Runs().get(run.run_id).counts == {Status.DONE: 30}
    other = Steps(leave("<p>Again.</p>"), s.untag("stale"), s.open(), **sandbox.settings_kwargs())
    sandbox.set(poison_422_ids=poisoned)
    failed = other.start(**EVERYTHING, options=QUICK)
    failed.result()
    assert {o.step for o in outcomes(failed.run_id).values() if o.status is Status.FAILED} == {0}
    sandbox.set(poison_422_ids=[])
    assert Runs(Settings.build(**sandbox.settings_kwargs())).retry_failed(failed.run_id).result().success == 2
    assert set(sandbox.effects().values()) == {6}


def test_a_retry_repeats_no_step_that_is_over(start: Start) -> None:
    sandbox = start(conversations=30)
    marked: list[str] = []

    class Once(ConversationUpdater):
        idempotent = True

        def perform_action(self, item_id: str) -> dict[str, Any]:
            if item_id == chosen and not marked:
                marked.append(item_id)
                raise ValueError("not yet")
            return self.request("GET", f"conversations/{item_id}")

    chosen = list(state(sandbox))[15]
    steps = Steps(leave(), Step(Once), s.close(), **sandbox.settings_kwargs())
    run = steps.start(**EVERYTHING, options=QUICK)
    run.result()
    assert outcomes(run.run_id)[chosen].step == 1
    again = Runs().retry_failed(run.run_id, steps, options=QUICK)
    assert again.result().success == 1
    assert set(sandbox.effects().values()) == {2}
    assert [record.code for record in Runs().steps(again.run_id, chosen)] == ["already_done", None, None]


# -- cut short


@pytest.mark.parametrize("after", [1, 4, 11])
def test_a_run_that_was_stopped_is_gone_on_with_from_its_record_alone(start: Start, after: int) -> None:
    sandbox = start(conversations=40, latency_ms=10, **VARIED)
    connection = sandbox.settings_kwargs()
    steps = Steps(leave(), s.tag(102), s.snooze(LATER), s.untag("vip"), **connection)
    with steps.stream(parallel_workers=4, **EVERYTHING, options=QUICK) as stream:
        for number, _ in enumerate(stream, 1):
            if number == after:
                break
    run_id = stream.summary().run_id
    assert stream.summary().state is RunState.STOPPED
    summary = Runs(Settings.build(**connection)).resume(run_id, options=QUICK).result()
    assert (summary.state, summary.success) == (RunState.COMPLETED, 40)
    records = {item_id: Runs().steps(run_id, item_id) for item_id in state(sandbox)}
    effects = sandbox.effects()
    assert all(effects[i] == sum(record.wrote for record in each) for i, each in records.items())
    assert {one["state"] for one in state(sandbox).values()} == {"snoozed"}


def test_lost_answers_repeat_no_step(start: Start) -> None:
    sandbox = start(conversations=80)
    steps = Steps(leave(), s.tag("stale"), s.close(), **sandbox.settings_kwargs())
    sandbox.set(fault_scope="writes", resets=0.1, resets_after_share=0.7, errors_5xx=0.1, errors_5xx_after_share=0.5)
    sandbox.set(plain_429=0.1)
    run = steps.start(**EVERYTHING, options=QUICK)
    run.result()
    sandbox.set(resets=0.0, errors_5xx=0.0, plain_429=0.0)
    told, effects = outcomes(run.run_id), sandbox.effects()
    assert {o.status for o in told.values()} <= {Status.DONE, Status.NEEDS_REVIEW}
    assert all(effects[item_id] == 3 for item_id, o in told.items() if o.status is Status.DONE)
    review = [o for o in told.values() if o.status is Status.NEEDS_REVIEW]
    assert all(o.step == 0 and (o.message or "").startswith("Step 1 of 3 (Leaver): ") for o in review)
    assert all(effects.get(o.item_id, 0) == 0 for o in review)


# -- taken back


REVERSIBLE: dict[str, tuple[Step, ...]] = {
    "tag and close": (s.tag("stale"), s.close()),
    "reassign and close": (s.assign(team="Sales", admin=781, reopen=True), s.close()),
    "open, untag, snooze": (s.open(), s.untag("vip"), s.snooze(LATER)),
    "close and open again": (s.close(), s.open()),
    "everything": (
        s.open(),
        s.assign(admin=782),
        s.set_attributes({"issue_type": "Spam"}),
        s.set_title("Old"),
        s.mark_read(),
        s.tag("stale"),
        s.untag("vip"),
        s.close(),
    ),
}


@pytest.mark.parametrize("steps", REVERSIBLE.values(), ids=REVERSIBLE.keys())
def test_an_undo_restores_exactly_and_its_undo_does_it_again(varied: Sandbox, steps: tuple[Step, ...]) -> None:
    digest, before = varied.digest(), state(varied)
    updater = Steps(*steps, **varied.settings_kwargs())
    run = updater.start(**EVERYTHING, options=QUICK)
    changed = run.result().success
    after = state(varied)
    back = run.undo()
    assert back.result().state is RunState.COMPLETED
    assert state(varied) == before
    assert varied.digest() == digest
    assert back.result().success == changed > 0
    again = back.undo()
    assert again.result().state is RunState.COMPLETED
    assert state(varied) == after
    again.undo().result()
    assert varied.digest() == digest


def test_what_somebody_changed_since_is_left_whole(varied: Sandbox) -> None:
    """Though the steps that would be taken back first are as they were left."""
    person, before = Person(varied), state(varied)
    updater = Steps(s.set_title("Old"), s.tag("stale"), s.close(), **varied.settings_kwargs())
    run = updater.start(**EVERYTHING, options=QUICK)
    run.result()
    touched = list(before)[5]
    person.put(touched, title="Mine")
    now = state(varied)[touched]
    back = run.undo()
    back.result()
    assert outcomes(back.run_id)[touched].code == "changed_since"
    assert state(varied) == {**before, touched: now}


def test_an_item_that_stopped_in_mid_way_is_taken_back_as_far_as_it_came(start: Start) -> None:
    sandbox = start(conversations=30, latency_ms=10, **VARIED)
    digest = sandbox.digest()
    updater = Steps(s.set_title("Old"), s.tag("stale"), Step(Lasting), s.set_attributes({"issue_type": "Spam"}),
                    s.close(), **sandbox.settings_kwargs())  # fmt: skip
    with updater.stream(parallel_workers=4, **EVERYTHING, options=QUICK) as stream:
        next(stream)
    run_id = stream.summary().run_id
    standing = [o for o in outcomes(run_id).values() if o.status is Status.STAGED and o.step > 0]
    assert standing
    back = updater.undo(run_id, options=QUICK)
    assert back.result().state is RunState.COMPLETED
    assert sandbox.digest() == digest
    assert {o.item_id for o in standing} <= set(outcomes(back.run_id))
    assert len(outcomes(back.run_id)) < 30


def test_what_failed_at_a_later_step_is_taken_back_too(start: Start) -> None:
    sandbox = start(conversations=30)
    digest = sandbox.digest()
    updater = Steps(s.tag("stale"), Step(Broken), s.close(), **sandbox.settings_kwargs())
    run = updater.start(**EVERYTHING, options=RunOptions(settle=0.2, canary=0))
    assert run.result().failed > 0
    assert run.undo().result().success == 30
    assert sandbox.digest() == digest


def test_a_step_without_a_way_back_stays_and_is_said(start: Start) -> None:
    sandbox = start(conversations=12)
    digest = sandbox.digest()
    updater = Steps(s.tag("stale"), leave(), s.close(), **sandbox.settings_kwargs())
    assert "effect()" in str(updater.preview(**EVERYTHING).irreversible)
    run = updater.start(**EVERYTHING, options=QUICK)
    run.result()
    back = run.undo()
    back.result()
    told = outcomes(back.run_id)
    assert {(o.status, (o.message or "")[:24]) for o in told.values()} == {(Status.DONE, "The step 'Leaver' stays:")}
    assert sandbox.digest() == digest


def test_an_undo_that_is_cut_short_between_steps_goes_on(start: Start) -> None:
    sandbox = start(conversations=30, latency_ms=20, **VARIED)
    digest = sandbox.digest()
    updater = Steps(s.set_title("Old"), s.tag("stale"), s.close(), **sandbox.settings_kwargs())
    run_id = done(updater, parallel_workers=2)  # and so many its undo has
    back = updater.undo(run_id, options=QUICK)
    while (seen := back.progress()) is None or seen.done < 3:
        back.wait(0.01)
    back.stop()
    assert back.result().state is RunState.STOPPED
    runs = Runs(Settings.build(**sandbox.settings_kwargs()))
    again = runs.undo(run_id)
    assert again.run_id == back.run_id
    assert again.result().state is RunState.COMPLETED
    assert sandbox.digest() == digest


def test_lost_answers_do_not_spoil_an_undo(start: Start) -> None:
    sandbox = start(conversations=60, **VARIED)
    digest = sandbox.digest()
    updater = Steps(s.open(), s.tag("stale"), s.close(), **sandbox.settings_kwargs())
    run_id = done(updater)
    sandbox.set(resets=0.05, errors_5xx=0.05, errors_5xx_after_share=0.5)
    updater.undo(run_id, options=QUICK).result()
    sandbox.set(resets=0.0, errors_5xx=0.0)
    assert sandbox.digest() == digest


def test_other_steps_cannot_undo_it(start: Start) -> None:
    sandbox = start(conversations=5)
    run_id = done(Steps(s.tag("stale"), s.close(), **sandbox.settings_kwargs()))
    with pytest.raises(UsageError, match="with other steps"):
        Steps(s.close(), s.tag("stale"), **sandbox.settings_kwargs()).undo(run_id)


def test_steps_that_all_stay_are_not_undone(start: Start) -> None:
    sandbox = start(conversations=5)
    updater = Steps(leave(), **sandbox.settings_kwargs())
    with pytest.raises(UsageError, match="cannot be undone"):
        updater.undo(done(updater))


# -- plans


def test_a_plan_holds_the_steps_and_is_applied(varied: Sandbox, tmp_path: Path) -> None:
    before, digest = state(varied), varied.digest()
    updater = Steps(s.open(), s.tag("stale"), s.close(), **varied.settings_kwargs())
    plan = updater.plan(tmp_path / "plan.jsonl", **EVERYTHING)
    assert varied.digest() == digest
    moved = next(item_id for item_id, one in before.items() if one["state"] == "open")
    Person(varied).snooze(moved, LATER)
    touched = state(varied)[moved]
    run = Steps(s.open(), s.tag("stale"), s.close(), **varied.settings_kwargs()).apply(plan.path, digest=plan.digest)
    assert run.result().state is RunState.COMPLETED
    told = outcomes(run.run_id)
    assert told[moved].code == "moved"
    assert {o.step for item_id, o in told.items() if item_id != moved} == {3}
    after = state(varied)
    assert after[moved] == touched
    assert {one["state"] for item_id, one in after.items() if item_id != moved} == {"closed"}
    run.undo().result()
    assert state(varied) == {**before, moved: touched}


def test_an_applied_plan_is_strict_before_its_first_step_only(varied: Sandbox, tmp_path: Path) -> None:
    """Read again right before; the steps that follow do not take the first one for somebody else's."""
    updater = Steps(leave(), s.tag("stale"), s.close(), **varied.settings_kwargs())
    plan = updater.plan(tmp_path / "plan.jsonl", **EVERYTHING)
    run = updater.apply(plan.path, digest=plan.digest, strict=True)
    assert run.result().success == plan.count == 60


def test_an_applied_plan_that_stopped_between_steps_goes_on(start: Start, tmp_path: Path) -> None:
    """Read again in its next life, an item shows the run's own note and tag: nobody else moved it."""
    sandbox = start(conversations=30, latency_ms=20, **VARIED)
    updater = Steps(s.note("Swept."), s.tag("stale"), s.open(), s.close(), **sandbox.settings_kwargs())
    plan = updater.plan(tmp_path / "plan.jsonl", **EVERYTHING)
    run = updater.apply(plan.path, digest=plan.digest, parallel_workers=4, options=QUICK)
    while not sandbox.effects():
        run.wait(0.005)
    run.stop()
    assert run.result().state is RunState.STOPPED
    assert any(o.status is Status.STAGED and o.step > 0 for o in outcomes(run.run_id).values())
    again = Runs(Settings.build(**sandbox.settings_kwargs())).resume(run.run_id, options=QUICK)
    assert (again.result().state, again.result().success) == (RunState.COMPLETED, plan.count)
    records = {item_id: Runs().steps(run.run_id, item_id) for item_id in outcomes(run.run_id)}
    assert sandbox.effects() == {item_id: sum(one.wrote for one in each) for item_id, each in records.items()}


def test_a_preview_counts_the_writes_of_every_step(varied: Sandbox) -> None:
    digest = varied.digest()
    preview = Steps(s.tag("stale"), s.close(), **varied.settings_kwargs()).preview(**EVERYTHING)
    assert varied.digest() == digest
    held = [("101" not in one["tags"], one["state"] != "closed") for one in state(varied).values()]
    assert (preview.count, preview.writes) == (sum(map(any, held)), sum(map(sum, held)))
    assert preview.irreversible is None
    assert any(sentence.startswith("It is snoozed") for sentence in preview.side_effects)


# -- what cannot be meant


class Final(TagAssigner):
    """Says that it cannot be undone."""

    irreversible = "a label stays."


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ((), "one or more steps"),
        ((StateChanger,), "one or more steps"),
        ((Step("nowhere:Nothing"),), "cannot be imported"),
        ((Step("json:JSONDecoder"),), "class of an updater"),
        ((Step(Steps),), "cannot be Steps itself"),
        ((Step(TagAssigner, {"tag": "vip", "on": "contacts"}),), "only one kind of items"),
        ((s.assign(),), "Assign to whom"),
    ],
)
def test_steps_that_cannot_be_meant_are_refused(steps: tuple[Any, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Steps(*steps, access_token="a-token-of-nobody", base_url="http://127.0.0.1:1")


def test_a_missing_tag_is_found_before_the_first_step(start: Start) -> None:
    sandbox = start(conversations=10)
    effects = sandbox.effects()
    with pytest.raises(UsageError, match="no-such-tag"):
        Steps(s.close(), s.tag("no-such-tag"), **sandbox.settings_kwargs()).bulk_process(**EVERYTHING)
    assert sandbox.effects() == effects


def test_what_one_step_cannot_undo_is_said_of_all(start: Start) -> None:
    sandbox = start(conversations=10)
    made = (s.close(), Step(Final, {"tag": "stale"}))
    with pytest.raises(UsageError, match=r"cannot be undone: Final: a label stays\. Pass irreversible=True to Steps"):
        Steps(*made, **sandbox.settings_kwargs()).bulk_process(**EVERYTHING)
    assert Steps(*made, irreversible=True, **sandbox.settings_kwargs()).bulk_process(**EVERYTHING).success == 10
