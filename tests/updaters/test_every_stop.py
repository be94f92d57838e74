"""Every updater: a run that was stopped is gone on with by somebody who has only its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from intercom_bulk import Runs, RunState, Settings, Status
from tests.updaters.promises import QUICK, arguments, assert_once, effects, every, ids, made

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.sandbox import Sandbox
    from tests.updaters.cases import Case

    Prepare = Callable[[Case], Sandbox]

pytestmark = pytest.mark.slow


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
