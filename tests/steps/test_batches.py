"""Many items in one call, against the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import RunOptions, Runs, RunState, Status
from tests.steps.batching import Careless, ContactTagger, OldStyle, OneByOne

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk import Outcome
    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]

QUICK = RunOptions(settle=0.2)
CONTACTS = 150


@pytest.fixture
def sandbox(start: Start) -> Sandbox:
    return start(conversations=0, contacts=CONTACTS)


def done(updater: ContactTagger, options: RunOptions = QUICK) -> dict[str, Outcome]:
    run = updater.start(options=options)
    assert run.result().state in {RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS}
    return {outcome.item_id: outcome for outcome in Runs().outcomes(run.run_id)}


def tagged(sandbox: Sandbox) -> set[str]:
    return {item_id for item_id, one in sandbox.states("contacts").items() if "102" in one["tags"]}


def test_many_go_in_one_call_and_each_has_its_outcome(sandbox: Sandbox) -> None:
    updater = ContactTagger(**sandbox.settings_kwargs())
    before = sandbox.stats()["requests"]
    told = done(updater)
    assert {o.status for o in told.values()} == {Status.DONE}
    assert len(told) == CONTACTS
    assert set(sandbox.effects("contacts").values()) == {1}
    assert updater.calls[0] == 10, "the canary is one call"
    assert max(updater.calls) == 20
    assert len(updater.calls) <= 10
    assert before != sandbox.stats()["requests"]
    assert {o.code for o in done(updater).values()} == {"already_done"}


def test_one_that_is_gone_is_the_only_one_skipped(sandbox: Sandbox) -> None:
    class Late(ContactTagger):
        """Two contacts disappear between the search and the call."""

        def perform_batch(self, item_ids: Any) -> Any:
            for one in lost & set(item_ids):
                sandbox.workspace.contacts[one].archived = True
            return super().perform_batch(item_ids)

    lost = set(list(sandbox.workspace.contacts)[40:42])
    told = done(Late(**sandbox.settings_kwargs()))
    assert {item_id for item_id, o in told.items() if (o.status, o.code) == (Status.SKIPPED, "gone")} == lost
    assert {o.status for item_id, o in told.items() if item_id not in lost} == {Status.DONE}


def test_lost_calls_are_read_back_item_by_item_and_harm_nobody(sandbox: Sandbox) -> None:
    sandbox.set(fault_scope="writes", resets=0.3, resets_after_share=0.5, errors_5xx=0.2, errors_5xx_after_share=0.5)
    updater = ContactTagger(**sandbox.settings_kwargs())
    told = done(updater)
    assert {o.status for o in told.values()} == {Status.DONE}
    assert max(o.attempts for o in told.values()) > 1
    assert tagged(sandbox) == set(told)
    assert set(sandbox.effects("contacts").values()) == {1}, "what was applied was seen, and not sent again"


def test_a_429_of_a_call_costs_its_items_no_try(sandbox: Sandbox) -> None:
    sandbox.set(fault_scope="writes", plain_429=0.4)
    told = done(ContactTagger(**sandbox.settings_kwargs()))
    assert {(o.status, o.attempts) for o in told.values()} == {(Status.DONE, 1)}


def test_a_subclass_with_an_action_of_its_own_gets_its_items_one_by_one(sandbox: Sandbox) -> None:
    updater = OneByOne(**sandbox.settings_kwargs())
    assert {o.status for o in done(updater).values()} == {Status.DONE}
    assert updater.calls == [1] * CONTACTS


def test_silence_about_an_item_is_no_success(sandbox: Sandbox) -> None:
    run = Careless(**sandbox.settings_kwargs()).start(options=QUICK)
    assert run.result().state is RunState.HALTED
    failed = [o for o in Runs().outcomes(run.run_id) if o.status is Status.FAILED]
    assert {o.message for o in failed} == {
        "perform_batch() of Careless must say of each id what became of it: None, or the error."
    }


def test_requests_of_ones_own_are_waited_for_and_repeated(sandbox: Sandbox) -> None:
    sandbox.set(fault_scope="writes", plain_429=0.2, errors_5xx=0.2, errors_5xx_statuses=[503])
    told = done(OldStyle(**sandbox.settings_kwargs()), RunOptions(settle=0.2, tries=12))  # four may all meet a 503
    assert {o.status for o in told.values()} == {Status.DONE}
    assert tagged(sandbox) == set(told)


def test_a_preview_counts_calls_and_not_items(sandbox: Sandbox) -> None:
    preview = ContactTagger(**sandbox.settings_kwargs()).preview()
    assert (preview.count, preview.writes) == (CONTACTS, 8)


def test_a_plan_is_applied_in_batches(sandbox: Sandbox, tmp_path: Any) -> None:
    updater = ContactTagger(**sandbox.settings_kwargs())
    plan = updater.plan(tmp_path / "plan.jsonl")
    assert updater.apply(plan.path, digest=plan.digest).result().success == CONTACTS
    assert len(updater.calls) <= 10
