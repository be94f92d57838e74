"""A token's workspace is asked for once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intercom_bulk import Settings
from intercom_bulk.mirror.whose import Whose, whose
from intercom_bulk.testing import make_intercom_sandbox
from intercom_bulk.workspace import Workspace
from tests.mirror.filling import WORKSPACE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox

__all__ = ["make_intercom_sandbox"]


def test_it_is_remembered_in_a_private_file_that_does_not_have_the_token(
    make_intercom_sandbox: Callable[..., Sandbox], home: Path
) -> None:
    sandbox = make_intercom_sandbox(conversations=1, timezone="Europe/Dublin")
    settings = Settings.build(**sandbox.settings_kwargs())
    found = whose(settings)
    assert found == Whose(WORKSPACE, "Europe/Dublin")
    assert str(found.zone) == "Europe/Dublin"
    asked = len(sandbox.arrived())
    assert whose(settings) == found
    assert len(sandbox.arrived()) == asked
    kept = home / "mirror" / "workspaces.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert sandbox.token not in kept.read_text()


def test_what_was_remembered_and_cannot_be_read_is_asked_for_again(
    make_intercom_sandbox: Callable[..., Sandbox], home: Path
) -> None:
    settings = Settings.build(**make_intercom_sandbox(conversations=1).settings_kwargs())
    workspace = Workspace(settings)
    kept = home / "mirror" / "workspaces.json"
    kept.parent.mkdir(parents=True)
    for damaged in ("", "[]", '{"a": 1}', '{"a": []}', "\udcff"):
        kept.write_text(damaged, errors="surrogateescape")
        assert whose(settings, workspace).workspace == WORKSPACE
        assert whose(settings).workspace == WORKSPACE, "remembered"
    workspace.close()
    assert str(Whose("x", "Nowhere/Land").zone) == "UTC"
    assert str(Whose("x").zone) == "UTC"
