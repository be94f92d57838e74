"""Which fields each resource can be searched by, and what they hold."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from intercom_bulk.sandbox.population import TICKET_TYPES, first_message
from intercom_bulk.sandbox.records import Company, Contact, Conversation, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FIELDS", "Field", "find_field"]


class Field(NamedTuple):
    """`kind` is int, date, str, words (HTML, matched by words), bool or ids (of which one has to match)."""

    kind: str
    get: Callable[[Any], Any]


def _nothing(_: Any) -> None:
    return None


def _marks(record: Any) -> tuple[str, ...]:
    return tuple(mark.tag_id for mark in record.tags)


def _is_open(record: Conversation) -> bool:
    return record.state != "closed"


def _teammates(record: Conversation | Ticket) -> tuple[str, ...]:
    return (str(record.admin),) if record.admin else ()


def _first_contact(record: Conversation) -> str | None:
    return record.contacts[0] if record.contacts else None


def _part_count(record: Conversation) -> int:
    return record.seeded_parts + len(record.parts)


def _domain(record: Contact) -> str | None:
    return record.email.partition("@")[2] if record.email else None


def _body(record: Conversation) -> str:
    return first_message(record.number)


def _category(record: Ticket) -> str:
    """The search has words of its own for the categories (OpenAPI 2.16, tickets/search)."""
    shown = next(category for known, _, category in TICKET_TYPES if known == record.type_id)
    return {"Customer": "request", "Back-office": "task", "Tracker": "tracker"}[shown]


def _flag(name: str) -> Callable[[Any], bool]:
    return lambda record: bool(record.fields.get(name))


def _constant(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def _attribute(name: str) -> Callable[[Any], Any]:
    return lambda record: record.attributes.get(name)


def _extra(name: str) -> Callable[[Any], Any]:
    return lambda record: record.fields.get(name)


def _simple(kind: str, *names: str) -> dict[str, Field]:
    return {name: Field(kind, attrgetter(name)) for name in names}


def _empty(kind: str, *names: str) -> dict[str, Field]:
    return {name: Field(kind, _nothing) for name in names}


_STATISTICS = [
    "time_to_assignment",
    "time_to_admin_reply",
    "time_to_first_close",
    "time_to_last_close",
    "median_time_to_reply",
    "first_assignment_at",
    "first_admin_reply_at",
    "last_assignment_at",
    "last_assignment_admin_reply_at",
    "last_admin_reply_at",
]
_RATING = ["requested_at", "replied_at", "score"]
_AI = ["resolution_state", "last_answer_type", "rating_remark", "source_type", "source_title"]

CONVERSATION: dict[str, Field] = {
    **_simple("int", "id"),
    **_simple("date", "created_at", "updated_at", "waiting_since", "snoozed_until"),
    **_simple("str", "state", "priority", "title"),
    **_simple("bool", "read"),
    "open": Field("bool", _is_open),
    "admin_assignee_id": Field("int", attrgetter("admin")),
    "team_assignee_id": Field("int", attrgetter("team")),
    "tag_ids": Field("ids", _marks),
    "contact_ids": Field("ids", attrgetter("contacts")),
    "teammate_ids": Field("ids", _teammates),
    "source.type": Field("str", _constant("conversation")),
    "source.delivered_as": Field("str", _constant("customer_initiated")),
    "source.author.type": Field("str", _constant("user")),
    "source.author.id": Field("str", _first_contact),
    "channel_initiated": Field("str", _constant("messenger")),
    "ai_agent_participated": Field("bool", _constant(False)),  # noqa: FBT003
    "statistics.last_contact_reply_at": Field("date", attrgetter("last_contact_reply_at")),
    "statistics.first_close_at": Field("date", attrgetter("first_close_at")),
    "statistics.last_close_at": Field("date", attrgetter("last_close_at")),
    "statistics.last_closed_by_id": Field("str", attrgetter("closed_by")),
    "statistics.count_reopens": Field("int", attrgetter("reopens")),
    "statistics.count_assignments": Field("int", attrgetter("assignments")),
    "statistics.count_conversation_parts": Field("int", _part_count),
    "statistics.first_contact_reply_at": Field("date", attrgetter("created_at")),
    "source.body": Field("words", _body),
    "source.subject": Field("str", _constant("")),
    **_empty("str", "source.id", "source.url", "source.author.name"),
    **_empty("str", "source.author.email", "conversation_rating.remark", "conversation_rating.contact_id"),
    **_empty("str", "conversation_rating.admin_d", *(f"ai_agent.{name}" for name in _AI)),
    **_empty("int", "ai_agent.rating", *(f"conversation_rating.{name}" for name in _RATING)),
    **_empty("int", *(f"statistics.{name}" for name in _STATISTICS)),
}

_CONTACT_DATES = [
    "last_seen_at",
    "last_contacted_at",
    "last_replied_at",
    "last_email_opened_at",
    "last_email_clicked_at",
]
_CONTACT_TEXTS = ["avatar", "formatted_phone", "language_override", "browser", "browser_language", "os"]
_CONTACT_FLAGS = ["unsubscribed_from_emails", "marked_email_as_spam", "has_hard_bounced"]
_MOBILE_DATES = [f"{os}_last_seen_at" for os in ("ios", "android")]
_MOBILE_TEXTS = [f"{os}_{name}" for os in ("ios", "android") for name in ("app_version", "device", "os_version")]

CONTACT: dict[str, Field] = {
    **_simple("str", "id", "role", "name", "email", "phone", "external_id", "owner_id"),
    **_simple("date", "created_at", "updated_at", "signed_up_at"),
    "email_domain": Field("str", _domain),
    "tag_id": Field("ids", _marks),
    "segment_id": Field("ids", _constant(())),
    **{name: Field("date", _extra(name)) for name in (*_CONTACT_DATES, *_MOBILE_DATES)},
    **{name: Field("str", _extra(name)) for name in (*_CONTACT_TEXTS, *_MOBILE_TEXTS)},
    **{name: Field("bool", _flag(name)) for name in _CONTACT_FLAGS},
    **{f"location.{name}": Field("str", _extra(name)) for name in ("country", "region", "city")},
}

TICKET: dict[str, Field] = {
    **_simple("int", "id"),
    **_simple("date", "created_at", "updated_at", "snoozed_until"),
    **_simple("bool", "open"),
    "ticket_type_id": Field("str", attrgetter("type_id")),
    "title": Field("str", _attribute("_default_title_")),
    "description": Field("str", _attribute("_default_description_")),
    "category": Field("str", _category),
    "contact_ids": Field("ids", attrgetter("contacts")),
    "teammate_ids": Field("ids", _teammates),
    "admin_assignee_id": Field("int", attrgetter("admin")),
    "team_assignee_id": Field("int", attrgetter("team")),
    "state": Field("str", attrgetter("state_id")),
}

COMPANY: dict[str, Field] = {
    **_simple("str", "id", "name"),
    **_simple("date", "created_at", "updated_at", "last_request_at"),
}

FIELDS: dict[type, dict[str, Field]] = {
    Conversation: CONVERSATION,
    Contact: CONTACT,
    Ticket: TICKET,
    Company: COMPANY,
}

_ATTRIBUTE_KINDS = {
    "integer": "int",
    "float": "int",
    "decimal": "int",
    "boolean": "bool",
    "date": "date",
    "datetime": "date",
}


def find_field(record_type: type, name: str, attributes: dict[str, str]) -> Field | None:
    """The field of that name, or None. `attributes` are the workspace's custom attributes and their data types."""
    known = FIELDS[record_type].get(name)
    if known is not None:
        return known
    for prefix in ("custom_attributes.", "ticket_attribute."):
        attribute = name.removeprefix(prefix)
        if attribute != name and attribute in attributes:
            return Field(_ATTRIBUTE_KINDS.get(attributes[attribute], "str"), _attribute(attribute))
    return None
