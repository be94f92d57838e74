"""A clean environment, and sandboxes whose limit does not matter."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from intercom_bulk.testing import make_intercom_sandbox
from tests.acceptance.conftest import start

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["make_intercom_sandbox", "start"]


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Plans are written to the working directory; no token or team of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("INTERCOM_") and name != "INTERCOM_BULK_HOME"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
