"""The description, once per session, and recorders in front of sandboxes."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk.sandbox import Sandbox, SandboxOptions
from tests.contract.openapi import Description, description_path
from tests.contract.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


__all__ = ["description", "record", "sandbox"]


@pytest.fixture(scope="session")
def description() -> Description:
    path = description_path()
    if path is None:
        pytest.skip("no ../shared/intercom-openapi-2.16.yaml, and INTERCOM_OPENAPI names no file")
    return Description.load(path)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as started:
        yield started


@pytest.fixture
def record(sandbox: Sandbox) -> Iterator[Callable[..., Recorder]]:
    """Empties the sandbox, gives it a small workspace with the given knobs, and puts a recorder in front of it."""
    with ExitStack() as stack:

        def start(**knobs: Any) -> Recorder:
            small = {"conversations": 12, "contacts": 12, "companies": 12, "tickets": 12}
            sandbox.set(**asdict(SandboxOptions(**{**small, **knobs})))
            sandbox.reset()
            return stack.enter_context(Recorder(sandbox))

        yield start
