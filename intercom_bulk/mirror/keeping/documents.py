"""Intercom's JSON as rows. Pure, and never particular: what is missing, null or of another type is taken as it comes.

Ids are text whether they came as numbers or as text; 0 and null both mean "nobody"; `priority` of 2.15 and before is
told in the words of 2.16. The text of a body is what its reader sees.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from intercom_bulk.mirror.keeping.fields import id_of, json_of, list_of, needed_id, number_of, object_of, text_of
from intercom_bulk.mirror.keeping.packing import pack
from intercom_bulk.mirror.keeping.plain import plain_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "PART_CAP",
    "ContactRow",
    "ConversationRow",
    "PartRow",
    "Thread",
    "columns",
    "contacts_of",
    "read_contact",
    "read_thread",
    "read_version",
    "values",
]

PART_CAP = 500
"""Intercom shows the newest parts only, so many (OpenAPI 2.16, GET /conversations/{id})."""
_PRIORITIES = {"priority": "high", "not_priority": "none"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationRow:
    """The columns of table `conversation` that come from Intercom; see schema.py for what they mean."""

    id: str
    created_at: int
    updated_at: int
    state: str
    open: bool
    read: bool
    priority: str
    title: str | None
    subject: str
    body: str
    delivered_as: str | None
    channel: str | None
    author_type: str | None
    author_id: str | None
    author_name: str | None
    author_email: str | None
    admin_assignee_id: str | None
    team_assignee_id: str | None
    company_id: str | None
    waiting_since: int | None
    snoozed_until: int | None
    first_contact_reply_at: int | None
    first_admin_reply_at: int | None
    last_contact_reply_at: int | None
    last_admin_reply_at: int | None
    first_close_at: int | None
    last_close_at: int | None
    last_closed_by_id: str | None
    reopens: int
    assignments: int
    rating: int | None
    parts_expected: int | None
    custom_attributes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRow:
    """The columns of table `part` that come from Intercom."""

    id: str
    position: int
    part_type: str
    body: str
    created_at: int
    updated_at: int | None
    author_type: str | None
    author_id: str | None
    author_name: str | None
    author_email: str | None
    assigned_to_type: str | None
    assigned_to_id: str | None
    state: str | None
    redacted: bool
    app_package_code: str | None
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactRow:
    """The columns of table `contact`."""

    id: str
    external_id: str | None
    role: str | None
    name: str | None
    email: str | None
    phone: str | None
    owner_id: str | None
    created_at: int | None
    updated_at: int
    last_seen_at: int | None
    last_replied_at: int | None
    custom_attributes: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation as it was read: `parts` is None where only its row was. `total_parts` is what Intercom counts."""

    row: ConversationRow
    raw: bytes
    tags: Sequence[tuple[str, str | None, int | None, str | None]]
    contacts: Sequence[tuple[str, str | None]]
    parts: Sequence[PartRow] | None
    total_parts: int


def read_thread(document: Mapping[str, Any]) -> Thread:
    """A conversation as search, list or GET showed it. Raises ValueError for what has no id."""
    row = _conversation(document)
    given = document.get("conversation_parts")
    bare = {name: value for name, value in document.items() if name != "conversation_parts"}
    parts, total = (None, 0) if not isinstance(given, dict) else _parts(given, row.parts_expected or 0)
    return Thread(row, pack(bare), _tags(document), _contacts(document), parts, total)


def contacts_of(document: Mapping[str, Any]) -> dict[str, int]:
    """The contacts of a conversation, and when one of them wrote last; 0: never."""
    wrote_at = number_of(object_of(document, "statistics"), "last_contact_reply_at") or 0
    return {contact_id: wrote_at for contact_id, _ in _contacts(document)}


def read_version(document: Mapping[str, Any]) -> tuple[str, int, int | None]:
    """Id, `updated_at`, and how many parts its statistics count. Raises ValueError for what has no id."""
    updated_at = number_of(document, "updated_at") or number_of(document, "created_at") or 0
    return needed_id(document), updated_at, number_of(object_of(document, "statistics"), "count_conversation_parts")


def columns(kind: type[ConversationRow | PartRow | ContactRow]) -> tuple[str, ...]:
    """The names of a row's columns, in the order of `values`."""
    return tuple(field.name for field in fields(kind))


def values(row: ConversationRow | PartRow | ContactRow) -> tuple[Any, ...]:
    """A row as parameters of a statement."""
    return tuple(getattr(row, name) for name in row.__slots__)


def _conversation(document: Mapping[str, Any]) -> ConversationRow:
    source, statistics = object_of(document, "source"), object_of(document, "statistics")
    author, rating = object_of(source, "author"), object_of(document, "conversation_rating")
    created = number_of(document, "created_at") or 0
    state = text_of(document.get("state")) or ("open" if document.get("open") else "closed")
    priority = text_of(document.get("priority")) or "none"
    return ConversationRow(
        id=needed_id(document),
        created_at=created,
        updated_at=number_of(document, "updated_at") or created,
        state=state,
        open=bool(document.get("open", state != "closed")),
        read=bool(document.get("read")),
        priority=_PRIORITIES.get(priority, priority),
        title=text_of(document.get("title")),
        subject=plain_text(text_of(source.get("subject"))),
        body=plain_text(text_of(source.get("body"))),
        delivered_as=text_of(source.get("delivered_as")),
        channel=text_of(object_of(document, "channel").get("current")) or text_of(source.get("type")),
        author_type=text_of(author.get("type")),
        author_id=id_of(author.get("id")),
        author_name=text_of(author.get("name")),
        author_email=text_of(author.get("email")),
        admin_assignee_id=id_of(document.get("admin_assignee_id")),
        team_assignee_id=id_of(document.get("team_assignee_id")),
        company_id=id_of(object_of(document, "company").get("id")) or id_of(document.get("company_id")),
        waiting_since=number_of(document, "waiting_since"),
        snoozed_until=number_of(document, "snoozed_until"),
        first_contact_reply_at=number_of(object_of(document, "first_contact_reply"), "created_at"),
        first_admin_reply_at=number_of(statistics, "first_admin_reply_at"),
        last_contact_reply_at=number_of(statistics, "last_contact_reply_at"),
        last_admin_reply_at=number_of(statistics, "last_admin_reply_at"),
        first_close_at=number_of(statistics, "first_close_at"),
        last_close_at=number_of(statistics, "last_close_at"),
        last_closed_by_id=id_of(statistics.get("last_closed_by_id")),
        reopens=number_of(statistics, "count_reopens") or 0,
        assignments=number_of(statistics, "count_assignments") or 0,
        rating=number_of(rating, "rating"),
        parts_expected=number_of(statistics, "count_conversation_parts"),
        custom_attributes=json_of(object_of(document, "custom_attributes")),
    )


def _parts(given: Mapping[str, Any], expected: int) -> tuple[list[PartRow], int]:
    """Positions count from the thread's beginning, of which Intercom may show the end only: then its statistics, too,
    are asked how many there are.
    """
    listed = [part for part in list_of(given, "conversation_parts") if id_of(part.get("id"))]
    total = max(number_of(given, "total_count") or 0, len(listed), expected if len(listed) >= PART_CAP else 0)
    first = total - len(listed)
    return [_part(part, first + place) for place, part in enumerate(listed, start=1)], total


def _part(part: Mapping[str, Any], position: int) -> PartRow:
    author, assigned = object_of(part, "author"), object_of(part, "assigned_to")
    return PartRow(
        id=needed_id(part),
        position=position,
        part_type=text_of(part.get("part_type")) or "",
        body=plain_text(text_of(part.get("body"))),
        created_at=number_of(part, "created_at") or 0,
        updated_at=number_of(part, "updated_at"),
        author_type=text_of(author.get("type")),
        author_id=id_of(author.get("id")),
        author_name=text_of(author.get("name")),
        author_email=text_of(author.get("email")),
        assigned_to_type=text_of(assigned.get("type")),
        assigned_to_id=id_of(assigned.get("id")),
        state=text_of(part.get("state")),
        redacted=bool(part.get("redacted")),
        app_package_code=text_of(part.get("app_package_code")),
        raw=pack(part),
    )


def read_contact(document: Mapping[str, Any]) -> ContactRow:
    """A contact as search, list or GET showed it. Raises ValueError for what has no id."""
    return ContactRow(
        id=needed_id(document),
        external_id=id_of(document.get("external_id")),
        role=text_of(document.get("role")),
        name=text_of(document.get("name")),
        email=text_of(document.get("email")),
        phone=text_of(document.get("phone")),
        owner_id=id_of(document.get("owner_id")),
        created_at=number_of(document, "created_at"),
        updated_at=number_of(document, "updated_at") or 0,
        last_seen_at=number_of(document, "last_seen_at"),
        last_replied_at=number_of(document, "last_replied_at"),
        custom_attributes=json_of(object_of(document, "custom_attributes")),
        raw=pack(document),
    )


def _tags(document: Mapping[str, Any]) -> list[tuple[str, str | None, int | None, str | None]]:
    """Id, name, when it was put on, by whom."""
    found = {
        tag_id: (
            tag_id,
            text_of(tag.get("name")),
            number_of(tag, "applied_at"),
            id_of(object_of(tag, "applied_by").get("id")),
        )
        for tag in list_of(object_of(document, "tags"), "tags")
        if (tag_id := id_of(tag.get("id")))
    }
    return [found[tag_id] for tag_id in sorted(found)]


def _contacts(document: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    found = {
        contact_id: (contact_id, id_of(contact.get("external_id")))
        for contact in list_of(object_of(document, "contacts"), "contacts")
        if (contact_id := id_of(contact.get("id")))
    }
    return [found[contact_id] for contact_id in sorted(found)]
