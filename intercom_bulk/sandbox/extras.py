"""Handlers of the rarer calls of /conversations: list, delete, redact, convert, participants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intercom_bulk.sandbox import threads
from intercom_bulk.sandbox.answers import Answer, Call, Problem, ok
from intercom_bulk.sandbox.population import TICKET_TYPES
from intercom_bulk.sandbox.searching import list_by_cursor

if TYPE_CHECKING:
    from intercom_bulk.sandbox.workspace import Workspace

__all__ = [
    "attach_contact",
    "convert",
    "delete_conversation",
    "detach_contact",
    "list_conversations",
    "list_deleted",
    "redact",
]


def list_conversations(workspace: Workspace, call: Call) -> Answer:
    """GET /conversations."""
    return list_by_cursor(workspace, call, "conversations", 20)


def delete_conversation(workspace: Workspace, call: Call) -> Answer:
    """DELETE /conversations/{id}."""
    one = workspace.conversation(call.ids[0])
    workspace.remove(one, call.now)
    workspace.deleted.append((str(one.id), int(call.now), call.query.get("retain_metrics", "true") == "true"))
    return ok({"id": str(one.id), "object": "conversation", "deleted": True})


def list_deleted(workspace: Workspace, call: Call) -> Answer:
    """GET /conversations/deleted: newest first, `next` is a URL."""
    page, size = call.page_number(20, 60)
    order = call.query.get("order", "desc")
    listed = workspace.deleted if order == "asc" else workspace.deleted[::-1]
    pages: dict[str, object] = {
        "type": "pages",
        "page": page,
        "per_page": size,
        "total_pages": -(-len(listed) // size),
    }
    if page * size < len(listed):
        query = f"per_page={size}&order={order}&page={page + 1}"
        pages["next"] = f"https://api.intercom.io/conversations/deleted?{query}"
    shown = [
        {"type": "conversation", "id": one, "metrics_retained": kept, "deleted_at": at}
        for one, at, kept in listed[(page - 1) * size : page * size]
    ]
    return ok({"type": "conversations.list", "total_count": len(listed), "pages": pages, "conversations": shown})


def redact(workspace: Workspace, call: Call) -> Answer:
    """POST /conversations/redact: blank one part, or the first message, for good."""
    one, kind = workspace.conversation(call.text("conversation_id")), call.text("type")
    if kind not in ("source", "conversation_part"):
        raise Problem(400, "parameter_invalid", f"type '{kind}' is not valid", field="type")
    part_id = call.text("source_id" if kind == "source" else "conversation_part_id")
    if part_id in ([threads.source_id(one)] if kind == "source" else threads.seeded_part_ids(one)):
        workspace.changing(one, call.now)
        workspace.effect(one)
        one.redacted |= {part_id}
        return ok(threads.full_conversation(workspace, one))
    places = [place for place, part in enumerate(one.parts) if str(part.id) == part_id]
    if places and one.parts[places[0]].body is None:
        raise Problem(400, "conversation_part_not_redactable", "Conversation part is not redactable")
    if not places:
        message = "Conversation part or message not found"
        raise Problem(404, "conversation_part_or_message_not_found", message)
    workspace.changing(one, call.now)
    workspace.effect(one)
    parts = list(one.parts)
    parts[places[0]] = parts[places[0]]._replace(redacted=True, body="<p><i>This message was deleted</i></p>")
    one.parts = tuple(parts)
    return ok(threads.full_conversation(workspace, one))


def convert(workspace: Workspace, call: Call) -> Answer:
    """POST /conversations/{id}/convert: only to customer ticket types."""
    one, type_id = workspace.conversation(call.ids[0]), call.text("ticket_type_id")
    if (type_id, "Customer") not in [(known, category) for known, _, category in TICKET_TYPES]:
        raise Problem(400, "parameter_invalid", "Ticket type is not a customer ticket type")
    workspace.changing(one, call.now)
    workspace.effect(one)
    made = workspace.population.ticket(len(workspace.tickets) + 1, int(call.now), list(one.contacts))
    made.type_id = type_id
    made.attributes = {**made.attributes, **(call.json.get("attributes") or {})}
    workspace.changing(made, call.now, created=True)
    one.ticket = made.id
    workspace.tickets[made.id] = made
    return ok(threads.ticket(workspace, made))


def attach_contact(workspace: Workspace, call: Call) -> Answer:
    """POST /conversations/{id}/customers."""
    one = workspace.conversation(call.ids[0])
    workspace.admin(call.text("admin_id"))
    customer = call.json.get("customer")
    if not isinstance(customer, dict) or "intercom_user_id" not in customer:
        raise Problem(400, "parameter_not_found", "customer is a required parameter", field="customer")
    contact = workspace.contact(str(customer["intercom_user_id"]))
    workspace.changing(one, call.now)
    workspace.effect(one)
    if contact.id not in one.contacts:
        one.contacts = (*one.contacts, contact.id)
    return ok(threads.full_conversation(workspace, one))


def detach_contact(workspace: Workspace, call: Call) -> Answer:
    """DELETE /conversations/{id}/customers/{contact}, with `admin_id` in a JSON body."""
    one = workspace.conversation(call.ids[0])
    workspace.admin(call.text("admin_id"))
    if call.ids[1] not in one.contacts:
        raise Problem(404, "not_found", "User Not Found")
    if len(one.contacts) == 1:
        raise Problem(422, "parameter_invalid", "Removing the last customer is not allowed")
    workspace.changing(one, call.now)
    workspace.effect(one)
    one.contacts = tuple(known for known in one.contacts if known != call.ids[1])
    return ok(threads.full_conversation(workspace, one))
