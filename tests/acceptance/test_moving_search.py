"""The search moves while its results are acted on: none missed, none twice, no newcomer touched (Done-when 5).

"None missed" means: of the conversations that matched in the index when the run started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import ConversationCloser, ConversationUpdater, RunState, TagAssigner
from tests.acceptance.runs import assert_accounted, closed, opened, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]

pytestmark = pytest.mark.slow


def close(sandbox: Sandbox, **arguments: Any) -> Any:
    return run(ConversationCloser(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id, state="open", **arguments)


@pytest.mark.parametrize("paging", ["by key", "by offset"])
@pytest.mark.parametrize("lag", [0.0, 1.0])
def test_none_is_missed_none_closed_twice_and_no_newcomer_touched(start: Start, paging: str, lag: float) -> None:
    """Without sweeps `by offset` misses every second page; without dedupe a lagging index has items closed twice;
    without the cut-off the newcomers are closed."""
    sandbox = start(conversations=1000, index_lag=lag, arrivals=60.0, offset_paging=paging == "by offset")
    wanted = opened(sandbox)
    done = close(sandbox)
    newcomers = set(sandbox.arrived()) - wanted
    assert len(newcomers) > 10
    assert_accounted(done, wanted)
    assert sandbox.effects() == dict.fromkeys(wanted, 1)
    assert opened(sandbox) >= newcomers


@pytest.mark.parametrize("inclusive", [False, True], ids=["strict", "inclusive"])
def test_a_search_read_in_partitions_lists_every_item_once(start: Start, inclusive: bool) -> None:
    """150 ms a page of 150 is too slow for one cursor; many conversations share the second at which a slice ends."""
    sandbox = start(conversations=1500, search_latency_ms=150, gt_inclusive=inclusive, days=1, arrivals=10.0)
    wanted = opened(sandbox)
    done = close(sandbox)
    assert_accounted(done, wanted)
    assert sandbox.effects() == dict.fromkeys(wanted, 1)


class Reopener(ConversationUpdater):
    """Opens and closes: each conversation leaves the search and comes back while the run goes on."""

    def perform_action(self, item_id: str) -> dict[str, Any]:
        part = {"type": "admin", "admin_id": self.admin_id}
        self.request("POST", f"conversations/{item_id}/parts", json={**part, "message_type": "close"})
        return self.request("POST", f"conversations/{item_id}/parts", json={**part, "message_type": "open"})


def test_an_item_that_comes_back_into_the_search_is_not_acted_on_again(start: Start) -> None:
    """Without dedupe against the ledger every pass would start anew."""
    sandbox = start(conversations=300)
    wanted = opened(sandbox)
    done = run(Reopener(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id, state="open")
    assert_accounted(done, wanted)
    assert sandbox.effects() == dict.fromkeys(wanted, 2)
    assert done.summary.state is RunState.COMPLETED


def test_items_that_stay_in_the_search_are_tagged_once(start: Start) -> None:
    sandbox = start(conversations=400, share_tagged=0.3, arrivals=40.0, index_lag=0.5)
    wanted = {item["id"]: "101" in item["tags"] for item in sandbox.items()}
    done = run(TagAssigner(tag="stale", **sandbox.settings_kwargs()), team_id=sandbox.inbox_id)
    assert_accounted(done, wanted)
    assert sandbox.effects() == {item: 1 for item, tagged in wanted.items() if not tagged}
    assert done.done == set(sandbox.effects())


def test_conversations_closed_by_somebody_else_meanwhile_are_no_harm(start: Start) -> None:
    """The index shows them open for a while; what is closed again is counted, so the run is told to look first."""
    sandbox = start(conversations=300, share_closed=0.5, share_snoozed=0.1)
    wanted = opened(sandbox)
    shut = closed(sandbox)
    done = run(
        ConversationCloser(**sandbox.settings_kwargs()),
        query={"field": "team_assignee_id", "operator": "=", "value": sandbox.inbox_id},
    )
    assert {outcome.item_id for outcome in done.outcomes if outcome.code == "already_done"} == shut
    assert wanted <= done.done
    assert shut.isdisjoint(sandbox.effects())
