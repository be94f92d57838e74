"""A mirror that is connected fetches what its answers are missing, behind them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk.errors import UsageError
from intercom_bulk.mirror.keeping.coverage import Span
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.keeping.schema import SyncKind, SyncState
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.mirror.live import ConnectedMirror, connect_mirror
from intercom_bulk.mirror.search import Mirror
from intercom_bulk.testing import make_intercom_sandbox
from tests.mirror.living import aged, settings_of, truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox

    Connect = Callable[..., tuple[Sandbox, ConnectedMirror]]

__all__ = ["make_intercom_sandbox"]

HOUR, DAY = 3_600, 86_400


@pytest.fixture
def connect(make_intercom_sandbox: Callable[..., Sandbox], tmp_path: Path) -> Iterator[Connect]:
    """A workspace, and its mirror as a backfill of `days` left it `ago` seconds back (None: never)."""
    made: list[ConnectedMirror] = []

    def make(*, ago: float | None, days: int = 10, **knobs: Any) -> tuple[Sandbox, ConnectedMirror]:
        wanted = {"conversations": 80, "days": 20, "companies": 0, "tickets": 0, "limit_per_minute": 600_000} | knobs
        sandbox = make_intercom_sandbox(**wanted)
        aged(sandbox)
        if ago is not None:
            at = sandbox.app.clock.now() - ago
            fill(sandbox, tmp_path, Span(int(at) - days * DAY, int(at)), at)
        made.append(connect_mirror(settings=settings_of(sandbox, tmp_path)))
        return sandbox, made[-1]

    yield make
    for one in made:
        one.close()


def fill(sandbox: Sandbox, home: Path, span: Span, at: float) -> None:
    documents = [one for one in truth(sandbox).values() if one["created_at"] in span]
    with open_mirror(home, "sandbox1") as store, store.writing() as writer:
        writer.begin_sync("backfill", SyncKind.BACKFILL, {}, at=at)
        (window,) = writer.plan_windows("backfill", [span])
        window, _ = writer.save_page(writer.begin_window(window, at=at), documents, seen_at=at, cursor=None)
        for depth in Depth:
            writer.finish_window(window, depth=depth)
        writer.finish_sync("backfill", SyncState.COMPLETED, at=at)


def note(sandbox: Sandbox, at: float) -> str:
    """Somebody wrote something then."""
    one = list(sandbox.workspace.conversations.values())[-1]
    one.updated_at = int(at)
    one.title = "Xylophone"
    return str(one.id)


def test_whoever_waits_gets_an_answer_that_is_fresh(connect: Connect) -> None:
    sandbox, mirror = connect(ago=HOUR)
    now = sandbox.app.clock.now()
    changed = note(sandbox, now - 1800)
    start = now - 5 * DAY
    at_once = mirror.check_sync_state(start)
    assert at_once["state"] == "partial"
    found = mirror.search_conversations("xylophone", start=start, wait=True)
    assert [one["id"] for one in found] == [changed]
    assert mirror.check_sync_state(start, depth=Depth.THREAD)["state"] == "fresh"


def test_whoever_does_not_wait_is_answered_at_once_and_the_gap_is_closed_behind(connect: Connect) -> None:
    sandbox, mirror = connect(ago=HOUR, latency_ms=100)
    start = sandbox.app.clock.now() - 5 * DAY
    found = mirror.search_conversations(start=start)
    assert found["sync_info"]["state"] == "partial"
    assert mirror.search_conversations(start=start, wait=30)["sync_info"]["state"] == "fresh"
    kinds = [sync.kind for sync in mirror.store.syncs()]
    assert kinds.count(SyncKind.INCREMENTAL) == 1


def test_days_that_were_never_read_are_backfilled_and_nothing_else_is(connect: Connect) -> None:
    sandbox, mirror = connect(ago=30, days=5)
    start = sandbox.app.clock.now() - 8 * DAY
    assert mirror.check_sync_state(start)["state"] == "stale"
    found = mirror.search_conversations(start=start, limit=200, wait=True)
    assert found.sync_info["state"] == "fresh"
    wanted = {item_id for item_id, one in truth(sandbox).items() if one["created_at"] >= start}
    assert {one["id"] for one in found} == wanted
    (backfill,) = [sync for sync in mirror.store.syncs(kind=SyncKind.BACKFILL) if sync.id != "backfill"]
    assert backfill.question["until"] - backfill.question["since"] < 4 * DAY


def test_a_question_does_not_backfill_years(connect: Connect) -> None:
    sandbox, mirror = connect(ago=30, days=5)
    found = mirror.search_conversations(start=sandbox.app.clock.now() - 400 * DAY, wait=True)
    assert found.sync_info["state"] == "stale"
    assert [sync.id for sync in mirror.store.syncs(kind=SyncKind.BACKFILL)] == ["backfill"]


def test_an_empty_mirror_says_so_and_fetches_nothing(connect: Connect) -> None:
    _, mirror = connect(ago=None)
    found = mirror.search_conversations("anything", wait=True)
    assert found.sync_info["message"] == "The mirror is empty: run a backfill first."
    assert mirror.store.syncs() == []


def test_a_fresh_mirror_sends_nothing(connect: Connect) -> None:
    sandbox, mirror = connect(ago=30)
    before = sandbox.stats()["total"]
    assert mirror.search_conversations(start=sandbox.app.clock.now() - DAY, wait=True).sync_info["data_complete"]
    assert sandbox.stats()["total"] == before


def test_intercom_away_is_no_reason_not_to_answer(connect: Connect) -> None:
    sandbox, mirror = connect(ago=HOUR)
    sandbox.set(revoked=True)
    found = mirror.search_conversations(start=sandbox.app.clock.now() - 5 * DAY, wait=True)
    assert found.sync_info["state"] == "partial"
    assert len(found) > 0


def test_what_was_tried_a_moment_ago_is_not_tried_again(connect: Connect) -> None:
    sandbox, mirror = connect(ago=HOUR)
    sandbox.set(revoked=True)
    start = sandbox.app.clock.now() - 5 * DAY
    mirror.search_conversations(start=start, wait=True)
    before = sandbox.stats()["total"]
    mirror.search_conversations(start=start, wait=True)
    assert sandbox.stats()["total"] == before


def test_a_background_sync_is_triggered_without_waiting_and_joined_by_the_next(connect: Connect) -> None:
    _, mirror = connect(ago=HOUR, latency_ms=100)
    runs = []
    threads = [threading.Thread(target=lambda: runs.append(mirror.trigger_background_sync())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(run) for run in runs}) == 1
    assert runs[0].result().is_complete


def test_closing_stops_what_is_under_way(connect: Connect) -> None:
    sandbox, mirror = connect(ago=HOUR, latency_ms=50)
    mirror.search_conversations(start=sandbox.app.clock.now() - 9 * DAY)
    mirror.close()
    assert not mirror.store.is_syncing


def test_a_mirror_without_a_way_to_intercom_says_what_to_do(tmp_path: Path) -> None:
    with open_mirror(tmp_path, "sandbox1") as store, pytest.raises(UsageError, match="connect_mirror"):
        Mirror(store).sync()
