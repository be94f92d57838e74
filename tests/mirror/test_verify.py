"""The mirror counted against the workspace: what was lost shows, in the window where it was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from intercom_bulk import Settings
from intercom_bulk.errors import UsageError
from intercom_bulk.mirror.keeping.coverage import Span
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.mirror.verify import DAY, count_there, verify, windows_of
from intercom_bulk.testing import make_intercom_sandbox
from intercom_bulk.workspace import Workspace
from tests.mirror.filling import asked, filled
from tests.mirror.made import kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox

    Make = Callable[..., Sandbox]

__all__ = ["make_intercom_sandbox"]


@pytest.fixture
def sandbox(make_intercom_sandbox: Make) -> Sandbox:
    return make_intercom_sandbox(conversations=60, parts=2, latency_ms=1, limit_per_minute=600_000)


@pytest.fixture
def workspace(sandbox: Sandbox) -> Iterator[Workspace]:
    opened = Workspace(Settings.build(**sandbox.settings_kwargs()))
    yield opened
    opened.close()


def test_windows_are_days_and_leave_nothing_out() -> None:
    spans = windows_of(DAY + 5, 3 * DAY + 7)
    assert list(spans) == [Span(DAY + 5, 2 * DAY), Span(2 * DAY, 3 * DAY), Span(3 * DAY, 3 * DAY + 7)]
    assert list(windows_of(DAY, DAY + 1)) == [Span(DAY, DAY + 1)]


@pytest.mark.parametrize("inclusive", [False, True])
def test_a_window_counts_its_own_seconds_only_whatever_more_than_means(
    inclusive: bool, sandbox: Sandbox, workspace: Workspace
) -> None:
    sandbox.set(gt_inclusive=inclusive)
    moments = sorted(one["created_at"] for one in sandbox.items())
    lo, hi = moments[10], moments[20]
    expected = sum(lo <= one < hi for one in moments)
    assert count_there(workspace, Span(lo, hi)) == expected
    assert count_there(workspace, Span(lo, lo + 1)) == moments.count(lo)


def test_a_whole_mirror_is_well_everywhere(sandbox: Sandbox, workspace: Workspace, home: Path) -> None:
    store = filled(sandbox, home, threads=True)
    checked = list(verify(workspace, store))
    assert all(one.is_well for one in checked)
    assert sum(one.there for one in checked) == sum(one.here for one in checked) == 60


def test_what_is_lost_deleted_or_unread_shows_in_its_window(sandbox: Sandbox, workspace: Workspace, home: Path) -> None:
    items = sorted(sandbox.items(), key=lambda one: (one["created_at"], one["id"]))
    lost, deleted, changed = items[10], items[30], items[50]
    store = filled(sandbox, home, threads=True, without=frozenset({lost["id"]}))
    asked(sandbox, "DELETE", f"conversations/{deleted['id']}")
    asked(sandbox, "PUT", f"conversations/{changed['id']}", json={"title": "Other"})
    with store.writing() as writer:
        body = {"query": {"field": "id", "operator": "=", "value": changed["id"]}}
        rows = asked(sandbox, "POST", "conversations/search", json=body)["conversations"]
        kept(writer, rows, seen_at=changed["created_at"])
    checked = list(verify(workspace, store, width=6 * 3600))
    missing, extra, unread = (
        [one.span for one in checked if getattr(one, what)] for what in ("missing", "extra", "unread")
    )
    for spans, item in ((missing, lost), (extra, deleted), (unread, changed)):
        assert len(spans) == 1
        assert item["created_at"] in spans[0]
    assert [one.is_well for one in checked].count(False) == len({missing[0], extra[0], unread[0]})


def test_an_empty_mirror_has_nothing_to_count_but_what_is_named(
    sandbox: Sandbox, workspace: Workspace, home: Path
) -> None:
    store = open_mirror(home, "empty")
    with pytest.raises(UsageError, match="run a backfill first"):
        list(verify(workspace, store))
    moments = [one["created_at"] for one in sandbox.items()]
    checked = list(verify(workspace, store, min(moments), max(moments) + 1))
    assert (sum(one.missing for one in checked), sum(one.here for one in checked)) == (60, 0)


def test_a_range_the_wrong_way_round_is_refused(sandbox: Sandbox, workspace: Workspace, home: Path) -> None:
    store = filled(sandbox, home)
    with pytest.raises(UsageError, match="no time between"):
        list(verify(workspace, store, 20, 10))
    with pytest.raises(UsageError, match="take wider ones"):
        list(verify(workspace, store, width=1))
