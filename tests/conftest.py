"""Runs of the tests are kept apart from the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """INTERCOM_BULK_HOME of this test, also of the processes that it starts."""
    folder = tmp_path / "home"
    monkeypatch.setenv("INTERCOM_BULK_HOME", str(folder))
    return folder
