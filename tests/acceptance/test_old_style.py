"""An updater written for the original framework works, with only its import line changed (design §4)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import (
    ConversationCloser,
    RunOptions,
    RunState,
    SettingsError,
    Status,
    bulk_close,
    bulk_close_hybrid,
    bulk_close_maximal,
)
from tests.acceptance.old_style import CustomUpdater, JsonUpdater, ListedUpdater, ResponseUpdater, SwallowingUpdater
from tests.acceptance.runs import QUICK, assert_accounted, assert_nothing_written, closed, connection, opened, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from intercom_bulk import IntercomBulkUpdater
    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]

pytestmark = pytest.mark.slow

ALL = [CustomUpdater, SwallowingUpdater, ResponseUpdater, JsonUpdater]
SEEN = [CustomUpdater, SwallowingUpdater, ResponseUpdater]
"""Those that tell, or whose None tells, of every failure. `.json()` of an HTML page raises without saying whose."""


@pytest.mark.parametrize("updater", ALL)
def test_it_closes_every_conversation_once(start: Start, updater: type[IntercomBulkUpdater]) -> None:
    sandbox = start(conversations=120, share_other_team=0.3)
    before, wanted = len(sandbox.items()), opened(sandbox)
    result = updater(**sandbox.settings_kwargs()).bulk_process(
        team_id=sandbox.inbox_id, parallel_workers=10, batch_size=25
    )
    assert (result["success"], result["failed"]) == (len(wanted), 0)
    assert closed(sandbox) == wanted
    assert sandbox.effects() == dict.fromkeys(wanted, 1)
    assert len(sandbox.items()) == before


def test_the_environment_is_enough(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = start(conversations=30)
    for name, value in sandbox.environ().items():
        monkeypatch.setenv(name, value)
    updater = CustomUpdater()
    assert (updater.base_url, updater.admin_id, updater.inbox_id) == (sandbox.url, "780", sandbox.inbox_id)
    assert updater.headers["Authorization"] == f"Bearer {updater.access_token}"
    result = updater.bulk_process(team_id=updater.inbox_id, parallel_workers=2, batch_size=5, max_items=10)
    assert result["success"] == 10
    assert len(sandbox.effects()) == 10


@pytest.mark.parametrize("arguments", [(15, 50), (15, 50, 20), (15, 50, 20, 30)], ids=str)
def test_the_numbers_of_bulk_process_may_be_given_by_position(start: Start, arguments: tuple[int, ...]) -> None:
    sandbox = start(conversations=40)
    result = CustomUpdater(**sandbox.settings_kwargs()).bulk_process(*arguments, team_id=sandbox.inbox_id)
    assert result["success"] == (20 if len(arguments) > 2 else 40)


def test_the_closer_takes_the_keywords_of_the_readme(start: Start) -> None:
    sandbox = start(conversations=40)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    result = closer.bulk_close(team_id=sandbox.inbox_id, parallel_workers=15, batch_size=50, max_conversations=30)
    assert result["success"] == 30
    assert len(closed(sandbox)) == 30


@pytest.mark.parametrize("function", [bulk_close, bulk_close_hybrid, bulk_close_maximal])
@pytest.mark.parametrize("style", ["position", "keyword", "environment"])
def test_the_functions_of_the_original_script_close_an_inbox(
    start: Start, monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any], style: str
) -> None:
    sandbox = start(conversations=20)
    for name, value in sandbox.environ().items():
        monkeypatch.setenv(name, value)
    if style == "position":
        result = function(sandbox.inbox_id, 15, 50)
    elif style == "keyword":
        result = function(team_id=sandbox.inbox_id, parallel_workers=15, batch_size=50, delay=0.2, progress=None)
    else:
        result = function()
    assert result["success"] == 20
    assert closed(sandbox) == set(sandbox.effects())


def test_a_summary_reads_like_the_dict_of_the_original(start: Start) -> None:
    sandbox = start(conversations=20, poison_422=0.1, seed=3)
    result = CustomUpdater(**sandbox.settings_kwargs()).bulk_process(team_id=sandbox.inbox_id)
    assert result["success"] + result["failed"] == 20
    assert result["failed"] > 0
    assert isinstance(result["total_time"], timedelta)
    assert 0 < result["total_time"].total_seconds() < 20
    assert {"success", "failed", "total_time"} <= set(result)
    assert dict(result)["success"] == result.get("success") == result.success
    with pytest.raises(KeyError):
        result["no_such_key"]


def test_its_prints_and_its_retries_apart_nothing_is_written_to_the_terminal(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox = start(conversations=20)
    CustomUpdater(**sandbox.settings_kwargs()).bulk_process(team_id=sandbox.inbox_id)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("updater", SEEN)
def test_none_is_missed_when_one_in_ten_answers_is_a_429_and_one_in_twenty_connections_breaks(
    start: Start, updater: type[IntercomBulkUpdater]
) -> None:
    """Without the retries 15 % of the items fail; without the read of `exc.response` they spend the item's tries.

    Whoever swallows a 429 spends a try on it: at the full rate one run in thirteen would miss an item by chance.
    """
    share = 0.5 if updater is SwallowingUpdater else 1.0
    sandbox = start(conversations=150, plain_429=0.1 * share, resets=0.05 * share, resets_after_share=0.0)
    wanted = opened(sandbox)
    done = run(updater(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id, parallel_workers=15)
    assert sandbox.stats()["faults"].keys() == {"plain_429", "reset"}
    assert_accounted(done, wanted)
    assert done.done == wanted == closed(sandbox)
    assert sandbox.effects() == dict.fromkeys(wanted, 1)


@pytest.mark.parametrize("updater", SEEN)
def test_none_is_missed_when_the_server_had_closed_it_before_the_connection_broke(
    start: Start, updater: type[IntercomBulkUpdater]
) -> None:
    """Such an item cannot be read back, and closing it twice is harmless: it may be closed twice, never left open."""
    sandbox = start(conversations=150, resets=0.05, resets_after_share=1.0, fault_scope="writes")
    wanted = opened(sandbox)
    done = run(updater(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id)
    assert done.done == wanted == closed(sandbox)


@pytest.mark.parametrize("updater", SEEN)
def test_server_errors_are_tried_again(start: Start, updater: type[IntercomBulkUpdater]) -> None:
    """The request that failed says that a second effect would be harmless: message_type is close."""
    sandbox = start(conversations=150, errors_5xx=0.05, fault_scope="writes")
    wanted = opened(sandbox)
    done = run(updater(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id)
    assert done.done == wanted == closed(sandbox)


@pytest.mark.parametrize("updater", ALL)
def test_a_page_of_html_is_not_taken_for_success(start: Start, updater: type[IntercomBulkUpdater]) -> None:
    sandbox = start(conversations=80, html_200=0.1, html_200_after_share=0.0, fault_scope="writes")
    wanted = opened(sandbox)
    done = run(updater(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id)
    assert sandbox.stats()["faults"]["html_200"] > 0
    assert_accounted(done, wanted)
    assert done.done <= closed(sandbox)


@pytest.mark.parametrize("updater", [CustomUpdater, ResponseUpdater, JsonUpdater])
def test_a_conversation_that_is_gone_is_skipped(start: Start, updater: type[IntercomBulkUpdater]) -> None:
    sandbox = start(conversations=80)
    wanted = opened(sandbox)
    missing = sorted(wanted)[::20]
    sandbox.set(gone_ids=missing)
    done = run(updater(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id)
    assert done.ids(Status.SKIPPED) == set(missing)
    assert {o.code for o in done.outcomes if o.status is Status.SKIPPED} == {"gone"}
    assert done.done == wanted - set(missing)


@pytest.mark.parametrize("updater", ALL)
def test_an_item_that_is_always_refused_fails_after_at_most_four_calls_and_stops_no_other(
    start: Start, updater: type[IntercomBulkUpdater]
) -> None:
    sandbox = start(conversations=60)
    wanted = sorted(opened(sandbox))
    bad = {wanted[0], wanted[40], wanted[-1]}
    sandbox.set(poison_422_ids=sorted(bad))
    done = run(updater(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id)
    assert done.ids(Status.FAILED) == bad
    assert done.done == set(wanted) - bad
    assert sandbox.stats()["requests"]["POST /conversations/*/parts"]["422"] <= 4 * len(bad)


@pytest.mark.parametrize("updater", [CustomUpdater, ResponseUpdater, JsonUpdater])
def test_a_token_revoked_in_mid_run_halts_it_at_once(start: Start, updater: type[IntercomBulkUpdater]) -> None:
    sandbox = start(conversations=200)

    def revoke(settled: int) -> None:
        if settled == 50:
            sandbox.set(revoked=True)

    done = run(updater(**sandbox.settings_kwargs()), revoke, team_id=sandbox.inbox_id, parallel_workers=5)
    assert done.summary.state is RunState.HALTED
    assert "token" in str(done.summary.reason)
    assert sandbox.stats()["statuses"]["401"] <= 5
    assert done.summary.failed == 0


@pytest.mark.parametrize("updater", ALL)
def test_an_admin_that_does_not_exist_halts_it_within_the_guards(
    start: Start, updater: type[IntercomBulkUpdater]
) -> None:
    sandbox = start(conversations=100)
    done = run(updater(**connection(sandbox, admin_id="999")), team_id=sandbox.inbox_id)
    assert done.summary.state is RunState.HALTED
    assert len(done.outcomes) <= 25
    assert sandbox.effects() == {}


def test_ids_of_its_own_are_acted_on_and_no_other(start: Start) -> None:
    sandbox = start(conversations=60)
    updater = ListedUpdater(**sandbox.settings_kwargs())
    chosen = sorted(opened(sandbox))[::4]
    updater.ids = [*chosen, chosen[0]]
    done = run(updater, team_id=sandbox.inbox_id)
    assert done.done == set(chosen)
    assert sandbox.effects() == dict.fromkeys(chosen, 1)
    assert {outcome.before for outcome in done.outcomes} == {None}


def test_a_netrc_that_would_replace_the_token_is_refused_at_the_start(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`requests` would send `Basic` instead of the Bearer header that the updater sets."""
    sandbox = start(conversations=20)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with pytest.raises(SettingsError, match=r"\.netrc has an entry for 127\.0\.0\.1"):
        run(CustomUpdater(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id)
    assert_nothing_written(sandbox)


def test_a_netrc_does_not_matter_to_an_updater_that_sends_with_self_request(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sandbox = start(conversations=20)
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    done = run(ConversationCloser(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id, state="open")
    assert len(done.done) == 20


class Silent(ConversationCloser):
    """Sends with `self.request`, and returns nothing, whatever came of it."""

    def perform_action(self, item_id: str) -> Any:
        try:
            super().perform_action(item_id)
        except Exception:  # noqa: BLE001
            return None


def test_an_answer_that_was_seen_counts_whatever_is_returned(start: Start) -> None:
    sandbox = start(conversations=60)
    wanted = opened(sandbox)
    gone, bad = sorted(wanted)[3], sorted(wanted)[9]
    sandbox.set(gone_ids=[gone], poison_422_ids=[bad])
    done = run(Silent(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id, state="open")
    assert done.ids(Status.SKIPPED) == {gone}
    assert done.ids(Status.FAILED) == {bad}
    assert done.done == wanted - {gone, bad}
    assert sandbox.effects() == dict.fromkeys(wanted - {gone, bad}, 1)


def test_attributes_set_after_the_constructor_are_used(start: Start) -> None:
    sandbox = start(conversations=15)
    updater = CustomUpdater(access_token="not-the-token")
    updater.access_token, updater.base_url, updater.admin_id = sandbox.token, sandbox.url, "781"
    updater.headers["Authorization"] = f"Bearer {sandbox.token}"
    assert len(run(updater, team_id=sandbox.inbox_id).done) == 15


def test_with_its_defaults_a_broken_connection_costs_five_seconds_and_no_item(start: Start) -> None:
    """The one run with the default `settle`."""
    sandbox = start(conversations=60, resets=0.03, fault_scope="writes", seed=4)
    wanted = opened(sandbox)
    done = run(CustomUpdater(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id, options=RunOptions())
    assert sandbox.stats()["faults"]["reset"] > 0
    assert done.done == wanted == closed(sandbox)
    assert QUICK.settle != RunOptions().settle
