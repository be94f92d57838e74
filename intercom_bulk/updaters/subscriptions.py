"""Subscription types on contacts: who gets which messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import segment
from intercom_bulk.errors import Rejected, UsageError
from intercom_bulk.runs.model import Effect
from intercom_bulk.updaters.contacts import ContactUpdater
from intercom_bulk.updaters.nested import held, with_entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Subscriber", "Unsubscriber"]

CONSENTS = ("opt_in", "opt_out")
LISTS = {"opt_in": "opted_in_subscription_types", "opt_out": "opted_out_subscription_types"}


class Subscriber(ContactUpdater):
    """Attaches a `subscription` type, by name or id, to contacts.

    Attaching an opt-in type opts people in. Attaching an opt-out type opts them OUT of it (OpenAPI 2.16, POST
    /contacts/{id}/subscriptions): `consent` has to be the type's own, so that this never happens unasked.
    """

    idempotent = True
    attaches = True

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, subscription: str | int,
        consent: str = "opt_in", **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        if consent not in CONSENTS:
            raise UsageError(f"consent must be one of {', '.join(CONSENTS)}, not {consent!r}.")
        self.subscription = subscription
        self.consent: str | None = consent
        self._known: tuple[str, str] | None = None

    def prepare(self) -> None:
        super().prepare()
        _, consent = self._type()
        if self.consent == "opt_in" != consent:
            raise UsageError(
                f"The subscription {self.subscription!r} is an opt-out type: attaching it opts people out of it. Pass"
                " consent='opt_out' if that is meant, or use Unsubscriber to opt them in again."
            )
        if self.consent == "opt_out" != consent:
            raise UsageError(
                f"The subscription {self.subscription!r} is an opt-in type: attaching it opts people in. Pass"
                " consent='opt_in' if that is meant, or use Unsubscriber to take it off."
            )

    def _type(self) -> tuple[str, str]:
        """Its id and the consent that it is about; looked up once. Raises `UnknownNameError`."""
        if self._known is None:
            found = self.workspace.directory.entry("subscription", self.subscription)
            self._known = str(found["id"]), str(found.get("consent_type"))
        return self._known

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._attach(item_id)

    def _attach(self, item_id: str) -> dict[str, Any]:
        known, consent = self._type()
        body = {"id": known, "consent_type": consent}
        return self.request("POST", f"contacts/{segment(item_id)}/subscriptions", json=body)

    def _detach(self, item_id: str) -> dict[str, Any]:
        try:
            return self.request("DELETE", f"contacts/{segment(item_id)}/subscriptions/{segment(self._type()[0])}")
        except Rejected as error:
            if error.status != 404:
                raise
            return {}  # it is not on the contact, which is what was asked for

    def effect(self, item: dict[str, Any]) -> Effect | None:
        known, consent = self._type()
        attached = held(item.get(LISTS[consent]), known)
        return None if attached is None else Effect({"attached": attached}, {"attached": self.attaches})

    def with_fields(self, item: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        known, consent = self._type()
        return {**item, LISTS[consent]: with_entry(item.get(LISTS[consent]), known, present=fields["attached"])}

    def read_item(self, item_id: str) -> dict[str, Any]:
        """What a contact shows of its subscriptions stops at ten; its own list of them does not."""
        listed = self.request("GET", f"contacts/{segment(item_id)}/subscriptions")
        return dict.fromkeys(LISTS.values(), listed)

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        del after
        if before["attached"]:
            self._attach(item_id)
        else:
            self._detach(item_id)

    def side_effects(self, item: dict[str, Any]) -> Iterable[str]:
        yield from super().side_effects(item)
        if self._type()[1] == "opt_out":
            out = "out of" if self.attaches else "in again for"
            yield f"It is an opt-out type: this opts the contact {out} its messages."


class Unsubscriber(Subscriber):
    """Takes a `subscription` type, by name or id, off contacts: back to what is the default for them.

    Taking off an opt-in type ends the consent; taking off an opt-out type opts people IN again.
    """

    idempotent = True
    attaches = False

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, subscription: str | int,
        **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, subscription=subscription, **connection)
        self.consent = None

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._detach(item_id)
