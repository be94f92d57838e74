"""The search: grammar, paging, lag and misbehaviour, seen from outside."""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Callable
from datetime import datetime
from itertools import chain, islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import orjson
import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import Client

Start = Callable[..., "Client"]
OPEN = {"field": "state", "operator": "=", "value": "open"}
BY_AGE = {"field": "created_at", "order": "ascending"}


@pytest.mark.parametrize("field", ["created_at", "id", "updated_at"])
@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_paging_returns_every_id_once_in_order(start: Start, field: str, order: str) -> None:
    client = start(conversations=95)
    pages = list(client.walk(OPEN, per_page=20, sort={"field": field, "order": order}))
    ids = list(chain.from_iterable(pages))
    assert [len(page) for page in pages] == [20, 20, 20, 20, 15]
    assert sorted(ids) == sorted(_all_ids(client))
    shown = [_value(client, one, field) for one in ids]
    assert shown == sorted(shown, reverse=order == "descending")


def _all_ids(client: Client) -> list[str]:
    return [item["id"] for item in client.sandbox.items()]


def _value(client: Client, one: str, field: str) -> int:
    return int(getattr(client.sandbox.workspace.conversations[int(one)], field))


def test_closing_while_paging_by_age_skips_nothing_and_total_count_follows(start: Start) -> None:
    client = start(conversations=60)
    seen: list[str] = []
    for page in client.walk(OPEN, per_page=10, sort=BY_AGE):
        seen += page
        for one in page:
            client.close(one)
    assert sorted(seen) == sorted(_all_ids(client))
    assert client.search(OPEN).json()["total_count"] == 0


def test_offset_paging_skips_what_moved_up(start: Start) -> None:
    client = start(conversations=60, offset_paging=True)
    seen: list[str] = []
    for page in client.walk(OPEN, per_page=10, sort=BY_AGE):
        seen += page
        for one in page:
            client.close(one)
    assert len(seen) == 30


def test_index_lag_shows_the_state_of_some_seconds_ago(start: Start) -> None:
    client = start(conversations=5, index_lag=0.4)
    closed = _all_ids(client)[0]
    assert client.close(closed).json()["state"] == "closed"
    before = client.search(OPEN).json()
    assert before["total_count"] == 5
    assert {item["state"] for item in before["conversations"]} == {"open"}
    assert _until(lambda: client.search(OPEN).json()["total_count"] == 4)


def test_newcomers_arrive_while_it_runs(start: Start) -> None:
    client = start(conversations=5, arrivals=200.0)
    client("GET", "/me")
    assert _until(lambda: int(client.search(OPEN).json()["total_count"]) > 6)
    assert client.sandbox.arrived()


def test_ignored_sort_answers_by_last_update(start: Start) -> None:
    client = start(conversations=30, ignore_sort=True)
    ids = next(client.walk(OPEN, sort=BY_AGE))
    updated = [_value(client, one, "updated_at") for one in ids]
    assert updated == sorted(updated, reverse=True)


def test_repeated_cursor_leads_round_in_a_circle(start: Start) -> None:
    client = start(conversations=100, repeat_cursor=2)
    pages = list(islice(client.walk(OPEN, per_page=10), 7))
    assert pages[1] == pages[3] == pages[5]
    assert pages[2] == pages[4] == pages[6]


def test_big_pages_time_out_where_told_so(start: Start) -> None:
    client = start(page_504_over=50)
    assert client.search(OPEN, pagination={"per_page": 150}).status_code == 504
    assert client.search(OPEN, pagination={"per_page": 50}).status_code == 200


def test_next_is_missing_or_null_at_the_end(start: Start) -> None:
    client = start(conversations=3)
    assert "next" not in client.search(OPEN).json()["pages"]
    client.sandbox.set(next_null=True)
    assert client.search(OPEN).json()["pages"]["next"] is None


def test_the_cursor_is_sort_value_id_and_page(start: Start) -> None:
    client = start(conversations=3)
    page = client.search(OPEN, sort=BY_AGE, pagination={"per_page": 2}).json()
    last = page["conversations"][-1]
    cursor = orjson.loads(b64decode(page["pages"]["next"]["starting_after"]))
    assert cursor == [last["created_at"] * 1000, int(last["id"]), 2]
    broken = client.search(OPEN, pagination={"starting_after": "nonsense"})
    assert (broken.status_code, _code(broken)) == (400, "client_error")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"operator": "AND", "value": [OPEN] * 15}, 200),
        ({"operator": "AND", "value": [OPEN] * 16}, 400),
        ({"operator": "AND", "value": [{"operator": "OR", "value": [OPEN, OPEN]}] * 2}, 200),
        ({"operator": "AND", "value": [{"operator": "OR", "value": [{"operator": "AND", "value": [OPEN]}]}]}, 400),
        ({"operator": "AND", "value": []}, 400),
        ({"field": "tag_id", "operator": "=", "value": "101"}, 400),
        ({"field": "custom_attributes.issue_type", "operator": "=", "value": "Billing"}, 200),
        ({"field": "custom_attributes.unheard_of", "operator": "=", "value": 1}, 400),
        ({"field": "state", "operator": ">", "value": "open"}, 400),
        ({"field": "created_at", "operator": ">", "value": "1306054154"}, 200),
        ({"field": "created_at", "operator": ">", "value": "yesterday"}, 400),
        ({"field": "state", "operator": "IN", "value": "open"}, 400),
        ({"operator": "=", "value": "open"}, 400),
    ],
)
def test_the_grammar_has_limits(plain: Client, query: object, status: int) -> None:
    answer = plain.search(query)
    assert answer.status_code == status
    assert status == 200 or _code(answer) == "parameter_invalid"


def test_snoozed_is_open_too(start: Start) -> None:
    client = start(conversations=4)
    one = _all_ids(client)[0]
    snoozed = client.part(one, "snoozed", snoozed_until=int(time.time()) + 3600).json()
    assert (snoozed["state"], snoozed["open"]) == ("snoozed", True)
    assert client.search({"field": "open", "operator": "=", "value": True}).json()["total_count"] == 4
    assert client.search(OPEN).json()["total_count"] == 3


def test_greater_than_is_strict_or_not_by_switch(start: Start) -> None:
    client = start(conversations=30)
    newest = max(item["created_at"] for item in client.sandbox.items())
    query = {"field": "created_at", "operator": ">", "value": newest}
    assert client.search(query).json()["total_count"] == 0
    client.sandbox.set(gt_inclusive=True)
    assert client.search(query).json()["total_count"] >= 1


def test_contacts_compare_dates_by_whole_days_of_the_workspace(start: Start) -> None:
    zone = "America/Los_Angeles"
    client = start(contacts=120, timezone=zone)
    times = [one.created_at for one in client.sandbox.workspace.contacts.values()]
    wanted = sorted(times)[60]
    day = datetime.fromtimestamp(wanted, ZoneInfo(zone)).date()
    days = [datetime.fromtimestamp(at, ZoneInfo(zone)).date() for at in times]
    counts = {"=": days.count(day), ">": sum(one > day for one in days), "<": sum(one < day for one in days)}
    for operator, count in counts.items():
        found = client.search({"field": "created_at", "operator": operator, "value": wanted}, "contacts").json()
        assert found["total_count"] == count
    refused = client.search({"field": "created_at", "operator": ">=", "value": wanted}, "contacts")
    assert refused.status_code == 400


def test_contacts_refuse_an_unknown_sort_order(plain: Client) -> None:
    answer = plain.search(
        {"field": "role", "operator": "=", "value": "user"}, "contacts", sort={"field": "id", "order": "desc"}
    )
    assert (answer.status_code, _code(answer)) == (400, "invalid_sort_order")


def test_archived_contacts_leave_the_search(start: Start) -> None:
    client = start(contacts=10)
    everyone = {"field": "email", "operator": "~", "value": "@"}
    one = next(client.walk(everyone, "contacts"))[0]
    client("POST", f"/contacts/{one}/archive")
    assert client.search(everyone, "contacts").json()["total_count"] == 9


def test_only_one_companies_scroll_at_a_time(start: Start) -> None:
    client = start(companies=120)
    first = client("GET", "/companies/scroll").json()
    assert len(first["data"]) == 100
    second = client("GET", "/companies/scroll")
    assert (second.status_code, _code(second)) == (400, "scroll_exists")
    name = {"scroll_param": first["scroll_param"]}
    assert len(client("GET", "/companies/scroll", params=name).json()["data"]) == 20
    assert client("GET", "/companies/scroll", params=name).json()["data"] == []
    assert client("GET", "/companies/scroll", params=name).status_code == 404
    assert client("GET", "/companies/scroll").status_code == 200


def test_companies_list_pages_by_query_string(start: Start) -> None:
    client = start(companies=40)
    page = client("POST", "/companies/list?page=2&per_page=15").json()
    assert page["pages"]["page"] == 2
    assert page["pages"]["next"].startswith("https://api.intercom.io/companies/list?page=3")
    assert client("POST", "/companies/list?per_page=61").status_code == 400


def _code(answer: object) -> str:
    return str(answer.json()["errors"][0]["code"])  # type: ignore[attr-defined]


def _until(condition: Callable[[], bool], seconds: float = 4.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
