"""One sandbox, one service and one browser for all the tests of the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from intercom_bulk.sandbox import Sandbox
from tests.needs import lacking
from tests.pipeline.phases import Counting
from tests.service.browser.hostile import fill_hostile
from tests.service.browser.stage import CHROMIUM, Stage, browsing, let_in, opened
from tests.service.test_around import Held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        lacking(f"no browser: {CHROMIUM} is not installed")
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def held() -> Held:
    """The pipeline of the stage waits for it, batch by batch."""
    return Held()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, held: Held) -> Iterator[Stage]:
    """With an attacker's names all over it. Its sandbox has all the time in this process: a second one costs more."""
    counting = Counting(before=held)
    counting.batch_size = 2
    with Sandbox(conversations=300, contacts=20, limit_per_minute=60_000) as sandbox:
        stage = Stage(sandbox, tmp_path_factory.mktemp("home"), [counting])
        with opened(stage):
            fill_hostile(stage.settings)
            yield stage
            held.set()


@pytest.fixture(scope="module")
def window(stage: Stage, browser: Browser) -> Iterator[BrowserContext]:
    """One that is let in, for those who leave it as it was."""
    context, page = let_in(browser, stage)
    page.close()
    yield context
    context.close()


@pytest.fixture
def page(window: BrowserContext) -> Iterator[Page]:
    """What it says to its console fails the test."""
    said: list[str] = []
    found = window.new_page()
    found.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    found.on("pageerror", lambda error: said.append(str(error)))
    yield found
    found.close()
    assert not said
