"""Steps that the library does not ship: a note that nobody can take back, a bug, and one that outlasts its run."""

from __future__ import annotations

import threading
from typing import Any

from intercom_bulk import ConversationUpdater
from intercom_bulk.clock import stop_requested

__all__ = ["Broken", "Lasting", "Leaver"]


class Leaver(ConversationUpdater):
    """Leaves a note. It cannot tell from a search result whether it did."""

    def __init__(self, *, body: str, **connection: Any) -> None:
        super().__init__(**connection)
        self.body = body

    def perform_action(self, item_id: str) -> dict[str, Any]:
        note = {"message_type": "note", "type": "admin", "admin_id": self.admin_id, "body": self.body}
        return self.request("POST", f"conversations/{item_id}/reply", json=note)

    def already_done(self, item_id: str) -> bool:
        parts = self.request("GET", f"conversations/{item_id}")["conversation_parts"]["conversation_parts"]
        return any(part["part_type"] == "note" and part["body"] == self.body for part in parts)

    def as_left(self, item: dict[str, Any]) -> dict[str, Any]:
        """A note wakes a snoozed conversation (help centre: snoozes)."""
        return {**item, "state": "open", "snoozed_until": None} if item.get("state") == "snoozed" else item


class Broken(ConversationUpdater):
    """Fails on every third item."""

    idempotent = True

    def perform_action(self, item_id: str) -> dict[str, Any]:
        if int(item_id) % 3 == 0:
            raise ValueError("three")
        return self.request("GET", f"conversations/{item_id}")


class Lasting(ConversationUpdater):
    """Changes nothing. On all items but its first it lasts until the run is stopped, which is so in mid-way."""

    idempotent = True

    def __init__(self, **connection: Any) -> None:
        super().__init__(**connection)
        self._first = threading.Semaphore()

    def perform_action(self, item_id: str) -> dict[str, Any]:
        if not self._first.acquire(blocking=False):
            while not stop_requested():
                threading.Event().wait(0.01)
        return self.request("GET", f"conversations/{item_id}")
