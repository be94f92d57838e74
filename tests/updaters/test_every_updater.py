"""Every updater has a case, and one that cannot be undone wants to be asked for."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

import intercom_bulk
from intercom_bulk import IntercomBulkUpdater, UsageError
from tests.updaters.promises import CASES, NOTHING, arguments, effects, made

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.sandbox import Sandbox
    from tests.updaters.cases import Case

    Prepare = Callable[[Case], Sandbox]


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
