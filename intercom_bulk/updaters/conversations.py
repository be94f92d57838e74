"""Bulk operations on conversations, and on what else takes the same call."""

from __future__ import annotations

import logging
from datetime import datetime
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import segment
from intercom_bulk.api.expression import Expression, Filter
from intercom_bulk.api.query import both, checked
from intercom_bulk.errors import LeftAlone, Rejected, Unauthorized, UsageError
from intercom_bulk.runs.model import Effect
from intercom_bulk.updaters.base import IntercomBulkUpdater
from intercom_bulk.updaters.searching import expressed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from intercom_bulk.runs.model import Summary

__all__ = ["ConversationCloser", "ConversationUpdater", "CustomAttributeUpdater", "StateChanger", "TagAssigner"]

logger = logging.getLogger(__name__)

LATEST = 32_503_680_000
"""Epoch seconds of the year 3000: what lies behind it was meant in milliseconds."""
STATES = ("open", "closed", "snoozed")
SOON = 2.0
"""Seconds: a snooze that ends so soon may be over before the request arrives."""
COLLECTIONS = ("conversations", "contacts", "tickets")


class ConversationUpdater(IntercomBulkUpdater):
    """Searches conversations by team and state, or by any query."""

    _team_to_check: str | None = None

    def get_search_endpoint(self) -> str:
        return "conversations/search"

    def get_search_query(
        self,
        *,
        team_id: str | int | EllipsisType | None = ...,
        state: str | None = None,
        query: Mapping[str, Any] | Expression | str | None = None,
    ) -> dict[str, Any] | Expression:
        """`query` is an expression (`Q`), its text, or Intercom's query JSON.

        `team_id` (id or name) and `state` narrow it, or stand alone.
        """
        if team_id is None or team_id == "":
            raise UsageError("team_id is empty: give a team's id or name, or leave it out to search all teams.")
        if state is not None and state not in STATES:
            raise UsageError(f"state must be one of {', '.join(STATES)}, not {state!r}.")
        team = None if isinstance(team_id, EllipsisType) else team_id
        said = expressed(query) if query is not None else None
        if isinstance(said, Expression):
            return _narrowed(said, team, state)
        leaves: list[dict[str, Any]] = []
        if team is not None:
            leaves.append({"field": "team_assignee_id", "operator": "=", "value": self._team(team)})
        if state is not None:
            leaves.append({"field": "state", "operator": "=", "value": state})
        return _joined(said, leaves)

    def _team(self, team: str | int) -> int:
        """An id stands as it is, to be checked while the first page is read; a name must be looked up first."""
        text = str(team).strip()
        if text.isascii() and text.isdigit():
            self._team_to_check = text
            return int(text)
        return int(self.workspace.directory.resolve("team", text))

    def prepare(self) -> None:
        """The team and the admin exist: otherwise nothing would match, or each item would fail with the same 404."""
        self._check("team", self._team_to_check)
        self._check("admin", self._admin_id)

    def _check(self, kind: str, wanted: str | None) -> None:
        if wanted is None:
            return
        try:
            self.workspace.directory.resolve(kind, wanted)
        except Unauthorized:
            logger.info("the token may not list %ss: whether %s exists will show", kind, wanted)


class StateChanger(ConversationUpdater):
    """Opens, closes or snoozes conversations.

    `snoozed_until`: an aware datetime or epoch seconds in the future, for state "snoozed". Open also wakes snoozed
    ones. Nothing is said to the customer.
    """

    idempotent = True

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, state: str,
        snoozed_until: datetime | int | None = None, **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        if state not in STATES:
            raise UsageError(f"state must be one of {', '.join(STATES)}, not {state!r}.")
        if (state == "snoozed") != (snoozed_until is not None):
            raise UsageError("snoozed_until goes with state='snoozed', and with nothing else.")
        self.state = state
        self.snoozed_until = _epoch(snoozed_until)
        if self.snoozed_until is not None:
            self.made_with["snoozed_until"] = self.snoozed_until  # a datetime would not survive in the record

    def prepare(self) -> None:
        super().prepare()
        if self.snoozed_until is not None and self.snoozed_until <= self.workspace.clock.time():
            raise UsageError(f"snoozed_until is in the past: {self.snoozed_until}; it is in epoch seconds, UTC.")

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._change(item_id, self.state, self.snoozed_until)

    def _change(self, item_id: str, state: str, snoozed_until: int | None) -> dict[str, Any]:
        message_type = {"open": "open", "closed": "close", "snoozed": "snoozed"}[state]
        body: dict[str, Any] = {"message_type": message_type, "type": "admin", "admin_id": self.admin_id}
        if snoozed_until is not None:
            body["snoozed_until"] = snoozed_until
        return self.request("POST", f"conversations/{segment(item_id)}/parts", json=body)

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
        """A snooze that is over by now cannot be set again: the conversation is opened, as it would be by then."""
        del after
        state, until = before.get("state"), before.get("snoozed_until")
        if state not in STATES:
            raise LeftAlone(f"Its state was {state!r}, which cannot be set.", code="no_before")
        if state != "snoozed":
            self._change(item_id, state, None)
        elif until is not None and until > self.workspace.clock.time() + SOON:
            self._change(item_id, state, int(until))
        else:
            self._change(item_id, "open", None)
            return f"It was snoozed until {until}, which has passed: it is open now."
        return None

    def effect(self, item: dict[str, Any]) -> Effect:
        before = {"state": item.get("state"), "snoozed_until": item.get("snoozed_until")}
        if self.state == "snoozed":
            return Effect(before, {"state": "snoozed", "snoozed_until": self.snoozed_until})
        return Effect(before, {"state": self.state})

    def side_effects(self, item: dict[str, Any]) -> Iterable[str]:
        yield from super().side_effects(item)
        if item.get("state") == "snoozed" and self.state != "snoozed":
            yield "It is snoozed: the snooze ends."
        if item.get("state") == "closed" and self.state != "closed":
            yield "It is closed: this reopens it, and closing it later counts as another closure."


class ConversationCloser(StateChanger):
    """Closes conversations, silently: no message goes to the customer."""

    def __init__(self, access_token: str | None = None, admin_id: str | int | None = None, **connection: Any) -> None:
        super().__init__(access_token, admin_id, state="closed", **connection)

    def bulk_close(
        self,
        team_id: str | int | None = None,
        parallel_workers: int | None = None,
        batch_size: int = 50,
        max_conversations: int | None = None,
        state: str = "open",
        **options: Any,
    ) -> Summary:
        """Close a team's conversations; `team_id` (id or name) None: `INTERCOM_INBOX_ID`."""
        team = team_id if team_id is not None else self.inbox_id
        if team is None:
            raise UsageError("Which team? Pass team_id=, or set INTERCOM_INBOX_ID in the environment or .env.")
        return self.bulk_process(parallel_workers, batch_size, max_conversations, team_id=team, state=state, **options)


class TagAssigner(ConversationUpdater):
    """Puts an existing tag, given by name or id, on conversations, contacts or tickets (`on`)."""

    idempotent = True

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, tag: str | int,
        on: str = "conversations", **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        self.tag = tag
        self.collection = _checked_collection(on)
        self._tag_id: str | None = None

    @property
    def tag_id(self) -> str:
        """The tag's id; looked up once. Raises `UnknownNameError`: a typo must not make a new tag."""
        if self._tag_id is None:
            self._tag_id = self.workspace.directory.resolve("tag", self.tag)
        return self._tag_id

    def prepare(self) -> None:
        super().prepare()
        self.workspace.directory.resolve("tag", self.tag)

    def get_search_endpoint(self) -> str:
        return f"{self.collection}/search"

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._tag(item_id, self.tag_id)

    def effect(self, item: dict[str, Any]) -> Effect | None:
        held = item.get("tags")
        if not isinstance(held, dict) or held.get("has_more"):
            return None  # tickets do not say, and a contact's nested tags stop at ten: what is not shown is not known
        tags = {str(tag.get("id")) for tag in held.get("tags") or held.get("data") or []}
        return Effect({"tags": sorted(tags)}, {"tags": sorted(self._changed(tags))})

    def _changed(self, tags: set[str]) -> set[str]:
        return tags | {self.tag_id}

    def read_item(self, item_id: str) -> dict[str, Any]:
        """The tags nested in a contact stop at ten; its own list of them does not."""
        if self.collection != "contacts":
            return super().read_item(item_id)
        return {"tags": self.request("GET", f"contacts/{segment(item_id)}/tags")}

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Takes off only what was put on, and puts back only what was taken off."""
        for tag_id in sorted(set(after["tags"]) - set(before["tags"])):
            self._untag(item_id, tag_id)
        for tag_id in sorted(set(before["tags"]) - set(after["tags"])):
            self._tag(item_id, tag_id)

    def _tag(self, item_id: str, tag_id: str) -> dict[str, Any]:
        return self.request("POST", f"{self.collection}/{segment(item_id)}/tags", json={"id": tag_id, **self._author()})

    def _untag(self, item_id: str, tag_id: str) -> dict[str, Any]:
        path = f"{self.collection}/{segment(item_id)}/tags/{segment(tag_id)}"
        try:
            return self.request("DELETE", path, json=self._author() or None)
        except Rejected as error:
            if error.code != "tag_not_found":
                raise
            return {}  # it is not on the item, which is what was asked for

    def _author(self) -> dict[str, Any]:
        return {} if self.collection == "contacts" else {"admin_id": self.admin_id}


class CustomAttributeUpdater(ConversationUpdater):
    """Sets custom attributes, which must exist, on conversations or contacts (`on`)."""

    idempotent = True

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, attributes: Mapping[str, Any],
        on: str = "conversations", **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        if not attributes or on == "tickets":
            raise UsageError("attributes={'name': value} with one or more names, on conversations or contacts.")
        for name, value in attributes.items():
            if value is not None and not isinstance(value, (str, int, float, bool)):
                raise UsageError(f"The attribute {name!r} must be text, a number, true, false or null, not {value!r}.")
        self.attributes = dict(attributes)
        self.collection = _checked_collection(on)

    def get_search_endpoint(self) -> str:
        return f"{self.collection}/search"

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._put(item_id, self.attributes)

    def _put(self, item_id: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
        body = {"custom_attributes": dict(attributes)}
        return self.request("PUT", f"{self.collection}/{segment(item_id)}", json=body)

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """The old values; null where there was none."""
        del after
        self._put(item_id, before)

    def effect(self, item: dict[str, Any]) -> Effect:
        held = item.get("custom_attributes") or {}
        return Effect({name: held.get(name) for name in self.attributes}, self.attributes)


def _narrowed(query: Expression, team: str | int | None, state: str | None) -> Expression:
    query = query if team is None else query & Filter("team_assignee_id", "=", str(team).strip())
    return query if state is None else query & Filter("state", "=", state)


def _joined(query: Mapping[str, Any] | None, leaves: list[dict[str, Any]]) -> dict[str, Any]:
    if query is None and not leaves:
        raise UsageError("What to search for? Pass team_id=, state= or query=: without one every item would match.")
    if query is None:
        return leaves[0] if len(leaves) == 1 else {"operator": "AND", "value": leaves}
    joined = both(checked(query), *leaves) if leaves else checked(query)
    if joined is None:
        raise UsageError("team_id= and state= cannot be added to this query within Intercom's limits: put them in it.")
    return joined


def _epoch(moment: datetime | int | None) -> int | None:
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise UsageError("snoozed_until needs a time zone: datetime(..., tzinfo=...), or give epoch seconds.")
        return int(moment.timestamp())
    if moment is not None and (isinstance(moment, bool) or not isinstance(moment, int) or moment > LATEST):
        raise UsageError(f"snoozed_until must be an aware datetime or epoch seconds, not {moment!r}.")
    return moment


def _checked_collection(on: str) -> str:
    if on not in COLLECTIONS:
        raise UsageError(f"on must be one of {', '.join(COLLECTIONS)}, not {on!r}.")
    return on
