"""Every updater: a preview writes nothing and tells what the run does; a second run has nothing to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from intercom_bulk import Status
from tests.updaters.promises import NOTHING, arguments, assert_once, carried_out, effects, every, ids, made

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.sandbox import Sandbox
    from tests.updaters.cases import Case

    Prepare = Callable[[Case], Sandbox]

pytestmark = pytest.mark.slow


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
    assert (preview.irreversible is not None) is (case.irreversible or not case.undoes)
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
