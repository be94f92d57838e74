"""A clean environment, and sandboxes that start fast and have room."""

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

ROOMY = {"limit_per_minute": 600_000, "latency_ms": 2, "contacts": 5, "companies": 2, "tickets": 2}


@pytest.fixture(autouse=True)
def _nobodys_environment(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No token, no .env, no .netrc of whoever runs the tests; `home` is the one folder that runs are kept in."""
    for name in [name for name in os.environ if name.startswith("INTERCOM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("INTERCOM_BULK_HOME", str(home))
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def start(make_intercom_sandbox: Callable[..., Sandbox]) -> Callable[..., Sandbox]:
    """Starts a sandbox whose limit does not matter, with the given knobs."""

    def make(**knobs: Any) -> Sandbox:
        return make_intercom_sandbox(**{**ROOMY, **knobs})

    return make
