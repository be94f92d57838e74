"""What every mirror promises, whatever it is kept in."""

from __future__ import annotations

import copy
import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk.errors import LedgerError, RunBusy, UnknownRun, UsageError
from intercom_bulk.mirror.keeping.coverage import Span
from intercom_bulk.mirror.keeping.deciding import Stored
from intercom_bulk.mirror.keeping.documents import read_thread
from intercom_bulk.mirror.keeping.people import GoneContact
from intercom_bulk.mirror.keeping.proofs import Axis, Depth
from intercom_bulk.mirror.keeping.questions import checked_question
from intercom_bulk.mirror.keeping.schema import SyncKind, SyncState, WindowState
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.mirror.keeping.syncs import Counts
from intercom_bulk.mirror.keeping.tombs import Deleted
from intercom_bulk.mirror.keeping.wanted import contacts_unread, contacts_wanted, threads_unread, threads_wanted
from tests.mirror.made import T, conversation, kept, part, thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.mirror.keeping.syncs import Sync
    from intercom_bulk.mirror.keeping.writer import MirrorWriter

    Open = Callable[[], MirrorStore]


FAR = 1 << 40
"""A second later than any."""


def save(store: MirrorStore, *documents: dict[str, Any], seen: float = T + 1000) -> Stored:
    with store.writing() as writer:
        return kept(writer, documents, seen_at=seen)


def one(store: MirrorStore, item_id: str = "1") -> dict[str, Any]:
    (found,) = store.conversations([item_id])
    return found


def bodies(store: MirrorStore, item_id: str = "1") -> list[str]:
    return [message["body"] for message in store.messages(item_id)]


def contents(store: MirrorStore) -> list[list[tuple[Any, ...]]]:
    """Everything that is stored of conversations, but for when it was read and in which order it came."""
    tables = {
        "conversation": "id, updated_at, state, open, title, body, depth, thread_updated_at, parts_total, parts_stored,"
        " deleted_at, custom_attributes",
        "part": "conversation_id, id, position, body",
        "conversation_tag": "conversation_id, tag_id",
        "conversation_contact": "conversation_id, contact_id",
    }
    return [store.sql(f"SELECT {names} FROM {table} ORDER BY 1, 2").rows for table, names in tables.items()]


# -- rows


def test_what_is_stored_comes_back(store: MirrorStore) -> None:
    document = thread("7", "<p>Hello &amp; <b>bye</b></p>", subject="Late", tags=["vip", "bug"], total=1)
    document["custom_attributes"] = {"plan": "pro", "n": None}
    assert save(store, document) == Stored(new=1, parts=1)
    found = one(store, "7")
    assert (found["subject"], found["body"], found["tags"]) == ("Late", "Hi", ["bug", "vip"])
    assert (found["author_name"], found["open"], found["custom_attributes"]) == (
        "Joe",
        True,
        {"plan": "pro", "n": None},
    )
    assert bodies(store, "7") == ["Hi", "Hello & bye"]
    assert store.document("7") == document
    assert store.document("8") is None


def test_a_row_is_as_it_was_listed(store: MirrorStore) -> None:
    document = conversation("7", title="ü 😀 \ud83d \u0000", body="\ud83d\u0000")
    save(store, document)
    assert store.document("7") == document
    assert "conversation_parts" not in (store.document("7") or {})
    assert "😀" in one(store, "7")["title"]


@pytest.mark.parametrize(
    "document",
    [
        {"id": 5},
        {"id": "5", "source": None, "tags": None, "contacts": None, "statistics": None, "custom_attributes": None},
        {
            "id": 5,
            "conversation_parts": {"conversation_parts": [part(9), part("9"), {"id": None}], "total_count": None},
        },
        {"id": "5", "created_at": str(T), "updated_at": float(T), "admin_assignee_id": None, "team_assignee_id": "0"},
        {"id": "5", "state": None, "open": False, "priority": "not_priority", "source": {"author": [], "body": 7}},
        {
            "id": "5",
            "created_at": 10**30,
            "custom_attributes": {"x": {"y": [1]}},
            "conversation_rating": {"rating": "5"},
        },
        thread(5, "x", admin_assignee_id="780", team_assignee_id=None, priority="priority"),
    ],
)
def test_every_shape_that_the_api_ever_had_is_stored(store: MirrorStore, document: dict[str, Any]) -> None:
    assert save(store, document).new == 1
    assert save(store, document).unchanged == 1
    assert one(store, "5")["priority"] in {"none", "high"}


def test_an_id_is_the_same_whether_it_is_a_number_or_text(store: MirrorStore) -> None:
    save(store, conversation(215472856448646))
    assert save(store, conversation("215472856448646", updated=T + 1)).changed == 1
    assert store.total() == 1


def test_a_document_without_an_id_is_refused_and_nothing_of_its_batch_is_stored(store: MirrorStore) -> None:
    with pytest.raises(ValueError, match="without an id"):
        save(store, conversation("1"), {"type": "conversation"})
    assert store.total() == 0


def test_what_is_older_loses_and_equal_news_changes_nothing(store: MirrorStore) -> None:
    save(store, conversation(state="open", updated=T + 5), seen=T + 10)
    assert save(store, conversation(state="closed", updated=T + 4), seen=T + 20) == Stored(outdated=1)
    assert save(store, conversation(state="open", updated=T + 5), seen=T + 20) == Stored(unchanged=1)
    assert save(store, conversation(state="snoozed", updated=T + 5), seen=T + 15) == Stored(outdated=1)
    assert one(store)["state"] == "open"
    assert save(store, conversation(state="snoozed", updated=T + 5), seen=T + 20) == Stored(changed=1)
    assert save(store, conversation(state="closed", updated=T + 6), seen=T + 5) == Stored(changed=1)
    assert one(store)["state"] == "closed"


def test_a_row_never_wipes_the_parts(store: MirrorStore) -> None:
    save(store, thread("1", "a", "b"))
    assert save(store, conversation(updated=T + 9, parts=3, tags=["vip"])).changed == 1
    assert bodies(store) == ["Hi", "a", "b"]
    assert threads_unread(store, T, T + 1) == ["1"]
    assert one(store)["depth"] == "thread"


def test_a_full_thread_brings_the_row_up_to_date(store: MirrorStore) -> None:
    save(store, conversation(state="open"))
    assert save(store, thread("1", "a", state="closed", updated=T + 1)) == Stored(changed=1, parts=1)
    assert (one(store)["state"], threads_unread(store, T, T + 1)) == ("closed", [])


def test_a_late_thread_adds_its_parts_but_not_its_row(store: MirrorStore) -> None:
    save(store, conversation(state="closed", updated=T + 9))
    save(store, thread("1", "a", state="open", updated=T + 5))
    assert (one(store)["state"], bodies(store)) == ("closed", ["Hi", "a"])
    assert threads_unread(store, T, T + 1) == ["1"], "its thread is older than its row"


def test_parts_that_a_thread_no_longer_shows_are_gone(store: MirrorStore) -> None:
    save(store, thread("1", "a", "b", "c"))
    shorter = thread("1", "a", "b", "c", updated=T + 1)
    del shorter["conversation_parts"]["conversation_parts"][1]
    shorter["conversation_parts"]["total_count"] = 2
    save(store, shorter)
    assert bodies(store) == ["Hi", "a", "c"]
    assert store.count_short(0, FAR) == 0


@pytest.mark.parametrize(
    "counted", [{"total": 800}, {"total": 500, "parts": 800}], ids=["by the list", "by statistics"]
)
def test_a_thread_that_intercom_cuts_is_stored_and_told_as_short(store: MirrorStore, counted: dict[str, int]) -> None:
    save(store, thread("1", *(f"n{n}" for n in range(301, 801)), first=301, **counted))
    assert store.count_short(0, FAR) == 1
    assert store.sql("SELECT parts_stored, parts_total FROM conversation WHERE parts_stored < parts_total").rows == [
        (500, 800)
    ]
    assert store.messages("1")[1]["position"] == 301


def test_parts_stored_before_intercom_cut_them_are_kept(store: MirrorStore) -> None:
    save(store, thread("1", *(f"n{n}" for n in range(1, 501)), total=500))
    save(store, thread("1", *(f"n{n}" for n in range(11, 511)), first=11, total=510, updated=T + 1))
    assert bodies(store) == ["Hi", *(f"n{n}" for n in range(1, 511))]
    assert store.count_short(0, FAR) == 0


def test_the_same_conversation_twice_in_a_page_is_one(store: MirrorStore) -> None:
    done = save(store, conversation(state="open"), conversation("2"), conversation(state="closed", updated=T + 1))
    assert done == Stored(new=2, changed=1)
    assert one(store)["state"] == "closed"


def test_tags_follow_the_row(store: MirrorStore) -> None:
    save(store, conversation(tags=["vip", "bug"]))
    save(store, conversation(tags=["vip"], updated=T + 1))
    assert one(store)["tags"] == ["vip"]
    with store.writing() as writer:
        writer.save_tags([{"id": "t-vip", "name": "VIP"}], seen_at=T + 5000)
    save(store, conversation(tags=["vip"], updated=T + 2), seen=T + 4000)
    assert one(store)["tags"] == ["VIP"], "the older name lost"


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_order_of_arrival_the_mirror_is_the_same(place: Open, store: MirrorStore, seed: int) -> None:
    draw = random.Random(seed)
    readings: list[tuple[dict[str, Any], float]] = []
    for item_id, updated in itertools.product("12", range(3)):
        document = thread(
            item_id, *(f"{n}" for n in range(updated + 1)), updated=T + updated, state=f"s{updated}", tags=["x"]
        )
        row = {name: value for name, value in document.items() if name != "conversation_parts"}
        readings += [(document, T + 10 + updated), (row, T + 20 + updated)]
    in_order = [reading for reading in readings if "conversation_parts" in reading[0]]
    for document, seen in in_order:
        save(store, document, seen=seen)
    expected = contents(store)
    with store.writing() as writer:
        for table in ("conversation", "conversation_raw", "part", "conversation_tag", "conversation_contact"):
            writer._on.execute(f"DELETE FROM {table}")
    draw.shuffle(readings)
    for document, seen in (*readings, *draw.sample(readings, 4)):
        save(store, document, seen=seen)
    assert contents(store) == expected


# -- what is gone


def test_a_deleted_conversation_is_marked_and_found_no_more(store: MirrorStore) -> None:
    save(store, thread("1", "refund"), thread("2", "refund"))
    with store.writing() as writer:
        assert writer.mark_deleted([Deleted("1", T + 50), Deleted("99", T + 50)], seen_at=T + 60) == 1
        assert writer.mark_deleted([Deleted("1", T + 50)], seen_at=T + 70) == 0
    assert store.total() == 1
    assert store.find("refund", start=None, end=None, limit=9) == ["2"]
    assert store.conversations(["1", "2"])[0]["id"] == "2"
    assert store.sql("SELECT deleted_at FROM conversation WHERE id = ?", ("1",)).rows == [(T + 50,)]


def test_an_index_that_lags_does_not_bring_it_back_but_its_own_address_does(store: MirrorStore) -> None:
    with store.writing() as writer:
        writer.mark_deleted([Deleted("1", T + 50)], seen_at=T + 60)
        kept(writer, [thread("1", "refund")], seen_at=T + 55)
        assert store.total() == 0, "it was read before it went"
        kept(writer, [conversation("1", body="refund")], seen_at=T + 90)
        assert store.total() == 0
        assert store.find("refund", start=None, end=None, limit=9) == []
        kept(writer, [thread("1", "refund", updated=T + 1)], seen_at=T + 95)
    assert store.total() == 1
    assert store.find("refund", start=None, end=None, limit=9) == ["1"]


def test_contacts_never_go_back_in_time_either(store: MirrorStore) -> None:
    new = {"id": "c1", "email": "new@example.com", "name": "New", "updated_at": T + 5, "custom_attributes": {"a": 1}}
    with store.writing() as writer:
        assert writer.save_contacts([new], seen_at=T + 9) == 1
        assert writer.save_contacts([new | {"email": "old@example.com", "updated_at": T}], seen_at=T + 20) == 0
        kept(writer, [conversation()], seen_at=T)
    assert one(store)["author_email"] == "new@example.com"


CONTACT = {"id": "c1", "email": "c@example.com", "name": "Cleo", "updated_at": T, "custom_attributes": {"a": "Zebra"}}


@pytest.mark.parametrize("mark", [GoneContact("c1", T + 50), GoneContact("c1", merged_into="c2")])
def test_of_a_contact_that_is_gone_only_that_stays(store: MirrorStore, mark: GoneContact) -> None:
    asked = "SELECT deleted_at, merged_into, email, name, phone, custom_attributes, external_id FROM contact"
    with store.writing() as writer:
        writer.save_contacts([CONTACT], seen_at=T)
        writer.mark_contacts([mark], seen_at=T + 50)
        assert store.sql(asked).rows == [(mark.at, mark.merged_into, None, None, None, "{}", None)]
        writer.save_contacts([CONTACT | {"updated_at": T + 9}], seen_at=T + 40)
        assert store.sql(asked).rows[0][2] is None, "that was read before it went"
        writer.save_contacts([CONTACT | {"updated_at": T + 60}], seen_at=T + 60)
    assert store.sql(asked).rows == [(None, None, "c@example.com", "Cleo", None, '{"a": "Zebra"}', None)]
    assert store.contact_counts() == {"stored": 1, "merged": 0, "gone": 0, "unread": 0}


def test_contacts_are_wanted_that_are_not_here_or_wrote_since_they_were_read(store: MirrorStore) -> None:
    with store.writing() as writer:
        writer.save_contacts([CONTACT, CONTACT | {"id": "c2"}], seen_at=T + 50)
        kept(writer, [conversation("1", created=T)], seen_at=T)
    assert contacts_wanted(store, {"c1": T + 50, "c2": T + 51, "c3": 0}) == ["c2", "c3"]
    assert contacts_wanted(store, {"c1": 0}, since=T + 51) == ["c1"]
    assert contacts_unread(store, 0, FAR) == []


# -- threads to fetch


def test_a_thread_is_wanted_only_when_something_changed(store: MirrorStore) -> None:
    save(store, thread("1", "a"), thread("2", "a"), conversation("3"), thread("4", "a", updated=T + 5))
    asked = [
        conversation("1", parts=1),
        conversation("2", parts=2),
        conversation("3"),
        conversation("4", parts=1),
        conversation("5"),
        conversation("1", parts=1),
    ]
    assert threads_wanted(store, asked) == ["2", "3", "5"]
    assert threads_wanted(store, [conversation("1", updated=T + 1, parts=1)]) == ["1"]


def test_a_changed_number_of_parts_leaves_a_thread_unread_until_it_is_fetched(store: MirrorStore) -> None:
    save(store, thread("1", "a"))
    save(store, conversation("1", parts=2))
    assert threads_unread(store, T, T + 1) == ["1"]
    save(store, thread("1", "a", "b"), seen=T + 2000)
    assert threads_unread(store, T, T + 1) == []


# -- SQL


def test_views_have_names_and_times_that_people_read(store: MirrorStore) -> None:
    save(store, thread("1", "a", admin_assignee_id=780, tags=["b", "a"]), thread("2", "c", created=T + 1))
    with store.writing() as writer:
        writer.save_admins([{"id": "780", "name": "Ann", "email": "ann@example.com"}], seen_at=T)
        writer.save_teams([{"id": 5017691, "name": "Support"}], seen_at=T)
    asked = store.sql(
        "SELECT id, admin_name, team_name, tags, created_at_iso FROM conversations_flat WHERE id = ?", ("1",)
    )
    assert list(asked) == [
        {
            "id": "1",
            "admin_name": "Ann",
            "team_name": "Support",
            "tags": "a, b",
            "created_at_iso": "2026-09-21T14:13:20Z",
        }
    ]
    rows = store.sql("SELECT conversation_id, position, body FROM messages ORDER BY 1, 2").rows
    assert rows == [("1", 0, "Hi"), ("1", 1, "a"), ("2", 0, "Hi"), ("2", 1, "c")]


def test_sql_takes_what_looks_like_a_parameter_but_is_text(store: MirrorStore) -> None:
    assert store.sql("SELECT 'what? 100%' AS a, ? AS b", ("x",)).rows == [("what? 100%", "x")]


@pytest.mark.parametrize("text", ["SELEC 1", "SELECT nothing FROM conversation", "SELECT 1 /", "", "SELECT 'a"])
def test_sql_that_is_none_is_told_in_a_sentence(store: MirrorStore, text: str) -> None:
    with pytest.raises(UsageError, match="cannot be answered"):
        store.sql(text)
    assert store.sql("SELECT 1 AS n").rows == [(1,)]


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM conversation",
        "UPDATE conversation SET title = 'x'",
        "DROP VIEW messages",
        "CREATE TABLE x (a text)",
        "WITH a AS (SELECT 1) DELETE FROM conversation",
    ],
)
def test_sql_cannot_write(store: MirrorStore, text: str) -> None:
    save(store, conversation())
    with pytest.raises(UsageError):
        store.sql(text)
    assert store.total() == 1


# -- one writer, many readers


def test_one_writes_at_a_time(place: Open, store: MirrorStore) -> None:
    with place() as other:
        with store.writing():
            assert store.is_syncing
            assert other.is_syncing
            with pytest.raises(RunBusy, match=r"process .* is syncing this mirror"):
                other.writing()
        assert not other.is_syncing
        other.writing().close()


def test_readers_see_what_was_committed_while_somebody_writes(store: MirrorStore) -> None:
    save(store, conversation("1"))
    with store.writing() as writer, writer._atomic():
        writer._store([read_thread(conversation("2"))], T)
        assert store.total() == 1
    assert store.total() == 2


def test_threads_may_share_a_mirror(store: MirrorStore) -> None:
    def look() -> int:
        return max(len(store.find("refund", start=None, end=None, limit=5)) for _ in range(20))

    with store.writing() as writer, ThreadPoolExecutor(4) as readers:
        looks = [readers.submit(look) for _ in range(4)]
        for n in range(20):
            kept(writer, [thread(n + 1, "refund")], seen_at=T)
        assert all(look.result() <= 5 for look in looks)
    assert store.total() == 20


def test_a_file_is_private_and_a_newer_one_is_refused(tmp_path: Path) -> None:
    with open_mirror(tmp_path, "ws") as store:
        save(store, conversation())
        with store.writing() as writer:
            modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "mirror").iterdir()}
            assert set(modes.values()) == {0o600}
            writer._on.execute("PRAGMA user_version=99")
    with open_mirror(tmp_path, "ws") as store, pytest.raises(LedgerError, match="newer version"):
        store.total()


@pytest.mark.parametrize("workspace", ["", "../x", "a b", 'x"y', "x" * 99])
def test_a_workspace_that_could_be_a_path_is_refused(tmp_path: Path, workspace: str) -> None:
    with pytest.raises(UsageError, match="not the id of a workspace"):
        open_mirror(tmp_path, workspace)


# -- syncs


def begin(writer: MirrorWriter, sync_id: str = "s", at: float = T, kind: SyncKind = SyncKind.BACKFILL) -> Sync:
    return writer.begin_sync(sync_id, kind, {"since": 1}, at=at)


def test_a_page_and_its_checkpoint_are_one(store: MirrorStore) -> None:
    with store.writing() as writer:
        begin(writer)
        (window,) = writer.plan_windows("s", [Span(T, T + 100)])
        window = writer.begin_window(window, at=T + 500)
        window, stored = writer.save_page(
            window, [conversation("1"), conversation("2")], seen_at=T, cursor="c", expected=3
        )
        with pytest.raises(ValueError, match="without an id"):
            writer.save_page(window, [conversation("3"), {}], seen_at=T, cursor="d")
    assert stored.new == 2
    assert store.windows("s") == [window]
    assert (window.cursor, window.stored, window.expected, window.pages, window.tries) == ("c", 2, 3, 1, 1)
    assert store.sync("s").counts == Counts(found=2, added=2)


def test_without_its_checkpoint_a_page_is_not_stored(store: MirrorStore) -> None:
    with store.writing() as writer:
        begin(writer)
        (window,) = writer.plan_windows("s", [Span(T, T + 100)])
        window = writer.begin_window(window, at=T + 500)
        writer.split_window(window, [Span(T, T + 50), Span(T + 50, T + 100)])
        with pytest.raises(UnknownRun):
            writer.save_page(window, [conversation("1")], seen_at=T, cursor="c")
    assert store.total() == 0


def test_another_life_goes_on_where_the_first_one_was(place: Open, store: MirrorStore) -> None:
    with store.writing() as writer:
        begin(writer)
        first, second = writer.plan_windows("s", [Span(T, T + 100), Span(T + 100, T + 200)])
        first = writer.begin_window(first, at=T + 500)
        writer.save_page(first, [conversation("1")], seen_at=T, cursor="c")
        writer.begin_window(second, at=T + 600)
    assert store.sync("s").state is SyncState.INTERRUPTED
    with place() as other, other.writing() as writer:
        sync = writer.begin_sync("s", SyncKind.BACKFILL, {"since": 2}, at=T + 9000)
        assert (sync.lives, sync.question, sync.started_at) == (2, {"since": 1}, T)
        again = other.windows("s", WindowState.PENDING)
        assert [(window.cursor, window.tries) for window in again] == [("c", 1), (None, 1)]
        begun = [writer.begin_window(window, at=T + 9000).began_at for window in again]
    assert begun == [T + 500, T + 9000], "what was read before is only as of then"


def test_a_finished_window_proves_what_was_there_when_it_began(store: MirrorStore) -> None:
    with store.writing(lag=60) as writer:
        begin(writer)
        first, second, third = writer.plan_windows(
            "s", [Span(T, T + 100), Span(T + 100, T + 200), Span(T + 200, T + 300)]
        )
        writer.finish_window(writer.begin_window(first, at=T + 1000), depth=Depth.ROW)
        writer.finish_window(writer.begin_window(third, at=T + 310), depth=Depth.THREAD)
        failed = writer.fail_window(writer.begin_window(second, at=T + 1000), "504", again=False)
        writer.finish_sync("s", SyncState.HOLES, at=T + 1001)
    assert failed.state is WindowState.FAILED
    assert store.covered(Axis.CREATED).spans == (Span(T, T + 100), Span(T + 200, T + 250))
    assert store.covered(Axis.CREATED, Depth.THREAD).spans == (Span(T + 200, T + 250),)
    assert not store.covered(Axis.UPDATED)


def test_a_sync_proves_what_changed_before_it_began(store: MirrorStore) -> None:
    with store.writing() as writer:
        begin(writer, at=T + 1000, kind=SyncKind.INCREMENTAL)
        writer.finish_sync("s", SyncState.COMPLETED, at=T + 1500, read_down_to=T, depth=Depth.THREAD)
        begin(writer, "next", at=T + 2000, kind=SyncKind.INCREMENTAL)
        writer.finish_sync("next", SyncState.COMPLETED, at=T + 2001, read_down_to=T + 640, depth=Depth.THREAD)
    assert store.covered(Axis.UPDATED).spans == (Span(T, T + 1940),)
    assert store.sql("SELECT count(*) FROM proof").rows == [(1,)], "a year of syncs is one row"
    assert store.knowledge(Depth.THREAD).floor == T + 1940


@pytest.mark.parametrize("state", [SyncState.FAILED, SyncState.STOPPED, SyncState.HOLES])
def test_a_sync_that_failed_proves_nothing(store: MirrorStore, state: SyncState) -> None:
    with store.writing() as writer:
        begin(writer, at=T + 1000, kind=SyncKind.INCREMENTAL)
        with pytest.raises(ValueError, match="proves nothing"):
            writer.finish_sync("s", state, at=T + 1500, read_down_to=T)
        writer.finish_sync("s", state, at=T + 1500, error="504")
    assert not store.covered(Axis.UPDATED)


def test_a_window_that_is_too_wide_gives_way_to_smaller_ones(store: MirrorStore) -> None:
    with store.writing() as writer:
        begin(writer)
        wide, other = writer.plan_windows("s", [Span(T, T + 100), Span(T + 100, T + 200)])
        writer.split_window(wide, [Span(T, T + 50), Span(T + 50, T + 100)])
    assert [(window.number, window.lo) for window in store.windows("s")] == [(2, T + 100), (3, T), (4, T + 50)]
    assert other in store.windows("s")


def test_what_a_sync_did_is_counted_over_all_its_lives(store: MirrorStore) -> None:
    with store.writing() as writer:
        begin(writer)
        writer.count("s", Counts(calls=3, rate_limited=1, seconds=1.5))
        writer.save_rows("s", [conversation("1", parts=2)], seen_at=T)
        writer.save_threads("s", [thread("1", "a", "b")], seen_at=T)
        writer.finish_sync("s", SyncState.STOPPED, at=T + 5)
        begin(writer)
        writer.count("s", Counts(calls=2, missed=1))
        writer.finish_sync("s", SyncState.COMPLETED, at=T + 9)
        with pytest.raises(LedgerError, match="was completed"):
            begin(writer)
        begin(writer, "later", at=T + 100)
        with pytest.raises(UnknownRun):
            writer.count("nobody", Counts(calls=1))
    known = store.sync("s")
    assert known.counts == Counts(calls=5, rate_limited=1, found=1, added=1, parts=2, missed=1, seconds=1.5)
    assert [sync.id for sync in store.syncs()] == ["later", "s"]
    last = store.last_completed_sync()
    assert last is not None
    assert last.id == "s"
    with pytest.raises(UnknownRun, match="There is no sync 'nobody'"):
        store.sync("nobody")


def test_the_number_created_in_a_window_can_be_held_against_intercoms(store: MirrorStore) -> None:
    save(store, *(conversation(n + 1, created=T + n) for n in range(10)))
    assert store.count_created(T + 2, T + 5) == 3


def test_documents_are_not_changed(store: MirrorStore) -> None:
    document = thread("1", "a", tags=["x"])
    kept = copy.deepcopy(document)
    save(store, document)
    assert document == kept


def test_a_copy_of_the_file_alone_has_all_that_was_written_while_somebody_reads(tmp_path: Path) -> None:
    with open_mirror(tmp_path, "abc") as store:
        assert store.total() == 0
        with store.writing() as writer:
            kept(writer, [conversation(str(n + 1)) for n in range(50)], seen_at=T)
        copied = tmp_path / "elsewhere" / "mirror" / "abc.db"
        copied.parent.mkdir(parents=True)
        copied.write_bytes((tmp_path / "mirror" / "abc.db").read_bytes())
        with open_mirror(tmp_path / "elsewhere", "abc") as copy:
            assert copy.total() == 50


@pytest.mark.parametrize(
    "text", ["BEGIN", "PRAGMA query_only = OFF", "-- x\nATTACH '{}' AS e", "VACUUM INTO '{}'", "/**/"]
)
def test_what_is_no_question_does_nothing(store: MirrorStore, tmp_path: Path, text: str) -> None:
    made = tmp_path / "made.db"
    for ask in (store.sql, lambda said: store.asking(said).__enter__()):
        with pytest.raises(UsageError, match="cannot be answered"):
            ask(text.format(made))
    assert not made.exists()
    save(store, conversation())
    assert store.sql("SELECT count(*) FROM conversation").rows == [(1,)]


def test_what_somebody_set_by_a_question_ends_with_it(database: str, tmp_path: Path) -> None:
    """PostgreSQL has functions that change a connection for good: one that is lent again may write, or read elsewhere,
    or hold a lock that a sync needs."""
    with open_mirror(tmp_path, "abc12def", url=database) as store:
        save(store, conversation())
        assert store.total() == 1  # from here on a connection is kept
        for name, value in (("default_transaction_read_only", "off"), ("search_path", "public")):
            store.sql("SELECT set_config(?, ?, false)", (name, value))
        with store.asking("SELECT pg_advisory_lock(7)") as (_, rows):
            list(rows)
        assert store.total() == 1
        with pytest.raises(LedgerError, match="read-only"), store.reading() as on:
            on.execute("DELETE FROM conversation")
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7"
        assert store.sql(held).rows == [(0,)]


@pytest.mark.parametrize(
    "text", ["select 1", " ( SELECT 1)", "WITH a AS (SELECT 1) SELECT * FROM a", "/* x */ -- y\nVALUES (1)"]
)
def test_a_question_may_begin_with_a_remark(store: MirrorStore, text: str) -> None:
    if not text.startswith(" ("):  # brackets around all of it are PostgreSQL's
        assert store.sql(text).rows == [(1,)]
    assert checked_question(text) == text
