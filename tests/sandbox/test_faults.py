"""Every fault, as a raw client sees it, and what it leaves behind."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import requests

from intercom_bulk.sandbox import SandboxOptions
from intercom_bulk.sandbox.faults import Faults

if TYPE_CHECKING:
    from tests.sandbox.conftest import Client

Start = Callable[..., "Client"]


def first(client: Client) -> str:
    return str(client.sandbox.items(limit=1)[0]["id"])


@pytest.mark.parametrize(("after", "effects"), [(0.0, 0), (1.0, 1)])
def test_a_reset_breaks_the_connection_before_or_after_the_effect(start: Start, after: float, effects: int) -> None:
    client = start(resets=1.0, resets_after_share=after)
    with pytest.raises(requests.ConnectionError) as caught:
        client.close(first(client))
    assert "reset" in str(caught.value).lower()
    assert sum(client.sandbox.effects().values()) == effects


@pytest.mark.parametrize(("after", "effects"), [(0.0, 0), (1.0, 1)])
def test_a_hang_never_answers(start: Start, after: float, effects: int) -> None:
    client = start(hangs=1.0, hangs_after_share=after)
    with pytest.raises(requests.ReadTimeout):
        client(
            "POST",
            f"/conversations/{first(client)}/parts",
            json={"message_type": "close", "admin_id": "780"},
            timeout=0.2,
        )
    assert sum(client.sandbox.effects().values()) == effects
    assert client.sandbox.stats()["faults"] == {"hang": 1}


def test_a_hang_does_not_keep_the_sandbox_from_stopping(start: Start) -> None:
    client = start(hangs=1.0)
    with pytest.raises(requests.ReadTimeout):
        client("GET", "/me", timeout=0.1)
    began = time.monotonic()
    client.sandbox.stop()
    assert time.monotonic() - began < 2


def test_a_cut_body_ends_early_and_took_effect(start: Start) -> None:
    client = start(cut_bodies=1.0)
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        client.close(first(client))
    assert sum(client.sandbox.effects().values()) == 1


def test_a_cut_header_is_no_answer(start: Start) -> None:
    client = start(cut_headers=1.0)
    made = http.client.HTTPConnection(*client.sandbox.url.removeprefix("http://").split(":"))  # type: ignore[arg-type]
    made.request("GET", "/me", headers={"Authorization": f"Bearer {client.sandbox.token}"})
    answer = made.getresponse()
    assert answer.getheader("Content-Type") is None
    assert answer.read() == b""
    made.close()


@pytest.mark.parametrize(
    ("knob", "status", "body", "headers"),
    [
        ("empty_200", 200, b"", True),
        ("html_200", 200, b"<html>", False),
        ("html_403", 403, b"<html>", False),
        ("plain_429", 429, b"<html>", False),
    ],
)
def test_answers_that_are_not_intercoms(start: Start, knob: str, status: int, body: bytes, headers: bool) -> None:
    answer = start(**{knob: 1.0})("GET", "/me")
    assert answer.status_code == status
    assert answer.content.startswith(body)
    assert bool(answer.content) == bool(body)
    assert ("X-RateLimit-Limit" in answer.headers) is headers


@pytest.mark.parametrize("as_html", [0.0, 1.0])
def test_5xx_come_as_json_or_html_and_have_no_effect(start: Start, as_html: float) -> None:
    client = start(errors_5xx=1.0, errors_5xx_html=as_html)
    answer = client.close(first(client))
    assert answer.status_code in (500, 502, 503, 504)
    assert answer.content.startswith(b"<html>") == bool(as_html)
    assert client.sandbox.effects() == {}


def test_a_drip_sends_one_byte_at_a_time(start: Start) -> None:
    client = start(drips=1.0, drip_seconds=0.05)
    answer = client("GET", "/nope", stream=True)
    began = time.monotonic()
    assert answer.raw.read(5) == b'{"typ'
    assert time.monotonic() - began > 0.1
    answer.close()


def test_faults_of_writes_leave_reads_alone(start: Start) -> None:
    client = start(errors_5xx=1.0, fault_scope="writes")
    assert client("GET", "/me").status_code == 200
    assert client.search({"field": "state", "operator": "=", "value": "open"}).status_code == 200
    assert client.close(first(client)).status_code >= 500


def test_gone_items_are_listed_but_not_there(start: Start) -> None:
    client = start(conversations=300, gone=0.1)
    found = client.search({"field": "state", "operator": "=", "value": "open"}).json()
    assert found["total_count"] == 300
    statuses = [client("GET", f"/conversations/{item['id']}").status_code for item in client.sandbox.items()]
    assert 10 < statuses.count(404) < 60
    assert statuses.count(200) + statuses.count(404) == 300


def test_poisoned_items_fail_for_ever(start: Start) -> None:
    client = start()
    one, two = (item["id"] for item in client.sandbox.items(limit=2))
    client.sandbox.set(poison_500_ids=[one], poison_422_ids=[two])
    assert [client.close(one).status_code, client.close(one).status_code] == [500, 500]
    assert client.close(two).status_code == 422
    assert client.sandbox.effects() == {}


def test_shares_add_up_and_are_the_same_for_the_same_seed() -> None:
    options = SandboxOptions(errors_5xx=0.1, resets=0.05, hangs=0.01, cut_bodies=0.01, html_200=0.005)
    drawn = [Faults(options) for _ in range(2)]
    kinds = [[fault.kind if (fault := one.draw(write=True)) else "" for _ in range(20_000)] for one in drawn]
    assert kinds[0] == kinds[1]
    for kind, share in {"5xx": 0.1, "reset": 0.05, "hang": 0.01, "cut_body": 0.01, "html_200": 0.005}.items():
        assert kinds[0].count(kind) / 20_000 == pytest.approx(share, rel=0.3)


def test_denied_writes_and_a_revoked_token(start: Start) -> None:
    client = start(denied=("writes",))
    one = first(client)
    assert client("GET", "/me").status_code == 200
    assert (client.close(one).status_code, client.close(one).json()["errors"][0]["code"]) == (403, "forbidden")
    client.sandbox.set(denied_status=401)
    assert client.close(one).json()["errors"][0]["code"] == "token_unauthorized"
    assert "X-RateLimit-Limit" in client.close(one).headers
    client.sandbox.set(revoked=True)
    assert client("GET", "/me").json()["errors"][0]["code"] == "unauthorized"


def test_an_unknown_version_is_refused(start: Start) -> None:
    answer = start()("GET", "/me", headers={"Intercom-Version": "9.9"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "intercom_version_invalid")
