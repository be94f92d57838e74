"""What a support team does meanwhile, by plain HTTP, and updaters that the library does not ship."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from intercom_bulk import ConversationUpdater, Effect
from intercom_bulk.updaters.running.holdouts import of_an_assignment, of_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from intercom_bulk import Outcome
    from intercom_bulk.sandbox import Sandbox

__all__ = ["Assigner", "Desk", "Noter", "codes_of", "outcomes_of"]


class Desk:
    """Teammates and customers at work. Their writes count as effects too."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def call(self, method: str, path: str, **body: Any) -> None:
        headers = {"Authorization": f"Bearer {self._sandbox.token}"}
        requests.request(
            method, f"{self._sandbox.url}/{path}", headers=headers, json=body, timeout=10
        ).raise_for_status()

    def close(self, item_id: str) -> None:
        self.call("POST", f"conversations/{item_id}/parts", message_type="close", type="admin", admin_id="781")

    def snooze(self, item_id: str) -> None:
        part = {"message_type": "snoozed", "admin_id": "781", "snoozed_until": 4_000_000_000}
        self.call("POST", f"conversations/{item_id}/parts", **part)

    def assign(self, item_id: str, assignee: str) -> None:
        part = {"message_type": "assignment", "type": "admin", "admin_id": "781", "assignee_id": assignee}
        self.call("POST", f"conversations/{item_id}/parts", **part)

    def customer_writes(self, item_id: str) -> None:
        contact = next(iter(self._sandbox.workspace.contacts))
        reply = {"message_type": "comment", "type": "user", "intercom_user_id": contact, "body": "Hello?"}
        self.call("POST", f"conversations/{item_id}/reply", **reply)


class Assigner(ConversationUpdater):
    """Assigns conversations to one teammate."""

    def __init__(self, *arguments: Any, assignee: str, **connection: Any) -> None:
        super().__init__(*arguments, **connection)
        self.assignee = assignee

    def perform_action(self, item_id: str) -> dict[str, Any]:
        part = {"message_type": "assignment", "type": "admin", "admin_id": self.admin_id, "assignee_id": self.assignee}
        return self.request("POST", f"conversations/{item_id}/parts", json=part)

    def effect(self, item: dict[str, Any]) -> Effect:
        return Effect(
            {"admin_assignee_id": item.get("admin_assignee_id") or 0}, {"admin_assignee_id": int(self.assignee)}
        )

    def side_effects(self, item: dict[str, Any]) -> Iterable[str]:
        return [*super().side_effects(item), *of_an_assignment(item)]


class Noter(ConversationUpdater):
    """Writes an internal note. It has no `effect`: nothing can be compared but `updated_at`."""

    irreversible = "a note cannot be taken back."

    def perform_action(self, item_id: str, body: str = "Swept.") -> dict[str, Any]:
        note = {"message_type": "note", "type": "admin", "admin_id": self.admin_id, "body": body}
        return self.request("POST", f"conversations/{item_id}/reply", json=note)

    def side_effects(self, item: dict[str, Any]) -> Iterable[str]:
        return of_words(item, to_customer=False)


def outcomes_of(updater: ConversationUpdater, run_id: str) -> dict[str, Outcome]:
    """By item id, from the ledger."""
    ledger = updater.workspace.store.read(run_id)
    try:
        return {outcome.item_id: outcome for outcome in ledger.outcomes()}
    finally:
        ledger.close()


def codes_of(updater: ConversationUpdater, run_id: str) -> dict[str, str | None]:
    """Code by item id; None for what was done."""
    return {item_id: outcome.code for item_id, outcome in outcomes_of(updater, run_id).items()}
