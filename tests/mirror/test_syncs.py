"""Incremental syncs against a workspace that lives."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
import requests

from intercom_bulk.errors import SearchUnordered, SettingsError, UsageError
from intercom_bulk.mirror.keeping.proofs import Axis, Depth
from intercom_bulk.mirror.keeping.schema import SyncKind, SyncState
from intercom_bulk.mirror.syncing import IncrementalSync
from intercom_bulk.settings import Settings
from intercom_bulk.testing import make_intercom_sandbox
from intercom_bulk.updaters.history import Runs
from tests.mirror.living import aged, filled, settings_of, truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox

    Make = Callable[..., Sandbox]

__all__ = ["make_intercom_sandbox"]


class People:
    """Who works in the workspace meanwhile."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {sandbox.token}"

    def send(self, method: str, path: str, **body: Any) -> requests.Response:
        return self._session.request(method, f"{self._sandbox.url}/{path}", json=body, timeout=30)

    def note(self, item_id: str, words: str = "Hm") -> None:
        admin = self._sandbox.admin_id
        self.send(
            "POST", f"conversations/{item_id}/reply", message_type="note", type="admin", admin_id=admin, body=words
        )

    def write_as_customer(self, item_id: str) -> None:
        contact = truth(self._sandbox)[item_id]["contacts"]["contacts"][0]["id"]
        words = {"message_type": "comment", "type": "user", "intercom_user_id": contact, "body": "Still broken"}
        self.send("POST", f"conversations/{item_id}/reply", **words)

    def delete(self, item_id: str) -> None:
        self.send("DELETE", f"conversations/{item_id}")

    def close(self) -> None:
        self._session.close()


class Place:
    """A sandbox, a mirror that was in step with it a moment ago, and a sync between the two."""

    def __init__(
        self, sandbox: Sandbox, home: Path, *, depth: Depth = Depth.THREAD, url: str | None = None, **wishes: Any
    ) -> None:
        self.sandbox = sandbox
        aged(sandbox)
        self.people = People(sandbox)
        self.store = filled(sandbox, home, depth=depth, url=url)
        self.ids = list(truth(sandbox))
        self.sync = IncrementalSync(settings=settings_of(sandbox, home, url), **wishes)

    def differing(self) -> list[str]:
        """Of all that are there, those that the mirror has otherwise or not; and those that it has and are not."""
        there = truth(self.sandbox)
        mirrored = {row["id"] for row in self.store.sql("SELECT id FROM conversations_flat")}
        return [one for one, thread in there.items() if self.store.document(one) != thread] + list(
            mirrored - set(there)
        )

    def calls(self) -> dict[str, int]:
        """What was asked for, by route."""
        known: dict[str, dict[str, int]] = self.sandbox.stats()["requests"]
        return {route: sum(statuses.values()) for route, statuses in known.items()}

    def close(self) -> None:
        self.people.close()
        self.sync.close()
        self.store.close()


@pytest.fixture
def make_place(make_intercom_sandbox: Make, tmp_path: Path) -> Iterator[Callable[..., Place]]:
    made: list[Place] = []

    def make(*, depth: Depth = Depth.THREAD, wishes: dict[str, Any] | None = None, **knobs: Any) -> Place:
        knobs = {"limit_per_minute": 600_000, "conversations": 60, "contacts": 9, "companies": 0, "tickets": 0} | knobs
        place = Place(make_intercom_sandbox(**knobs), tmp_path / f"home{len(made)}", depth=depth, **(wishes or {}))
        made.append(place)
        return place

    yield make
    for place in made:
        place.close()


# -- what a sync does


def test_a_sync_fetches_what_changed_and_nothing_else(make_place: Callable[..., Place]) -> None:
    place = make_place(conversations=400)
    for item_id in place.ids[:20]:
        place.people.note(item_id)
    place.people.delete(place.ids[20])
    assert place.sync.store.workspace == "sandbox1"
    before = sum(place.calls().values())
    report = place.sync.run()
    assert (report.state, report.found, report.changed, report.threads) == (SyncState.COMPLETED, 20, 20, 20)
    assert (report.deleted, report.parts, report.missed, report.unread) == (1, 20, 0, 0)
    assert sum(place.calls().values()) - before == report.calls == 20 + 4 + _NAMES
    assert place.differing() == []
    again = place.sync.run()
    assert (again.found, again.unchanged, again.threads, again.calls) == (20, 20, 0, 3)


_NAMES = 3
"""Calls for the names of tags, teams and teammates."""


def test_a_sync_proves_what_changed_up_to_its_start_less_the_lag(make_place: Callable[..., Place]) -> None:
    place = make_place()
    report = place.sync.run()
    began = place.store.sync(report.sync_id).started_at
    assert report.in_step_to == began - 60 == place.store.knowledge(Depth.THREAD).floor
    (span,) = place.store.covered(Axis.UPDATED, Depth.THREAD)
    assert span.hi == report.in_step_to


def test_rows_alone_are_enough_for_a_mirror_of_rows(make_place: Callable[..., Place]) -> None:
    place = make_place(depth=Depth.ROW)
    place.people.note(place.ids[0])
    report = place.sync.run()
    assert (report.found, report.changed, report.threads) == (1, 1, 0)
    assert place.store.knowledge(Depth.ROW).floor == report.in_step_to
    assert place.store.knowledge(Depth.THREAD).floor is None


def test_a_full_sync_looks_at_everything(make_place: Callable[..., Place]) -> None:
    place = make_place(wishes={"full": True})
    report = place.sync.run()
    assert (report.found, report.unchanged, report.threads) == (60, 60, 0)


def test_what_an_earlier_sync_promised_and_did_not_store_is_told(make_place: Callable[..., Place]) -> None:
    place = make_place(tag_bumps_updated_at=False)
    place.sync.run()
    covered = place.store.covered(Axis.UPDATED)
    at = covered.spans[-1].hi - 1
    lost = place.sandbox.workspace.conversations[int(place.ids[0])]
    place.sandbox.workspace.changing(lost, at)
    lost.updated_at = at
    report = place.sync.run()
    assert (report.missed, report.found) == (1, 1)
    assert place.sync.run().missed == 0


def test_a_thread_that_cannot_be_read_keeps_its_sync_from_proving_threads(make_place: Callable[..., Place]) -> None:
    place = make_place()
    place.people.note(place.ids[0])
    place.people.note(place.ids[1])
    place.sandbox.set(poison_422_ids=(place.ids[0],))
    before = place.store.knowledge(Depth.THREAD).floor
    report = place.sync.run()
    assert (report.threads, report.unread, report.is_complete) == (1, 1, False)
    assert place.store.knowledge(Depth.THREAD).floor == before
    assert place.store.knowledge(Depth.ROW).changes.end == report.in_step_to
    place.sandbox.set(poison_422_ids=())
    mended = place.sync.run()
    assert (mended.threads, mended.is_complete) == (1, True)
    assert place.differing() == []


def test_one_that_is_gone_when_its_thread_is_fetched_is_marked(make_place: Callable[..., Place]) -> None:
    place = make_place(index_lag=30)
    place.people.note(place.ids[0])
    place.sandbox.set(index_lag=0)
    place.sandbox.set(gone_ids=(place.ids[0],))
    report = place.sync.run()
    assert (report.found, report.threads, report.is_complete) == (1, 0, True)
    assert place.store.total() == len(place.ids) - 1


def test_where_deleted_ones_cannot_be_listed_the_rest_is_synced(make_place: Callable[..., Place]) -> None:
    place = make_place(denied=("/conversations/deleted",))
    place.people.note(place.ids[0])
    report = place.sync.run()
    assert (report.state, report.threads) == (SyncState.COMPLETED, 1)
    (look,) = place.store.syncs(kind=SyncKind.DELETIONS)
    assert look.state is SyncState.FAILED
    assert "conversations" in (look.error or "")


def test_large_pages_that_cannot_be_had_are_asked_for_in_smaller_ones(make_place: Callable[..., Place]) -> None:
    place = make_place(page_504_over=40, wishes={"full": True})
    place.people.note(place.ids[0])
    report = place.sync.run()
    assert (report.state, report.found, report.threads) == (SyncState.COMPLETED, 60, 1)


def test_a_search_in_another_order_proves_nothing(make_place: Callable[..., Place]) -> None:
    place = make_place(ignore_sort=True, wishes={"full": True})
    with pytest.raises(SearchUnordered, match="does not list by updated_at"):
        place.sync.run()
    (sync,) = place.store.syncs(kind=SyncKind.INCREMENTAL)
    assert (sync.state, place.store.covered(Axis.UPDATED).spans) == (SyncState.FAILED, ())


def test_those_who_wrote_are_looked_up_beside_the_walk(make_place: Callable[..., Place]) -> None:
    place = make_place(wishes={"strategy": "contacts"}, timezone="Asia/Tokyo")
    place.people.write_as_customer(place.ids[0])
    place.people.note(place.ids[1])
    report = place.sync.run()
    assert (report.threads, report.is_complete) == (2, True)
    assert report.found == 3
    assert place.differing() == []
    # Who wrote; and who they are, in one call or two, as it happens that the two walks meet.
    assert place.calls()["POST /contacts/search"] in {2, 3}


# -- who may sync


def test_an_empty_mirror_asks_for_a_backfill(make_intercom_sandbox: Make, tmp_path: Path) -> None:
    sandbox = make_intercom_sandbox(conversations=1)
    with IncrementalSync(settings=settings_of(sandbox, tmp_path)) as sync:
        with pytest.raises(UsageError, match="run a backfill first"):
            sync.run()
        assert list(sync.workspace.store.records()) == []
        assert not sync.store.is_syncing


def test_a_mirror_of_rows_has_no_threads_to_keep_in_step(make_place: Callable[..., Place]) -> None:
    place = make_place(depth=Depth.ROW)
    with pytest.raises(UsageError, match="that reads threads"):
        IncrementalSync(workspace=place.sync.workspace, depth="thread").run()


def test_syncs_of_one_mirror_that_are_asked_for_together_are_one(make_place: Callable[..., Place]) -> None:
    place = make_place(latency_ms=30)
    place.people.note(place.ids[0])
    first = place.sync.start()
    second = IncrementalSync(workspace=place.sync.workspace).start()
    assert second is first
    assert second.result().threads == 1
    assert place.sync.start() is not first
    assert place.sync.run().threads == 0


def test_a_sync_waits_for_one_of_another_process_and_has_its_report(make_place: Callable[..., Place]) -> None:
    place = make_place()
    with place.store.writing() as theirs:
        theirs.begin_sync("theirs", SyncKind.INCREMENTAL, {}, at=1.0)
        ours = place.sync.start()
        assert not ours.wait(0.3)
        with pytest.raises(TimeoutError):
            ours.result(0)
        theirs.finish_sync("theirs", SyncState.COMPLETED, at=2.0)
    assert ours.wait(5)
    assert place.store.sync("theirs").state is SyncState.COMPLETED
    assert ours.result().sync_id != ours.run_id


def test_a_sync_that_is_stopped_proves_nothing_and_the_next_one_does_the_rest(make_place: Callable[..., Place]) -> None:
    place = make_place(wishes={"workers": 1})
    for item_id in place.ids[:40]:
        place.people.note(item_id)
    place.sandbox.set(latency_ms=20)
    run = place.sync.start()
    while (moment := run.progress()) is None or moment.done < 1:
        run.wait(0.01)
    run.stop()
    report = run.result()
    assert (report.state, report.in_step_to) == (SyncState.STOPPED, None)
    assert report.threads < 40
    with pytest.raises(UsageError, match="the next sync does"):
        Runs(place.sync.workspace.settings).resume(run.run_id)
    place.sandbox.set(latency_ms=0)
    rest = place.sync.run()
    assert (rest.threads, rest.is_complete) == (40 - report.threads, True)
    assert place.differing() == []


def test_a_sync_can_be_awaited_and_does_not_block_the_loop(make_place: Callable[..., Place]) -> None:
    place = make_place(latency_ms=50)
    place.people.note(place.ids[0])

    async def both() -> tuple[int, int]:
        ticks = 0
        run = place.sync.start()
        waiting = asyncio.ensure_future(_await(run))
        while not waiting.done():
            ticks += 1
            await asyncio.sleep(0)
        return (await waiting).threads, ticks

    threads, ticks = asyncio.run(both())
    assert threads == 1
    assert ticks > 3


async def _await(run: Any) -> Any:
    return await run


def test_the_environment_says_how_to_sync() -> None:
    env = {"INTERCOM_SYNC_WORKERS": "20", "INTERCOM_SYNC_STRATEGY": "contacts"}
    known = Settings.build(access_token="x" * 20, env=env)
    assert (known.sync_workers, known.sync_strategy) == (20, "contacts")
    plain = Settings.build(access_token="x" * 20, env={})
    assert (plain.sync_workers, plain.sync_strategy) == (10, "auto")
    for wrong in ({"INTERCOM_SYNC_WORKERS": "0"}, {"INTERCOM_SYNC_STRATEGY": "best"}):
        with pytest.raises(SettingsError, match="INTERCOM_SYNC"):
            Settings.build(access_token="x" * 20, env=wrong)


def test_a_mirror_in_a_database_is_kept_in_step_as_a_file_is(
    make_place: Callable[..., Place], own_database: str
) -> None:
    place = make_place(wishes={"url": own_database}, app_id="synced")
    for item_id in place.ids[:10]:
        place.people.note(item_id)
    place.people.delete(place.ids[10])
    report = place.sync.run()
    assert (report.threads, report.deleted, report.is_complete) == (10, 1, True)
    assert place.differing() == []
    assert place.sync.run().threads == 0


# -- proof 3


def test_a_workspace_that_never_rests_is_mirrored_as_it_is(make_place: Callable[..., Place]) -> None:
    place = make_place(conversations=400, contacts=30, index_lag=0.3, arrivals=20, wishes={"lag": 1})
    enough, later, moved = threading.Event(), threading.Event(), threading.Event()
    turmoil = threading.Thread(target=churn, args=(place, enough, later, moved))
    turmoil.start()
    try:
        reports = [place.sync.run()]
        later.set()
        assert moved.wait(60)
        reports += [place.sync.run() for _ in range(3)]
    finally:
        enough.set()
        later.set()
        turmoil.join()
    assert all(report.state is SyncState.COMPLETED for report in reports)
    assert sum(report.threads for report in reports[1:]) > 0
    place.sandbox.set(index_lag=0, arrivals=0)
    last = place.sync.run()
    assert last.is_complete
    assert place.differing() == []


def churn(place: Place, enough: threading.Event, later: threading.Event, moved: threading.Event) -> None:
    """Notes, closes, customers' words, tags and deletions, until it is enough, and at most 240. Half of them are kept
    for `later`, of which the first few have `moved`: however fast it is, the second sync finds some.
    """
    people, admin = People(place.sandbox), place.sandbox.admin_id
    for number in range(240):
        if number == 120:
            later.wait()
        if enough.is_set():
            break
        if number == 125:
            moved.set()
        item_id = place.ids[number * 7 % len(place.ids)]
        match number % 20:
            case 0:
                people.delete(item_id)
            case 1 | 2:
                people.send(
                    "POST", f"conversations/{item_id}/parts", message_type="close", type="admin", admin_id=admin
                )
            case 3:
                people.send("POST", f"conversations/{item_id}/tags", id="86", admin_id=admin)
            case _:
                people.note(item_id, f"Number {number}")
    people.close()
