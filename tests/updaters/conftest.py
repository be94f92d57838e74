"""One sandbox for all cases, emptied for each; and the description of the API."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk.sandbox import Sandbox, SandboxOptions
from tests.contract.openapi import Description, description_path
from tests.undo.person import Person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.updaters.cases import Case

__all__ = ["judge", "one_sandbox", "prepared"]

SMALL: dict[str, Any] = {
    "limit_per_minute": 900_000,
    "conversations": 12,
    "contacts": 12,
    "companies": 12,
    "tickets": 12,
    "scroll_idle_s": 0.5,
}


@pytest.fixture(autouse=True)
def _nobodys_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No token, no .env of whoever runs the tests; the home of the test stays."""
    kept = {"INTERCOM_BULK_HOME", "INTERCOM_OPENAPI"}
    for name in [name for name in os.environ if name.startswith("INTERCOM_") and name not in kept]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def judge() -> Description | None:
    """Intercom's own description of its API, where there is one (see tests/contract)."""
    path = description_path()
    return None if path is None else Description.load(path)


@pytest.fixture(scope="session")
def one_sandbox() -> Iterator[Sandbox]:
    with Sandbox() as started:
        yield started


@pytest.fixture
def prepared(one_sandbox: Sandbox) -> Iterator[Callable[[Case], Sandbox]]:
    """The sandbox with a case's population, and what people did in it."""
    with ExitStack() as stack:

        def prepare(case: Case) -> Sandbox:
            one_sandbox.set(**asdict(SandboxOptions(**{**SMALL, **case.knobs})))
            one_sandbox.reset()
            stack.callback(lambda: one_sandbox.set(**asdict(SandboxOptions())))
            if case.before is not None:
                case.before(one_sandbox, Person(one_sandbox))
            return one_sandbox

        yield prepare
