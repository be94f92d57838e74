"""What every updater promises, held against the sandbox and against Intercom's own description of its API."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import pytest

import intercom_bulk
from intercom_bulk import IntercomBulkUpdater, RunOptions, Runs, RunState, Settings, Status, UsageError
from tests.contract.recorder import Recorder
from tests.updaters import company_cases, contact_cases, conversation_cases, note_cases, steps_cases, ticket_cases

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk import Outcome
    from intercom_bulk.sandbox import Sandbox
    from tests.contract.openapi import Description
    from tests.contract.recorder import Exchange
    from tests.updaters.cases import Case

    Prepare = Callable[[Case], Sandbox]

CASES = (
    *conversation_cases.CASES,
    *steps_cases.CASES,
    *ticket_cases.CASES,
    *note_cases.CASES,
    *contact_cases.CASES,
    *company_cases.CASES,
)
RESOURCES = ("conversations", "tickets", "contacts", "companies")
NOTHING: dict[str, dict[str, int]] = {resource: {} for resource in RESOURCES}
FAULTY: dict[str, Any] = {
    "fault_scope": "writes",
    "plain_429": 0.1,
    "resets": 0.15,
    "resets_after_share": 0.7,
    "errors_5xx": 0.1,
    "errors_5xx_after_share": 0.3,
}
EXTRAS = {
    ("POST /conversations/search", "sort"),
    ("POST /tickets/search", "sort"),
    ("POST /conversations/{conversation_id}/parts", "type"),
}
"""`sort`: the description has it for contacts only, the pagination guide for every search (intercom-api.md 5.8).
`type`: described for close and assignment, not for open and snoozed; the guide's examples of all four have it."""

NULLED = re.compile(r"PUT \S+ request body/\S+: null is not of type")
"""An undo takes away what was not there before with null: no operation describes another way (intercom-api.md 6.1)."""

QUICK = RunOptions(settle=0.2)
every = pytest.mark.parametrize("case", CASES, ids=str)


def made(case: Case, sandbox: Sandbox, **connection: Any) -> IntercomBulkUpdater:
    return case.make(**{**sandbox.settings_kwargs(), "irreversible": case.irreversible, **connection})


def arguments(case: Case, sandbox: Sandbox) -> dict[str, Any]:
    """Keywords of a run. Doubts are looked at soon: the sandbox is done with a request after milliseconds."""
    wanted: dict[str, Any] = {"settle": QUICK.settle}
    if case.ids is not None:
        wanted["source"] = case.ids(sandbox)
    return {**case.search, "options": RunOptions(**wanted)}


def states(sandbox: Sandbox) -> dict[str, Any]:
    """All that the digest covers, of everything."""
    return {resource: sandbox.states(resource) for resource in RESOURCES}


def effects(sandbox: Sandbox, before: dict[str, dict[str, int]] | None = None) -> dict[str, dict[str, int]]:
    """What the API did to each thing, less what had been done `before`."""
    found = {}
    for resource in RESOURCES:
        earlier = (before or {}).get(resource, {})
        counted = sandbox.effects(resource)
        found[resource] = {one: n - earlier.get(one, 0) for one, n in counted.items() if n != earlier.get(one, 0)}
    return found


def carried_out(updater: IntercomBulkUpdater, **keywords: Any) -> dict[str, Outcome]:
    """A run to its end; outcomes by item."""
    with updater.stream(**keywords) as outcomes:
        listed = list(outcomes)
    assert outcomes.summary().state in {RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS}, outcomes.summary()
    found = {outcome.item_id: outcome for outcome in listed}
    assert len(found) == len(listed)
    updater.workspace.close()
    return found


def ids(outcomes: dict[str, Outcome], *statuses: Status) -> set[str]:
    return {item_id for item_id, outcome in outcomes.items() if outcome.status in statuses}


def assert_once(case: Case, counted: dict[str, int], done: set[str]) -> None:
    """Each was changed, and as often as one action does."""
    assert set(counted) == done
    if case.effects is not None:
        assert set(counted.values()) <= {case.effects}


@every
def test_a_preview_writes_nothing_a_run_does_what_it_told_and_a_second_run_nothing(
    case: Case, prepared: Prepare
) -> None:
    sandbox = prepared(case)
    before, keywords = effects(sandbox), arguments(case, sandbox)
    cautious = made(case, sandbox, irreversible=False)
    preview = cautious.preview(**keywords)
    dry = carried_out(cautious, dry_run=True, **keywords)
    assert effects(sandbox, before) == NOTHING
    assert (preview.irreversible is not None) is case.irreversible
    for cause in case.causes:
        assert any(sentence.startswith(cause) for sentence in preview.side_effects), (cause, preview.side_effects)
    told = {item_id for item_id, outcome in dry.items() if outcome.code == "dry_run"}
    assert preview.count == len(told) > 1

    outcomes = carried_out(made(case, sandbox), **keywords)
    assert ids(outcomes, Status.DONE) == told
    assert set(outcomes) == told | ids(outcomes, Status.SKIPPED)
    assert_once(case, effects(sandbox, before)[case.on], told)

    if case.tells:
        after = effects(sandbox)
        again = carried_out(made(case, sandbox), **keywords)
        assert set(again) == ids(again, Status.SKIPPED)
        assert effects(sandbox, after)[case.on] == {}


@every
def test_an_undo_restores_what_was_or_refuses_and_all_requests_are_as_described(
    case: Case, prepared: Prepare, judge: Description | None
) -> None:
    sandbox = prepared(case)
    was, keywords = states(sandbox), arguments(case, sandbox)
    with Recorder(sandbox) as recorder:
        updater = made(case, sandbox, base_url=recorder.url)
        run = updater.start(**keywords)
        done = ids({outcome.item_id: outcome for outcome in _outcomes(run)}, Status.DONE)
        updater.already_done(min(done))  # reads it back, as after a lost answer
        sent = len(recorder.exchanges)
        if case.undoes:
            taken_back = run.undo().result()
            assert (taken_back.state, taken_back.success) == (RunState.COMPLETED, len(done))
            assert states(sandbox) == was
        else:
            with pytest.raises(UsageError, match="cannot be undone"):
                run.undo()
            assert len(recorder.exchanges) == sent
        updater.workspace.close()
        exchanges = recorder.exchanges
    if judge is not None:
        assert_described(case, judge, exchanges)


def assert_described(case: Case, judge: Description, exchanges: list[Exchange]) -> None:
    faults = [fault for exchange in exchanges for fault in judge.faults(exchange)]
    assert [fault for fault in faults if not (case.undoes and NULLED.match(fault))] == []
    extras = {
        (str(judge.operation(exchange.method, exchange.path)), name)
        for exchange in exchanges
        for name in judge.undescribed_members(exchange)
    }
    assert extras - EXTRAS == set()


def _outcomes(run: intercom_bulk.Run) -> list[Outcome]:
    assert run.result().state in {RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS}, run.result()
    return list(Runs().outcomes(run.run_id))


@every
def test_a_stopped_run_is_resumed_from_its_record_alone(case: Case, prepared: Prepare) -> None:
    sandbox = prepared(case)
    before, keywords = effects(sandbox), arguments(case, sandbox)
    sandbox.set(latency_ms=15)  # or it is over before it is stopped
    updater = made(case, sandbox)
    with updater.stream(parallel_workers=1, **keywords) as outcomes:
        for outcome in outcomes:
            if outcome.status is Status.DONE:
                break
    updater.workspace.close()
    sandbox.set(latency_ms=0)
    first = outcomes.summary()
    assert first.state is RunState.STOPPED
    runs = Runs(Settings.build(**sandbox.settings_kwargs()))
    last = runs.resume(first.run_id, options=QUICK).result()
    assert last.state in {RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS}
    settled = {outcome.item_id: outcome for outcome in runs.outcomes(first.run_id)}
    done = ids(settled, Status.DONE)
    assert len(done) > first.success
    assert set(settled) == done | ids(settled, Status.SKIPPED)
    assert_once(case, effects(sandbox, before)[case.on], done)


@every
def test_faults_on_the_way_change_no_item_twice_and_lose_none(case: Case, prepared: Prepare) -> None:
    sandbox = prepared(case)
    before, keywords = effects(sandbox), arguments(case, sandbox)
    sandbox.set(**FAULTY)
    updater = made(case, sandbox)
    outcomes = carried_out(updater, **keywords)
    done, counted = ids(outcomes, Status.DONE), effects(sandbox, before)[case.on]
    assert sandbox.stats()["faults"]
    assert done <= set(counted)
    if case.appends:
        assert set(outcomes) == done | ids(outcomes, Status.SKIPPED, Status.NEEDS_REVIEW)
        assert {counted[one] for one in done} == {case.effects}
        assert max(counted.values()) == case.effects  # what is left to a person was written at most as often
    else:
        assert set(outcomes) == done | ids(outcomes, Status.SKIPPED)
    if case.effects == 1 and (case.tells or case.appends):  # else there is no telling: it is repeated
        assert set(counted.values()) == {1}


@pytest.mark.parametrize("case", [case for case in CASES if case.irreversible], ids=str)
def test_what_cannot_be_undone_wants_to_be_asked_for(case: Case, prepared: Prepare) -> None:
    sandbox = prepared(case)
    before = effects(sandbox)
    cautious = made(case, sandbox, irreversible=False)
    with pytest.raises(UsageError, match=r"cannot be undone: .*[.] Pass irreversible=True to \w+ if that is meant[.]"):
        cautious.start(**arguments(case, sandbox))
    assert effects(sandbox, before) == NOTHING


def test_every_public_updater_has_a_case(one_sandbox: Sandbox) -> None:
    public = {getattr(intercom_bulk, name) for name in intercom_bulk.__all__}
    updaters = {one for one in public if inspect.isclass(one) and issubclass(one, IntercomBulkUpdater)}
    concrete = {one for one in updaters if not inspect.isabstract(one)}
    assert concrete == {type(made(case, one_sandbox)) for case in CASES}
