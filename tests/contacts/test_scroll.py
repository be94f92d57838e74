"""The scroll over companies loses none of them, whatever breaks it off, and waits for its turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import CompanyEditor, CompanyUpdater, Runs, RunState, SearchError, Settings
from intercom_bulk.api import scroll
from intercom_bulk.api.attempts import Attempts
from intercom_bulk.api.pages import Search, endpoint
from intercom_bulk.api.scroll import Scroll
from intercom_bulk.clock import SYSTEM
from intercom_bulk.sources import SearchSource
from tests.undo.person import Person

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.clock import Clock
    from intercom_bulk.runs.model import Item, Slice
    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]

WHERE = Search(endpoint("companies/scroll"), {}, 100)


class Lister(CompanyUpdater):
    """Reads companies, and does nothing to them."""

    def perform_action(self, item_id: str) -> dict[str, Any]:
        raise AssertionError(item_id)


class PatientClock:
    """Sleeps at once."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class SharedClock(PatientClock):
    """What is slept here passes at the server too."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self._sandbox = sandbox

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self._sandbox.set(clock_skew=self.now - 1000.0)


def source(sandbox: Sandbox, clock: Clock = SYSTEM) -> SearchSource:
    workspace = Lister(**sandbox.settings_kwargs()).workspace
    cutoff, attempts = workspace.begin(), Attempts(clock)
    return SearchSource(workspace.client, attempts, WHERE, item_id=lambda item: str(item["id"]), cutoff=cutoff)


def rest(walk: SearchSource, part: Slice) -> list[Item]:
    found: list[Item] = []
    while not part.done:
        page = walk.read(part)
        part = page.after
        found.extend(page.items)
    return found


def every(sandbox: Sandbox) -> set[str]:
    return set(sandbox.states("companies"))


def test_it_goes_on_under_one_parameter_to_an_empty_page(start: Start) -> None:
    sandbox = start(companies=250)
    found = list(Lister(**sandbox.settings_kwargs()).search_items(query={}))
    assert len(found) == 250
    assert set(found) == every(sandbox)
    assert sandbox.stats()["requests"]["GET /companies/scroll"] == {"200": 4}


def test_a_scroll_that_died_of_a_pause_is_not_its_end(start: Start) -> None:
    """A minute and more goes by after the first page, by the server's clock."""
    sandbox = start(companies=250, scroll_idle_s=60.0)
    walk = source(sandbox)
    first = walk.read(walk.open()[0])
    sandbox.set(clock_skew=120.0)
    found = [*first.items, *rest(walk, first.after)]
    assert {item.id for item in found} == every(sandbox)
    assert len(found) == 350  # the first page came twice: the ledger knows it by then


def test_a_page_that_was_lost_on_its_way_is_not_skipped(start: Start) -> None:
    """The server has moved the scroll on: to ask with the same parameter would leave the lost page out."""
    sandbox = start(companies=400, scroll_page=50, scroll_idle_s=60.0)
    walk = source(sandbox, SharedClock(sandbox))
    page = walk.read(walk.open()[0])
    found = list(page.items)
    sandbox.set(resets=0.12, resets_after_share=1.0)
    assert {item.id for item in [*found, *rest(walk, page.after)]} == every(sandbox)
    assert sandbox.stats()["faults"]["reset"] > 0


def test_the_scroll_of_an_earlier_life_is_not_gone_on_with(start: Start) -> None:
    """What it had answered may never have been written down."""
    sandbox = start(companies=250)
    walk = source(sandbox)
    first = walk.read(walk.open()[0])
    walk.read(first.after)  # this page is lost with its process
    assert {item.id for item in rest(source(sandbox), first.after)} == every(sandbox)


def test_a_stopped_run_is_resumed_with_every_company(start: Start) -> None:
    sandbox = start(companies=250, latency_ms=2)
    updater = CompanyEditor(fields={"plan": "Gold"}, **sandbox.settings_kwargs())
    with updater.stream(parallel_workers=1, query={}) as outcomes:
        next(outcomes)
    run_id = outcomes.summary().run_id
    last = Runs(Settings.build(**sandbox.settings_kwargs())).resume(run_id).result()
    assert (last.state, last.success) == (RunState.COMPLETED, 250)
    assert set(sandbox.effects("companies").values()) == {1}


def test_another_scroll_is_waited_for_and_that_is_said(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    sandbox = start(companies=250, scroll_idle_s=0.4)
    Person(sandbox).ask("GET", "/companies/scroll")
    with caplog.at_level("WARNING"):
        assert len(list(Lister(**sandbox.settings_kwargs()).search_items(query={}))) == 250
    said = [record.message for record in caplog.records if record.name == "intercom_bulk.api.scroll"]
    assert len(said) == 1
    assert "scroll already exists" in said[0]


def test_a_scroll_that_does_not_end_is_given_up_after_70_seconds(start: Start) -> None:
    sandbox = start(companies=250, scroll_idle_s=60.0)
    Person(sandbox).ask("GET", "/companies/scroll")
    client, clock = Lister(**sandbox.settings_kwargs()).workspace.client, PatientClock()
    with pytest.raises(SearchError, match=r'Another scroll .* has been open for 70 s.*source="list"'):
        Scroll(client, Attempts(clock), WHERE).read(None)
    assert 60 < clock.now - 1000 <= scroll.BUSY_FOR


def test_waiting_for_another_scroll_ends_when_the_run_is_stopped(start: Start) -> None:
    sandbox = start(companies=250, scroll_idle_s=60.0)
    Person(sandbox).ask("GET", "/companies/scroll")
    run = CompanyEditor(fields={"plan": "Gold"}, **sandbox.settings_kwargs()).start(query={})
    assert not run.wait(0.3)
    run.stop()
    assert run.result().state is RunState.STOPPED
    assert sandbox.effects("companies") == {}


def test_a_scroll_that_never_gets_further_is_given_up(start: Start) -> None:
    sandbox = start(companies=250, scroll_idle_s=0.0)  # every one is dead before its second page is asked for
    walk = source(sandbox)
    with pytest.raises(SearchError, match="without getting past page 1"):
        rest(walk, walk.open()[0])


def test_the_list_is_refused_where_it_would_leave_some_out(start: Start) -> None:
    sandbox = start(companies=10_001)
    updater = CompanyEditor(fields={"plan": "Gold"}, source="list", **sandbox.settings_kwargs())
    with pytest.raises(SearchError, match=r"lists 10,000 of the 10,001"):
        updater.bulk_process(query={})
    assert sandbox.effects("companies") == {}
