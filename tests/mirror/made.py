"""Conversations as Intercom shows them (intercom-api.md 8), with what a test wants otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.mirror.keeping.documents import read_thread

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from intercom_bulk.mirror.keeping.deciding import Stored
    from intercom_bulk.mirror.keeping.writer import MirrorWriter

__all__ = ["T", "conversation", "kept", "part", "thread"]

T = 1_790_000_000
"""A moment: everything in a test is a little after it."""


def conversation(
    item_id: object = "1", *, created: int = T, updated: int | None = None, **fields: Any
) -> dict[str, Any]:
    """As a search shows it. `body`, `subject` are the first message's, `tags` names, `parts` the number counted."""
    body, subject = fields.pop("body", "<p>Hi</p>"), fields.pop("subject", "")
    tags, parts = fields.pop("tags", ()), fields.pop("parts", None)
    return {
        "type": "conversation",
        "id": item_id,
        "title": None,
        "created_at": created,
        "updated_at": created if updated is None else updated,
        "waiting_since": None,
        "snoozed_until": None,
        "open": True,
        "state": "open",
        "read": False,
        "priority": "none",
        "admin_assignee_id": 0,
        "team_assignee_id": 5017691,
        "source": {
            "type": "conversation",
            "id": "403918346",
            "delivered_as": "customer_initiated",
            "subject": subject,
            "body": body,
            "author": {"type": "user", "id": "c1", "name": "Joe", "email": "joe@example.com"},
        },
        "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": "c1", "external_id": "70"}]},
        "tags": {"type": "tag.list", "tags": [{"type": "tag", "id": f"t-{name}", "name": name} for name in tags]},
        "statistics": {"type": "conversation_statistics", "count_conversation_parts": parts},
        "custom_attributes": {},
        **fields,
    }


def part(
    part_id: object, body: str | None = None, *, at: int = T, kind: str = "comment", **fields: Any
) -> dict[str, Any]:
    return {
        "type": "conversation_part",
        "id": part_id,
        "part_type": kind,
        "body": body,
        "created_at": at,
        "updated_at": at,
        "author": {"id": "780", "type": "admin", "name": "Ann", "email": "ann@example.com"},
        "assigned_to": None,
        **fields,
    }


def thread(
    item_id: object = "1", *bodies: str, total: int | None = None, first: int = 1, **fields: Any
) -> dict[str, Any]:
    """As GET shows it: with parts of these bodies, numbered from `first`."""
    made = conversation(item_id, parts=fields.pop("parts", total if total is not None else len(bodies)), **fields)
    at = made["created_at"]
    parts = [part(f"{item_id}-{n}", body, at=at + n) for n, body in enumerate(bodies, start=first)]
    made["conversation_parts"] = {
        "type": "conversation_part.list",
        "conversation_parts": parts,
        "total_count": len(bodies) if total is None else total,
    }
    return made


def kept(writer: MirrorWriter, documents: Iterable[Mapping[str, Any]], *, seen_at: float) -> Stored:
    """Stored as every kind of sync stores what it reads, without one."""
    threads = [read_thread(document) for document in documents]
    with writer._atomic():
        return writer._store(threads, seen_at)
