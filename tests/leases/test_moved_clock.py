"""The server's clock is set back between two runs, which share what they know of its windows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from intercom_bulk import ConversationCloser
from intercom_bulk.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(conversations=20, contacts=2, companies=1, tickets=1) as started:
        yield started


@pytest.mark.parametrize("hours", [-1, 1, -0.01])
def test_a_run_after_the_server_set_its_clock_does_not_wait_for_the_time_it_was(sandbox: Sandbox, hours: float) -> None:
    def ask() -> int:
        closer = ConversationCloser(**sandbox.settings_kwargs())
        found = closer.bulk_process(state="open", dry_run=True).would_change
        closer.workspace.close()
        return found

    assert ask() == 20
    sandbox.set(clock_skew=3600.0 * hours)
    began = time.monotonic()
    assert ask() >= 15  # by that clock some are of the future
    assert time.monotonic() - began < 15.0  # a window at most, and not an hour
