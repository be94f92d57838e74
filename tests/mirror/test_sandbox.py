"""What a whole workspace answers is stored, and comes back as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

from intercom_bulk.mirror.keeping.wanted import threads_wanted
from intercom_bulk.testing import make_intercom_sandbox
from tests.mirror.made import kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.sandbox import Sandbox

__all__ = ["make_intercom_sandbox"]


def test_the_answers_of_a_workspace_come_back_as_they_were(
    store: MirrorStore, make_intercom_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = make_intercom_sandbox(
        conversations=60,
        contacts=9,
        long_threads=1,
        parts=3,
        share_tagged=0.5,
        string_assignees=0.5,
        unassigned_null=True,
    )
    known = sandbox.settings_kwargs()
    headers = {"Authorization": f"Bearer {known['access_token']}", "Intercom-Version": "2.16"}
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(headers)
        query = {"field": "created_at", "operator": ">", "value": 0}
        asked = {"query": query, "pagination": {"per_page": 150}}
        page = session.post(f"{known['base_url']}/conversations/search", json=asked, timeout=10).json()
        rows = page["conversations"]
        threads = [session.get(f"{known['base_url']}/conversations/{row['id']}", timeout=10).json() for row in rows]
        contacts = session.get(f"{known['base_url']}/contacts", timeout=10).json()["data"]
    with store.writing() as writer:
        kept(writer, rows, seen_at=1)
        assert threads_wanted(store, rows) == [row["id"] for row in rows]
        assert all(store.document(row["id"]) == row for row in rows)
        kept(writer, threads, seen_at=2)
        assert writer.save_contacts(contacts, seen_at=2) == 9
        assert kept(writer, threads, seen_at=3).unchanged == 60
    assert store.total() == 60
    assert threads_wanted(store, rows) == []
    assert all(store.document(thread["id"]) == thread for thread in threads)
    assert store.sql("SELECT parts_stored, parts_total FROM conversation WHERE parts_stored < parts_total").rows == [
        (500, 600)
    ]
    flat = store.sql("SELECT count(*) FROM conversations_flat WHERE author_name LIKE 'Person %'")
    assert flat.rows == [(60,)]
