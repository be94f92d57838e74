"""The things a workspace holds. Compact, so that 200,000 conversations fit into modest memory.

Tags, attributes and links are tuples or dicts that are replaced, never changed in place: a shallow copy of a record
is therefore a true picture of it at one moment, which is what a lagging search index needs.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

__all__ = ["Admin", "Company", "Contact", "Conversation", "Part", "Record", "TagMark", "Ticket", "TicketState"]


class TagMark(NamedTuple):
    """A tag on an item."""

    tag_id: str
    at: int
    by: str


class Part(NamedTuple):
    """One entry of a conversation's or ticket's history."""

    id: int
    kind: str
    at: int
    author_type: str
    author_id: str
    body: str | None
    assigned_to: tuple[str, str | None] | None
    state: str
    redacted: bool = False
    ours: bool = True


class Admin(NamedTuple):
    """A teammate."""

    id: str
    name: str
    email: str
    team_ids: tuple[int, ...]


class TicketState(NamedTuple):
    """`types`: the ids of the ticket types that have it."""

    id: str
    category: str
    label: str
    types: tuple[str, ...]


class Record:
    """What every searchable thing has. `effects` counts what the API did to it."""

    __slots__ = ("attributes", "created_at", "effects", "id", "number", "tags", "updated_at")

    id: Any
    number: int
    created_at: int
    updated_at: int
    tags: tuple[TagMark, ...]
    attributes: dict[str, Any]
    effects: int

    def snapshot(self) -> Self:
        """The record as it is now; later changes do not reach it."""
        twin = object.__new__(type(self))
        for owner in type(self).__mro__:
            for name in getattr(owner, "__slots__", ()):
                setattr(twin, name, getattr(self, name))
        return twin

    def has_tag(self, tag_id: str) -> bool:
        """Whether the tag is on it."""
        return any(mark.tag_id == tag_id for mark in self.tags)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id})"


class Conversation(Record):
    """`id` is an int inside and a string outside; assignees are 0 where there is none.

    `redacted`: ids of the first message and of seeded parts. `ticket`: what it was converted into.
    """

    __slots__ = (
        "admin",
        "assignments",
        "closed_by",
        "company",
        "contacts",
        "first_close_at",
        "last_close_at",
        "parts",
        "priority",
        "read",
        "redacted",
        "reopens",
        "seeded_parts",
        "snoozed_until",
        "state",
        "team",
        "ticket",
        "title",
        "waiting_since",
    )

    admin: int
    team: int
    assignments: int
    reopens: int
    closed_by: str | None
    company: str | None
    contacts: tuple[str, ...]
    first_close_at: int | None
    last_close_at: int | None
    parts: tuple[Part, ...]
    seeded_parts: int
    priority: str
    read: bool
    redacted: frozenset[str]
    ticket: int | None
    snoozed_until: int | None
    state: str
    title: str | None
    waiting_since: int | None

    @property
    def last_contact_reply_at(self) -> int:
        """The seeded parts are the customer's, half a minute apart."""
        replies = (part.at for part in reversed(self.parts) if part.author_type == "user")
        return next(replies, self.created_at + 30 * self.seeded_parts)


class Contact(Record):
    """A user or a lead. `id` is a 24-digit hexadecimal string."""

    __slots__ = (
        "archived",
        "blocked",
        "companies",
        "email",
        "external_id",
        "fields",
        "merged_into",
        "name",
        "notes",
        "owner_id",
        "phone",
        "role",
        "signed_up_at",
        "subscriptions",
    )

    archived: bool
    blocked: bool
    companies: tuple[str, ...]
    email: str | None
    external_id: str | None
    fields: dict[str, Any]
    merged_into: str | None
    name: str | None
    notes: tuple[tuple[int, int, str, str], ...]
    owner_id: str | None
    phone: str | None
    role: str
    signed_up_at: int | None
    subscriptions: tuple[str, ...]


class Company(Record):
    """A company; `company_id` is the customer's own id of it and never changes."""

    __slots__ = ("company_id", "fields", "last_request_at", "name", "notes", "plan", "user_count")

    company_id: str
    fields: dict[str, Any]
    last_request_at: int | None
    name: str
    notes: tuple[tuple[int, int, str, str], ...]
    plan: str | None
    user_count: int


class Ticket(Record):
    """`id` is the API's id, `ticket_number` the number that people see."""

    __slots__ = (
        "admin",
        "contacts",
        "is_shared",
        "open",
        "parts",
        "snoozed_until",
        "state_id",
        "team",
        "ticket_number",
        "type_id",
    )

    admin: int
    contacts: tuple[str, ...]
    is_shared: bool
    open: bool
    parts: tuple[Part, ...]
    snoozed_until: int | None
    state_id: str
    team: int
    ticket_number: str
    type_id: str
