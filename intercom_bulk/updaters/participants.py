"""Who takes part in a conversation: contacts put into it, and taken out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import segment
from intercom_bulk.errors import Gone, LeftAlone, Rejected, UnknownNameError
from intercom_bulk.runs.model import Effect
from intercom_bulk.updaters.conversations import ConversationUpdater

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ContactAttacher", "ContactDetacher"]


class ContactAttacher(ConversationUpdater):
    """Adds a contact, given by its Intercom id, to conversations; it can then read and answer in them.

    By id only: an unknown e-mail address would create a lead (OpenAPI 2.16).
    """

    idempotent = True

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, contact: str, **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        self.contact = segment(str(contact).strip())

    def prepare(self) -> None:
        super().prepare()
        try:
            self.request("GET", f"contacts/{self.contact}")
        except Gone as error:
            raise UnknownNameError(
                f"There is no contact {self.contact}: give the id that Intercom has for it."
            ) from error

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._attach(item_id, self.contact)

    def effect(self, item: dict[str, Any]) -> Effect | None:
        held = (item.get("contacts") or {}).get("contacts")
        if not isinstance(held, list):
            return None
        contacts = {str(one.get("id")) for one in held}
        return Effect({"contacts": sorted(contacts)}, {"contacts": sorted(self._changed(contacts))})

    def as_left(self, item: dict[str, Any]) -> dict[str, Any]:
        """The list keeps its shape."""
        effect = self.effect(item)
        after = effect.after["contacts"] if effect is not None else []
        return {
            **item,
            "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": one} for one in after]},
        }

    def side_effects(self, item: dict[str, Any]) -> Iterable[str]:
        yield from super().side_effects(item)
        yield "The contact can read the conversation from then on."

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """First those that were taken out, so that no conversation is ever without anybody."""
        for contact in sorted(set(before["contacts"]) - set(after["contacts"])):
            self._attach(item_id, contact)
        for contact in sorted(set(after["contacts"]) - set(before["contacts"])):
            self._detach(item_id, contact)

    def _changed(self, contacts: set[str]) -> set[str]:
        return contacts | {self.contact}

    def _attach(self, item_id: str, contact: str) -> dict[str, Any]:
        body = {"admin_id": self.admin_id, "customer": {"intercom_user_id": contact}}
        return self.request("POST", f"conversations/{segment(item_id)}/customers", json=body)

    def _detach(self, item_id: str, contact: str) -> dict[str, Any]:
        path = f"conversations/{segment(item_id)}/customers/{segment(contact)}"
        try:
            return self.request("DELETE", path, json={"admin_id": self.admin_id})
        except Rejected as error:
            if error.status == 422:
                raise LeftAlone(
                    f"It is the last participant, who cannot be removed ({error}).", code="last_participant"
                ) from error
            if error.status != 404:
                raise
            return {}  # it does not take part, which is what was asked for


class ContactDetacher(ContactAttacher):
    """Takes a contact, given by its Intercom id, out of conversations.

    The last participant cannot be removed (OpenAPI 2.16): such a conversation is skipped (`last_participant`).
    """

    idempotent = True

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._detach(item_id, self.contact)

    def effect(self, item: dict[str, Any]) -> Effect | None:
        effect = super().effect(item)
        if effect is not None and not effect.after["contacts"] and effect.before["contacts"]:
            raise LeftAlone("It is the last participant, who cannot be removed.", code="last_participant")
        return effect

    def _changed(self, contacts: set[str]) -> set[str]:
        return contacts - {self.contact}

    def side_effects(self, item: dict[str, Any]) -> Iterable[str]:
        yield from ConversationUpdater.side_effects(self, item)
        yield "The contact no longer sees the conversation."
