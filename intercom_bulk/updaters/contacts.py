"""Contacts: the search that their updaters share, their fields, and the ways to put them away."""

from __future__ import annotations

from types import EllipsisType
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import segment
from intercom_bulk.errors import Gone, UsageError
from intercom_bulk.runs.model import Effect
from intercom_bulk.updaters.base import IntercomBulkUpdater
from intercom_bulk.updaters.collections import query_of
from intercom_bulk.updaters.fields import checked_fields, field_effect, flat, put_body, with_fields
from intercom_bulk.updaters.removal import MERGED, is_gone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from intercom_bulk.updaters.collections import Asked, Query

__all__ = [
    "ContactArchiver",
    "ContactBlocker",
    "ContactDeleter",
    "ContactEditor",
    "ContactUnarchiver",
    "ContactUpdater",
]

KINDS: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "email": (str,),
    "phone": (str,),
    "external_id": (str,),
    "role": (str,),
    "owner_id": (str, int),
    "signed_up_at": (int,),
    "last_seen_at": (int,),
    "unsubscribed_from_emails": (bool,),
}
"""OpenAPI 2.16, update_contact_request; without what the contact does not show again (avatar, email_verified)."""


class ContactUpdater(IntercomBulkUpdater):
    """Searches contacts by a query. One that was merged into another (410) counts as gone."""

    def get_search_endpoint(self) -> str:
        return "contacts/search"

    def get_search_query(self, *, query: Query | None = None) -> Asked:
        """`query`: an expression (`Q`), its text, or Intercom's query JSON, which knows dates by the day only."""
        return query_of("contacts", query)


class ContactEditor(ContactUpdater):
    """Sets `fields` (name, email, phone, external_id, role, owner_id ...) and custom `attributes` of contacts.

    `owner`: a teammate by name or id, None for nobody. None clears a field. An email or external id that another
    contact has is refused by Intercom (409), also where that one is archived: the item fails with its sentence.
    """

    idempotent = True

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *,
        fields: Mapping[str, Any] | None = None, attributes: Mapping[str, Any] | None = None,
        owner: str | int | EllipsisType | None = ..., **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        wanted = checked_fields(fields or {}, KINDS)
        if not isinstance(owner, EllipsisType):
            if "owner_id" in wanted:
                raise UsageError("Give the owner once: owner= or fields={'owner_id': ...}.")
            wanted["owner_id"] = _owner(owner)
        if wanted.get("role", "user") not in {"user", "lead"}:
            raise UsageError(f"role must be 'user' or 'lead', not {wanted['role']!r}.")
        self._wanted = flat(wanted, attributes or {})
        self._is_resolved = wanted.get("owner_id") is None

    @property
    def wanted(self) -> Mapping[str, Any]:
        """What is set, the owner by id. Raises `UnknownNameError` for a teammate that the workspace does not have."""
        if not self._is_resolved:
            owner = self.workspace.directory.resolve("admin", self._wanted["owner_id"])
            self._wanted, self._is_resolved = {**self._wanted, "owner_id": owner}, True
        return self._wanted

    def prepare(self) -> None:
        super().prepare()
        _ = self.wanted

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._put(item_id, self.wanted)

    def _put(self, item_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
        return self.request("PUT", f"contacts/{segment(item_id)}", json=put_body(values))

    def effect(self, item: dict[str, Any]) -> Effect:
        return field_effect(item, self.wanted, _shown)

    def with_fields(self, item: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        return with_fields(item, fields)

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """The old values; null where there was none."""
        del after
        self._put(item_id, before)


class ContactArchiver(ContactUpdater):
    """Archives contacts: they leave searches and lists, and only who knows their ids can bring them back.

    Intercom then answers 404 to a contact's own path (intercom-ruby #561), as for one that was deleted: both count as
    archived here.
    """

    idempotent = True
    archives = True

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._shelve(item_id, archived=self.archives)

    def _shelve(self, item_id: str, *, archived: bool) -> dict[str, Any]:
        return self.request("POST", f"contacts/{segment(item_id)}/{'archive' if archived else 'unarchive'}")

    def effect(self, item: dict[str, Any]) -> Effect:
        return Effect({"archived": bool(item.get("archived"))}, {"archived": self.archives})

    def read_item(self, item_id: str) -> dict[str, Any]:
        try:
            return super().read_item(item_id)
        except Gone as error:
            if error.status == MERGED:
                raise
            return {"id": item_id, "archived": True}

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        del after
        self._shelve(item_id, archived=before["archived"])

    def side_effects(self, item: dict[str, Any]) -> Iterable[str]:
        yield from super().side_effects(item)
        if self.archives and (item.get("email") or item.get("external_id")):
            yield "Its e-mail address and external id stay taken: a contact made anew with them is refused."


class ContactUnarchiver(ContactArchiver):
    """Brings archived contacts back. No search finds them: their ids are needed, as `RunOptions(source=[...])`.

    One that was merged into another cannot be brought back: it fails with Intercom's sentence.
    """

    idempotent = True
    archives = False

    def get_search_query(self, *, query: Query | None = None) -> Asked:
        del query
        raise UsageError("Archived contacts are in no search: give their ids, options=RunOptions(source=[...]).")

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._shelve(item_id, archived=False)


class ContactBlocker(ContactUpdater):
    """Blocks contacts; their conversations are archived with them (OpenAPI 2.16)."""

    idempotent = True
    irreversible = "Intercom's API cannot unblock a contact."

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self.request("POST", f"contacts/{segment(item_id)}/block")

    def already_done(self, item_id: str) -> bool | None:
        """A contact does not show that it is blocked: only its absence tells."""
        return is_gone(self, item_id) or None

    def side_effects(self, item: dict[str, Any]) -> Iterable[str]:
        yield from super().side_effects(item)
        yield "Its conversations are archived too."


class ContactDeleter(ContactUpdater):
    """Deletes contacts for good."""

    idempotent = True
    irreversible = "a deleted contact is gone for good; an archived one is not, see ContactArchiver."

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self.request("DELETE", f"contacts/{segment(item_id)}")

    def already_done(self, item_id: str) -> bool:
        return is_gone(self, item_id)


def _owner(value: Any) -> Any:
    return None if value is None or str(value).strip() in {"", "0"} else value


def _shown(name: str, value: Any) -> Any:
    """Owners were numbers before 2.16, and 0 is nobody; a flag that is not told is not set."""
    if name == "owner_id":
        owner = _owner(value)
        return None if owner is None else str(owner)
    return bool(value) if name == "unsubscribed_from_emails" else value
