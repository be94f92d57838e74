"""Sandboxes that start fast and have room, in a process of their own, so that this one's CPU is the library's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk.sandbox import SandboxProcess
from intercom_bulk.testing import make_intercom_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox

__all__ = ["make_intercom_sandbox", "mixed", "nobodys_environment", "start"]

ROOMY: dict[str, Any] = {"limit_per_minute": 900_000, "contacts": 5, "companies": 2, "tickets": 2}


@pytest.fixture(autouse=True)
def nobodys_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No token, no .env of whoever runs the tests; the home of the test stays."""
    for name in [name for name in os.environ if name.startswith("INTERCOM_") and name != "INTERCOM_BULK_HOME"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def start(make_intercom_sandbox: Callable[..., Sandbox]) -> Callable[..., Sandbox]:
    """Starts a sandbox in this process, with the given knobs."""

    def make(**knobs: Any) -> Sandbox:
        return make_intercom_sandbox(**{**ROOMY, **knobs})

    return make


@pytest.fixture
def mixed() -> Iterator[SandboxProcess]:
    """600 conversations (2,000 where proofs may be long): open, snoozed and closed ones, tagged and untagged, of
    several teams.
    """
    count = 2000 if os.environ.get("LONG_PROOFS") else 600
    knobs: dict[str, Any] = {"conversations": count, "share_snoozed": 0.3, "share_tagged": 0.4, "share_other_team": 0.3}
    with SandboxProcess(**ROOMY, **knobs) as sandbox:
        yield sandbox
