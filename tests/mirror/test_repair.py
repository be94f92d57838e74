"""A repair fetches what is short, and only that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import Runs, RunState, Settings
from intercom_bulk.mirror.keeping.coverage import Span
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.repair import Repair, narrowed
from intercom_bulk.testing import make_intercom_sandbox
from tests.mirror.filling import asked, filled
from tests.mirror.made import kept

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.sandbox import Sandbox

    Make = Callable[..., Sandbox]

__all__ = ["make_intercom_sandbox"]


@pytest.fixture
def sandbox(make_intercom_sandbox: Make) -> Sandbox:
    return make_intercom_sandbox(conversations=60, parts=2, latency_ms=1, limit_per_minute=600_000)


def repair(sandbox: Sandbox, store: MirrorStore, **more: Any) -> Repair:
    return Repair(settings=Settings.build(**sandbox.settings_kwargs()), store=store, **more)


def by_age(sandbox: Sandbox) -> list[dict[str, Any]]:
    return sorted(sandbox.items(), key=lambda one: (one["created_at"], one["id"]))


def fetched(sandbox: Sandbox) -> dict[str, int]:
    """Answers so far, by route."""
    return {route: sum(statuses.values()) for route, statuses in sandbox.stats()["requests"].items()}


@pytest.mark.parametrize("threads", [True, False])
def test_what_was_lost_deleted_or_left_unread_is_mended_and_nothing_else_is_read(
    threads: bool, sandbox: Sandbox, home: Path
) -> None:
    items = by_age(sandbox)
    lost, deleted, changed = items[10], items[30], items[50]
    store = filled(sandbox, home, threads=threads, without=frozenset({lost["id"]}))
    asked(sandbox, "DELETE", f"conversations/{deleted['id']}")
    asked(sandbox, "POST", f"conversations/{changed['id']}/reply", json=note(sandbox))
    body = {"query": {"field": "id", "operator": "=", "value": changed["id"]}}
    rows = asked(sandbox, "POST", "conversations/search", json=body)["conversations"]
    with store.writing() as writer:
        kept(writer, rows, seen_at=changed["created_at"])
    before = fetched(sandbox)
    with repair(sandbox, store, width=6 * 3600) as made:
        checked = made.check()
        started = made.start(checked)
        assert started is not None
        summary = started.result()
        assert summary.state is RunState.COMPLETED
        assert all(one.is_well for one in made.check())
    assert store.total() == 59
    assert store.document(lost["id"]) is not None
    assert store.conversations([deleted["id"]]) == []
    if threads:
        assert store.document(changed["id"]) == asked(sandbox, "GET", f"conversations/{changed['id']}")
        assert store.document(lost["id"]) == asked(sandbox, "GET", f"conversations/{lost['id']}")
    after = fetched(sandbox)
    gets = {route: after[route] - before.get(route, 0) for route in after if route.startswith("GET /conversations/")}
    # With threads three were needed, and two more were for the comparison; without, the deleted one was looked up.
    assert gets == {"GET /conversations/*": 5 if threads else 1}
    record = Runs().get(started.run_id).record
    assert (record.kind, record.title) == ("repair", "Repair")
    (last, *_) = store.syncs()
    assert (last.kind, last.state) == ("repair", "completed")


def note(sandbox: Sandbox) -> dict[str, Any]:
    return {"message_type": "note", "type": "admin", "admin_id": sandbox.admin_id, "body": "Hm."}


def test_what_is_well_is_left_alone(sandbox: Sandbox, home: Path) -> None:
    store = filled(sandbox, home, threads=True)
    with repair(sandbox, store) as made:
        assert made.run() is None
    assert [sync.kind for sync in store.syncs()] == ["backfill"]


def test_a_hole_is_read_and_what_is_of_rows_alone_stays_so(sandbox: Sandbox, home: Path) -> None:
    items = by_age(sandbox)
    edges = [items[0]["created_at"], *(items[n]["created_at"] for n in (15, 30, 45)), items[-1]["created_at"] + 1]
    lost = items[3]["id"]
    filled(sandbox, home, within=Span(edges[0], edges[1]), without=frozenset({lost}))
    filled(sandbox, home, within=Span(edges[1], edges[2]), threads=True)
    store = filled(sandbox, home, within=Span(edges[3], edges[4]), threads=True)
    with repair(sandbox, store) as made:
        assert any(one.is_hole for one in made.check())
        made.run()
        assert all(one.is_well for one in made.check())
    assert store.total() == 60
    rows, threads = (store.knowledge(depth).members for depth in Depth)
    assert rows.covers(edges[0], edges[4])
    assert threads.covers(edges[1], edges[4])
    document = store.document(lost)
    assert document is not None
    assert "conversation_parts" not in document


def test_a_large_window_is_halved_to_where_it_is_short(sandbox: Sandbox, home: Path) -> None:
    lost = by_age(sandbox)[37]
    store = filled(sandbox, home, without=frozenset({lost["id"]}))
    moments = [one["created_at"] for one in sandbox.items()]
    calls = []

    def count(span: Span) -> int:
        calls.append(span)
        return 100 * sum(one in span for one in moments)

    whole = Span(min(moments), max(moments) + 1)
    found = narrowed(count, Hundredfold(store), whole, count(whole))
    assert len(found) == 1
    assert lost["created_at"] in found[0]
    assert len(found[0]) <= len(whole) // 8
    assert len(calls) <= 8
    well = Span(whole.lo, lost["created_at"])
    assert narrowed(count, Hundredfold(store), well, count(well)) == []


class Hundredfold:
    """Each conversation stands for a hundred."""

    def __init__(self, store: MirrorStore) -> None:
        self._store = store

    def count_created(self, lo: int, hi: int) -> int:
        return 100 * self._store.count_created(lo, hi)
