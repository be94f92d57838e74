"""Who the mirrored conversations are with: a call for many, and nothing is claimed of whom nobody asked for."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from intercom_bulk import Backfill, RunOptions, RunState
from intercom_bulk.mirror.fetching.contacts import AT_ONCE
from intercom_bulk.mirror.freshness import GRACE
from intercom_bulk.mirror.keeping.proofs import INDEX_LAG
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.mirror.search import Mirror
from intercom_bulk.mirror.syncing import IncrementalSync
from intercom_bulk.testing import make_intercom_sandbox
from tests.mirror.living import aged, settings_of
from tests.mirror.weather import weather

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.runs.summary import Progress
    from intercom_bulk.sandbox import Sandbox

    Make = Callable[..., Sandbox]

__all__ = ["make_intercom_sandbox"]

SMALL = {"companies": 0, "tickets": 0, "limit_per_minute": 600_000}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def backfilled(sandbox: Sandbox, home: Path, *, url: str | None = None, **wishes: Any) -> Any:
    settings = settings_of(sandbox, home)
    with Backfill(days=3, settings=replace(settings, base_url=url or settings.base_url), **wishes) as backfill:
        return backfill.run(RunOptions(reserve=0.0))


def mirror_of(sandbox: Sandbox, home: Path) -> MirrorStore:
    return open_mirror(home, sandbox.options.app_id)


def changed(sandbox: Sandbox, home: Path, sql: str) -> None:
    """As if it had been so for longer."""
    with mirror_of(sandbox, home) as store, store.writing() as writer, writer._atomic():
        writer._on.execute(sql)


def calls(sandbox: Sandbox, route: str) -> int:
    known: dict[str, dict[str, int]] = sandbox.stats()["requests"]
    return sum(known.get(route, {}).values())


SEARCHES, LOOKS = "POST /contacts/search", "GET /contacts/*"


def emails(store: MirrorStore) -> dict[str, str]:
    return dict(store.sql("SELECT id, email FROM contact WHERE deleted_at IS NULL AND merged_into IS NULL").rows)


def whose(sandbox: Sandbox) -> set[str]:
    return {one for conversation in sandbox.workspace.conversations.values() for one in conversation.contacts}


@pytest.mark.parametrize("depth", ["row", "thread"])
def test_a_backfill_reads_them_many_at_a_time(make_intercom_sandbox: Make, home: Path, depth: str) -> None:
    sandbox = make_intercom_sandbox(conversations=400, days=2, contacts=350, **SMALL)
    status = backfilled(sandbox, home, depth=depth)
    assert status.state is RunState.COMPLETED
    people = whose(sandbox)
    with mirror_of(sandbox, home) as store:
        assert emails(store) == {one: sandbox.workspace.contacts[one].email for one in people}
        assert store.contact_counts() == {"stored": len(people), "merged": 0, "gone": 0, "unread": 0}
        assert [row["id"] for row in store.sql("SELECT id FROM conversations_flat WHERE author_name IS NULL")] == []
    assert len(people) > AT_ONCE
    assert calls(sandbox, SEARCHES) <= len(people) // 75 + 2
    assert calls(sandbox, LOOKS) == 0
    searches = calls(sandbox, SEARCHES)
    backfilled(sandbox, home, depth=depth)
    assert calls(sandbox, SEARCHES) == searches, "they are here"


def test_without_them_it_costs_nothing(make_intercom_sandbox: Make, home: Path) -> None:
    sandbox = make_intercom_sandbox(conversations=50, days=2, contacts=20, **SMALL)
    backfilled(sandbox, home, contacts=False, depth="row")
    with mirror_of(sandbox, home) as store:
        assert store.contact_counts() == {"stored": 0, "merged": 0, "gone": 0, "unread": len(whose(sandbox))}
    assert calls(sandbox, SEARCHES) == 0


def test_merged_deleted_and_archived_ones_are_asked_for_once_and_marked(
    make_intercom_sandbox: Make, home: Path
) -> None:
    sandbox = make_intercom_sandbox(conversations=100, days=2, contacts=30, **SMALL)
    merged, archived, deleted, other = sorted(whose(sandbox))[:4]
    sandbox.workspace.contacts[merged].merged_into = other
    sandbox.workspace.contacts[archived].archived = True
    del sandbox.workspace.contacts[deleted]
    backfilled(sandbox, home, depth="row")
    with mirror_of(sandbox, home) as store:
        counts = store.contact_counts()
        assert (counts["merged"], counts["gone"], counts["unread"]) == (1, 2, 0)
        assert store.sql("SELECT id, merged_into FROM contact WHERE merged_into IS NOT NULL").rows == [(merged, other)]
        gone = store.sql("SELECT id, email FROM contact WHERE deleted_at IS NOT NULL ORDER BY 1").rows
        assert gone == sorted([(archived, None), (deleted, None)])
    assert calls(sandbox, LOOKS) == 3
    backfilled(sandbox, home, depth="row")
    assert calls(sandbox, LOOKS) == 3


def test_a_backfill_that_was_stopped_reads_the_rest_when_it_goes_on(make_intercom_sandbox: Make, home: Path) -> None:
    sandbox = make_intercom_sandbox(conversations=300, days=2, contacts=250, **SMALL)
    until = threading.Event()

    def refuse(path: str, _: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any] | int:
        if "contacts/search" in path and not until.is_set():
            return 401
        return answered

    with weather(sandbox, refuse) as url:
        settings = replace(settings_of(sandbox, home), base_url=url)
        with Backfill(days=3, settings=settings) as backfill:

            def stop_soon(progress: Progress) -> None:
                if progress.done > 20:
                    backfill.stop()

            run = backfill.start(RunOptions(reserve=0.0, progress=stop_soon), parallel_workers=4)
            assert run.result().state is RunState.STOPPED
            with mirror_of(sandbox, home) as store:
                assert store.contact_counts()["stored"] == 0, "they were refused, and that stopped nothing"
                assert store.contact_counts()["unread"] > 0
            until.set()
            assert backfill.resume(run.run_id, RunOptions(reserve=0.0)).result().state is RunState.COMPLETED
    with mirror_of(sandbox, home) as store:
        assert store.contact_counts()["unread"] == 0
        assert emails(store).keys() == whose(sandbox)


def test_one_that_is_refused_many_at_once_is_asked_for_fewer(make_intercom_sandbox: Make, home: Path) -> None:
    sandbox = make_intercom_sandbox(conversations=200, days=2, contacts=150, **SMALL)

    def limit(path: str, asked: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any] | int:
        return 400 if "contacts/search" in path and len(asked["query"]["value"]) > 50 else answered

    with weather(sandbox, limit) as url:
        backfilled(sandbox, home, url=url, depth="row")
    with mirror_of(sandbox, home) as store:
        assert store.contact_counts()["unread"] == 0


def test_a_sync_reads_those_who_are_new_or_wrote_and_a_full_one_everybody(
    make_intercom_sandbox: Make, home: Path
) -> None:
    sandbox = make_intercom_sandbox(conversations=200, days=2, contacts=60, **SMALL)
    aged(sandbox)
    backfilled(sandbox, home)
    settings, workspace = settings_of(sandbox, home), sandbox.workspace
    first, second, *_ = workspace.conversations.values()
    stranger = next(one for one in workspace.contacts if one != first.contacts[0])
    for person in workspace.contacts.values():
        person.email = f"new-{person.id}@example.com"
        person.updated_at += 1  # of two readings of one version the later wins, by clocks that are a second coarse
    before, looks = calls(sandbox, SEARCHES), calls(sandbox, LOOKS)
    with IncrementalSync(settings=settings) as sync, requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {sandbox.token}"
        words = {"message_type": "comment", "type": "user", "intercom_user_id": first.contacts[0], "body": "Hello"}
        note = {"message_type": "note", "type": "admin", "admin_id": sandbox.admin_id, "body": "Hm"}
        for one, body in ((first, words), (second, note)):
            session.post(f"{sandbox.url}/conversations/{one.id}/reply", json=body, timeout=10).raise_for_status()
        report = sync.run()
        assert (report.threads, report.contacts) == (2, 1)
        assert calls(sandbox, SEARCHES) == before + 1
        with mirror_of(sandbox, home) as store:
            known = emails(store)
            assert known[first.contacts[0]] == f"new-{first.contacts[0]}@example.com"
            assert known.get(stranger) != f"new-{stranger}@example.com", "nobody asked, and nothing is claimed"
    changed(sandbox, home, "UPDATE contact SET seen_at = seen_at - 600")
    with IncrementalSync(settings=settings, full=True) as sync:
        assert sync.run().contacts == len(whose(sandbox))
    with mirror_of(sandbox, home) as store:
        assert set(emails(store).values()) == {f"new-{one}@example.com" for one in whose(sandbox)}
    assert calls(sandbox, LOOKS) == looks


def test_a_list_of_deleted_ones_that_is_refused_is_said_until_it_is_not(
    make_intercom_sandbox: Make, home: Path
) -> None:
    sandbox = make_intercom_sandbox(conversations=30, days=2, contacts=5, **SMALL)
    aged(sandbox)
    backfilled(sandbox, home)
    changed(sandbox, home, "UPDATE sync SET started_at = started_at - 3600")
    is_refused = threading.Event()
    is_refused.set()

    def refuse(path: str, _: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any] | int:
        return 401 if "conversations/deleted" in path and is_refused.is_set() else answered

    with weather(sandbox, refuse) as url, mirror_of(sandbox, home) as store:
        settings = replace(settings_of(sandbox, home), base_url=url)
        with IncrementalSync(settings=settings) as sync:
            report = sync.run()
            assert report.deletions_unknown is not None
            assert not report.is_complete
            assert "what was deleted is not known" in str(report)
            at = store.syncs()[0].started_at + GRACE - INDEX_LAG
            told = Mirror(store).check_sync_state(now=at)
            assert (told["state"], told["data_complete"]) == ("partial", False)
            assert "deleted since" in told["message"]
            assert "may not do this" in told["message"]
            assert [gap["what"] for gap in told["gaps"]] == ["deletions"]
            is_refused.clear()
            report = sync.run()
            assert report.is_complete
        told = Mirror(store).check_sync_state(now=at)
        assert (told["state"], told["data_complete"], told["gaps"]) == ("fresh", True, [])


def test_a_backfill_says_how_much_is_to_come_once_it_has_looked_at_every_window(
    make_intercom_sandbox: Make, home: Path
) -> None:
    sandbox = make_intercom_sandbox(conversations=900, days=2, contacts=5, **SMALL)
    seen: list[tuple[int | None, int]] = []
    with Backfill(days=1, settings=settings_of(sandbox, home)) as backfill:
        run = backfill.start(
            RunOptions(reserve=0.0, progress=lambda now: seen.append((now.total, now.done))), parallel_workers=3
        )
        count = run.result().success
    known = [total for total, done in seen if total is not None and done < count]
    assert known, "before the end"
    assert {*known} == {count}
