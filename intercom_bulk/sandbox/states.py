"""What a digest covers of each thing: all that the API can change and an undo can bring back."""

from __future__ import annotations

from typing import Any

from intercom_bulk.sandbox.records import Company, Contact, Conversation, Record, Ticket

__all__ = ["state_of"]


def state_of(record: Record) -> dict[str, Any]:
    """The state of one thing as plain JSON; not its history, its counters and its times."""
    shared = {
        "id": str(record.id),
        "tags": sorted(mark.tag_id for mark in record.tags),
        "attributes": record.attributes,
    }
    match record:
        case Conversation():
            return {**shared, **_conversation(record)}
        case Contact():
            return {**shared, **_contact(record)}
        case Ticket():
            return {**shared, **_ticket(record)}
        case Company():
            return {**shared, "name": record.name, "plan": record.plan, "fields": record.fields}
    return shared


def _conversation(one: Conversation) -> dict[str, Any]:
    return {
        "state": one.state,
        "snoozed_until": one.snoozed_until,
        "admin": one.admin,
        "team": one.team,
        "title": one.title,
        "read": one.read,
        "contacts": sorted(one.contacts),
    }


def _contact(one: Contact) -> dict[str, Any]:
    return {
        "archived": one.archived,
        "blocked": one.blocked,
        "companies": sorted(one.companies),
        "email": one.email,
        "external_id": one.external_id,
        "fields": one.fields,
        "name": one.name,
        "owner_id": one.owner_id,
        "phone": one.phone,
        "role": one.role,
        "signed_up_at": one.signed_up_at,
        "subscriptions": sorted(one.subscriptions),
    }


def _ticket(one: Ticket) -> dict[str, Any]:
    return {
        "admin": one.admin,
        "team": one.team,
        "is_shared": one.is_shared,
        "open": one.open,
        "snoozed_until": one.snoozed_until,
        "state_id": one.state_id,
        "type_id": one.type_id,
    }
