"""The steps that `Steps` is made of: `Steps(note("Swept."), tag("stale"), assign(team="Tier 2"), close())`."""

from __future__ import annotations

from types import EllipsisType
from typing import TYPE_CHECKING, Any

from intercom_bulk.updaters.composite import Step

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = [
    "assign",
    "close",
    "mark_read",
    "note",
    "open",
    "reply",
    "set_attributes",
    "set_title",
    "snooze",
    "tag",
    "untag",
]


def close(message: str | None = None) -> Step:
    """Close it; `message` goes to the customer."""
    return Step("intercom_bulk:ConversationCloser", {} if message is None else {"message": message}, "close")


def open() -> Step:
    """Open it: reopens a closed one, wakes a snoozed one."""
    return Step("intercom_bulk:StateChanger", {"state": "open"}, "open")


def snooze(until: datetime | int) -> Step:
    """Snooze it until then: an aware datetime, or epoch seconds."""
    return Step("intercom_bulk:StateChanger", {"state": "snoozed", "snoozed_until": until}, "snooze")


def assign(
    *,
    admin: str | int | EllipsisType | None = ...,
    team: str | int | EllipsisType | None = ...,
    reopen: bool = False,
) -> Step:
    """Assign it to a teammate, a team or both, by name or id; None unassigns. See `Assigner`."""
    given = {"admin": admin, "team": team}
    told = {name: one for name, one in given.items() if not isinstance(one, EllipsisType)}
    return Step("intercom_bulk:Assigner", {**told, "reopen": reopen}, "assign")


def tag(name: str | int) -> Step:
    """Put an existing tag on it, by name or id."""
    return Step("intercom_bulk:TagAssigner", {"tag": name}, "tag")


def untag(name: str | int) -> Step:
    """Take a tag off it, by name or id."""
    return Step("intercom_bulk:Untagger", {"tag": name}, "untag")


def note(body: str) -> Step:
    """Leave an internal note."""
    return Step("intercom_bulk:NoteAdder", {"body": body}, "note")


def reply(body: str, *, skip_notifications: bool = False) -> Step:
    """Write to the customer."""
    return Step("intercom_bulk:Replier", {"body": body, "skip_notifications": skip_notifications}, "reply")


def set_attributes(attributes: Mapping[str, Any]) -> Step:
    """Set custom attributes, which must exist."""
    return Step("intercom_bulk:CustomAttributeUpdater", {"attributes": dict(attributes)}, "set attributes")


def set_title(title: str | None) -> Step:
    """Give it a title; None takes it away."""
    return Step("intercom_bulk:TitleSetter", {"title": title}, "set title")


def mark_read(*, read: bool = True) -> Step:
    """Mark it as read, or as unread."""
    return Step("intercom_bulk:ReadMarker", {"read": read}, "mark read")
