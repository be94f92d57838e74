"""pytest fixtures for people who write updaters: `pytest_plugins = ["intercom_bulk.testing"]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk.sandbox import Sandbox, SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["intercom_sandbox", "make_intercom_sandbox"]


@pytest.fixture
def make_intercom_sandbox() -> Iterator[Callable[..., Sandbox]]:
    """Starts sandboxes with the given knobs (`make_intercom_sandbox(conversations=20)`), and stops them afterwards."""
    started: list[Sandbox] = []

    def make(options: SandboxOptions | None = None, **knobs: Any) -> Sandbox:
        sandbox = Sandbox(options, **knobs).start()
        started.append(sandbox)
        return sandbox

    yield make
    for sandbox in started:
        sandbox.stop()


@pytest.fixture
def intercom_sandbox(make_intercom_sandbox: Callable[..., Sandbox]) -> Sandbox:
    """A running sandbox of 200 open conversations; `sandbox.settings_kwargs()` points a client at it."""
    return make_intercom_sandbox(conversations=200, contacts=50, companies=20, tickets=20)
