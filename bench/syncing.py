"""Incremental syncs: what changed among many, with few and many workers, and while people never rest."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from bench.report import Section, at_least, at_most, exactly, info
from intercom_bulk.api.pages import Search, endpoint, read_page
from intercom_bulk.mirror.backfill import Backfill
from intercom_bulk.mirror.keeping.coverage import Span
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.keeping.schema import SyncKind, SyncState
from intercom_bulk.mirror.syncing import IncrementalSync
from intercom_bulk.sandbox import Sandbox, SandboxProcess, threads
from intercom_bulk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from intercom_bulk.mirror.fetching.report import SyncReport
    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.workspace import Workspace

__all__ = ["changed", "turmoil"]

LATENCY, SEARCH_LATENCY = 250.0, 1000.0
NAIVE_PAGES = 12
"""So many pages of a walk over everything are timed; the rest takes as long each."""


@contextmanager
def _home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="intercom-bulk-sync-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


class _People:
    """Who works in the workspace meanwhile."""

    def __init__(self, sandbox: Sandbox | SandboxProcess) -> None:
        self._url, self._admin = sandbox.url, sandbox.admin_id
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {sandbox.token}"

    def _send(self, method: str, path: str, **body: Any) -> None:
        self._session.request(method, f"{self._url}/conversations/{path}", json=body, timeout=60)

    def note(self, item_id: str) -> None:
        self._send("POST", f"{item_id}/reply", message_type="note", type="admin", admin_id=self._admin, body="Hm")

    def close(self, item_id: str) -> None:
        self._send("POST", f"{item_id}/parts", message_type="close", type="admin", admin_id=self._admin)

    def delete(self, item_id: str) -> None:
        self._send("DELETE", item_id)


def _claim_threads(store: MirrorStore, now: float) -> None:
    """As if every thread had been read: a sync then fetches those of what changes."""
    with store.writing() as writer:
        writer.begin_sync("claim", SyncKind.BACKFILL, {}, at=now)
        (window,) = writer.plan_windows("claim", [Span(0, int(now))])
        writer.finish_window(writer.begin_window(window, at=now), depth=Depth.THREAD)
        writer.finish_sync("claim", SyncState.COMPLETED, at=now)


def _fetching(sync: IncrementalSync, report: SyncReport) -> float:
    """Seconds from when the first thread was asked for until the last one was stored."""
    ledger = sync.workspace.store.read(report.sync_id)
    try:
        settled = [outcome.at for outcome in ledger.outcomes()]
    finally:
        ledger.close()
    return max(settled) - min(settled) + LATENCY / 1000


def _naive_page_seconds(workspace: Workspace) -> float:
    """Of a walk over everything, 150 a page."""
    search = Search(endpoint("conversations/search"), {"field": "created_at", "operator": ">", "value": 0}, 150)
    began, cursor = time.perf_counter(), None
    for _ in range(NAIVE_PAGES):
        cursor = read_page(workspace.client, search, cursor).cursor
    return (time.perf_counter() - began) / NAIVE_PAGES


def changed(*, quick: bool) -> Section:
    """50 changed among 100,000: at most 4 search pages and 50 fetches, 10 times quicker than filtering all pages; 100
    changed: 20 workers fetch them 10 times quicker than one.
    """
    count, few, many = (3_000, 10, 20) if quick else (100_000, 50, 100)
    knobs = {"conversations": count, "contacts": 500, "companies": 0, "tickets": 0, "limit_per_minute": 60_000}
    with _home() as home, SandboxProcess(**knobs) as sandbox:
        settings = replace(Settings.build(**sandbox.settings_kwargs(), env={}), home=home)
        with Backfill(days=120, depth="row", settings=settings) as backfill:
            began = time.perf_counter()
            backfill.run()
            filled = time.perf_counter() - began
        ids = [item["id"] for item in sandbox.items()]
        with IncrementalSync(settings=settings) as sync:
            _claim_threads(sync.store, sync.workspace.begin())
            sync.run()  # settles what is recent
            sandbox.set(latency_ms=LATENCY, search_latency_ms=SEARCH_LATENCY, limit_per_minute=10_000)
            reports = {workers: _changed(sandbox, settings, ids, workers, few, many) for workers in (0, 1, 20)}
            page = _naive_page_seconds(sync.workspace)
        (first, pages, _), (_, _, slow), (_, _, quickly) = reports[0], reports[1], reports[20]
    naive = page * -(-count // 150)
    name = "mirror-sync"
    figures = [
        at_most(f"{name}: search pages for {few} changed of {count:,}", pages, 4),
        exactly(f"{name}: threads fetched", first.threads, few),
        at_least(f"{name}: quicker than filtering all pages", naive / first.seconds, 10.0, "{:.0f} x"),
        at_least(f"{name}: fetching with 20 workers against one", slow / quickly, 10.0, "{:.1f} x"),
        info(f"{name}: seconds", first.seconds, "{:.2f} s"),
    ]
    lines = [
        f"{count:,} rows backfilled in {filled:.1f} s without latency",
        f"{first}",
        f"filtering {-(-count // 150)} pages: {page:.2f} s a page, {NAIVE_PAGES} of them timed",
        f"{many} threads: {slow:.2f} s with one worker, {quickly:.2f} s with 20",
    ]
    return Section(figures, lines)


def _changed(
    sandbox: SandboxProcess, settings: Settings, ids: Sequence[str], workers: int, few: int, many: int
) -> tuple[SyncReport, int, float]:
    """A sync after some have changed (0 workers: few of them, with as many workers as by default); its search pages,
    and the seconds of its fetching.
    """
    sandbox.set(latency_ms=0)
    people, start = _People(sandbox), {0: 0, 1: 1_000, 20: 2_000}[workers]
    for item_id in ids[start : start + (many if workers else few)]:
        people.note(item_id)
    sandbox.set(latency_ms=LATENCY)
    before = _searches(sandbox)
    with IncrementalSync(settings=settings, workers=workers or None) as sync:
        report = sync.run()
        return report, _searches(sandbox) - before, _fetching(sync, report)


def _searches(sandbox: SandboxProcess) -> int:
    """For conversations, and everything that is asked for the sake of contacts."""
    asked: dict[str, dict[str, int]] = sandbox.stats()["requests"]
    routes = ("POST /conversations/search", "POST /contacts/search", "GET /contacts/*")
    return sum(sum(asked.get(route, {}).values()) for route in routes)


def turmoil(*, quick: bool) -> Section:
    """A minute of 500 changes, arrivals and deletions with an index that lags 5 s, and syncs all the while: after the
    last one the mirror is the workspace.
    """
    seconds, lag, count = (4.0, 0.5, 300) if quick else (60.0, 5.0, 2_000)
    knobs = {"conversations": count, "companies": 0, "tickets": 0, "days": 20, "arrivals": 1.0, "index_lag": lag}
    with _home() as home, Sandbox(**knobs, latency_ms=20, search_latency_ms=200) as sandbox:
        settings = replace(Settings.build(**sandbox.settings_kwargs(), env={}), home=home)
        people, changes = _People(sandbox), [0]
        worker = threading.Thread(target=_work, args=(people, sandbox, seconds, changes))
        with (
            Backfill(days=30, settings=settings) as backfill,
            IncrementalSync(settings=settings, lag=int(lag) + 1) as sync,
        ):
            worker.start()  # the backfill, too, is of a workspace that never rests
            backfill.run()
            reports = [sync.run()]
            while worker.is_alive():
                reports.append(sync.run())
            worker.join()
            sandbox.set(arrivals=0.0)
            time.sleep(lag + 1)
            reports.append(sync.run())
            different = _different(sandbox, sync.store)
    name = "mirror-turmoil"
    figures = [
        exactly(f"{name}: conversations that differ", different, 0),
        exactly(f"{name}: missed by a sync that said otherwise", sum(one.missed for one in reports), 0),
        info(f"{name}: changes a minute", changes[0] / seconds * 60, "{:.0f}"),
        info(f"{name}: syncs", len(reports)),
    ]
    return Section(
        figures, [f"{changes[0]} changes by people, {len(sandbox.arrived())} arrivals", f"last: {reports[-1]}"]
    )


def _work(people: _People, sandbox: Sandbox, seconds: float, changes: list[int]) -> None:
    ids, until = [item["id"] for item in sandbox.items()], time.perf_counter() + seconds
    while time.perf_counter() < until:
        number = changes[0]
        item_id = ids[number * 37 % len(ids)]
        (people.delete if number % 25 == 0 else people.close if number % 5 == 0 else people.note)(item_id)
        changes[0] += 1
        time.sleep(max(0.0, 60 / 500 - 0.03))


def _different(sandbox: Sandbox, store: MirrorStore) -> int:
    state = sandbox.workspace
    there = {str(one.id): threads.full_conversation(state, one) for one in list(state.conversations.values())}
    mirrored = {row["id"] for row in store.sql("SELECT id FROM conversations_flat")}
    return sum(store.document(one) != thread for one, thread in there.items()) + len(mirrored - set(there))
