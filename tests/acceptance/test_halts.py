"""A run that must not go on halts with one sentence, before many items were tried (Done-when 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import (
    ConversationCloser,
    CustomAttributeUpdater,
    RunState,
    SearchLoop,
    SearchUnordered,
    Status,
    TagAssigner,
    Unauthorized,
    UnknownNameError,
)
from tests.acceptance.old_style import CustomUpdater
from tests.acceptance.runs import (
    assert_nothing_written,
    assert_one_sentence,
    connection,
    opened,
    reason_to_halt,
    run,
    writes,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk import IntercomBulkUpdater
    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]

AT_MOST = 25
WORKERS = 10


def close(sandbox: Sandbox, **arguments: Any) -> Any:
    return run(ConversationCloser(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id, state="open", **arguments)


def when(sandbox: Sandbox, settled: int, **knobs: Any) -> Callable[[int], None]:
    """Change knobs once so many items have settled."""

    def watch(now: int) -> None:
        if now == settled:
            sandbox.set(**knobs)

    return watch


def test_a_wrong_admin_is_found_before_anything_is_written(start: Start) -> None:
    sandbox = start(conversations=100)
    closer = ConversationCloser(**connection(sandbox, admin_id="999"))
    with pytest.raises(UnknownNameError, match="no admin '999'") as caught:
        run(closer, team_id=sandbox.inbox_id, state="open")
    assert_one_sentence(str(caught.value))
    assert_nothing_written(sandbox)


def test_a_wrong_admin_that_only_the_answers_tell_of_stops_the_run_among_the_first_items(start: Start) -> None:
    """The token may not list admins. Without the canary all of them would be tried."""
    sandbox = start(conversations=200, denied=["/admins"])
    closer = ConversationCloser(**connection(sandbox, admin_id="999"))
    done = run(closer, team_id=sandbox.inbox_id, state="open")
    assert done.summary.state is RunState.HALTED
    assert_one_sentence(done.summary.reason)
    assert "admin" in str(done.summary.reason).lower()
    assert writes(sandbox) <= AT_MOST
    assert sandbox.effects() == {}
    assert {outcome.code for outcome in done.outcomes} == {"admin_not_found"}
    assert done.ids(Status.SKIPPED) == set()


def test_a_tag_deleted_in_mid_run_stops_it(start: Start) -> None:
    """A 404 that speaks of the tag must not be taken for items that are gone."""
    sandbox = start(conversations=400)
    tagger = TagAssigner(tag="stale", **sandbox.settings_kwargs())
    done = run(tagger, when(sandbox, 100, delete_tag="101"), team_id=sandbox.inbox_id, parallel_workers=WORKERS)
    assert done.summary.state is RunState.HALTED
    assert_one_sentence(done.summary.reason)
    assert "tag" in str(done.summary.reason).lower()
    assert 0 < sandbox.stats()["requests"]["POST /conversations/*/tags"]["404"] <= AT_MOST
    assert done.ids(Status.SKIPPED) == set()
    assert done.summary.unprocessed > 0


def test_an_attribute_that_does_not_exist_stops_the_run_among_the_first_items(start: Start) -> None:
    sandbox = start(conversations=200)
    updater = CustomAttributeUpdater(attributes={"no_such_attribute": 1}, **sandbox.settings_kwargs())
    done = run(updater, team_id=sandbox.inbox_id)
    assert done.summary.state is RunState.HALTED
    assert "no_such_attribute" in str(done.summary.reason)
    assert writes(sandbox) <= AT_MOST


def test_a_search_that_ignores_the_sort_is_not_acted_on(start: Start) -> None:
    """Without the check of the order, pages are skipped: an item that is closed moves to the front."""
    sandbox = start(conversations=400, ignore_sort=True)
    with pytest.raises(SearchUnordered, match="order") as caught:
        close(sandbox)
    assert_one_sentence(str(caught.value))
    assert_nothing_written(sandbox)


def test_a_search_that_begins_to_ignore_the_sort_halts_the_run(start: Start) -> None:
    sandbox = start(conversations=1000, limit_per_minute=10_000)
    done = run(
        ConversationCloser(**sandbox.settings_kwargs()),
        when(sandbox, 40, ignore_sort=True),
        team_id=sandbox.inbox_id,
        state="open",
        parallel_workers=WORKERS,
    )
    assert done.summary.state is RunState.HALTED
    assert_one_sentence(done.summary.reason)
    assert set(sandbox.effects().values()) == {1}


def test_a_cursor_that_leads_to_the_same_page_again_halts_among_the_first_items(start: Start) -> None:
    # Where the limit is low a second reader is of no use, however slowly a busy machine answers a search.
    sandbox = start(conversations=600, repeat_cursor=1, limit_per_minute=1_000)
    assert_one_sentence(reason_to_halt(lambda: close(sandbox)))
    assert writes(sandbox) <= AT_MOST
    assert sandbox.stats()["requests"]["POST /conversations/search"]["200"] <= 4


def test_a_cursor_that_leads_back_over_several_pages_is_noticed_too(start: Start) -> None:
    """A, B, C, A, B, C: comparing with the last cursor only would read for ever. No item is taken twice."""
    sandbox = start(conversations=900, repeat_cursor=3, limit_per_minute=10_000)
    assert_one_sentence(reason_to_halt(lambda: close(sandbox)))
    assert set(sandbox.effects().values()) <= {1}
    assert sandbox.stats()["requests"]["POST /conversations/search"]["200"] <= 900 // 150 + 3


class ContactReader(ConversationCloser):
    """Lists all contacts: an endpoint without a sort, where the order cannot tell."""

    def get_search_endpoint(self) -> str:
        return "contacts"

    def get_search_query(self, **_: Any) -> dict[str, Any]:
        return {}


def test_a_list_without_a_sort_that_goes_round_in_circles_is_noticed_too(start: Start) -> None:
    sandbox = start(contacts=900, repeat_cursor=3)
    with pytest.raises(SearchLoop) as caught:
        run(ContactReader(**sandbox.settings_kwargs()), dry_run=True)
    assert_one_sentence(str(caught.value))
    assert sandbox.stats()["requests"]["GET /contacts"]["200"] <= 900 // 150 + 3


def test_a_dry_run_over_a_cursor_that_repeats_ends_too(start: Start) -> None:
    # Where the limit is low a second reader is of no use, however slowly a busy machine answers a search.
    sandbox = start(conversations=600, repeat_cursor=1, limit_per_minute=1_000)
    with pytest.raises(SearchLoop):
        close(sandbox, dry_run=True)
    assert_nothing_written(sandbox)


@pytest.mark.parametrize("updater", [ConversationCloser, CustomUpdater])
def test_a_token_that_is_not_accepted_raises_before_anything_is_written(
    start: Start, updater: type[IntercomBulkUpdater]
) -> None:
    sandbox = start(conversations=50)
    with pytest.raises(Unauthorized, match="INTERCOM_ACCESS_TOKEN") as caught:
        run(updater(**connection(sandbox, access_token="dG9rOm5vdC10aGUtdG9rZW4=")), team_id=sandbox.inbox_id)
    assert_one_sentence(str(caught.value))
    assert_nothing_written(sandbox)
    assert sandbox.stats()["total"] <= 3


def test_a_token_revoked_in_mid_run_halts_it_at_once(start: Start) -> None:
    sandbox = start(conversations=400)
    done = run(
        ConversationCloser(**sandbox.settings_kwargs()),
        when(sandbox, 100, revoked=True),
        team_id=sandbox.inbox_id,
        state="open",
        parallel_workers=WORKERS,
    )
    assert done.summary.state is RunState.HALTED
    assert_one_sentence(done.summary.reason)
    assert sandbox.stats()["statuses"]["401"] <= WORKERS + 1
    assert done.summary.failed == 0
    assert done.summary.success == len(sandbox.effects())
    assert done.summary.unprocessed > 0


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_permission_halts_at_once_and_is_named(start: Start, status: int) -> None:
    sandbox = start(conversations=400)
    done = run(
        ConversationCloser(**sandbox.settings_kwargs()),
        when(sandbox, 100, denied=["writes"], denied_status=status),
        team_id=sandbox.inbox_id,
        state="open",
        parallel_workers=WORKERS,
    )
    assert done.summary.state is RunState.HALTED
    assert_one_sentence(done.summary.reason)
    assert "permission" in str(done.summary.reason)
    assert "conversations" in str(done.summary.reason)
    assert sandbox.stats()["statuses"][str(status)] <= WORKERS + 1
    assert done.summary.failed == 0


def test_a_permission_missing_from_the_first_write_on_fails_no_item(start: Start) -> None:
    sandbox = start(conversations=100, denied=["writes"])
    done = close(sandbox)
    assert done.summary.state is RunState.HALTED
    assert (done.summary.failed, done.summary.success) == (0, 0)
    assert writes(sandbox) <= AT_MOST


def test_a_403_from_the_edge_is_no_missing_permission(start: Start) -> None:
    """A bare HTML 403 of the load balancer: the next try does not get it."""
    sandbox = start(conversations=200, html_403=0.05)
    wanted = opened(sandbox)
    done = close(sandbox)
    assert sandbox.stats()["statuses"]["403"] > 0
    assert done.done == wanted


def test_items_that_are_all_gone_halt_the_run_within_the_guards(start: Start) -> None:
    sandbox = start(conversations=200, gone=1.0)
    done = close(sandbox)
    assert done.summary.state is RunState.HALTED
    assert_one_sentence(done.summary.reason)
    assert writes(sandbox) <= AT_MOST


def test_ten_gone_in_a_row_halt_the_run(start: Start) -> None:
    sandbox = start(conversations=300)
    wanted = opened(sandbox)
    done = run(
        ConversationCloser(**sandbox.settings_kwargs()),
        when(sandbox, 50, gone_ids=sorted(wanted)),
        team_id=sandbox.inbox_id,
        state="open",
        parallel_workers=WORKERS,
    )
    assert done.summary.state is RunState.HALTED
    assert sandbox.stats()["statuses"]["404"] <= AT_MOST


def test_twenty_failures_of_one_kind_halt_the_run(start: Start) -> None:
    sandbox = start(conversations=300)
    wanted = opened(sandbox)
    done = run(
        ConversationCloser(**sandbox.settings_kwargs()),
        when(sandbox, 50, poison_422_ids=sorted(wanted)),
        team_id=sandbox.inbox_id,
        state="open",
        parallel_workers=WORKERS,
    )
    assert done.summary.state is RunState.HALTED
    assert_one_sentence(done.summary.reason)
    assert sandbox.stats()["statuses"]["422"] <= 20 + 2 * WORKERS


def test_single_failures_never_stop_a_run(start: Start) -> None:
    sandbox = start(conversations=300)
    bad = [item["id"] for item in sandbox.items()][20::7]
    sandbox.set(poison_422_ids=bad)
    done = close(sandbox)
    assert done.summary.state is RunState.COMPLETED_WITH_ERRORS
    assert done.ids(Status.FAILED) == set(bad)
    assert len(done.done) == 300 - len(bad)
