"""Conversations and tickets as Intercom's JSON objects (API 2.16)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.sandbox.documents import contact_links, tags
from intercom_bulk.sandbox.population import TICKET_STATES, TICKET_TYPES, first_message

if TYPE_CHECKING:
    from intercom_bulk.sandbox.records import Conversation, Part, Ticket
    from intercom_bulk.sandbox.workspace import Workspace

__all__ = [
    "PART_CAP",
    "conversation",
    "full_conversation",
    "seeded_part_ids",
    "source_id",
    "ticket",
    "ticket_part",
    "ticket_state",
    "ticket_type",
]

PART_CAP = 500
_NO_LINKS: dict[str, Any] = {"type": "list", "data": [], "total_count": 0, "has_more": False}
_CHANNEL = {"initial": "messenger", "current": "messenger"}
_DELETED = "<p><i>This message was deleted</i></p>"
_NOBODY = {"type": "nobody_admin", "id": None}


def _assignee(workspace: Workspace, assignee: int, number: int) -> Any:
    if not assignee:
        return None if workspace.options.unassigned_null else 0
    share = workspace.options.string_assignees
    return str(assignee) if share and (number * 37 % 100) < share * 100 else assignee


def conversation(workspace: Workspace, one: Conversation) -> dict[str, Any]:
    """A conversation as search and list show it: without its parts."""
    author = one.contacts[0] if one.contacts else ""
    known = workspace.contacts.get(author)
    number = one.number
    return {
        "type": "conversation",
        "id": str(one.id),
        "title": one.title,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "waiting_since": one.waiting_since,
        "snoozed_until": one.snoozed_until,
        "open": one.state != "closed",
        "state": one.state,
        "read": one.read,
        "priority": one.priority,
        "admin_assignee_id": _assignee(workspace, one.admin, number),
        "team_assignee_id": _assignee(workspace, one.team, number),
        "source": {
            "type": "conversation",
            "id": source_id(one),
            "delivered_as": "customer_initiated",
            "subject": "",
            "body": _DELETED if source_id(one) in one.redacted else first_message(number),
            "author": {
                "type": "user",
                "id": author,
                "name": known.name if known else None,
                "email": known.email if known else None,
            },
            "attachments": [],
            "url": None,
            "redacted": source_id(one) in one.redacted,
        },
        "contacts": contact_links(workspace, one.contacts),
        "first_contact_reply": {"created_at": one.created_at, "type": "conversation", "url": None},
        "teammates": {
            "type": "admin.list",
            "teammates": [{"type": "admin", "id": str(one.admin)}] if one.admin else [],
        },
        "tags": tags(workspace, one),
        "sla_applied": None,
        "statistics": {
            "type": "conversation_statistics",
            "first_contact_reply_at": one.created_at,
            "last_contact_reply_at": one.last_contact_reply_at,
            "first_close_at": one.first_close_at,
            "last_close_at": one.last_close_at,
            "last_closed_by_id": one.closed_by,
            "count_reopens": one.reopens,
            "count_assignments": one.assignments,
            "count_conversation_parts": one.seeded_parts + len(one.parts),
        },
        "conversation_rating": None,
        "custom_attributes": one.attributes,
        "topics": {},
        "ticket": None if one.ticket is None else {"type": "ticket", "id": str(one.ticket)},
        "linked_objects": _NO_LINKS,
        "ai_agent": None,
        "ai_agent_participated": False,
        "company": None,
        "channel": _CHANNEL,
        "external_references": [],
    }


def source_id(one: Conversation) -> str:
    """The id of the first message."""
    return str(400_000_000 + one.number)


def seeded_part_ids(one: Conversation) -> list[str]:
    """The ids of the parts that it was made with."""
    return [f"{1_000_000 + one.number}{place:03d}" for place in range(one.seeded_parts)]


def full_conversation(workspace: Workspace, one: Conversation) -> dict[str, Any]:
    """A conversation with its newest parts, at most 500; `total_count` counts all."""
    document = conversation(workspace, one)
    own = one.parts[-PART_CAP:]
    seeded = min(one.seeded_parts, PART_CAP - len(own))
    first = one.seeded_parts - seeded
    parts = [_seeded_part(one, place) for place in range(first, one.seeded_parts)]
    parts += [_part(workspace, part) for part in own]
    document["conversation_parts"] = {
        "type": "conversation_part.list",
        "conversation_parts": parts,
        "total_count": one.seeded_parts + len(one.parts),
    }
    return document


def _seeded_part(one: Conversation, place: int) -> dict[str, Any]:
    author = one.contacts[0] if one.contacts else "0"
    part_id = f"{1_000_000 + one.number}{place:03d}"
    redacted = part_id in one.redacted
    document = _part_document(
        part_id=part_id,
        kind="comment",
        body=_DELETED if redacted else f"<p>Line {place + 1}</p>",
        at=one.created_at + 30 * (place + 1),
        author={"type": "user", "id": author, "name": None, "email": None},
        assigned_to=None,
        state="open",
    )
    document["redacted"] = redacted
    return document


def _part(workspace: Workspace, part: Part) -> dict[str, Any]:
    person: Any = workspace.admins.get(part.author_id) or workspace.contacts.get(part.author_id)
    assigned: dict[str, Any] | None = None
    if part.assigned_to is not None:
        assigned = {"type": part.assigned_to[0], "id": part.assigned_to[1]} if part.assigned_to[1] else _NOBODY
    document = _part_document(
        part_id=str(part.id),
        kind=part.kind,
        body=_as_html(part.body),
        at=part.at,
        author={
            "type": part.author_type,
            "id": part.author_id,
            "name": person.name if person else None,
            "email": person.email if person else None,
        },
        assigned_to=assigned,
        state=part.state,
    )
    document["redacted"] = part.redacted
    document["app_package_code"] = "sandbox-app" if part.ours else None
    return document


def _part_document(
    *,
    part_id: str,
    kind: str,
    body: str | None,
    at: int,
    author: dict[str, Any],
    assigned_to: dict[str, Any] | None,
    state: str,
) -> dict[str, Any]:
    return {
        "type": "conversation_part",
        "id": part_id,
        "part_type": kind,
        "body": body,
        "created_at": at,
        "updated_at": at,
        "notified_at": at,
        "assigned_to": assigned_to,
        "author": author,
        "attachments": [],
        "external_id": None,
        "redacted": False,
        "metadata": {},
        "email_message_metadata": None,
        "state": state,
        "tags": [],
        "event_details": None,
        "app_package_code": None,
    }


def _as_html(body: str | None) -> str | None:
    """Text comes back in a paragraph (OpenAPI 2.16, examples of notes and replies)."""
    return body if body is None or body.startswith("<") else f"<p>{body}</p>"


def ticket_state(state_id: str) -> dict[str, Any]:
    """A ticket state."""
    state = TICKET_STATES[state_id]
    return {
        "type": "ticket_state",
        "id": state_id,
        "category": state.category,
        "internal_label": state.label,
        "external_label": state.label,
    }


def ticket_type(workspace: Workspace, type_id: str) -> dict[str, Any]:
    """A ticket type."""
    name, category = next((name, category) for known, name, category in TICKET_TYPES if known == type_id)
    return {
        "type": "ticket_type",
        "id": type_id,
        "category": category,
        "name": name,
        "description": "",
        "icon": "🎟",
        "workspace_id": workspace.options.app_id,
        "archived": False,
        "created_at": workspace.population.now - 90 * 86_400,
        "updated_at": workspace.population.now - 90 * 86_400,
        "is_internal": category == "Back-office",
        "ticket_type_attributes": {"type": "list", "ticket_type_attributes": []},
        "ticket_states": {
            "type": "list",
            "data": [ticket_state(one.id) for one in TICKET_STATES.values() if type_id in one.types],
        },
    }


def ticket_part(workspace: Workspace, part: Part) -> dict[str, Any]:
    """One entry of a ticket's history."""
    document = _part(workspace, part)
    document["type"] = "ticket_part"
    document["ticket_state"] = TICKET_STATES[part.state].category if part.state in TICKET_STATES else "submitted"
    document["previous_ticket_state"] = None
    for name in ("notified_at", "email_message_metadata", "state", "tags", "event_details", "metadata"):
        del document[name]
    return document


def ticket(workspace: Workspace, one: Ticket) -> dict[str, Any]:
    """A ticket with its newest parts."""
    return {
        "type": "ticket",
        "id": str(one.id),
        "ticket_id": one.ticket_number,
        "category": next(category for known, _, category in TICKET_TYPES if known == one.type_id),
        "ticket_attributes": one.attributes,
        "ticket_state": ticket_state(one.state_id),
        "ticket_type": ticket_type(workspace, one.type_id),
        "contacts": contact_links(workspace, one.contacts),
        "admin_assignee_id": one.admin,
        "team_assignee_id": one.team,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "open": one.open,
        "snoozed_until": one.snoozed_until,
        "is_shared": one.is_shared,
        "linked_objects": _NO_LINKS,
        "ticket_parts": {
            "type": "ticket_part.list",
            "ticket_parts": [ticket_part(workspace, part) for part in one.parts[-PART_CAP:]],
            "total_count": len(one.parts),
        },
        "previous_ticket_state_id": None,
    }
