"""What analysts and assistants get: names and fields as they know them, and the truth about what may be missing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from intercom_bulk.errors import UsageError
from intercom_bulk.mirror.keeping.coverage import Span
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.keeping.schema import SyncKind, SyncState
from intercom_bulk.mirror.search import Mirror
from tests.mirror.made import kept, thread

if TYPE_CHECKING:
    from intercom_bulk.mirror.keeping.store import MirrorStore

DAY = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp())
NOON = DAY + 12 * 3600


def synced(store: MirrorStore, *, began: int, depth: Depth = Depth.THREAD, hole: Span | None = None) -> None:
    """A backfill of the day, read when the sync began, all but the hole."""
    with store.writing(lag=0) as writer:
        writer.begin_sync("s", SyncKind.BACKFILL, {}, at=began)
        spans = [Span(DAY, hole.lo), Span(hole.hi, began)] if hole else [Span(DAY, began)]
        for window in writer.plan_windows("s", spans):
            writer.finish_window(writer.begin_window(window, at=began), depth=depth)
        kept(writer, [thread("1", "refund", created=DAY + 60), thread("2", "no", created=NOON)], seen_at=began)
        writer.finish_sync("s", SyncState.HOLES if hole else SyncState.COMPLETED, at=began + 10)


def test_an_answer_reads_as_a_mapping_and_as_a_sequence(store: MirrorStore) -> None:
    synced(store, began=NOON + 1)
    found = Mirror(store).search_conversations("refund", now=NOON)
    assert [one["id"] for one in found] == [one["id"] for one in found["conversations"]] == ["1"]
    assert (len(found), found[0]["id"], found[:1] == found["conversations"], bool(found)) == (1, "1", True, True)
    assert set(found["sync_info"]) == {"state", "last_sync", "message", "data_complete", "gaps"}
    assert dict(found) == {"conversations": found.conversations, "sync_info": found.sync_info}
    assert "sync_info" in found.keys()  # noqa: SIM118  a sequence, too
    assert found[0] in found
    assert found.get("nothing", 7) == 7
    assert found == found.conversations
    json.dumps(dict(found))


def test_a_question_that_is_covered_is_fresh(store: MirrorStore) -> None:
    synced(store, began=NOON)
    info = Mirror(store).check_sync_state("2026-11-20", "2026-11-20T12:00", now=NOON + 9000)
    assert info == {
        "state": "fresh",
        "last_sync": "2026-11-20T12:00:00+00:00",
        "message": "Includes conversations up to 2026-11-20 12:00.",
        "data_complete": True,
        "gaps": [],
    }


def test_a_question_beyond_the_last_sync_is_partial_and_one_after_it_stale(store: MirrorStore) -> None:
    synced(store, began=NOON)
    mirror = Mirror(store)
    partial = mirror.search_conversations(start=DAY, end=DAY + 86_400, now=DAY + 86_400).sync_info
    assert partial["state"] == "partial"
    assert partial["message"] == "Includes conversations up to 2026-11-20 12:00; may be missing newer ones."
    assert partial["gaps"][0] == {
        "what": "conversations", "start": "2026-11-20T12:00:00+00:00", "end": "2026-11-20T23:55:00+00:00",
    }  # fmt: skip
    stale = mirror.search_conversations(start=NOON + 3600, now=DAY + 86_400).sync_info
    assert (stale["state"], stale["data_complete"]) == ("stale", False)
    assert stale["message"] == ("Includes conversations up to 2026-11-20 12:00 only: nothing of the time asked about.")


def test_a_hole_is_told_though_the_sync_was_a_moment_ago(store: MirrorStore) -> None:
    synced(store, began=NOON, hole=Span(DAY + 3600, DAY + 7200))
    found = Mirror(store).search_conversations(start=DAY, end=NOON, now=NOON)
    assert found.sync_info["state"] == "partial"
    assert "except of 2026-11-20 01:00 to 2026-11-20 02:00" in found.sync_info["message"]
    assert len(found) == 2


def test_a_search_for_words_asks_for_threads_and_a_list_for_rows(store: MirrorStore) -> None:
    synced(store, began=NOON, depth=Depth.ROW)
    mirror = Mirror(store)
    assert mirror.search_conversations(start=DAY, end=NOON, now=NOON).sync_info["state"] == "fresh"
    words = mirror.search_conversations("refund", start=DAY, end=NOON, now=NOON).sync_info
    assert words["state"] == "stale"
    assert words["message"].startswith("Only rows are here, not the messages after the first")


def test_words_are_not_fresh_where_older_rows_lack_their_messages(store: MirrorStore) -> None:
    synced(store, began=NOON, depth=Depth.ROW)
    with store.writing(lag=0) as writer:
        writer.begin_sync("t", SyncKind.BACKFILL, {}, at=NOON)
        for window in writer.plan_windows("t", [Span(NOON - 600, NOON)]):
            writer.finish_window(writer.begin_window(window, at=NOON), depth=Depth.THREAD)
        writer.finish_sync("t", SyncState.COMPLETED, at=NOON)
    info = Mirror(store).search_conversations("refund", now=NOON).sync_info
    assert info["state"] == "stale"
    assert info["message"].startswith("Does not reach back to 2026-11-20 00:00: begins at 2026-11-20 11:50")
    assert Mirror(store).search_conversations(now=NOON).sync_info["state"] == "fresh"


def test_the_status_says_what_there_is(store: MirrorStore) -> None:
    empty = Mirror(store).get_sync_status()
    assert (empty["last_sync"], empty["total_conversations"], empty["sync_in_progress"]) == (None, 0, False)
    assert empty["sync_coverage"]["start_date"] is None
    synced(store, began=NOON, hole=Span(DAY + 3600, DAY + 7200))
    with store.writing():
        status = Mirror(store).get_sync_status()
    assert (status["last_sync"], status["total_conversations"]) == ("2026-11-20T12:00:00+00:00", 2)
    assert status["sync_in_progress"] is True
    coverage = status["sync_coverage"]
    assert (coverage["start_date"], coverage["end_date"]) == ("2026-11-20T00:00:00+00:00", "2026-11-20T12:00:00+00:00")
    assert [span["start"][11:16] for span in coverage["intervals"]["threads_created"]] == ["00:00", "02:00"]
    json.dumps(status)


@pytest.mark.parametrize(
    "start",
    [
        DAY,
        float(DAY),
        "2026-11-20",
        "2026-11-20T00:00:00Z",
        "2026-11-20T01:00:00+01:00",
        datetime(2026, 11, 20, tzinfo=UTC),
        datetime(2026, 11, 20),  # noqa: DTZ001  that is the point
    ],
)
def test_times_come_in_every_form(store: MirrorStore, start: Any) -> None:
    synced(store, began=NOON)
    found = Mirror(store).search_conversations(start=start, end=DAY + 100, now=NOON)
    assert [one["id"] for one in found] == ["1"]


def test_times_without_a_zone_are_in_the_workspaces(store: MirrorStore) -> None:
    synced(store, began=NOON)
    mirror = Mirror(store, zone=ZoneInfo("America/New_York"))
    found = mirror.search_conversations(start="2026-11-20T07:00", now=NOON)
    assert [one["id"] for one in found] == ["2"]
    assert found.sync_info["message"] == "Includes conversations up to 2026-11-20 07:00."


@pytest.mark.parametrize(
    "wrong", [{"start": "yesterday"}, {"limit": 0}, {"end": DAY * 1000}, {"start": -1}, {"start": float("nan")}]
)
def test_what_cannot_be_meant_is_refused(store: MirrorStore, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Mirror(store).search_conversations(**wrong)


def test_a_time_that_ends_before_it_begins_is_refused_rather_than_fresh(store: MirrorStore) -> None:
    synced(store, began=NOON)
    mirror = Mirror(store)
    for ask in (mirror.search_conversations, mirror.check_sync_state):
        with pytest.raises(UsageError, match="ends before it begins"):
            ask(start=NOON - 100, end=NOON - 200, now=NOON)
        ask(start=NOON - 100, end=NOON - 100, now=NOON)


def test_the_clock_is_asked_when_nobody_says_when_it_is(store: MirrorStore) -> None:
    recent = int((datetime.now(UTC) - timedelta(minutes=1)).timestamp())
    with store.writing(lag=0) as writer:
        writer.begin_sync("i", SyncKind.INCREMENTAL, {}, at=recent)
        writer.finish_sync("i", SyncState.COMPLETED, at=recent, read_down_to=recent - 86_400)
    assert Mirror(store).check_sync_state(recent - 3600)["state"] == "fresh"
