"""A walk over what changed misses nothing, whatever changes meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intercom_bulk.api.pages import RawPage
from intercom_bulk.clock import SYSTEM
from intercom_bulk.errors import SearchLoop, SearchUnordered, Transient
from intercom_bulk.mirror.fetching.changes import ChangeSource, ask_smaller, changed_since
from intercom_bulk.mirror.fetching.listing import Listing
from intercom_bulk.mirror.fetching.meter import Meter
from intercom_bulk.mirror.keeping.proofs import Axis, Depth
from intercom_bulk.mirror.keeping.schema import SyncKind, SyncState
from intercom_bulk.mirror.keeping.store import MirrorStore, open_mirror
from intercom_bulk.mirror.keeping.tombs import Deleted
from intercom_bulk.mirror.keeping.wanted import versions
from intercom_bulk.sandbox import SandboxOptions
from tests.mirror.made import T, conversation
from tests.mirror.world import World
from tests.runs.machine import OpenGate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intercom_bulk.api.pages import Search
    from intercom_bulk.mirror.keeping.writer import MirrorWriter

LAG = 5
Event = tuple[str, int, int]
events = st.lists(
    st.tuples(st.sampled_from(["create", "change", "change", "change", "wait"]), st.integers(0, 50), st.integers(0, 3)),
    min_size=4,
    max_size=40,
)


class Script:
    """What happens, a few events at a time."""

    def __init__(self, world: World, events: Sequence[Event], at_once: int) -> None:
        self._world, self._events, self._at_once = world, list(events), at_once

    def go_on(self) -> None:
        for _ in range(self._at_once):
            if self._events:
                self._do(*self._events.pop(0))

    def run_out(self) -> None:
        while self._events:
            self._do(*self._events.pop(0))

    def _do(self, what: str, which: int, seconds: int) -> None:
        if what == "create":
            self._world.create()
        elif what == "change":
            self._world.change(which)
        else:
            self._world.now += seconds


class Reader:
    """Keeps the newest version of each row that was listed."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def keep(self, rows: list[dict[str, Any]], _: float) -> list[str]:
        for row in rows:
            self.seen[row["id"]] = max(self.seen.get(row["id"], 0), row["updated_at"])
        return [row["id"] for row in rows]


def walk(world: World, floor: int) -> Reader:
    reader = Reader()
    source = ChangeSource(world.ask, reader.keep, floor, lambda: world.now)
    (part,) = source.open()
    while not part.done:
        part = source.read(part).after
    assert source.reached_end
    return reader


@settings(max_examples=100, deadline=None)
@given(
    before=events, during=events, floor=st.integers(0, 8), per_page=st.integers(1, 6), at_once=st.integers(0, 4),
    inclusive=st.booleans(),
)  # fmt: skip
def test_what_had_changed_before_the_walk_is_met_whatever_happens_meanwhile(
    before: list[Event], during: list[Event], floor: int, per_page: int, at_once: int, inclusive: bool
) -> None:
    world = World(SandboxOptions(gt_inclusive=inclusive, index_lag=LAG), per_page=per_page)
    Script(world, before, 1).run_out()
    world.now += LAG + 1  # what happened so far is to be found; of what happens from here on, nobody knows
    known = {str(one.id): one.updated_at for one in world.state.conversations.values()}
    world.between = Script(world, during, at_once).go_on
    begun = int(world.now)
    seen = walk(world, T + floor).seen
    promised = {item_id: at for item_id, at in known.items() if T + floor <= at < begun - LAG}
    assert {item_id for item_id, at in promised.items() if seen.get(item_id, 0) < at} == set()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rounds=st.lists(st.tuples(events, st.integers(0, 3)), min_size=2, max_size=4), per_page=st.integers(1, 6),
    inclusive=st.booleans(), deleting=st.booleans(),
)  # fmt: skip
def test_what_syncs_prove_is_stored_thread_for_thread_and_the_last_one_leaves_nothing_out(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[tuple[list[Event], int]], per_page: int, inclusive: bool,
    deleting: bool,
) -> None:  # fmt: skip
    world = World(SandboxOptions(gt_inclusive=inclusive, index_lag=LAG), per_page=per_page)
    with open_mirror(tmp_path_factory.mktemp("home"), "sandbox1") as store:
        floor = T
        for number, (happens, at_once) in enumerate(rounds):
            script = Script(world, happens, at_once)
            script.go_on()
            world.now += LAG + 1
            world.between = script.go_on
            # No overlap: what each of them proves is where the next one begins.
            floor = sync(world, store, f"sync {number}", floor, script) or floor
            stored = versions(store, {item_id for item_id, _ in world.log})
            behind = {(item_id, at) for item_id, at in world.log if at < floor and stored.get(item_id, 0) < at}
            assert {one for one in behind if world.thread(one[0]) is not None} == set()
            script.run_out()
            if deleting:
                world.delete(number)
        world.between = lambda: None
        world.now += LAG + 1
        sync(world, store, "last", floor, None)
        assert {one: store.document(one) for one in world.threads()} == world.threads()
        assert store.total() == len(world.threads())


def sync(world: World, store: MirrorStore, sync_id: str, floor: int, script: Script | None) -> int | None:
    """One sync without an engine, threads after each page; the second up to which it proves that nothing is missing."""
    with store.writing(lag=LAG) as writer:
        begun = writer.begin_sync(sync_id, SyncKind.INCREMENTAL, {}, at=world.now)
        meter = Meter(OpenGate(), SYSTEM, began=0.0, counted=(0, 0))
        proved = store.covered(Axis.UPDATED)
        listing = Listing(store, writer, sync_id, depth=Depth.THREAD, proved=proved, meter=meter, lag=LAG)
        source = ChangeSource(world.ask, listing.keep, floor, lambda: world.now)
        fetched: set[str] = set()
        (part,) = source.open()
        while not part.done:
            page = source.read(part)
            part = page.after
            for item in page.items:
                if item.id not in fetched:
                    fetched.add(item.id)
                    fetch(world, writer, sync_id, item.id, script)
        writer.mark_deleted([Deleted(*one) for one in world.state.deleted], seen_at=world.now)
        listing.tell_missed()
        assert begun.started_at <= world.now
        proof = writer.finish_sync(sync_id, SyncState.COMPLETED, at=world.now, read_down_to=floor, depth=Depth.THREAD)
    assert store.sync(sync_id).counts.missed == 0
    return proof.span.hi if proof is not None else None


def fetch(world: World, writer: MirrorWriter, sync_id: str, item_id: str, script: Script | None) -> None:
    asked, thread = world.now, world.thread(item_id)
    if thread is None:
        writer.mark_deleted([Deleted(item_id, int(asked))], seen_at=asked)
    else:
        writer.save_threads(sync_id, [thread], seen_at=asked)
    if script is not None:
        script.go_on()


def test_a_conversation_that_moves_while_the_list_is_read_is_met_where_it_went() -> None:
    world = World(SandboxOptions(), per_page=2)
    for _ in range(6):
        world.create()
        world.now += 1
    moving = world.made[4]
    place = iter([4])
    world.between = lambda: world.change(next(place, 0))
    world.now += 10
    seen = walk(world, T).seen
    assert seen[str(moving)] == int(world.now)


def test_the_second_of_the_floor_belongs_to_the_walk_whether_or_not_more_than_means_or_equal() -> None:
    for inclusive in (False, True):
        world = World(SandboxOptions(gt_inclusive=inclusive))
        world.create()
        assert set(walk(world, T).seen) == {str(world.made[0])}


def answering(*pages: RawPage) -> Any:
    left = list(pages)
    return lambda _search, _cursor: left.pop(0)


def page(*changed: int, cursor: str | None = None) -> RawPage:
    return RawPage([conversation(str(at), created=T, updated=at) for at in changed], cursor, None, None)


def read_all(ask: Any) -> None:
    source = ChangeSource(ask, lambda *_: [], T, lambda: float(T))
    (part,) = source.open()
    while not part.done:
        part = source.read(part).after


def test_a_list_in_another_order_proves_nothing() -> None:
    for pages in ([page(T + 2, T + 1)], [page(T + 2, cursor="a"), page(T + 1)]):
        with pytest.raises(SearchUnordered):
            read_all(answering(*pages))


def test_a_cursor_that_comes_back_ends_the_walk() -> None:
    with pytest.raises(SearchLoop):
        read_all(answering(page(T, cursor="a"), page(T, cursor="b"), page(T, cursor="a")))


def test_pages_get_smaller_where_large_ones_cannot_be_had() -> None:
    asked: list[int] = []

    def ask(search: Search, _: str | None) -> RawPage:
        asked.append(search.per_page)
        if search.per_page > 40:
            raise Transient("too large", sent=True, code="http_504")
        return page(T)

    smaller = ask_smaller(ask)
    smaller(changed_since(T), None)
    smaller(changed_since(T), None)
    assert asked == [150, 75, 37, 37]


def test_a_search_that_answers_nothing_at_any_size_is_given_up() -> None:
    asked: list[int] = []

    def ask(search: Search, _: str | None) -> RawPage:
        asked.append(search.per_page)
        raise Transient("no answer", sent=True, code="http_504")

    with pytest.raises(Transient):
        ask_smaller(ask)(changed_since(T), None)
    assert asked == [150, 75, 37, 18, 9]
