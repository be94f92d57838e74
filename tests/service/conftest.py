"""One service for the tests of a file: they look, or work on items of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from intercom_bulk.sandbox import Sandbox
from tests.service.live import Live, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["live", "workspace"]


@pytest.fixture(scope="module")
def workspace() -> Iterator[Sandbox]:
    with Sandbox(conversations=120, contacts=20, latency_ms=1) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def live(workspace: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(workspace, tmp_path_factory.mktemp("service") / "home") as found:
        yield found
