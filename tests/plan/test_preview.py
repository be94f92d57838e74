"""A preview writes nothing, and what it says is what a run then does."""

from __future__ import annotations

import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import ConversationCloser, ConversationUpdater, Exclude, Preview, RunOptions, TagAssigner, UsageError
from tests.acceptance.runs import QUICK, assert_nothing_written
from tests.plan.desk import Assigner, Desk, Noter

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]


class Picky(ConversationCloser):
    """Only every second conversation, by a look at the whole item."""

    def should_process(self, item: dict[str, Any]) -> bool:
        return int(item["source"]["id"]) % 2 == 0


def test_a_preview_writes_nothing_and_says_what_the_run_then_does(start: Start) -> None:
    sandbox = start(conversations=700, share_closed=0.2, share_snoozed=0.1)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    preview = closer.preview(team_id=sandbox.inbox_id)
    assert_nothing_written(sandbox)
    summary = closer.bulk_process(team_id=sandbox.inbox_id, options=QUICK)
    assert (summary.success, summary.skipped, summary.failed) == (preview.count, preview.already, 0)
    assert preview.matched == 700
    assert abs(summary.requests - preview.calls) <= 0.05 * preview.calls
    assert preview.side_effects["It is snoozed: the snooze ends."] > 40


def test_what_is_filtered_and_held_out_is_counted_the_same_way(start: Start) -> None:
    sandbox = start(conversations=400, share_closed=0.2)
    options = RunOptions(settle=0.3, exclude=Exclude(customer_wrote_within=60 * 24 * 20))
    closer = Picky(**sandbox.settings_kwargs())
    preview = closer.preview(team_id=sandbox.inbox_id, options=options)
    assert min(preview.count, preview.already, preview.filtered, preview.held_out) > 10
    assert preview.matched == 400
    assert preview.reasons == {"The customer wrote in the last 20 days.": preview.held_out}
    summary = closer.bulk_process(team_id=sandbox.inbox_id, options=options)
    assert summary.success == preview.count == sum(sandbox.effects().values())
    expected = {"already_done": preview.already, "filtered": preview.filtered, "held_out": preview.held_out}
    assert summary.codes == expected


def test_the_sample_shows_before_and_after_and_is_as_long_as_asked(start: Start) -> None:
    sandbox = start(conversations=30)
    tagger = TagAssigner(tag="stale", **sandbox.settings_kwargs())
    preview = tagger.preview(team_id=sandbox.inbox_id, sample=3)
    assert [(dict(i.before or {}), dict(i.after or {})) for i in preview.sample] == [
        ({"tags": []}, {"tags": ["101"]})
    ] * 3
    assert tagger.preview(team_id=sandbox.inbox_id, sample=0).sample == ()
    with pytest.raises(UsageError, match="sample"):
        tagger.preview(team_id=sandbox.inbox_id, sample=-1)


def test_side_effects_are_counted_and_what_is_final_is_said(start: Start) -> None:
    sandbox = start(conversations=100, share_closed=0.5, share_snoozed=0.2)
    assigning = Assigner(assignee="782", **sandbox.settings_kwargs()).preview(team_id=sandbox.inbox_id)
    reopened = len(sandbox.items(state="closed"))
    assert (
        assigning.side_effects["It is closed: assigning reopens it, and closing it later counts as another closure."]
        == reopened
    )
    noting = Noter(**sandbox.settings_kwargs()).preview(team_id=sandbox.inbox_id)
    assert noting.side_effects == {"It is snoozed: this wakes it.": len(sandbox.items(state="snoozed"))}
    assert noting.irreversible == "a note cannot be taken back."
    assert "no restore()" in str(assigning.irreversible)
    assert "WHAT CANNOT BE UNDONE" in str(noting)
    Desk(sandbox).customer_writes(next(iter(sandbox.workspace.conversations.values())).id)
    closing = ConversationCloser(**sandbox.settings_kwargs()).preview(team_id=sandbox.inbox_id)
    assert closing.side_effects["The customer wrote in the last hour."] >= 1


def test_an_updater_that_cannot_tell_what_was_is_said_to_be_final(start: Start) -> None:
    sandbox = start(conversations=5)

    class Plain(ConversationUpdater):
        def perform_action(self, item_id: str) -> None:
            raise AssertionError(item_id)

    preview = Plain(**sandbox.settings_kwargs()).preview(team_id=sandbox.inbox_id)
    assert preview.count == 5
    assert preview.irreversible is not None


def test_the_text_fits_a_terminal_and_holds_the_numbers(start: Start) -> None:
    sandbox = start(conversations=1100, share_closed=0.3)
    preview = ConversationCloser(**sandbox.settings_kwargs()).preview(team_id=sandbox.inbox_id)
    text = str(preview)
    assert max(map(len, text.splitlines())) < 80
    for part in (
        f"{preview.count:,}  would be changed",
        f"{preview.already:,}  already",
        "Nothing was written",
        "undone",
    ):
        assert part in text
    assert "There is nothing to do." in str(Preview(title="Closer", count=0))


def test_the_time_is_that_of_the_limit_as_it_is_now(start: Start) -> None:
    """500 calls at 100 in ten seconds: what is left of the open window, and then four to five whole ones."""
    sandbox = start(conversations=500, limit_per_minute=600)
    preview = ConversationCloser(**sandbox.settings_kwargs()).preview(team_id=sandbox.inbox_id)
    assert preview.limit == 100
    assert preview.seconds is not None
    assert 38 <= preview.seconds <= 56


def test_a_filter_that_raises_is_seen_in_the_preview(start: Start) -> None:
    sandbox = start(conversations=10)

    class Broken(ConversationCloser):
        def should_process(self, item: dict[str, Any]) -> bool:
            raise KeyError("vip")

    preview = Broken(**sandbox.settings_kwargs()).preview(team_id=sandbox.inbox_id)
    assert (preview.count, preview.failed) == (0, 10)
    assert "CANNOT BE JUDGED" in str(preview)


@pytest.mark.long
@pytest.mark.skipif(sys.gettrace() is not None, reason="measures memory")
def test_memory_does_not_grow_with_the_items(start: Start) -> None:
    """Kept, 2,000 items more would be 20 MB or more; pages in flight, and the sandbox in this process, take some."""
    sandbox = start(conversations=2500, latency_ms=0)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    closer.preview(team_id=sandbox.inbox_id, max_items=200)
    peaks = []
    for count in (500, 2500):
        tracemalloc.start()
        tracemalloc.reset_peak()
        base = tracemalloc.get_traced_memory()[0]
        closer.preview(team_id=sandbox.inbox_id, max_items=count)
        peaks.append(tracemalloc.get_traced_memory()[1] - base)
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 10e6
