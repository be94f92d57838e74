"""Windows are read to their end, whatever a life before left of them, and whatever Intercom cannot bear."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import SearchLoop, SearchUnordered, Settings, Transient
from intercom_bulk.mirror.fetching.meter import Meter
from intercom_bulk.mirror.fetching.windows import WindowSource
from intercom_bulk.mirror.keeping.coverage import Span
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.keeping.schema import SyncKind, WindowState
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.mirror.keeping.tombs import Deleted
from intercom_bulk.mirror.keeping.wanted import has_thread
from intercom_bulk.testing import make_intercom_sandbox
from intercom_bulk.workspace import Workspace
from tests.mirror.made import T, conversation, kept, thread
from tests.mirror.weather import weather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.mirror.keeping.writer import MirrorWriter
    from intercom_bulk.runs.model import Item
    from intercom_bulk.sandbox import Sandbox

    MakeSandbox = Callable[..., Sandbox]

__all__ = ["make_intercom_sandbox"]

SMALL = {"contacts": 5, "companies": 2, "tickets": 2, "limit_per_minute": 600_000}


class Hurried:
    """The machine's clock, but for sleeping: that takes a thousandth of the time, and time goes by all the same."""

    def __init__(self) -> None:
        self._slept = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._slept

    def time(self) -> float:
        return time.time() + self._slept

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / 1000)
        self._slept += seconds * 0.999


@dataclass
class Scene:
    """A mirror and a workspace, and the lives of one sync of it."""

    workspace: Workspace
    store: MirrorStore
    lo: int
    hi: int

    @contextmanager
    def life(self, *, depth: Depth = Depth.THREAD) -> Iterator[tuple[MirrorWriter, WindowSource]]:
        now = float(self.workspace.begin())
        with self.store.writing() as writer:
            writer.begin_sync("s", SyncKind.BACKFILL, {}, at=now)
            if not self.store.windows("s"):
                writer.plan_windows("s", [Span(self.lo, self.hi)])
            meter = Meter(self.workspace.governor, self.workspace.clock, began=0.0, counted=(0, 0))
            yield writer, WindowSource(self.workspace, self.store, writer, "s", depth=depth, meter=meter, lanes=3)

    def states(self) -> set[WindowState]:
        return {window.state for window in self.store.windows("s")}


def read_all(source: WindowSource) -> list[Item]:
    """What the engine would get, one lane after another."""
    open_parts = list(source.open())
    items: list[Item] = []
    while open_parts:
        part = open_parts.pop(0)
        page = source.read(part)
        items += page.items
        if not page.after.done:
            open_parts.append(page.after)
    return items


@pytest.fixture
def scene_of(home: Path) -> Iterator[Callable[..., Scene]]:
    scenes: list[Scene] = []

    def make(sandbox: Sandbox, url: str | None = None) -> Scene:
        settings = replace(Settings.build(access_token=sandbox.token, base_url=url or sandbox.url, env={}), home=home)
        made = [one.created_at for one in sandbox.workspace.conversations.values()]
        scene = Scene(Workspace(settings, clock=Hurried()), open_mirror(home, "here"), min(made), max(made) + 1)
        scenes.append(scene)
        return scene

    yield make
    for scene in scenes:
        scene.workspace.close()
        scene.store.close()


def ids_of(sandbox: Sandbox) -> set[str]:
    return {str(item_id) for item_id in sandbox.workspace.conversations}


def test_what_a_killed_life_had_stored_and_not_handed_on_is_handed_on_by_the_next(
    make_intercom_sandbox: MakeSandbox, scene_of: Callable[..., Scene]
) -> None:
    sandbox = make_intercom_sandbox(conversations=400, days=1, **SMALL)
    scene = scene_of(sandbox)
    with scene.life() as (_, source):
        part = source.open()[0]
        assert source.read(part).items  # and nobody hears of it
    with scene.life() as (_, source):
        items = read_all(source)
    assert {item.id for item in items} == ids_of(sandbox)
    assert scene.states() == {WindowState.STORED}
    searches = sandbox.app.stats.record()["requests"]["POST /conversations/search"]
    assert sum(searches.values()) <= 5


def test_a_thread_is_here_when_it_is_as_new_as_its_row_or_known_to_be_gone(
    make_intercom_sandbox: MakeSandbox, scene_of: Callable[..., Scene]
) -> None:
    """What ends a doubt without a request."""
    scene = scene_of(make_intercom_sandbox(conversations=1, days=1, **SMALL))
    with scene.store.writing() as writer:
        assert not has_thread(scene.store, "1")
        kept(writer, [conversation("1")], seen_at=T)
        assert not has_thread(scene.store, "1")
        kept(writer, [thread("1")], seen_at=T)
        assert has_thread(scene.store, "1")
        kept(writer, [conversation("1", updated=T + 9)], seen_at=T + 9)
        assert not has_thread(scene.store, "1")
        writer.mark_deleted([Deleted("1", T + 10), Deleted("2", T)], seen_at=T + 10)
        assert has_thread(scene.store, "1")
        assert has_thread(scene.store, "2")


def test_a_cursor_that_is_no_longer_good_makes_a_window_begin_anew(
    make_intercom_sandbox: MakeSandbox, scene_of: Callable[..., Scene]
) -> None:
    sandbox = make_intercom_sandbox(conversations=60, days=1, **SMALL)
    scene = scene_of(sandbox)
    with scene.life() as (writer, _):
        (window,) = scene.store.windows("s")
        window = writer.begin_window(window, at=1.0)
        writer.save_page(window, [], seen_at=1.0, cursor="of days ago", expected=60)
    with scene.life() as (_, source):
        items = read_all(source)
    assert {item.id for item in items} == ids_of(sandbox)
    (window,) = scene.store.windows("s")
    assert (window.state, window.stored) == (WindowState.STORED, 60)
    assert (window.began_at or 0) > 1.0  # what is proved is as of the second reading


def test_a_window_that_is_too_much_even_in_small_pages_is_read_in_shorter_ones(
    make_intercom_sandbox: MakeSandbox, scene_of: Callable[..., Scene]
) -> None:
    sandbox = make_intercom_sandbox(conversations=60, days=1, **SMALL)

    def refuse(path: str, asked: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any] | int:
        if "search" not in path:
            return answered
        lo, hi = (one["value"] for one in asked["query"]["value"])
        return 504 if hi - lo > 4 * 3600 else answered

    with weather(sandbox, refuse) as url:
        scene = scene_of(sandbox, url)
        with scene.life() as (_, source):
            items = read_all(source)
    assert {item.id for item in items} == ids_of(sandbox)
    assert scene.states() == {WindowState.STORED}
    windows = sorted(scene.store.windows("s"), key=lambda window: window.lo)
    assert (windows[0].lo, windows[-1].hi) == (scene.lo, scene.hi)
    assert all(one.hi == other.lo for one, other in pairwise(windows))


def test_a_window_that_answers_to_nothing_is_given_up_after_its_deadline(
    make_intercom_sandbox: MakeSandbox, scene_of: Callable[..., Scene]
) -> None:
    sandbox = make_intercom_sandbox(conversations=60, days=1, **SMALL)
    with weather(sandbox, lambda path, _, answered: 504 if "search" in path else answered) as url:
        scene = scene_of(sandbox, url)
        with scene.life() as (_, source):
            items = read_all(source)
    assert items
    assert {item.fail[0] for item in items if item.fail is not None} == {"window_failed"}
    assert scene.states() == {WindowState.FAILED}
    assert len(items) < 100


def test_where_intercom_answers_nothing_at_all_no_window_is_at_fault(
    make_intercom_sandbox: MakeSandbox, scene_of: Callable[..., Scene]
) -> None:
    sandbox = make_intercom_sandbox(conversations=60, days=1, **SMALL)
    scene = scene_of(sandbox)
    with scene.life() as (_, source):
        sandbox.set(errors_5xx=1.0, errors_5xx_statuses=(502,))
        with pytest.raises(Transient):
            read_all(source)
    sandbox.set(errors_5xx=0.0)
    assert WindowState.FAILED not in scene.states()
    with scene.life() as (_, source):
        assert {item.id for item in read_all(source)} == ids_of(sandbox)


def test_a_search_that_cannot_be_trusted_ends_the_run(
    make_intercom_sandbox: MakeSandbox, scene_of: Callable[..., Scene]
) -> None:
    sandbox = make_intercom_sandbox(conversations=400, days=1, **SMALL)
    scene = scene_of(sandbox)
    sandbox.set(ignore_sort=True)
    with scene.life() as (_, source), pytest.raises(SearchUnordered):
        read_all(source)
    sandbox.set(ignore_sort=False, repeat_cursor=1)
    with scene.life() as (_, source), pytest.raises(SearchLoop):
        read_all(source)


@pytest.mark.parametrize("gt_inclusive", [False, True])
def test_conversations_of_one_second_at_the_edges_of_windows_are_all_there(
    make_intercom_sandbox: MakeSandbox, scene_of: Callable[..., Scene], *, gt_inclusive: bool
) -> None:
    sandbox = make_intercom_sandbox(conversations=700, days=1, gt_inclusive=gt_inclusive, **SMALL)
    records = list(sandbox.workspace.conversations.values())
    edge = records[350].created_at
    for place, one in enumerate(records[150:550]):  # more than two pages of one second, or two
        one.created_at = one.updated_at = edge + place % 2
    scene = scene_of(sandbox)
    with scene.life() as (writer, _):
        (window,) = scene.store.windows("s")
        writer.split_window(window, [Span(edge + 1, scene.hi), Span(edge, edge + 1), Span(scene.lo, edge)])
    with scene.life() as (_, source):
        items = read_all(source)
    assert {item.id for item in items} == ids_of(sandbox)
    assert scene.states() == {WindowState.STORED}
