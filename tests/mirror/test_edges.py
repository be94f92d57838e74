"""No conversation is lost where two windows meet, whoever else was created in that second, and whether or not `>` means
"or equal".
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intercom_bulk.mirror.fetching.meter import Meter
from intercom_bulk.mirror.fetching.windows import WindowSource
from intercom_bulk.mirror.keeping.coverage import Span
from intercom_bulk.mirror.keeping.proofs import Axis, Depth
from intercom_bulk.mirror.keeping.schema import SyncKind, WindowState
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.testing import make_intercom_sandbox
from intercom_bulk.workspace import Workspace
from tests.mirror.living import settings_of
from tests.mirror.made import T

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.sandbox import Sandbox

__all__ = ["make_intercom_sandbox"]


@pytest.fixture(params=[False, True], ids=["strict", "inclusive"])
def sandbox(request: pytest.FixtureRequest, make_intercom_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return make_intercom_sandbox(
        conversations=0, companies=0, tickets=0, gt_inclusive=request.param, limit_per_minute=600_000
    )


@pytest.fixture
def workspace(sandbox: Sandbox, tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace(settings_of(sandbox, tmp_path))
    made.begin()
    yield made
    made.close()


def populate(sandbox: Sandbox, seconds: Sequence[int]) -> list[str]:
    """Conversations created in these seconds, and no others."""
    sandbox.reset()
    state, made = sandbox.workspace, []
    for number, at in enumerate(seconds, 1):
        one = state.population.conversation(number, at, state.contact_ids, plain=True)
        state.conversations[one.id] = one
        made.append(str(one.id))
    return made


def read_windows(workspace: Workspace, store: MirrorStore, edges: Sequence[int]) -> None:
    gate = workspace.governor
    with store.writing() as writer:
        writer.begin_sync("sync", SyncKind.BACKFILL, {}, at=workspace.now())
        writer.plan_windows("sync", [Span(lo, hi) for lo, hi in pairwise(edges)])
        meter = Meter(gate, workspace.clock, began=0.0, counted=(0, 0))
        source = WindowSource(workspace, store, writer, "sync", depth=Depth.ROW, meter=meter, lanes=1)
        (part,) = source.open()
        while not part.done:
            page = source.read(part)
            assert not page.items
            part = page.after


def stored(store: MirrorStore) -> set[str]:
    return {row["id"] for row in store.sql("SELECT id FROM conversation")}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edges=st.lists(st.integers(T, T + 20), min_size=2, max_size=6, unique=True).map(sorted),
    seconds=st.lists(st.integers(T - 1, T + 21), max_size=40),
)
def test_every_second_between_the_edges_is_read_once_at_least(
    sandbox: Sandbox,
    workspace: Workspace,
    tmp_path_factory: pytest.TempPathFactory,
    edges: list[int],
    seconds: list[int],
) -> None:
    made = populate(sandbox, seconds)
    with open_mirror(tmp_path_factory.mktemp("home"), "sandbox1") as store:
        read_windows(workspace, store, edges)
        wanted = {item_id for item_id, at in zip(made, seconds, strict=True) if edges[0] <= at < edges[-1]}
        assert wanted <= stored(store)
        assert store.covered(Axis.CREATED).covers(edges[0], edges[-1])


def test_more_than_a_page_of_one_second_at_an_edge_is_read_whole(
    sandbox: Sandbox, workspace: Workspace, tmp_path: Path
) -> None:
    seconds = [T + 9] * 200 + [T + 10] * 500 + [T + 11] * 10
    made = populate(sandbox, seconds)
    with open_mirror(tmp_path / "home", "sandbox1") as store:
        read_windows(workspace, store, [T, T + 10, T + 20])
        assert stored(store) == set(made)
        assert {window.state for window in store.windows("sync")} == {WindowState.STORED}
        assert store.covered(Axis.CREATED).spans == (Span(T, T + 20),)
