"""Bulk operations on tickets: one PUT each (OpenAPI 2.16, `/tickets/{id}`).

The id is the API's, not the number that people see. `admin_id` goes with each change as a number: workflows and the
history name that teammate.
"""

from __future__ import annotations

from types import EllipsisType
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import segment
from intercom_bulk.errors import LeftAlone, UnknownNameError, UsageError
from intercom_bulk.runs.model import Effect
from intercom_bulk.updaters.attributes import checked_finite
from intercom_bulk.updaters.base import IntercomBulkUpdater
from intercom_bulk.updaters.collections import query_of
from intercom_bulk.updaters.conversations import SOON, epoch_seconds
from intercom_bulk.updaters.names import check_exists

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from intercom_bulk.updaters.collections import Asked, Query

__all__ = [
    "TicketAssigner",
    "TicketAttributeSetter",
    "TicketCloser",
    "TicketOpener",
    "TicketSnoozer",
    "TicketStateSetter",
    "TicketUpdater",
]

ASSIGNEES = {"team": "team_assignee_id", "admin": "admin_assignee_id"}
"""In the order of writing: a team may choose its own teammate, who is then replaced by the one that was asked for."""


class TicketUpdater(IntercomBulkUpdater):
    """Searches tickets by a query."""

    def get_search_endpoint(self) -> str:
        return "tickets/search"

    def get_search_query(self, *, query: Query | None = None) -> Asked:
        """`query` is an expression (`Q`), its text, or Intercom's query JSON."""
        return query_of("tickets", query)

    def prepare(self) -> None:
        """The admin exists: otherwise each ticket would fail with the same 404."""
        if self._admin_id is not None:
            check_exists(self, "admin", self._admin_id)

    def _put(self, item_id: str, **fields: Any) -> dict[str, Any]:
        body = {**fields, "admin_id": int(self.admin_id)}
        return self.request("PUT", f"tickets/{segment(item_id)}", json=body)


class TicketStateSetter(TicketUpdater):
    """Moves tickets to a state, given by its id or its label (the one for teammates, or the one for customers).

    States belong to ticket types: a label may stand for another state in each, and a ticket whose type has no such
    state is skipped (`no_such_state`). `skip_notifications`: the customer is not told.
    """

    idempotent = True

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, ticket_state: str | int,
        skip_notifications: bool = False, **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        self.ticket_state = str(ticket_state).strip()
        self.skip_notifications = skip_notifications

    def prepare(self) -> None:
        super().prepare()
        self._states()

    def perform_action(self, item_id: str) -> dict[str, Any]:
        states = self._states()
        if len(states) == 1:
            return self._set(item_id, str(states[0]["id"]))
        return self._set(item_id, self._state_for(self.read_item(item_id)))  # the type decides which of them

    def effect(self, item: dict[str, Any]) -> Effect:
        held = (item.get("ticket_state") or {}).get("id")
        return Effect(
            {"ticket_state_id": None if held is None else str(held)}, {"ticket_state_id": self._state_for(item)}
        )

    def as_left(self, item: dict[str, Any]) -> dict[str, Any]:
        """The state as a ticket shows it."""
        return {**item, "ticket_state": {"type": "ticket_state", "id": self._state_for(item)}}

    def side_effects(self, item: dict[str, Any]) -> Iterable[str]:
        yield from super().side_effects(item)
        if not self.skip_notifications and item.get("category") == "Customer":
            yield "The customer may be told of the new state: skip_notifications=True prevents it."

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        del after
        self._set(item_id, before["ticket_state_id"])

    def _set(self, item_id: str, state_id: str) -> dict[str, Any]:
        more = {"skip_notifications": True} if self.skip_notifications else {}
        return self._put(item_id, ticket_state_id=state_id, **more)

    def _state_for(self, item: Mapping[str, Any]) -> str:
        """The id of the state in this ticket's own type."""
        kind = item.get("ticket_type") or {}
        for state in self._states():
            types = _type_ids(state)
            if types is None or str(kind.get("id")) in types:
                return str(state["id"])
        named = kind.get("name") or "its type"
        raise LeftAlone(f"Tickets of {named} have no state {self.ticket_state!r}.", code="no_such_state")

    def _states(self) -> list[dict[str, Any]]:
        """Those of this id or label. Raises `UnknownNameError`."""
        known = [state for state in self.workspace.directory.entries("ticket_state") if not state.get("archived")]
        found = [state for state in known if str(state.get("id")) == self.ticket_state]
        for label in ("internal_label", "external_label"):
            found = found or [
                state for state in known if str(state.get(label) or "").casefold() == self.ticket_state.casefold()
            ]
        if not found:
            labels = ", ".join(sorted({repr(str(state.get("internal_label"))) for state in known}))
            raise UnknownNameError(f"The workspace has no ticket state {self.ticket_state[:80]!r}: it has {labels}.")
        return found


def _type_ids(state: Mapping[str, Any]) -> set[str] | None:
    """The ticket types that have a state; None where the list of states does not say."""
    listed = (state.get("ticket_types") or {}).get("data")
    return {str(one.get("id")) for one in listed} if isinstance(listed, list) else None


class TicketAttributeSetter(TicketUpdater):
    """Sets attributes of tickets, which their ticket type must have; `_default_title_` and `_default_description_` too.

    A list attribute takes the id of the list item (OpenAPI 2.16).
    """

    idempotent = True

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, attributes: Mapping[str, Any],
        **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        if not attributes:
            raise UsageError("attributes={'name': value} with one or more names.")
        self.attributes = checked_finite(attributes)

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._put(item_id, ticket_attributes=self.attributes)

    def effect(self, item: dict[str, Any]) -> Effect:
        held = item.get("ticket_attributes") or {}
        return Effect({name: held.get(name) for name in self.attributes}, self.attributes)

    def as_left(self, item: dict[str, Any]) -> dict[str, Any]:
        """They stand under a name of their own."""
        return {**item, "ticket_attributes": {**(item.get("ticket_attributes") or {}), **self.attributes}}

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """The old values; null where there was none."""
        del after
        self._put(item_id, ticket_attributes={name: before[name] for name in self.attributes})


class TicketAssigner(TicketUpdater):
    """Assigns tickets to a teammate (`admin`), a `team`, or both, each by name or id; `admin=None` unassigns.

    What is left out is not touched. A ticket's team cannot be taken off through the API: a 0 means no teammate.
    """

    idempotent = True
    writes_apart = True

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *,
        admin: str | int | EllipsisType | None = ..., team: str | int | EllipsisType = ..., **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        given = {"team": team, "admin": admin}
        self.assignees = {kind: one for kind, one in given.items() if not isinstance(one, EllipsisType)}
        if not self.assignees:
            raise UsageError("Assign to whom? Pass admin=, team= or both; admin=None unassigns.")
        if "team" in self.assignees and _is_nobody(team):
            raise UsageError("A ticket's team cannot be taken off through the API: give another team, or admin=None.")

    def prepare(self) -> None:
        super().prepare()
        for kind, one in self.assignees.items():
            if not _is_nobody(one):
                check_exists(self, kind, str(one))

    def perform_action(self, item_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        for kind in self.assignees:
            answer = self._put(item_id, assignee_id=str(self._id(kind)))
        return answer

    def effect(self, item: dict[str, Any]) -> Effect:
        before = {field: _number(item.get(field)) for field in ASSIGNEES.values()}
        return Effect(before, {ASSIGNEES[kind]: self._id(kind) for kind in self.assignees})

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
        """The teammate first: whether unassigning takes the team along is not documented, and its answer shows it."""
        admin, team, now = before[ASSIGNEES["admin"]], before[ASSIGNEES["team"]], dict(after)
        if now[ASSIGNEES["admin"]] != admin:
            now = self._put(item_id, assignee_id=str(admin))
        if _number(now.get(ASSIGNEES["team"])) != team and team:
            now = self._put(item_id, assignee_id=str(team))
            if _number(now.get(ASSIGNEES["admin"])) != admin:  # the team chose one of its own
                now = self._put(item_id, assignee_id=str(admin))
        if _number(now.get(ASSIGNEES["team"])) != team:
            return "It had no team before, which the API cannot set: the team stays."
        return None

    def _id(self, kind: str) -> int:
        """Raises `UnknownNameError`."""
        one = self.assignees[kind]
        text = str(one).strip()
        known = "0" if _is_nobody(one) else text if text.isdigit() else self.workspace.directory.resolve(kind, text)
        return int(known)


def _is_nobody(one: object) -> bool:
    return one is None or str(one).strip() in {"", "0"}


def _number(assignee: object) -> int:
    """Nobody is 0 or null, and ids are text up to 2.15."""
    return 0 if _is_nobody(assignee) else int(str(assignee))


class _TicketTurner(TicketUpdater):
    """Opens, closes or snoozes; `open` and `snoozed_until` are told and restored together."""

    idempotent = True

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
        """Closing ends a snooze (OpenAPI 2.16); so a snooze that opening leaves in place is ended by way of that."""
        until, is_open = before.get("snoozed_until"), bool(before.get("open"))
        if until is not None and until > self.workspace.clock.time() + SOON:
            self._put(item_id, open=True, snoozed_until=int(until))
            return None
        answer = after
        if bool(after.get("open")) != is_open or after.get("snoozed_until") is not None:
            answer = self._put(item_id, open=is_open)
        if answer.get("snoozed_until") is not None:
            self._put(item_id, open=False)
            self._put(item_id, open=is_open)
        return None if until is None else f"It was snoozed until {until}, which has passed: it is open now."

    def _as_is(self, item: Mapping[str, Any]) -> dict[str, Any]:
        return {"open": bool(item.get("open")), "snoozed_until": item.get("snoozed_until")}


class TicketOpener(_TicketTurner):
    """Opens closed tickets."""

    idempotent = True

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._put(item_id, open=True)

    def effect(self, item: dict[str, Any]) -> Effect:
        return Effect(self._as_is(item), {"open": True})


class TicketCloser(_TicketTurner):
    """Closes tickets, which also ends a snooze (OpenAPI 2.16). Their state stays what it is."""

    idempotent = True

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._put(item_id, open=False)

    def effect(self, item: dict[str, Any]) -> Effect:
        return Effect(self._as_is(item), {"open": False, "snoozed_until": None})

    def side_effects(self, item: dict[str, Any]) -> Iterable[str]:
        yield from super().side_effects(item)
        if item.get("snoozed_until") is not None:
            yield "It is snoozed: the snooze ends."


class TicketSnoozer(_TicketTurner):
    """Lets open tickets sleep `until` then: an aware datetime or epoch seconds in the future.

    Closed ones are skipped (`closed`): what a snooze does to them is not documented.
    """

    idempotent = True

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, until: datetime | int,
        **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        seconds = epoch_seconds(until)
        if seconds is None:
            raise UsageError("Until when? Pass until=, an aware datetime or epoch seconds.")
        self.until = self.made_with["until"] = seconds  # a datetime would not survive in the record

    def prepare(self) -> None:
        super().prepare()
        if self.until <= self.workspace.clock.time():
            raise UsageError(f"until is in the past: {self.until}; it is in epoch seconds, UTC.")

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._put(item_id, snoozed_until=self.until)

    def effect(self, item: dict[str, Any]) -> Effect:
        if not item.get("open"):
            raise LeftAlone("It is closed: open it before it can sleep.", code="closed")
        return Effect(self._as_is(item), {"snoozed_until": self.until})
