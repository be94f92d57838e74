"""What cannot be meant gets one clear sentence and an error class, before anything is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import (
    ConversationCloser,
    CustomAttributeUpdater,
    IntercomBulkError,
    ItemIdError,
    QueryError,
    RunOptions,
    SettingsError,
    StateChanger,
    Status,
    TagAssigner,
    Transient,
    UnknownNameError,
    UsageError,
    bulk_close_hybrid,
)
from intercom_bulk.sandbox import Sandbox
from tests.acceptance.old_style import CustomUpdater
from tests.acceptance.runs import assert_nothing_written, assert_one_sentence, connection, run, writes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[..., Sandbox]


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(conversations=10, contacts=2, companies=1, tickets=1) as running:
        yield running


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    """Ten open conversations, to none of which anything was or will be done."""
    shared.reset()
    return shared


OPEN = {"field": "state", "operator": "=", "value": "open"}


def deep(levels: int) -> dict[str, Any]:
    query: dict[str, Any] = OPEN
    for _ in range(levels):
        query = {"operator": "AND", "value": [query]}
    return query


def refused(error: type[IntercomBulkError], call: Callable[[], object]) -> str:
    """The sentence with which `call` is refused."""
    with pytest.raises(error) as caught:
        call()
    assert_one_sentence(str(caught.value))
    return str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "INTERCOM_ACCESS_TOKEN"),
        ({"access_token": ""}, "INTERCOM_ACCESS_TOKEN"),
        ({"access_token": "   "}, "INTERCOM_ACCESS_TOKEN"),
        ({"access_token": "Bearer dG9rOmFiY2Q="}, "Bearer"),
        ({"access_token": "two words12"}, "malformed"),
        ({"access_token": "line\nbreak-token"}, "malformed"),
        ({"access_token": "short"}, "malformed"),
        ({"access_token": "tökentökentöken"}, "malformed"),
        ({"region": "mars"}, "us, eu, au"),
        ({"base_url": "http://api.intercom.io"}, "https"),
        ({"base_url": "http://192.168.1.7:8080"}, "https"),
        ({"base_url": "ftp://127.0.0.1"}, "https"),
        ({"base_url": "https://user:secret@api.intercom.io"}, "user"),
        ({"base_url": "api.intercom.io"}, "https://"),
        ({"base_url": "https://"}, "https://"),
        ({"admin_id": "ann@example.com"}, "number"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_meant_are_refused(arguments: dict[str, Any], says: str) -> None:
    known = {"access_token": "dG9rOmFiY2Q="} if arguments and "access_token" not in arguments else {}
    text = refused(SettingsError, lambda: ConversationCloser(**known, **arguments))
    assert says in text
    assert "secret" not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INTERCOM_REGION", "mars"),
        ("INTERCOM_BASE_URL", "http://api.intercom.io"),
        ("INTERCOM_ADMIN_ID", "ann"),
        ("INTERCOM_API_VERSION", "two"),
    ],
)
def test_the_environment_is_checked_too(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("INTERCOM_ACCESS_TOKEN", "dG9rOmFiY2Q=")
    monkeypatch.setenv(name, value)
    refused(SettingsError, ConversationCloser)


def test_no_team_at_all_is_refused(sandbox: Sandbox) -> None:
    text = refused(UsageError, lambda: bulk_close_hybrid(progress=None, **sandbox.settings_kwargs()))
    assert "INTERCOM_INBOX_ID" in text
    assert sandbox.stats()["total"] == 0


@pytest.mark.parametrize("team", ["Suport", "12345", 12345, "no such team"])
def test_a_team_that_does_not_exist_is_refused(sandbox: Sandbox, team: str | int) -> None:
    text = refused(UnknownNameError, lambda: ConversationCloser(**sandbox.settings_kwargs()).bulk_close(team))
    assert repr(str(team)) in text
    assert "Support" in text  # the nearest one, or one of the few that there are
    assert_nothing_written(sandbox)


@pytest.mark.parametrize("tag", ["stael", "999", 999])
def test_a_tag_that_does_not_exist_is_an_error_and_not_a_new_tag(sandbox: Sandbox, tag: str | int) -> None:
    tagger = TagAssigner(tag=tag, **sandbox.settings_kwargs())
    refused(UnknownNameError, lambda: run(tagger, team_id=sandbox.inbox_id))
    assert_nothing_written(sandbox)


def test_an_admin_that_does_not_exist_is_refused(sandbox: Sandbox) -> None:
    closer = ConversationCloser(**connection(sandbox, admin_id=999))
    refused(UnknownNameError, lambda: closer.bulk_close(sandbox.inbox_id))
    assert_nothing_written(sandbox)


@pytest.mark.parametrize(
    "query",
    [
        {"operator": "AND", "value": [OPEN] * 16},
        {"operator": "OR", "value": [{"operator": "AND", "value": [OPEN] * 16}]},
        deep(3),
        {"operator": "AND", "value": []},
        {"field": "state", "operator": "==", "value": "open"},
        {"field": "state", "operator": "="},
        {"field": "state", "operator": "IN", "value": "open"},
        {"operator": "XOR", "value": [OPEN]},
        ["state"],
        {},
    ],
    ids=["16 filters", "16 in a group", "three levels", "empty", "==", "no value", "IN text", "XOR", "list", "nothing"],
)
def test_a_query_outside_the_limits_is_refused(sandbox: Sandbox, query: Any) -> None:
    refused(QueryError, lambda: run(ConversationCloser(**sandbox.settings_kwargs()), query=query))
    assert_nothing_written(sandbox)


def test_a_query_of_an_own_updater_is_checked_too(sandbox: Sandbox) -> None:
    class Wide(CustomUpdater):
        def get_search_query(self, **kwargs: Any) -> dict[str, Any]:
            return {"operator": "AND", "value": [OPEN] * 16}

    text = refused(QueryError, lambda: run(Wide(**sandbox.settings_kwargs())))
    assert "15" in text
    assert_nothing_written(sandbox)


@pytest.mark.parametrize("per_page", [151, 0, -1, 10.5, "50", True])
def test_a_page_size_outside_the_limits_is_refused(sandbox: Sandbox, per_page: Any) -> None:
    closer = ConversationCloser(**sandbox.settings_kwargs())
    refused(QueryError, lambda: list(closer.search_items(per_page, team_id=sandbox.inbox_id)))
    assert_nothing_written(sandbox)


@pytest.mark.parametrize(
    "argument",
    [
        {"max_items": -1},
        {"parallel_workers": 0},
        {"parallel_workers": -4},
        {"parallel_workers": 1000},
        {"batch_size": 0},
        {"timeout": 0},
        {"timeout": -1},
        {"max_items": "10"},
        {"max_items": 1.5},
        {"parallel_workers": True},
        {"batch_size": "50"},
        {"timeout": "30"},
        {"timeout": float("nan")},
    ],
    ids=str,
)
def test_a_number_that_cannot_be_meant_is_refused(sandbox: Sandbox, argument: dict[str, Any]) -> None:
    closer = ConversationCloser(**sandbox.settings_kwargs())
    text = refused(UsageError, lambda: run(closer, team_id=sandbox.inbox_id, **argument))
    assert next(iter(argument)) in text
    assert_nothing_written(sandbox)


@pytest.mark.parametrize(
    "options",
    [
        {"refuse_above": -1},
        {"canary": -1},
        {"reserve": 1.0},
        {"reserve": -0.1},
        {"share": 0.0},
        {"share": 1.5},
        {"settle": -1.0},
        {"tries": 0},
    ],
    ids=str,
)
def test_options_that_cannot_be_meant_are_refused(sandbox: Sandbox, options: dict[str, Any]) -> None:
    closer = ConversationCloser(**sandbox.settings_kwargs())
    text = refused(UsageError, lambda: run(closer, team_id=sandbox.inbox_id, options=RunOptions(**options)))
    assert next(iter(options)) in text
    assert_nothing_written(sandbox)


@pytest.mark.parametrize(
    "until",
    [datetime.now(UTC) - timedelta(days=1), 1_700_000_000, 0],
    ids=["yesterday", "epoch seconds of 2023", "zero"],
)
def test_a_snooze_until_the_past_is_refused(sandbox: Sandbox, until: Any) -> None:

    def snooze() -> None:
        changer = StateChanger(state="snoozed", snoozed_until=until, **sandbox.settings_kwargs())
        run(changer, team_id=sandbox.inbox_id)

    assert "past" in refused(UsageError, snooze)
    assert_nothing_written(sandbox)


@pytest.mark.parametrize(
    "arguments",
    [
        {"state": "snoozed"},
        {"state": "closed", "snoozed_until": 4_000_000_000},
        {"state": "shut"},
        {"state": "snoozed", "snoozed_until": datetime(2099, 1, 1)},  # noqa: DTZ001  the point of the test
        {"state": "snoozed", "snoozed_until": "tomorrow"},
        {"state": "snoozed", "snoozed_until": 4_000_000_000_000},
    ],
    ids=["no time", "a time for closed", "no such state", "naive", "text", "milliseconds"],
)
def test_a_state_that_cannot_be_meant_is_refused(sandbox: Sandbox, arguments: dict[str, Any]) -> None:

    def change() -> None:
        run(StateChanger(**arguments, **sandbox.settings_kwargs()), team_id=sandbox.inbox_id)

    refused(UsageError, change)
    assert_nothing_written(sandbox)


@pytest.mark.parametrize("item_id", ["a/b", "..", "../tags/5", "6?x", "6#f", "", "%2e%2e", "a b", "1\n2"])
def test_an_id_that_would_change_the_path_is_refused_where_it_is_used(sandbox: Sandbox, item_id: str) -> None:
    refused(ItemIdError, lambda: ConversationCloser(**sandbox.settings_kwargs()).perform_action(item_id))
    assert_nothing_written(sandbox)


class Slashed(CustomUpdater):
    def get_item_id(self, item: dict[str, Any]) -> str:
        return "a/b" if item["id"].endswith("7") else str(item["id"])


def test_an_id_with_a_slash_fails_its_item_and_is_never_sent(start: Start) -> None:
    sandbox = start(conversations=100)
    done = run(Slashed(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id)
    assert done.ids(Status.FAILED) == {"a/b"}
    assert {outcome.code for outcome in done.outcomes if outcome.status is Status.FAILED} == {"ItemIdError"}
    assert "404" not in sandbox.stats()["statuses"]
    assert writes(sandbox) == len(sandbox.effects()) == len(done.done)


@pytest.mark.parametrize("path", ["../admins", "conversations/../tags", "conversations/a b", "/conversations//1", "?x"])
def test_a_path_that_leaves_the_api_is_refused(sandbox: Sandbox, path: str) -> None:
    refused(UsageError, lambda: ConversationCloser(**sandbox.settings_kwargs()).request("POST", path, json={}))
    assert sandbox.stats()["total"] == 0


def test_an_unknown_keyword_is_refused(sandbox: Sandbox) -> None:
    closer = ConversationCloser(**sandbox.settings_kwargs())
    assert "'teem_id'" in refused(UsageError, lambda: closer.bulk_process(teem_id=sandbox.inbox_id))
    assert sandbox.stats()["total"] == 0


def test_a_search_for_nothing_is_refused(sandbox: Sandbox) -> None:
    refused(UsageError, lambda: ConversationCloser(**sandbox.settings_kwargs()).bulk_process())
    assert_nothing_written(sandbox)


@pytest.mark.parametrize("attributes", [{}, {"processed": object()}], ids=["none", "no JSON"])
def test_attributes_that_cannot_be_sent_are_refused(sandbox: Sandbox, attributes: dict[str, Any]) -> None:

    def update() -> None:
        run(CustomAttributeUpdater(attributes=attributes, **sandbox.settings_kwargs()), team_id=sandbox.inbox_id)

    refused(UsageError, update)
    assert_nothing_written(sandbox)


def test_nobody_listening_is_said_in_one_sentence(start: Start) -> None:
    sandbox = start(conversations=1)
    sandbox.stop()
    closer = ConversationCloser(access_token=sandbox.token, base_url=sandbox.url)
    assert sandbox.url in refused(Transient, lambda: closer.bulk_close(sandbox.inbox_id))
