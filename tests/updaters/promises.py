"""The cases of every updater, and what their tests share: each promise is a file beside this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import IntercomBulkUpdater, RunOptions, RunState, Status
from tests.updaters import company_cases, contact_cases, conversation_cases, note_cases, steps_cases, ticket_cases

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk import Outcome
    from intercom_bulk.sandbox import Sandbox
    from tests.updaters.cases import Case

    Prepare = Callable[[Case], Sandbox]

__all__ = [
    "CASES", "NOTHING", "QUICK", "RESOURCES", "arguments", "assert_once", "carried_out", "effects", "every", "ids",
    "made", "states",
]  # fmt: skip

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
