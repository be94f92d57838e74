"""Programs are run as a user would run them: in a process of their own, which is pointed at a sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from intercom_bulk.sandbox import Sandbox
from intercom_bulk.testing import make_intercom_sandbox

__all__ = ["ROOT", "Run", "make_intercom_sandbox"]

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def served() -> Iterator[Sandbox]:
    """One server for all: stopping it takes longer than most of what is run here."""
    with Sandbox(conversations=60, contacts=20, latency_ms=2) as sandbox:
        yield sandbox


@pytest.fixture
def workspace(served: Sandbox) -> Sandbox:
    """What stands for the user's own workspace: fresh, whatever was done to it before."""
    served.reset()
    return served


@pytest.fixture
def environment(workspace: Sandbox, home: Path) -> dict[str, str]:
    """The process environment of somebody whose token is for that workspace; runs are kept apart from the user's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("INTERCOM_")}
    return {**clean, **workspace.environ(), "INTERCOM_BULK_HOME": str(home)}


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    """Runs Python with the arguments, in an empty directory."""

    def ran(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *map(str, arguments)]
        where = environment if env is None else env
        return subprocess.run(command, cwd=tmp_path, env=where, capture_output=True, text=True, timeout=60, check=False)

    return ran
