"""What may be sent twice."""

from __future__ import annotations

from typing import Any

import pytest

from intercom_bulk.api.resend import is_read, is_resendable

PARTS = "conversations/1/parts"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "conversations/1", None),
        ("POST", "conversations/search", {}),
        ("POST", "companies/list", {}),
        ("PUT", "contacts/1", {"name": "x"}),
        ("DELETE", "conversations/1/tags/2", {"admin_id": "1"}),
        ("POST", PARTS, {"message_type": "close"}),
        ("POST", "/" + PARTS, {"message_type": "snoozed"}),
        ("POST", PARTS, {"message_type": "assignment"}),
        ("POST", "conversations/1/tags", {"id": "2"}),
        ("POST", "tags", {"name": "x", "users": []}),
        ("POST", "contacts/1/archive", None),
        ("POST", "conversations/1/customers", {"customer": {"intercom_user_id": "2"}}),
        ("POST", "conversations/redact", {"type": "source"}),
    ],
)
def test_setting_a_state_twice_is_harmless(method: str, path: str, body: dict[str, Any] | None) -> None:
    assert is_resendable(method, path, body)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "conversations/1/reply", {"message_type": "note", "body": "x"}),
        ("POST", PARTS, {"message_type": "close", "body": "Bye!"}),
        ("POST", PARTS, None),
        ("POST", "contacts/1/notes", {"body": "x"}),
        ("POST", "conversations/1/convert", {}),
        ("POST", "contacts", {}),
        ("POST", "tickets", {}),
    ],
)
def test_appending_twice_is_not(method: str, path: str, body: dict[str, Any] | None) -> None:
    assert not is_resendable(method, path, body)


def test_a_search_only_reads_though_it_is_a_post() -> None:
    assert is_read("POST", "contacts/search")
    assert not is_read("POST", PARTS)
