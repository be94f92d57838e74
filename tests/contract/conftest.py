"""The description, once per session, and recorders in front of sandboxes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk.testing import make_intercom_sandbox
from tests.contract.openapi import Description, description_path
from tests.contract.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from intercom_bulk.sandbox import Sandbox

__all__ = ["description", "make_intercom_sandbox", "record"]


@pytest.fixture(scope="session")
def description() -> Description:
    path = description_path()
    if path is None:
        pytest.skip("no ../shared/intercom-openapi-2.16.yaml, and INTERCOM_OPENAPI names no file")
    return Description.load(path)


@pytest.fixture
def record(make_intercom_sandbox: Callable[..., Sandbox]) -> Iterator[Callable[..., Recorder]]:
    """Starts a small sandbox with the given knobs, and a recorder in front of it."""
    with ExitStack() as stack:

        def start(**knobs: Any) -> Recorder:
            small = {"conversations": 12, "contacts": 12, "companies": 12, "tickets": 12}
            return stack.enter_context(Recorder(make_intercom_sandbox(**{**small, **knobs})))

        yield start
