"""A sandbox, a service before it and a browser that is let in: tests, pictures and benches of the pages share them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from intercom_bulk.pipeline.pipeline import Pipeline
from intercom_bulk.sandbox import Sandbox, SandboxProcess
from intercom_bulk.service.serving import Service
from intercom_bulk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from intercom_bulk.insights.phase import Phase

__all__ = ["CHROMIUM", "Stage", "browsing", "let_in", "opened", "staged", "width_beyond"]

CHROMIUM = Path("/usr/bin/chromium")
_QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
expect.set_options(timeout=15_000)  # a machine may be busy with other tests
TOKEN = "a-token-of-the-stage-0123456789"


class Stage:
    """A service on a free port, serving in a thread. `url` is where it is; `phases` are those of its pipeline."""

    def __init__(self, sandbox: Sandbox | SandboxProcess, home: Path, phases: Sequence[Phase] | None = None) -> None:
        env = {**sandbox.environ(), "INTERCOM_BULK_HOME": str(home)}
        self.sandbox, self.home = sandbox, home
        self.settings = Settings.build(env=env)
        pipeline = None if phases is None else Pipeline(settings=self.settings, phases=phases)
        self._service = Service(self.settings, token=TOKEN, port=0, pipeline=pipeline)
        self._thread = threading.Thread(target=self._service.run, name="service of the stage")

    @property
    def url(self) -> str:
        return self._service.address

    @property
    def login(self) -> str:
        return self._service.login

    @property
    def desk(self) -> Any:
        return self._service.desk

    def open(self) -> None:
        """The socket listens already: who asks before it serves is answered when it does."""
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._service.stop()
            self._thread.join()


@contextmanager
def staged(home: Path, **knobs: Any) -> Iterator[Stage]:
    """The service, with a sandbox of these knobs behind it."""
    with SandboxProcess(**knobs) as sandbox, opened(Stage(sandbox, home)) as stage:
        yield stage


@contextmanager
def opened(stage: Stage) -> Iterator[Stage]:
    """For as long as the block lasts."""
    stage.open()
    try:
        yield stage
    finally:
        stage.close()


@contextmanager
def browsing() -> Iterator[Browser]:
    """Debian's chromium, by playwright."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(_QUIET))
        try:
            yield browser
        finally:
            browser.close()


def let_in(browser: Browser, stage: Stage, **options: Any) -> tuple[BrowserContext, Page]:
    """A window of its own that has the cookie."""
    context = browser.new_context(**({"viewport": {"width": 1440, "height": 900}} | options))
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.goto(stage.login)
    return context, page


def width_beyond(page: Page) -> int:
    """Pixels by which the page is wider than its window."""
    found = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return int(found)
