"""Sandboxes of contacts and companies."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk.testing import make_intercom_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox

__all__ = ["make_intercom_sandbox"]

SMALL: dict[str, Any] = {
    "limit_per_minute": 900_000,
    "conversations": 2,
    "contacts": 8,
    "companies": 4,
    "tickets": 1,
    "scroll_idle_s": 0.1,
}


@pytest.fixture(autouse=True)
def _nobodys_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No token, no .env of whoever runs the tests; the home of the test stays."""
    for name in [name for name in os.environ if name.startswith("INTERCOM_") and name != "INTERCOM_BULK_HOME"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def start(make_intercom_sandbox: Callable[..., Sandbox]) -> Callable[..., Sandbox]:
    """Starts a sandbox in this process, with the given knobs."""

    def make(**knobs: Any) -> Sandbox:
        return make_intercom_sandbox(**{**SMALL, **knobs})

    return make
