"""Each operation, done: from what is typed to what the workspace holds afterwards."""

from __future__ import annotations

import csv
import time
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk.operations import OPERATIONS, RESOURCES, operation

if TYPE_CHECKING:
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox
    from tests.cli.conftest import Cli

pytestmark = pytest.mark.slow

LATER = str(int(time.time()) + 86_400)
OPEN = "state:open"
OPENED, CLOSED = 28, 12
EVERY = {
    "close": (["close", "--where", OPEN], OPENED),
    "close --message": (["close", "--message", "Bye.", "--where", OPEN], OPENED),
    "open": (["open", "--where", "state:closed"], CLOSED),
    "snooze": (["snooze", "--until", LATER, "--where", OPEN], OPENED),
    "assign": (["assign", "--team", "Billing", "--admin", "Ben Brook", "--where", OPEN], OPENED),
    "tag": (["tag", "vip", "--where", OPEN], OPENED),
    "note": (["note", "Seen.", "--where", OPEN], OPENED),
    "reply": (["reply", "Thank you.", "--skip-notifications", "--where", OPEN], OPENED),
    "set": (["set", "issue_type=Billing", "priority_score:=7", "--where", OPEN], OPENED),
    "title": (["title", "Outage", "--where", OPEN], OPENED),
    "read": (["read", "--where", OPEN], OPENED),
    "convert": (["convert", "Bug report", "--where", OPEN], OPENED),
    "redact": (["redact", "--author", "contact", "--where", OPEN], OPENED),
    "delete": (["delete", "--where", OPEN], OPENED),
    "steps": (
        ["steps", "--note", "Fixed.", "--tag", "bug", "--assign-team", "Billing", "--close", "--where", OPEN],
        OPENED,
    ),
    "contacts set": (["contacts", "set", "plan=pro", "--name", "Somebody", "--owner", "Ben Brook", "--all"], 12),
    "contacts tag": (["contacts", "tag", "vip", "--all"], 12),
    "contacts archive": (["contacts", "archive", "--all"], 12),
    "contacts block": (["contacts", "block", "--all"], 12),
    "contacts delete": (["contacts", "delete", "--all"], 12),
    "contacts note": (["contacts", "note", "Spoke to them.", "--all"], 12),
    "contacts subscribe": (["contacts", "subscribe", "Product news", "--consent", "opt_in", "--all"], 12),
    "companies set": (["companies", "set", "seats:=12", "--plan", "pro", "--all"], 6),
    "companies tag": (["companies", "tag", "vip", "--all"], 6),
    "companies delete": (["companies", "delete", "--all"], 6),
    "companies note": (["companies", "note", "Renewal in May.", "--all"], 6),
    "tickets set": (["tickets", "set", "severity=high", "--where", "open:true"], 10),
    "tickets state": (["tickets", "state", "Resolved", "--all"], 10),
    "tickets assign": (["tickets", "assign", "--admin", "Ben Brook", "--all"], 10),
    "tickets close": (["tickets", "close", "--all"], 10),
    "tickets snooze": (["tickets", "snooze", "--until", LATER, "--all"], 10),
    "tickets tag": (["tickets", "tag", "vip", "--all"], 10),
    "tickets note": (["tickets", "note", "Seen.", "--all"], 10),
    "tickets reply": (["tickets", "reply", "Thank you.", "--all"], 10),
    "tickets delete": (["tickets", "delete", "--all"], 10),
}
"""What is typed, and how many items of the population it changes."""

BACK = {
    "untag": (["tag", "vip", "--all"], ["untag", "vip", "--all"], 40),
    "contacts untag": (["contacts", "tag", "vip", "--all"], ["contacts", "untag", "vip", "--all"], 12),
    "companies untag": (["companies", "tag", "vip", "--all"], ["companies", "untag", "vip", "--all"], 6),
    "tickets untag": (["tickets", "tag", "vip", "--all"], ["tickets", "untag", "vip", "--all"], 10),
    "tickets open": (["tickets", "close", "--all"], ["tickets", "open", "--all"], 10),
    "contacts unsubscribe": (
        ["contacts", "subscribe", "Product news", "--all"], ["contacts", "unsubscribe", "Product news", "--all"], 12,
    ),
}  # fmt: skip
"""What has to be done first, so that there is something to take back."""

BY_ID = {"attach", "detach", "contacts unarchive", "contacts attach-company", "contacts detach-company"}


def test_every_operation_is_done_here() -> None:
    assert {row.title for row in OPERATIONS} == {*EVERY, *BACK, *BY_ID} - {"close --message"}


@pytest.mark.parametrize("name", EVERY)
def test_an_operation_changes_what_was_chosen_and_nothing_else(name: str, cli: Cli, sandbox: Sandbox) -> None:
    words, count = EVERY[name]
    done(cli, words, count)
    resource = words[0] if words[0] in RESOURCES else "conversations"
    assert len(sandbox.effects(resource)) == count


@pytest.mark.parametrize("name", EVERY)
def test_a_preview_changes_nothing(name: str, cli: Cli, sandbox: Sandbox) -> None:
    words, count = EVERY[name]
    ended = cli("preview", *words, "--json")
    assert ended.code == 0, ended.err
    assert ended.json["count"] == count
    assert not any(sandbox.effects(resource) for resource in RESOURCES)


@pytest.mark.parametrize("name", BACK)
def test_an_operation_that_takes_back(name: str, cli: Cli) -> None:
    first, then, count = BACK[name]
    done(cli, first, count)
    done(cli, then, count)


def test_a_contact_is_added_to_conversations_and_taken_out_again(cli: Cli) -> None:
    contact = cli("query", "sample", "role:user", "--on", "contacts", "-n", "1", "--json").json["items"][0]["id"]
    ended = cli("attach", contact, "--where", OPEN, "--yes", "--json")
    assert ended.code == 0, ended.err
    attached = ended.json["success"]
    assert attached >= 20
    done(cli, ["detach", contact, "--failed-of", "last"], None, code=2)
    assert cli("detach", contact, "--where", OPEN, "--yes", "--json").json["success"] >= attached


def test_contacts_join_a_company_and_leave_it(cli: Cli, sandbox: Sandbox) -> None:
    company = cli("query", "sample", "name!=x", "--on", "companies", "-n", "1", "--json").json["items"][0]["id"]
    done(cli, ["contacts", "attach-company", company, "--all"], 12)
    done(cli, ["contacts", "detach-company", company, "--all"], 12)


def test_archived_contacts_are_brought_back_by_their_ids(cli: Cli, tmp_path: Path) -> None:
    done(cli, ["contacts", "archive", "--all", "--report", "archived.csv"], 12)
    assert cli("runs", "report", "last", "all.csv").code == 0
    with (tmp_path / "archived.csv").open(newline="", encoding="utf-8-sig") as file:
        ids = [row["item_id"].removeprefix("'") for row in csv.DictReader(file)]
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    done(cli, ["contacts", "unarchive", "--ids", "ids.txt"], 12)


def test_steps_are_done_in_the_order_they_are_typed(cli: Cli, sandbox: Sandbox) -> None:
    done(cli, ["steps", "--note", "Before.", "--close", "--open", "--tag", "bug", "--where", OPEN], OPENED)
    assert {item["state"] for item in sandbox.items()} == {"open", "closed"}
    assert sum(item["state"] == "open" for item in sandbox.items()) == OPENED


def done(cli: Cli, words: list[str], count: int | None, *, code: int = 0) -> Any:
    """It is done to so many, without a question."""
    title = " ".join(words[:2]) if words[0] in RESOURCES else words[0]
    is_final = ["--irreversible"] if operation(title).irreversible else []
    ended = cli(*words, "--yes", *is_final, "--json")
    assert ended.code == code, ended.err
    if count is not None:
        assert ended.json["success"] == count, ended.out
    return ended
