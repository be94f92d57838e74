"""Conversations made into tickets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import segment
from intercom_bulk.errors import UsageError
from intercom_bulk.runs.model import Effect
from intercom_bulk.updaters.attributes import checked_finite
from intercom_bulk.updaters.conversations import ConversationUpdater

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TicketConverter"]

CUSTOMER = "Customer"


class TicketConverter(ConversationUpdater):
    """Turns conversations into tickets of a `ticket_type` (name or id) that customers can have.

    `attributes` are those of the ticket: `_default_title_`, `_default_description_`, or by the type's own names.
    Other categories than "Customer" are refused by Intercom (OpenAPI 2.16: 400). Sent once: whether a second request
    would make a second ticket is not said anywhere.
    """

    irreversible = "a ticket cannot be turned back into a conversation."
    appends = True

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, ticket_type: str | int,
        attributes: Mapping[str, Any] | None = None, **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        self.ticket_type = ticket_type
        self.attributes = checked_finite(attributes or {})

    def prepare(self) -> None:
        super().prepare()
        found = self.workspace.directory.entry("ticket_type", self.ticket_type)
        if found.get("archived"):
            raise UsageError(f"The ticket type {found.get('name')!r} is archived: choose another.")
        if found.get("category") not in {None, CUSTOMER}:
            raise UsageError(
                f"The ticket type {found.get('name')!r} is of the category {found.get('category')}, and conversations"
                " become tickets for customers only."
            )

    def perform_action(self, item_id: str) -> dict[str, Any]:
        body: dict[str, Any] = {"ticket_type_id": self.workspace.directory.resolve("ticket_type", self.ticket_type)}
        if self.attributes:
            body["attributes"] = self.attributes
        return self.request("POST", f"conversations/{segment(item_id)}/convert", json=body)

    def effect(self, item: dict[str, Any]) -> Effect:
        return Effect({"is_ticket": bool(item.get("ticket"))}, {"is_ticket": True})

    def already_done(self, item_id: str) -> bool | None:
        """`ticket` shows that it is one; where it is empty, nothing promises that it is none (2.16 has no schema)."""
        return bool(self.read_item(item_id).get("ticket")) or None
