"""The dashboard over a run of 100,000 items: how soon a page can be used, and how long a page of its items takes."""

from __future__ import annotations

import http.client
import time
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench.report import Section, at_most, info
from intercom_bulk.runs.model import Effect, Item, Outcome, Page, RunState, Slice, Status
from intercom_bulk.runs.record import RunRecord
from intercom_bulk.workspace import run_store
from tests.service.browser.stage import TOKEN, browsing, let_in, staged

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from intercom_bulk.settings import Settings
    from tests.service.browser.stage import Stage

__all__ = ["pages"]

ITEMS, QUICK = 100_000, 5_000
RUN = "20260101-000000-bench0"
VISITS, LISTS = 12, 200
STATUSES = (*[Status.DONE] * 90, *[Status.SKIPPED] * 6, *[Status.FAILED] * 4)


def pages(*, quick: bool = False) -> Section:
    """Each visit is a browser that has nothing of the page yet; each list is another place, filter or word."""
    items = QUICK if quick else ITEMS
    with TemporaryDirectory() as home, staged(Path(home), conversations=50, contacts=5) as stage:
        began = time.monotonic()
        _fill(stage.settings, items)
        filled = time.monotonic() - began
        lists, words = _lists(stage, items), _lists(stage, items, text="nowhere")
        with browsing() as browser:
            visits = [_visit(browser, stage) for _ in range(3 if quick else VISITS)]
    name = f"{items:,} items"
    figures = [
        at_most(f"dashboard {name}: interactive, the slowest of {len(visits)}", max(visits), 1.0, "{:.2f} s"),
        at_most(f"dashboard {name}: a list page, p95", 1000 * _p95(lists), 100.0, "{:.0f} ms"),
        info(f"dashboard {name}: a word that is nowhere, p95", 1000 * _p95(words), "{:.0f} ms"),
    ]
    medians = f"interactive {median(visits):.2f} s, list {1000 * median(lists):.0f} ms"
    told = f"filled in {filled:.1f} s; medians: {medians}"
    return Section(figures, [told])


def _p95(seconds: list[float]) -> float:
    return quantiles(seconds, n=20)[-1]


def _fill(settings: Settings, count: int) -> None:
    """A run that is over, with an outcome for every item."""
    now = time.time()
    record = RunRecord(
        run_id=RUN, title="ConversationCloser", state=RunState.COMPLETED_WITH_ERRORS, total=count, created_at=now - 900,
        ended_at=now - 60, workspace="sandbox1", base_url="https://api.intercom.io",
    )  # fmt: skip
    effect = Effect({"state": "open"}, {"state": "closed"})
    ledger = run_store(settings.home, settings.ledger_url).create(record)
    try:
        for start in range(0, count, 5000):
            items = [Item(str(900_000_000_000 + 7919 * n)) for n in range(start, min(start + 5000, count))]
            with ledger.atomic():
                ledger.stage(Page(items, Slice("all")), 1, dict.fromkeys((item.id for item in items), effect))
                ledger.start(items, now - 900)
                ledger.settle([_outcome(item.id, STATUSES[n % 100], now - 800) for n, item in enumerate(items)])
    finally:
        ledger.close()


def _outcome(item_id: str, status: Status, at: float) -> Outcome:
    code, message = {
        Status.DONE: (None, None),
        Status.SKIPPED: ("already_done", "It already is as this run would leave it."),
        Status.FAILED: ("rejected", "422: the conversation cannot be closed by this teammate"),
    }[status]
    return Outcome(item_id, status, code, message, 1, {"state": "open"}, {"state": "closed"}, at=at)


def _lists(stage: Stage, items: int, *, text: str = "") -> list[float]:
    """Seconds of each, over a connection that is open, as a browser's is. The page itself, not only its data."""
    host, port = stage.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    taken = []
    for n in range(LISTS // 4 if text else LISTS):
        after = 900_000_000_000 + 7919 * (n * items // LISTS)
        status = ("", "done", "failed", "skipped")[n % 4]
        began = time.perf_counter()
        connection.request("GET", f"/runs/{RUN}?status={status}&text={text}&after={after}", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        taken.append(time.perf_counter() - began)
        if answer.status != 200 or (b"<tbody" not in body and not text):
            raise AssertionError(f"no page: {answer.status}")
    connection.close()
    return taken


def _visit(browser: Browser, stage: Stage) -> float:
    """Seconds from the click to the end of the last script: from then on buttons answer and the stream is asked for."""
    context, page = let_in(browser, stage)
    page.goto(f"{stage.url}/runs/{RUN}")
    found = float(page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"))
    context.close()
    return found / 1000
