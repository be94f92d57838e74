"""What each resource can be searched by: the names people use, Intercom's own, and what a search result shows.

Sources: the tables of the OpenAPI description 2.16 (conversations, contacts, tickets). Companies have no search there:
their fields are all judged from what a list shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeAlias

from intercom_bulk.errors import QueryError

__all__ = ["RESOURCES", "Field", "Kind", "find_field"]

Item: TypeAlias = Mapping[str, Any]
Read: TypeAlias = Callable[[Item], Any]


class Kind(StrEnum):
    """What a field holds. FREE: a custom attribute, whose type the value decides; WORDS: HTML, matched by words."""

    DATE = "date"
    NUMBER = "number"
    TEXT = "text"
    WORDS = "words"
    FLAG = "flag"
    ID = "id"
    IDS = "ids"
    FREE = "free"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a resource.

    `read` takes it from a search result; None: results do not show it, or not all of it. `searchable`: Intercom can
    filter by it. `lists`: with IN and NIN too. `nullable`: it may have no value. `names`: its ids have names of this
    kind. `zero`: 0 stands for no value as well as null. `whole_days`: Intercom compares calendar days.
    `as_number`: its ids are sent as numbers. `choices`: nothing else makes sense.
    """

    name: str
    kind: Kind
    read: Read | None = None
    aliases: tuple[str, ...] = ()
    searchable: bool = True
    lists: bool = True
    nullable: bool = True
    names: str | None = None
    zero: bool = False
    whole_days: bool = False
    as_number: bool = False
    choices: tuple[str, ...] = ()
    note: str | None = None


def _path(*pieces: str) -> Read:
    """Reads a nested value; "[]" stands for each member of a list."""

    def read(item: Item) -> Any:
        found: Any = item
        for place, piece in enumerate(pieces):
            if piece == "[]":
                rest = _path(*pieces[place + 1 :])
                return [rest(member) for member in found] if isinstance(found, list) else []
            found = found.get(piece) if isinstance(found, Mapping) else None
        return found

    return read


def _shown(kind: Kind, *names: str, **more: Any) -> list[Field]:
    """Fields that a result shows under the name that they are searched by."""
    return [Field(name, kind, _path(*name.split(".")), **more) for name in names]


def _dates(*names: str, **more: Any) -> list[Field]:
    return _shown(Kind.DATE, *names, **more)


def _sure(kind: Kind, name: str, *aliases: str, **more: Any) -> Field:
    """A field that every item has."""
    return Field(name, kind, _path(name), aliases, nullable=False, **more)


def _assignees(*, as_number: bool) -> list[Field]:
    team, admin = _path("team_assignee_id"), _path("admin_assignee_id")
    return [
        Field("team_assignee_id", Kind.ID, team, ("team",), names="team", zero=True, as_number=as_number),
        Field(
            "admin_assignee_id", Kind.ID, admin, ("admin", "assignee"), names="admin", zero=True, as_number=as_number
        ),
    ]


_CONTACT_IDS = Field("contact_ids", Kind.IDS, _path("contacts", "contacts", "[]", "id"), ("contact",))
_RATING = "conversation_rating"

_OPEN = "open:true selects snoozed conversations too; state:open selects only what is in the inbox."

_CONVERSATIONS = [
    _sure(Kind.ID, "id"),
    _sure(Kind.DATE, "created_at", "created"),
    _sure(Kind.DATE, "updated_at", "updated"),
    Field("waiting_since", Kind.DATE, _path("waiting_since"), ("waiting",)),
    Field("snoozed_until", Kind.DATE, _path("snoozed_until"), ("snoozed",)),
    Field("state", Kind.TEXT, _path("state"), choices=("open", "closed", "snoozed")),
    Field("open", Kind.FLAG, _path("open"), note=_OPEN),
    *_shown(Kind.FLAG, "read", "ai_agent_participated"),
    *_shown(Kind.TEXT, "priority"),
    *_assignees(as_number=True),
    Field("tag_ids", Kind.IDS, _path("tags", "tags", "[]", "id"), ("tag", "tags"), names="tag"),
    _CONTACT_IDS,
    Field("teammate_ids", Kind.IDS, _path("teammates", "teammates", "[]", "id"), ("teammate",), names="admin"),
    Field("channel_initiated", Kind.TEXT, None, ("channel",)),
    Field("source.body", Kind.WORDS, _path("source", "body"), ("body",)),
    Field("source.author.email", Kind.TEXT, _path("source", "author", "email"), ("author", "author_email", "email")),
    Field("source.author.name", Kind.TEXT, _path("source", "author", "name"), ("author_name",)),
    Field("source.author.type", Kind.TEXT, _path("source", "author", "type"), ("author_type",)),
    Field("source.author.id", Kind.TEXT, _path("source", "author", "id"), ("author_id",)),
    Field("source.type", Kind.TEXT, _path("source", "type"), ("source",)),
    *_shown(Kind.TEXT, "source.id", "source.delivered_as", "source.subject", "source.url"),
    *_dates("statistics.last_close_at", aliases=("closed_at",)),
    *_dates(
        "statistics.first_contact_reply_at", "statistics.first_assignment_at", "statistics.first_admin_reply_at",
        "statistics.first_close_at", "statistics.last_assignment_at", "statistics.last_assignment_admin_reply_at",
        "statistics.last_contact_reply_at", "statistics.last_admin_reply_at",
    ),
    *_shown(
        Kind.NUMBER, "statistics.time_to_assignment", "statistics.time_to_admin_reply",
        "statistics.time_to_first_close", "statistics.time_to_last_close", "statistics.median_time_to_reply",
        "statistics.count_reopens", "statistics.count_assignments", "statistics.count_conversation_parts",
    ),
    *_shown(Kind.TEXT, "statistics.last_closed_by_id", aliases=("closed_by",), names="admin"),
    Field(f"{_RATING}.score", Kind.NUMBER, _path(_RATING, "rating"), ("rating", "score")),
    Field(f"{_RATING}.remark", Kind.TEXT, _path(_RATING, "remark"), ("remark",)),
    Field(f"{_RATING}.requested_at", Kind.DATE, None),
    Field(f"{_RATING}.replied_at", Kind.DATE, None),
    Field(f"{_RATING}.contact_id", Kind.TEXT, _path(_RATING, "contact", "id")),
    *_shown(
        Kind.TEXT, "ai_agent.resolution_state", "ai_agent.last_answer_type", "ai_agent.rating_remark",
        "ai_agent.source_type", "ai_agent.source_title",
    ),
    *_shown(Kind.NUMBER, "ai_agent.rating"),
    Field("title", Kind.TEXT, _path("title"), searchable=False),
    Field("sla_applied.sla_status", Kind.TEXT, _path("sla_applied", "sla_status"), ("sla",), searchable=False),
    Field("company.id", Kind.TEXT, _path("company", "id"), ("company",), searchable=False),
]  # fmt: skip


def _domain(item: Item) -> str | None:
    email = item.get("email")
    return email.partition("@")[2] if isinstance(email, str) and email else None


_MOBILE = ("app_name", "app_version", "device", "os_version", "sdk_version")

_CONTACTS = [
    _sure(Kind.ID, "id"),
    _sure(Kind.DATE, "created_at", "created", whole_days=True),
    _sure(Kind.DATE, "updated_at", "updated", whole_days=True),
    Field("role", Kind.TEXT, _path("role"), choices=("user", "lead")),
    *_shown(Kind.TEXT, "name", "email", "phone", "formatted_phone", "external_id", "language_override"),
    *_shown(Kind.TEXT, "browser", "browser_language", "os", "location.country", "location.region", "location.city"),
    Field("avatar", Kind.TEXT, _path("avatar", "image_url")),
    Field("email_domain", Kind.TEXT, _domain, ("domain",)),
    Field("owner_id", Kind.ID, _path("owner_id"), ("owner",), names="admin"),
    Field("signed_up_at", Kind.DATE, _path("signed_up_at"), ("signed_up",), whole_days=True),
    Field("last_seen_at", Kind.DATE, _path("last_seen_at"), ("last_seen", "seen"), whole_days=True),
    *_dates(
        "last_contacted_at", "last_replied_at", "last_email_opened_at", "last_email_clicked_at", "ios_last_seen_at",
        "android_last_seen_at", whole_days=True,
    ),
    *_shown(Kind.FLAG, "marked_email_as_spam", "has_hard_bounced"),
    Field("unsubscribed_from_emails", Kind.FLAG, _path("unsubscribed_from_emails"), ("unsubscribed",)),
    *_shown(Kind.TEXT, *(f"ios_{name}" for name in _MOBILE), *(f"android_{name}" for name in _MOBILE)),
    # A contact shows at most ten of its tags, and none of its segments: only Intercom can tell.
    Field("segment_id", Kind.IDS, None, ("segment",), lists=False),
    Field("tag_id", Kind.IDS, None, ("tag", "tags", "tag_ids"), lists=False, names="tag"),
]  # fmt: skip

_CATEGORIES = {"customer": "request", "back-office": "task", "tracker": "tracker"}
"""What a ticket shows as its category, and what the search calls it (OpenAPI 2.16, tickets/search)."""


def _category(item: Item) -> str | None:
    shown = item.get("category")
    return _CATEGORIES.get(shown.casefold(), shown) if isinstance(shown, str) else None


_TICKET_STATES = ("submitted", "in_progress", "waiting_on_customer", "resolved")

_TICKETS = [
    _sure(Kind.ID, "id"),
    _sure(Kind.DATE, "created_at", "created"),
    _sure(Kind.DATE, "updated_at", "updated"),
    Field("snoozed_until", Kind.DATE, _path("snoozed_until"), ("snoozed",)),
    Field("open", Kind.FLAG, _path("open")),
    Field("title", Kind.TEXT, _path("ticket_attributes", "_default_title_")),
    Field("description", Kind.TEXT, _path("ticket_attributes", "_default_description_")),
    Field("category", Kind.TEXT, _category, choices=("request", "task", "tracker")),
    Field("ticket_type_id", Kind.TEXT, _path("ticket_type", "id"), ("ticket_type", "type"), names="ticket_type"),
    # The search has a `state`; whether it is an id or a category is said nowhere, and a wrong guess selects nothing.
    Field("state", Kind.TEXT, _path("ticket_state", "category"), choices=_TICKET_STATES, searchable=False),
    Field(
        "ticket_state_id",
        Kind.TEXT,
        _path("ticket_state", "id"),
        ("ticket_state",),
        searchable=False,
        names="ticket_state",
    ),
    _CONTACT_IDS,
    Field("teammate_ids", Kind.IDS, None, ("teammate",), names="admin"),
    *_assignees(as_number=False),
    Field("ticket_id", Kind.ID, _path("ticket_id"), ("number",), searchable=False),
]

_COMPANIES = [
    replace(field, searchable=False)
    for field in (
        _sure(Kind.ID, "id"),
        _sure(Kind.DATE, "created_at", "created"),
        _sure(Kind.DATE, "updated_at", "updated"),
        *_dates("last_request_at", "remote_created_at"),
        *_shown(Kind.TEXT, "company_id", "name", "industry", "website"),
        *_shown(Kind.NUMBER, "monthly_spend", "session_count", "user_count", "size"),
        Field("plan.name", Kind.TEXT, _path("plan", "name"), ("plan",)),
        Field("tag_ids", Kind.IDS, _path("tags", "tags", "[]", "id"), ("tag", "tags"), names="tag"),
        Field("segment_ids", Kind.IDS, _path("segments", "segments", "[]", "id"), ("segment",)),
    )
]


def _by_name(fields: list[Field]) -> Mapping[str, Field]:
    """Under every name: Intercom's own, the aliases, and the last piece of a dotted one where that is free."""
    table = {field.name: field for field in fields}
    table |= {alias: field for field in fields for alias in field.aliases}
    for field in fields:
        table.setdefault(field.name.rpartition(".")[2], field)
    return MappingProxyType(table)


RESOURCES: Mapping[str, Mapping[str, Field]] = {
    "conversations": _by_name(_CONVERSATIONS),
    "contacts": _by_name(_CONTACTS),
    "tickets": _by_name(_TICKETS),
    "companies": _by_name(_COMPANIES),
}
SEARCHABLE = frozenset({"conversations", "contacts", "tickets"})
_CUSTOM = ("custom.", "custom_attributes.", "attribute.", "ticket_attribute.", "ticket_attributes.")


def find_field(resource: str, name: str) -> Field:
    """The field of that name. Raises `QueryError` with the nearest names."""
    table = RESOURCES[resource]
    if name in table:
        return table[name]
    prefix = next((prefix for prefix in _CUSTOM if name.startswith(prefix) and name != prefix), None)
    if prefix is not None:
        return _attribute(resource, name.removeprefix(prefix))
    if resource == "tickets" and name in {"tag", "tags", "tag_ids"}:
        raise QueryError("Tickets cannot be searched by tag, nor do they show their tags: search by something else.")
    near = get_close_matches(name, table, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "a custom attribute is custom.<its name>."
    raise QueryError(f"Unknown field {name[:60]!r} of {resource}: {hint}")


def _attribute(resource: str, name: str) -> Field:
    if resource != "tickets":
        searchable, days = resource in SEARCHABLE, resource == "contacts"
        read = _path("custom_attributes", name)
        return Field(f"custom_attributes.{name}", Kind.FREE, read, searchable=searchable, whole_days=days)
    if name.isascii() and name.isdigit():
        return Field(f"ticket_attribute.{name}", Kind.FREE)  # by id, which the result does not show
    return Field(f"ticket_attributes.{name}", Kind.FREE, _path("ticket_attributes", name), searchable=False)
