"""The mirror as the source of a bulk run: what it picks is looked at again before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import (
    ConversationCloser,
    ConversationUpdater,
    Mirror,
    Q,
    RunOptions,
    Runs,
    Status,
    TagAssigner,
    days_ago,
)
from intercom_bulk.errors import QueryError, UnknownNameError, UsageError
from intercom_bulk.testing import make_intercom_sandbox
from tests.mirror.filling import asked, filled
from tests.mirror.made import T, conversation, kept

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.sandbox import Sandbox

    Make = Callable[..., Sandbox]

__all__ = ["make_intercom_sandbox"]


def ids(picked: Any) -> list[str]:
    return [row.text for row in picked.rows()]


class At:
    """A clock that stands still."""

    def time(self) -> float:
        return T + 100 * 86_400

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nobody should wait here, least of all {seconds} s")


@pytest.fixture
def mirror(store: MirrorStore) -> Mirror:
    documents = [
        conversation("1", created=T, tags=["vip"], body="<p>A refund, please</p>"),
        conversation("2", created=T + 1, updated=T + 95 * 86_400),
        conversation("3", created=T + 2, state="closed", open=False, admin_assignee_id="7"),
    ]
    with store.writing() as writer:
        kept(writer, documents, seen_at=T + 9)
        writer.save_teams([{"id": "5017691", "name": "Support"}], seen_at=T + 9)
        writer.save_admins([{"id": 7, "name": "Ann"}, {"id": 8, "name": "Ben"}, {"id": 9, "name": "ben"}], seen_at=T)
    return Mirror(store, clock=At())


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state:open", ["1", "2"]),
        ("state:open updated<30d", ["1"]),
        ("team:Support -tag:vip", ["2", "3"]),
        ("admin:ann", ["3"]),
        ("admin:12345", []),
        ("body~refund", ["1"]),
        ((Q.state == "open") & (Q.updated > days_ago(30)), ["2"]),
    ],
)
def test_a_query_is_answered_here(mirror: Mirror, query: Any, found: list[str]) -> None:
    assert ids(mirror.query(query)) == found
    assert [one["id"] for one in mirror.query(query)] == found


@pytest.mark.parametrize(
    ("query", "error", "told"),
    [
        ("team:Suport", UnknownNameError, "'Support'"),
        ("tag:nobody", UnknownNameError, "met no tag"),
        ("admin:ben", UnknownNameError, "2 admins"),
        ("stat:open", QueryError, "state"),
        ("channel:email", QueryError, "channel"),
    ],
)
def test_a_query_that_cannot_be_answered_is_refused_at_once(mirror: Mirror, query: str, error: Any, told: str) -> None:
    with pytest.raises(error, match=told):
        mirror.query(query)


def test_sql_gives_rows_to_look_at_and_ids_with_the_moment_they_are_known_of(mirror: Mirror) -> None:
    picked = mirror.sql("SELECT title, id FROM conversations_flat WHERE state = ? ORDER BY id", ("open",))
    assert list(picked) == [{"title": None, "id": "1"}, {"title": None, "id": "2"}]
    assert [(row.text, row.as_of) for row in picked.rows()] == [("1", T), ("2", T + 95 * 86_400)]
    changed_too = mirror.sql("SELECT id FROM conversation ORDER BY id", even_if_changed=True)
    assert [(row.text, row.as_of) for row in changed_too.rows()] == [("1", None), ("2", None), ("3", None)]


def test_the_column_of_the_ids_is_found_or_asked_for(mirror: Mirror) -> None:
    assert ids(mirror.sql("SELECT * FROM conversations_flat ORDER BY id")) == ["1", "2", "3"]
    assert ids(mirror.sql("SELECT DISTINCT conversation_id, 5 AS many FROM messages ORDER BY 1")) == ["1", "2", "3"]
    assert ids(mirror.sql("SELECT max(id) FROM conversation")) == ["3"]
    assert ids(mirror.sql("SELECT state, author_id FROM conversation WHERE id = '1'", column="author_id")) == ["c1"]
    assert [row.problem and row.problem[0] for row in mirror.sql("SELECT NULL").rows()] == ["blank"]
    with pytest.raises(UsageError, match="say it with column="):
        ids(mirror.sql("SELECT state, title FROM conversation"))
    with pytest.raises(UsageError, match="There is no column 'nope'"):
        ids(mirror.sql("SELECT state, title FROM conversation", column="nope"))
    with pytest.raises(UsageError):
        ids(mirror.sql("DELETE FROM conversation"))
    assert mirror.store.total() == 3


# -- runs


@pytest.fixture
def workspace(make_intercom_sandbox: Make) -> Sandbox:
    return make_intercom_sandbox(conversations=12, share_closed=0.0, latency_ms=1)


def mirrored(workspace: Sandbox, folder: Path) -> Mirror:
    """All of a workspace, as it is now."""
    return Mirror(filled(workspace, folder / "home"))


def change(workspace: Sandbox, item_id: str) -> None:
    """Somebody else does something, later than the mirror has looked."""
    asked(workspace, "PUT", f"conversations/{item_id}", json={"title": "Mine"})


def test_a_run_writes_to_what_was_picked_and_leaves_alone_what_has_changed_since(
    workspace: Sandbox, tmp_path: Path
) -> None:
    mirror = mirrored(workspace, tmp_path)
    first, second, *_ = sorted(workspace.states("conversations"))
    change(workspace, first)
    before = workspace.effects()
    tagger = TagAssigner(tag="vip", **workspace.settings_kwargs())
    for picked in (mirror.query("state:open"), mirror.sql("SELECT id FROM conversations_flat WHERE open")):
        seen = tagger.preview(options=RunOptions(source=picked))
        assert (seen.count, seen.left_out) == (11, {"moved": 1})
    picked = mirror.sql("SELECT id FROM conversations_flat WHERE id IN (?, ?)", (first, second))
    summary = tagger.bulk_process(options=RunOptions(source=picked))
    assert (summary.success, summary.codes) == (1, {"moved": 1})
    assert set(workspace.effects()) - set(before) == {second}
    (left,) = Runs().outcomes(summary.run_id, Status.SKIPPED)
    assert left.item_id == first
    assert "sync the mirror" in str(left.message)


class Plain(ConversationUpdater):
    """Tells nothing of its items: nobody would look at them for its own sake."""

    def perform_action(self, item_id: str) -> Any:
        body = {"message_type": "close", "type": "admin", "admin_id": self.admin_id}
        return self.request("POST", f"conversations/{item_id}/parts", json=body)


def test_an_action_of_bare_ids_leaves_alone_what_has_changed_since_too(workspace: Sandbox, tmp_path: Path) -> None:
    mirror = mirrored(workspace, tmp_path)
    first = min(workspace.states("conversations"))
    change(workspace, first)
    before = workspace.effects()
    picked = mirror.sql("SELECT id FROM conversation")
    summary = Plain(**workspace.settings_kwargs()).bulk_process(options=RunOptions(source=picked))
    assert (summary.success, summary.codes) == (11, {"moved": 1})
    assert workspace.effects().get(first) == before.get(first)


def test_what_has_changed_since_may_be_meant(workspace: Sandbox, tmp_path: Path) -> None:
    mirror = mirrored(workspace, tmp_path)
    first = min(workspace.states("conversations"))
    change(workspace, first)
    picked = mirror.sql("SELECT id FROM conversation", even_if_changed=True)
    summary = ConversationCloser(**workspace.settings_kwargs()).bulk_process(options=RunOptions(source=picked))
    assert summary.success == 12


def test_an_item_that_is_gone_is_skipped(workspace: Sandbox, tmp_path: Path) -> None:
    mirror = mirrored(workspace, tmp_path)
    gone = min(workspace.states("conversations"))
    workspace.set(gone_ids=(gone,))
    summary = ConversationCloser(**workspace.settings_kwargs()).bulk_process(
        options=RunOptions(source=mirror.query("state:open"))
    )
    assert (summary.success, summary.codes) == (11, {"gone": 1})
