"""Every updater: on a bad day no item is changed twice, and none is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import Status
from tests.updaters.promises import arguments, carried_out, effects, every, ids, made

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.sandbox import Sandbox
    from tests.updaters.cases import Case

    Prepare = Callable[[Case], Sandbox]

pytestmark = pytest.mark.slow

FAULTY: dict[str, Any] = {
    "fault_scope": "writes",
    "plain_429": 0.1,
    "resets": 0.15,
    "resets_after_share": 0.7,
    "errors_5xx": 0.1,
    "errors_5xx_after_share": 0.3,
}


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
