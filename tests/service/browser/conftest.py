"""One sandbox, one service and one browser for all the tests of the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.service.browser.hostile import fill_hostile
from tests.service.browser.stage import CHROMIUM, browsing, let_in, staged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.service.browser.stage import Stage


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: {CHROMIUM} is not installed")
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """With an attacker's names all over it."""
    home = tmp_path_factory.mktemp("home")
    with staged(home, conversations=1000, contacts=20, limit_per_minute=60_000) as found:
        fill_hostile(found.settings)
        yield found


@pytest.fixture
def page(stage: Stage, browser: Browser) -> Iterator[Page]:
    """Let in, at the runs. What it says to its console fails the test."""
    said: list[str] = []
    context, found = let_in(browser, stage)
    found.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    found.on("pageerror", lambda error: said.append(str(error)))
    yield found
    context.close()
    assert not said
