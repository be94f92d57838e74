"""A backfill holds what Intercom shows of a range: all of it, or it says what is missing."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import Backfill, RunBusy, RunOptions, RunState, Settings, UsageError
from intercom_bulk.mirror.fetching.spans import DAY, days_of, joinable, parts_of, title
from intercom_bulk.mirror.keeping.coverage import Span
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.keeping.schema import SyncState
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.testing import intercom_sandbox, make_intercom_sandbox
from tests.mirror.truth import differences, everything
from tests.mirror.weather import weather

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.runs.summary import Progress
    from intercom_bulk.sandbox import Sandbox

    MakeSandbox = Callable[..., Sandbox]

__all__ = ["intercom_sandbox", "make_intercom_sandbox"]

QUICK = RunOptions(reserve=0.0)
SMALL = {"contacts": 20, "companies": 2, "tickets": 2, "limit_per_minute": 600_000}


def settings_of(sandbox: Sandbox, home: Path, url: str | None = None) -> Settings:
    made = Settings.build(access_token=sandbox.token, base_url=url or sandbox.url, env={})
    return replace(made, home=home)


def test_it_is_kept_and_gone_on_with_in_postgresql_too(
    make_intercom_sandbox: MakeSandbox, home: Path, own_database: str
) -> None:
    sandbox = make_intercom_sandbox(
        conversations=80, days=2, parts=2, share_tagged=0.3, latency_ms=20, app_id="backfilled", **SMALL
    )
    settings = replace(settings_of(sandbox, home), ledger_url=own_database)
    with Backfill(days=3, settings=settings) as backfill:

        def stop_soon(progress: Progress) -> None:
            if progress.done:
                backfill.stop()

        run = backfill.start(replace(QUICK, progress=stop_soon), parallel_workers=2)
        assert run.result().state is RunState.STOPPED
        backfill.resume(run.run_id, QUICK).result()
        status = backfill.status()
    assert (status.state, status.threads_missing) == (RunState.COMPLETED, 0)
    assert calls_of(sandbox, "conversations/*") == 80
    sandbox.set(latency_ms=0)
    with open_mirror(home, "backfilled", url=own_database) as store:
        assert differences(store, everything(sandbox.url, sandbox.token)) == []


def mirror_of(sandbox: Sandbox, home: Path) -> MirrorStore:
    return open_mirror(home, sandbox.options.app_id)


def calls_of(sandbox: Sandbox, word: str) -> int:
    requests: dict[str, dict[str, int]] = sandbox.app.stats.record()["requests"]
    return sum(count for name, by in requests.items() if word in name for count in by.values())


@pytest.mark.parametrize("gt_inclusive", [False, True])
def test_it_holds_every_conversation_row_for_row_and_part_for_part(
    make_intercom_sandbox: MakeSandbox, home: Path, *, gt_inclusive: bool
) -> None:
    sandbox = make_intercom_sandbox(
        conversations=240, days=4, parts=2, share_tagged=0.3, gt_inclusive=gt_inclusive, **SMALL
    )
    with Backfill(days=5, settings=settings_of(sandbox, home)) as backfill:
        status = backfill.run(QUICK)
    assert status.state is RunState.COMPLETED
    assert (status.conversations_stored, status.threads_missing, status.holes) == (240, 0, ())
    assert status.parts == 480
    with mirror_of(sandbox, home) as store:
        assert differences(store, everything(sandbox.url, sandbox.token)) == []
        # Every second of the range is proved, in depth, but for the last ones, which the index may not show yet.
        assert status.since is not None
        assert status.until is not None
        lo, hi = int(status.since.timestamp()), int(status.until.timestamp())
        assert store.knowledge(Depth.THREAD).members.covers(lo, hi - 120)
        (named,) = store.sql("SELECT count(*) FROM conversations_flat WHERE team_name IS NOT NULL").rows
        assert named == (240,)


def test_rows_alone_take_a_call_a_page(make_intercom_sandbox: MakeSandbox, home: Path) -> None:
    sandbox = make_intercom_sandbox(conversations=300, days=1, **SMALL)
    with Backfill(days=3, depth="row", settings=settings_of(sandbox, home)) as backfill:
        status = backfill.run(QUICK)
    assert status.conversations_stored == 300
    assert calls_of(sandbox, "conversations/*") == 0
    with mirror_of(sandbox, home) as store:
        assert differences(store, everything(sandbox.url, sandbox.token), parts=False) == []
        assert not store.knowledge(Depth.THREAD).members
        assert store.knowledge(Depth.ROW).members


def test_threads_that_did_not_change_are_not_fetched_again(make_intercom_sandbox: MakeSandbox, home: Path) -> None:
    sandbox = make_intercom_sandbox(conversations=120, days=2, **SMALL)
    with Backfill(days=3, settings=settings_of(sandbox, home)) as backfill:
        backfill.run(QUICK)
        before = calls_of(sandbox, "conversations/*")
        again = backfill.run(QUICK)
    assert before == 120
    assert calls_of(sandbox, "conversations/*") == before
    assert again.state is RunState.COMPLETED
    with mirror_of(sandbox, home) as store:
        # and it is known of a later moment than before
        assert store.last_completed_sync() == store.sync(again.run_id)


def test_pages_that_are_too_large_are_asked_for_in_smaller_ones(make_intercom_sandbox: MakeSandbox, home: Path) -> None:
    sandbox = make_intercom_sandbox(conversations=200, days=1, page_504_over=40, **SMALL)
    with Backfill(days=2, depth="row", settings=settings_of(sandbox, home)) as backfill:
        status = backfill.run(QUICK)
    assert (status.state, status.conversations_stored, status.holes) == (RunState.COMPLETED, 200, ())


def test_dense_windows_are_shared_out_and_sparse_ones_joined(make_intercom_sandbox: MakeSandbox, home: Path) -> None:
    sandbox = make_intercom_sandbox(conversations=1500, days=1, **SMALL)
    with Backfill(days=100, depth="row", settings=settings_of(sandbox, home)) as backfill:
        status = backfill.run(QUICK)
    assert (status.state, status.conversations_stored) == (RunState.COMPLETED, 1500)
    with mirror_of(sandbox, home) as store:
        windows = store.windows(status.run_id)
        assert max(window.stored for window in windows) < 1000
        assert max(len(window.span) for window in windows) > 2 * DAY
        assert sum(len(window.span) for window in windows) == 100 * DAY


def asks_about(asked: dict[str, Any], second: int) -> bool:
    """Whether a search of creation times would find one of this second."""
    lo, hi = (one["value"] for one in asked["query"]["value"])
    return bool(lo < second < hi)


def test_a_window_that_is_short_is_a_hole_that_stops_no_other_and_can_be_filled_later(
    make_intercom_sandbox: MakeSandbox, home: Path
) -> None:
    sandbox = make_intercom_sandbox(conversations=200, days=3, **SMALL)
    lost = min(sandbox.workspace.conversations.values(), key=lambda one: one.created_at)
    is_bad = threading.Event()
    is_bad.set()

    def hide(path: str, asked: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any]:
        """One of the conversations that are counted is not shown."""
        if "conversations/search" in path and is_bad.is_set() and asks_about(asked, lost.created_at):
            answered["conversations"] = [one for one in answered["conversations"] if one["id"] != str(lost.id)]
        return answered

    with weather(sandbox, hide) as url, Backfill(days=4, settings=settings_of(sandbox, home, url)) as backfill:
        status = backfill.run(QUICK)
        assert status.state is RunState.COMPLETED_WITH_ERRORS
        assert status.conversations_stored == 199
        (hole,) = status.holes
        assert "shows" in hole
        with mirror_of(sandbox, home) as store:
            assert store.sync(status.run_id).state is SyncState.HOLES
            assert lost.created_at not in store.knowledge(Depth.ROW).members
            assert lost.created_at + DAY in store.knowledge(Depth.THREAD).members
        is_bad.clear()
        calls = calls_of(sandbox, "conversations/*")
        follower = backfill.resume(status.run_id)
        follower.result()
        filled = backfill.status(follower.run_id)
    assert (filled.state, filled.holes, filled.conversations_stored) == (RunState.COMPLETED, (), 200)
    assert calls_of(sandbox, "conversations/*") - calls == 1
    with mirror_of(sandbox, home) as store:
        assert lost.created_at in store.knowledge(Depth.THREAD).members
        assert store.sync(status.run_id).state is SyncState.COMPLETED
        assert differences(store, everything(sandbox.url, sandbox.token)) == []


def test_threads_that_could_not_be_fetched_leave_their_window_unproved(
    make_intercom_sandbox: MakeSandbox, home: Path
) -> None:
    sandbox = make_intercom_sandbox(conversations=60, days=1, **SMALL)
    bad = str(next(iter(sandbox.workspace.conversations)))

    def spoil(path: str, _: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any]:
        if path.endswith(f"/{bad}"):
            return {"type": "conversation"}
        return answered

    with weather(sandbox, spoil) as url, Backfill(days=2, settings=settings_of(sandbox, home, url)) as backfill:
        status = backfill.run(QUICK)
    assert status.state is RunState.COMPLETED_WITH_ERRORS
    assert status.threads_missing == 1
    with mirror_of(sandbox, home) as store:
        at = sandbox.workspace.conversations[int(bad)].created_at
        assert at not in store.knowledge(Depth.THREAD).members
        assert at in store.knowledge(Depth.ROW).members


def test_a_row_of_a_lagging_index_does_not_replace_what_was_read_since(
    make_intercom_sandbox: MakeSandbox, home: Path
) -> None:
    sandbox = make_intercom_sandbox(conversations=30, days=1, **SMALL)

    def age(path: str, _: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any]:
        """As it was earlier in the second of its last change."""
        for one in answered["conversations"] if "conversations/search" in path else ():
            one["title"] = "as it was"
        return answered

    with weather(sandbox, age) as url, Backfill(days=2, settings=settings_of(sandbox, home, url)) as backfill:
        backfill.run(QUICK)
        backfill.run(QUICK)
    with mirror_of(sandbox, home) as store:
        assert differences(store, everything(sandbox.url, sandbox.token)) == []


def test_conversations_that_vanish_meanwhile_are_marked_and_stop_nothing(
    make_intercom_sandbox: MakeSandbox, home: Path
) -> None:
    sandbox = make_intercom_sandbox(conversations=60, days=1, long_threads=1, **SMALL)
    gone = tuple(str(item_id) for item_id in list(sandbox.workspace.conversations)[10:40])
    sandbox.set(gone_ids=gone)
    with Backfill(days=2, settings=settings_of(sandbox, home)) as backfill:
        run = backfill.start(QUICK)
        summary = run.result()
        status = backfill.status()
    assert (summary.success, summary.codes) == (30, {"deleted": 30})
    assert (status.state, status.conversations_stored, status.short) == (RunState.COMPLETED, 30, 1)
    with mirror_of(sandbox, home) as store:
        short = "SELECT parts_stored, parts_total FROM conversation WHERE parts_stored < parts_total"
        assert store.sql(short).rows == [(500, 600)]
        assert store.sql("SELECT count(*) FROM tombstone").rows == [(30,)]


def test_a_backfill_that_was_stopped_goes_on_with_its_own_range(make_intercom_sandbox: MakeSandbox, home: Path) -> None:
    sandbox = make_intercom_sandbox(conversations=150, days=3, latency_ms=40, **SMALL)
    with Backfill(days=4, settings=settings_of(sandbox, home)) as first:

        def stop_soon(progress: Progress) -> None:
            if progress.done:
                first.stop()

        run = first.start(replace(QUICK, progress=stop_soon), parallel_workers=3)
        assert run.result().state is RunState.STOPPED
        told = first.status()
        assert 0 < told.conversations_stored - told.threads_missing < 150
    with Backfill(days=1, settings=settings_of(sandbox, home)) as other:  # another range, of another day
        other.resume(run.run_id, QUICK).result()
        status = other.status()
        with pytest.raises(UsageError, match="complete"):
            other.resume(run.run_id)
    assert (status.run_id, status.since, status.until) == (run.run_id, told.since, told.until)
    assert (status.state, status.threads_missing) == (RunState.COMPLETED, 0)
    assert calls_of(sandbox, "conversations/*") == 150
    assert status.api_calls == sum(sum(by.values()) for by in sandbox.app.stats.record()["requests"].values())
    sandbox.set(latency_ms=0)
    assert [one.run_id for one in Backfill.history(settings=settings_of(sandbox, home))] == [run.run_id]
    with mirror_of(sandbox, home) as store:
        assert differences(store, everything(sandbox.url, sandbox.token)) == []


def test_what_was_stored_and_never_came_into_the_ledger_is_fetched_when_it_goes_on(
    make_intercom_sandbox: MakeSandbox, home: Path
) -> None:
    sandbox = make_intercom_sandbox(conversations=100, days=1, latency_ms=40, **SMALL)
    with Backfill(days=2, settings=settings_of(sandbox, home)) as backfill:

        def stop_soon(progress: Progress) -> None:
            if progress.done:
                backfill.stop()

        run = backfill.start(replace(QUICK, progress=stop_soon), parallel_workers=3)
        assert run.result().unprocessed > 0
        # As if the process had died after it stored the page and before it recorded what is to be fetched of it.
        with closing(sqlite3.connect(home / "runs" / f"{run.run_id}.db")) as ledger, ledger:
            ledger.execute("DELETE FROM item WHERE status = 'staged'")
        backfill.resume(run.run_id, QUICK).result()
        assert backfill.status().threads_missing == 0
    assert calls_of(sandbox, "conversations/*") == 100


def test_a_wish_to_stop_that_comes_too_late_changes_no_record(make_intercom_sandbox: MakeSandbox, home: Path) -> None:
    sandbox = make_intercom_sandbox(conversations=5, days=1, **SMALL)
    with Backfill(days=2, settings=settings_of(sandbox, home)) as backfill:

        def stop_late(progress: Progress) -> None:
            if progress.done == 5:
                backfill.stop()

        run = backfill.start(replace(QUICK, progress=stop_late))
        assert run.result().state is backfill.status().state


def test_while_one_writes_to_the_mirror_another_is_refused(make_intercom_sandbox: MakeSandbox, home: Path) -> None:
    sandbox = make_intercom_sandbox(conversations=10, days=1, **SMALL)
    with (
        mirror_of(sandbox, home) as store,
        store.writing(),
        Backfill(days=2, settings=settings_of(sandbox, home)) as backfill,
    ):
        with pytest.raises(RunBusy, match="syncing"):
            backfill.run(QUICK)
        assert backfill.history(settings=settings_of(sandbox, home)) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"days": 0}, "days must be"),
        ({"days": 3, "period": "week"}, "Say one"),
        ({"period": "fortnight"}, "period must be"),
        ({"since": "yesterday"}, "not a time"),
        ({"depth": "deep"}, "depth must be"),
    ],
)
def test_a_range_that_cannot_be_meant_is_refused_before_anything_is_sent(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Backfill(settings=Settings.build(access_token="t" * 20, env={}), **wrong)


def test_a_range_in_the_future_is_refused(intercom_sandbox: Sandbox, home: Path) -> None:
    with (
        Backfill(since="2999-01-01", settings=settings_of(intercom_sandbox, home)) as backfill,
        pytest.raises(UsageError, match="in the past"),
    ):
        backfill.run()


def test_days_meet_without_a_gap_and_parts_do(home: Path) -> None:
    del home
    days = days_of(10, 3 * DAY + 5)
    assert (days[0].hi, days[-1].lo, len(days)) == (3 * DAY + 5, 10, 4)
    assert all(later.lo == earlier.hi for later, earlier in pairwise(days))
    parts = parts_of(Span(0, 1000), 7)
    assert (parts[0].hi, parts[-1].lo, len(parts)) == (1000, 0, 7)
    assert parts_of(Span(0, 100), 5) == [Span(0, 100)]
    assert joinable(days, 1 / DAY, most=2) == 2
    assert joinable([days[0], days[2]], 0.0, most=9) == 1
    assert title(Span(DAY, 2 * DAY)) == "1970-01-02"
    assert title(Span(DAY, 4 * DAY)) == "1970-01-02 to 1970-01-04"
    assert title(Span(DAY + 60, DAY + 120)) == "1970-01-02 00:01:00 to 00:02:00"


def test_a_run_key_is_refused_since_a_backfill_has_none(intercom_sandbox: Sandbox, home: Path) -> None:
    settings = settings_of(intercom_sandbox, home)
    with Backfill(days=1, settings=settings) as backfill, pytest.raises(UsageError, match="resume"):
        backfill.start(RunOptions(run_key="nightly"))
    assert Backfill.history(settings=settings_of(intercom_sandbox, home)) == []
