"""What an item says of its customer, and which items a run leaves alone because of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.errors import LeftAlone, UsageError
from intercom_bulk.updaters.collections import collection_of
from intercom_bulk.updaters.threads import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from intercom_bulk.runs.exclude import Exclude
    from intercom_bulk.updaters.base import IntercomBulkUpdater

__all__ = [
    "CUSTOMERS",
    "TO_CUSTOMER",
    "check_sight",
    "customer_wrote_at",
    "leave_alone",
    "name_of",
    "of_an_assignment",
    "of_recent_words",
    "of_words",
    "overrides",
]

TO_CUSTOMER = "The text goes to the customer."
CUSTOMERS = frozenset({"user", "lead", "contact"})
SLA_OVER = frozenset({None, "hit", "cancelled"})
"""OpenAPI 2.16, `sla_applied`: "missed" is only said at a teammate's next reply, so a missed one still matters."""


def customer_wrote_at(item: Mapping[str, Any]) -> int | None:
    """When the customer last wrote (epoch seconds); None where the item does not tell.

    `waiting_since` and the first message count too: `statistics` may be missing.
    """
    source = item.get("source") or {}
    told = [(item.get("statistics") or {}).get("last_contact_reply_at"), item.get("waiting_since")]
    if ((source.get("author") or {}).get("type")) in CUSTOMERS:
        told.append(item.get("created_at"))
    return max((at for at in told if isinstance(at, int)), default=None)


def name_of(item: Mapping[str, Any]) -> str | None:
    """What people know an item by: its title, subject, first words, name or address; None where it tells none."""
    source, attributes = item.get("source") or {}, item.get("ticket_attributes") or {}
    told = (
        item.get("title"),
        attributes.get("_default_title_"),
        source.get("subject"),
        source.get("body"),
        item.get("name"),
        item.get("email"),
    )
    said = (plain_text(words) for words in told if isinstance(words, str))
    return next((words for words in said if words), None)


def leave_alone(updater: IntercomBulkUpdater, exclude: Exclude | None, item: dict[str, Any]) -> None:
    """Raises `LeftAlone` ("filtered" or "held_out") for an item that this run is not to touch."""
    if not updater.should_process(item):
        raise LeftAlone("should_process() said no.", code="filtered")
    reason = _held_out(exclude, item, updater.workspace.now()) if exclude is not None else None
    if reason is not None:
        raise LeftAlone(reason, code="held_out")


def _held_out(exclude: Exclude, item: Mapping[str, Any], now: float) -> str | None:
    if exclude.seconds is not None:
        wrote_at = customer_wrote_at(item)
        if wrote_at is not None and now - wrote_at <= exclude.seconds:
            return f"The customer wrote in the last {_span(exclude.seconds)}."
    if exclude.priority and item.get("priority") == "priority":
        return "It is marked as priority."
    if exclude.sla and (item.get("sla_applied") or {}).get("sla_status") not in SLA_OVER:
        return "An SLA runs on it, or was missed."
    return None


def overrides(updater: IntercomBulkUpdater, name: str) -> bool:
    """Whether the updater's class has a method of its own in place of the base's."""
    owner = next(kind for kind in type(updater).__mro__ if name in vars(kind))
    return owner.__module__ != "intercom_bulk.updaters.base"


def check_sight(updater: IntercomBulkUpdater, exclude: Exclude | None, *, sees: bool = False) -> None:
    """Raises `UsageError` where a filter or a hold-out could not be applied: a guard that is off must not look on.

    `sees`: the items are looked up, whatever the search would yield.
    """
    filters = overrides(updater, "should_process")
    if not sees and overrides(updater, "search_items") and (filters or exclude is not None):
        wish = "should_process()" if filters else "exclude="
        raise UsageError(
            f"{wish} needs the items that a search finds, and search_items() of {type(updater).__name__} yields only"
            " ids: filter there instead."
        )
    found = collection_of(updater)
    if exclude is not None and found != "conversations":
        raise UsageError(f"exclude= is for conversations, and {type(updater).__name__} searches {found}.")


def of_recent_words(item: Mapping[str, Any], now: float) -> Iterable[str]:
    """Whoever wrote just now is still there."""
    wrote_at = customer_wrote_at(item)
    if wrote_at is not None and now - wrote_at <= 3600:
        yield "The customer wrote in the last hour."


def of_an_assignment(item: Mapping[str, Any]) -> Iterable[str]:
    """What assigning causes beside (OpenAPI 2.16: part type `assign_and_reopen`)."""
    if item.get("state") == "closed":
        yield "It is closed: assigning reopens it, and closing it later counts as another closure."


def of_words(item: Mapping[str, Any], *, to_customer: bool) -> Iterable[str]:
    """What a body, a comment (`to_customer`) or an internal note causes beside."""
    if to_customer:
        yield TO_CUSTOMER
    if item.get("state") == "snoozed":
        yield "It is snoozed: this wakes it."


def _span(seconds: float) -> str:
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return name if count == 1 else f"{count} {name}s"
    return f"{seconds:g} seconds"
