"""Every updater: an undo restores what was, and all requests are as Intercom's own description of its API has them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from intercom_bulk import Runs, RunState, Status, UsageError
from tests.contract.recorder import Recorder
from tests.updaters.promises import arguments, every, ids, made, states

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk import Outcome, Run
    from intercom_bulk.sandbox import Sandbox
    from tests.contract.openapi import Description
    from tests.contract.recorder import Exchange
    from tests.updaters.cases import Case

    Prepare = Callable[[Case], Sandbox]

pytestmark = pytest.mark.slow

EXTRAS = {
    ("POST /conversations/search", "sort"),
    ("POST /tickets/search", "sort"),
    ("POST /conversations/{conversation_id}/parts", "type"),
}
"""`sort`: the description has it for contacts only, the pagination guide for every search (intercom-api.md 5.8).
`type`: described for close and assignment, not for open and snoozed; the guide's examples of all four have it."""

NULLED = re.compile(r"PUT \S+ request body/\S+: null is not of type")
"""An undo takes away what was not there before with null: no operation describes another way (intercom-api.md 6.1)."""


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


def _outcomes(run: Run) -> list[Outcome]:
    assert run.result().state in {RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS}, run.result()
    return list(Runs().outcomes(run.run_id))
