"""The command line in this process, on a sandbox, with somebody (or nobody) at the keyboard."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk.cli import main
from intercom_bulk.sandbox import Sandbox
from intercom_bulk.testing import make_intercom_sandbox

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Cli", "Ended", "Keyboard", "make_intercom_sandbox"]

POPULATION: dict[str, Any] = {"conversations": 40, "contacts": 12, "companies": 6, "tickets": 10}


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said where."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        (line,) = self.out.splitlines()
        return json.loads(line)


Cli = Callable[..., Ended]


class Keyboard(io.StringIO):
    """A terminal's keyboard. `before` happens while the question stands there, before the answer is typed."""

    def __init__(self, text: str, before: Callable[[], object] = lambda: None) -> None:
        super().__init__(text)
        self._before = before

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        self._before()
        return super().readline(-1 if size is None else size)


@pytest.fixture(scope="session")
def served() -> Iterator[Sandbox]:
    """One server for all: stopping it takes longer than most of what is done here."""
    with Sandbox(latency_ms=1, limit_per_minute=600_000, share_closed=0.25, **POPULATION) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(served: Sandbox) -> Sandbox:
    """Fresh, whatever was done to it before."""
    if served.stats()["statuses"]:  # else nobody has asked it for anything
        served.set(poison_422_ids=(), revoked=False, denied=())
        served.reset()
    return served


@pytest.fixture(autouse=True)
def _environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """That of somebody whose token is for the sandbox, in an empty folder."""
    for name in [name for name in os.environ if name.startswith("INTERCOM_") and name != "INTERCOM_BULK_HOME"]:
        monkeypatch.delenv(name)
    for name in ("INTERCOM_BASE_URL", "INTERCOM_ACCESS_TOKEN"):
        monkeypatch.setenv(name, sandbox.environ()[name])
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command. `typed`: what somebody at the keyboard answers; `piped`: what comes in instead of a keyboard."""

    def run(*words: object, typed: str | Keyboard | None = None, piped: str = "") -> Ended:
        keyboard = Keyboard(typed) if isinstance(typed, str) else typed
        monkeypatch.setattr(sys, "stdin", io.StringIO(piped) if keyboard is None else keyboard)
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return Ended(int(code), said.out, said.err)

    return run
