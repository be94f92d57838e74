"""A few examples of what `python -m tests.service.fuzz` does with many: every operation, all checks, a live service."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from intercom_bulk.sandbox import Sandbox
from tests.service.fuzz import command, pipeline, prepare
from tests.service.live import serving

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_no_request_finds_an_answer_that_the_document_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.chdir(tmp_path)
    with (
        Sandbox(conversations=30, contacts=10) as sandbox,
        serving(sandbox, home, pipeline=pipeline(sandbox, home), longest_stream=0.0) as live,
    ):
        prepare(live)
        few = command(live, tmp_path, 1, "--phases", "fuzzing")
        told = subprocess.run(few, capture_output=True, text=True, timeout=100, check=False)
    assert told.returncode == 0, told.stdout[-6000:]
    assert "26 selected / 26 total" in told.stdout
