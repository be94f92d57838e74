"""Writes: transitions, parts, tags, attributes, and the count of effects."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import requests
import trustme

from intercom_bulk.sandbox import Sandbox, SandboxProcess

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sandbox.conftest import Client

Start = Callable[..., "Client"]


def first(client: Client) -> str:
    return str(client.sandbox.items(limit=1)[0]["id"])


def kinds(conversation: dict[str, object]) -> list[str]:
    parts = conversation["conversation_parts"]["conversation_parts"]  # type: ignore[index]
    return [part["part_type"] for part in parts]


@pytest.mark.parametrize(("adds", "closes"), [(True, 2), (False, 1)])
def test_a_second_close_counts_and_adds_a_part_by_switch(start: Start, adds: bool, closes: int) -> None:
    client = start(repeat_adds_part=adds)
    one = first(client)
    client.close(one)
    assert kinds(client.close(one).json()).count("close") == closes
    assert client.sandbox.effects() == {one: 2}


def test_assigning_a_closed_conversation_reopens_it(start: Start) -> None:
    client = start()
    one = first(client)
    client.close(one)
    shown = client.part(one, "assignment", type="admin", assignee_id="781").json()
    assert (shown["state"], shown["admin_assignee_id"], kinds(shown)[-1]) == ("open", 781, "assign_and_reopen")
    shown = client.part(one, "assignment", type="admin", assignee_id="0").json()
    assert shown["admin_assignee_id"] == 0
    assert shown["conversation_parts"]["conversation_parts"][-1]["assigned_to"] == {"type": "nobody_admin", "id": None}
    shown = client.part(one, "assignment", type="team", assignee_id="5017692").json()
    assert shown["team_assignee_id"] == 5017692


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"message_type": "close", "admin_id": "999"}, 404, "admin_not_found"),
        ({"message_type": "close"}, 400, "parameter_not_found"),
        ({"message_type": "snooze", "admin_id": "780"}, 400, "parameter_invalid"),
        ({"message_type": "snoozed", "admin_id": "780", "snoozed_until": 1}, 400, "parameter_invalid"),
        ({"message_type": "assignment", "admin_id": "780", "assignee_id": "9"}, 404, "assignee_not_found"),
    ],
)
def test_parts_refuse(plain: Client, body: dict[str, object], status: int, code: str) -> None:
    answer = plain("POST", f"/conversations/{first(plain)}/parts", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)


def test_an_unknown_conversation_and_an_unknown_path_are_404(plain: Client) -> None:
    assert plain.close("123456789012345").json()["errors"][0]["code"] == "not_found"
    assert plain.close("nonsense").status_code == 404
    assert plain("GET", "/no/such/path").status_code == 404


def test_notes_wake_a_snoozed_conversation(start: Start) -> None:
    client = start()
    one = first(client)
    client.part(one, "snoozed", snoozed_until=int(time.time()) + 99)
    note = {"message_type": "note", "type": "admin", "admin_id": "780", "body": "seen"}
    shown = client("POST", f"/conversations/{one}/reply", json=note).json()
    assert (shown["state"], kinds(shown)[-1]) == ("open", "note")


def test_tags_go_on_and_off_by_id_with_a_body_on_delete(start: Start) -> None:
    client = start()
    one = first(client)
    path = f"/conversations/{one}/tags"
    assert client("POST", path, json={"id": "101"}).json()["errors"][0]["code"] == "parameter_not_found"
    assert client("POST", path, json={"id": "999", "admin_id": "780"}).json()["errors"][0]["code"] == "tag_not_found"
    assert client("POST", path, json={"id": "101", "admin_id": "780"}).json()["name"] == "stale"
    assert client.search({"field": "tag_ids", "operator": "=", "value": "101"}).json()["total_count"] == 1
    assert client("DELETE", f"{path}/101").status_code == 400
    assert client("DELETE", f"{path}/101", json={"admin_id": "780"}).status_code == 200
    assert client.sandbox.effects() == {one: 2}
    client.sandbox.set(untag_missing_404=True)
    assert client("DELETE", f"{path}/101", json={"admin_id": "780"}).status_code == 404


def test_a_deleted_tag_is_gone_from_items(start: Start) -> None:
    client = start(share_tagged=1.0)
    client.sandbox.set(delete_tag="101")
    assert all("101" not in item["tags"] for item in client.sandbox.items())
    answer = client("POST", f"/conversations/{first(client)}/tags", json={"id": "101", "admin_id": "780"})
    assert answer.json()["errors"][0]["code"] == "tag_not_found"


def test_tags_by_name_take_many_contacts(start: Start) -> None:
    client = start(contacts=3)
    ids = list(client.sandbox.workspace.contacts)
    users = [{"id": one} for one in [*ids, "unknown"]]
    shown = client("POST", "/tags", json={"name": "VIP", "users": users}).json()
    assert shown["id"] == "102"
    assert [user["tagged"] for user in shown["users"]] == [True, True, True, False]
    assert client.sandbox.effects("contacts") == dict.fromkeys(ids, 1)


def test_attributes_must_exist(start: Start) -> None:
    client = start()
    path = f"/conversations/{first(client)}"
    shown = client("PUT", path, json={"custom_attributes": {"issue_type": "Refund"}, "title": "T", "read": True}).json()
    assert (shown["custom_attributes"]["issue_type"], shown["title"], shown["read"]) == ("Refund", "T", True)
    assert kinds(shown)[-1] == "conversation_attribute_updated_by_admin"
    assert client("PUT", path, json={"custom_attributes": {"unknown": 1}}).status_code == 400


def test_the_500_newest_parts_are_shown(start: Start) -> None:
    client = start(long_threads=1)
    one = first(client)
    parts = client.close(one).json()["conversation_parts"]
    assert (len(parts["conversation_parts"]), parts["total_count"]) == (500, 601)
    assert parts["conversation_parts"][-1]["part_type"] == "close"


def test_the_digest_covers_what_can_be_undone(start: Start) -> None:
    client = start()
    one, before = first(client), client.sandbox.digest()
    client.close(one)
    assert client.sandbox.digest() != before
    client.part(one, "open")
    assert client.sandbox.digest() == before
    client("POST", f"/conversations/{one}/tags", json={"id": "101", "admin_id": "780"})
    assert client.sandbox.digest() != before
    client.sandbox.reset()
    assert (client.sandbox.digest(), client.sandbox.effects()) == (before, {})


def test_deleted_conversations_are_listed(start: Start) -> None:
    client = start()
    one = first(client)
    assert client("DELETE", f"/conversations/{one}").json()["deleted"] is True
    assert client("GET", f"/conversations/{one}").status_code == 404
    assert client.sandbox.effects() == {one: 1}
    assert [item["id"] for item in client("GET", "/conversations/deleted").json()["conversations"]] == [one]


def test_the_effect_comes_in_the_midst_of_the_latency(start: Start) -> None:
    client = start(latency_ms=400, effect_at=0.25)
    with pytest.raises(requests.ReadTimeout):
        client("PUT", f"/conversations/{first(client)}", json={"title": "T"}, timeout=0.2)
    assert sum(client.sandbox.effects().values()) == 1


def test_the_same_seed_makes_the_same_workspace() -> None:
    one, two, other = (Sandbox(conversations=50, seed=seed) for seed in (7, 7, 8))
    assert [item["id"] for item in one.items()] == [item["id"] for item in two.items()]
    assert [item["id"] for item in one.items()] != [item["id"] for item in other.items()]


def test_it_speaks_tls(start: Start, tmp_path: Path) -> None:
    authority, certificate, key = trustme.CA(), tmp_path / "cert.pem", tmp_path / "key.pem"
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(str(key))
    issued.private_key_and_cert_chain_pem.write_to_path(str(certificate))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    client = start(certfile=str(certificate), keyfile=str(key))
    assert client.sandbox.url.startswith("https://")
    assert client("GET", "/me", verify=str(tmp_path / "ca.pem")).status_code == 200
    client.sandbox.set(resets=1.0)
    with pytest.raises(requests.ConnectionError):
        client("GET", "/me", verify=str(tmp_path / "ca.pem"))


def test_it_runs_as_a_process_with_the_same_handle() -> None:
    with SandboxProcess(conversations=12, gone_ids=("1", "2"), limit_per_minute=600) as sandbox:
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        one = sandbox.items(limit=1)[0]["id"]
        body = {"message_type": "close", "admin_id": sandbox.admin_id}
        answer = requests.post(f"{sandbox.url}/conversations/{one}/parts", json=body, headers=headers, timeout=5)
        assert answer.headers["X-RateLimit-Limit"] == "100"
        assert sandbox.effects() == {one: 1}
        assert sandbox.stats()["total"] == 1
        sandbox.set(limit_per_minute=60)
        assert sandbox.windows()[-1]["limit"] == 10
        with pytest.raises(ValueError, match="no option named"):
            sandbox.set(nonsense=1)
        sandbox.reset()
        assert sandbox.effects() == {}


def test_the_command_prints_what_to_export_and_stops_on_a_signal() -> None:
    command = [sys.executable, "-m", "intercom_bulk.sandbox", "--conversations", "3", "--latency-ms", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(5)]
        process.terminate()
        assert process.wait(10) == 0
    assert lines[0].startswith("Sandbox at http://127.0.0.1:")
    names = [line.removeprefix("export ").split("=")[0] for line in lines[1:]]
    assert names == ["INTERCOM_BASE_URL", "INTERCOM_ACCESS_TOKEN", "INTERCOM_ADMIN_ID", "INTERCOM_INBOX_ID"]
