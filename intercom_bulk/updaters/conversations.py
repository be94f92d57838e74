"""Bulk operations on conversations: the search that they share, and their state."""

from __future__ import annotations

from datetime import datetime
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import segment
from intercom_bulk.api.language.expression import Expression, Filter
from intercom_bulk.api.query import both, checked
from intercom_bulk.errors import LeftAlone, UsageError
from intercom_bulk.runs.model import Effect
from intercom_bulk.updaters.base import IntercomBulkUpdater
from intercom_bulk.updaters.names import check_exists
from intercom_bulk.updaters.running.holdouts import TO_CUSTOMER
from intercom_bulk.updaters.running.searching import expressed
from intercom_bulk.updaters.threads import checked_body, parts_of, written_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from intercom_bulk.runs.summary import Summary
    from intercom_bulk.updaters.collections import Asked, Query

__all__ = ["ConversationCloser", "ConversationUpdater", "StateChanger"]

LATEST = 32_503_680_000
"""Epoch seconds of the year 3000: what lies behind it was meant in milliseconds."""
STATES = ("open", "closed", "snoozed")
SOON = 2.0
"""Seconds: a snooze that ends so soon may be over before the request arrives."""


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
        query: Query | None = None,
    ) -> Asked:
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
        if wanted is not None:
            check_exists(self, kind, wanted)

    def _change(self, item_id: str, state: str, snoozed_until: int | None, **more: str) -> dict[str, Any]:
        message_type = {"open": "open", "closed": "close", "snoozed": "snoozed"}[state]
        body: dict[str, Any] = {"message_type": message_type, "type": "admin", "admin_id": self.admin_id, **more}
        if snoozed_until is not None:
            body["snoozed_until"] = snoozed_until
        return self.request("POST", f"conversations/{segment(item_id)}/parts", json=body)

    def _snooze_again(self, item_id: str, until: int | None) -> str | None:
        """Bring a snooze back; the sentence why not, where it is over by now."""
        if until is None or until <= self.workspace.clock.time() + SOON:
            return f"It was snoozed until {until}, which has passed: it is open now."
        self._change(item_id, "snoozed", int(until))
        return None


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
        self.snoozed_until = epoch_seconds(snoozed_until)
        if self.snoozed_until is not None:
            self.made_with["snoozed_until"] = self.snoozed_until  # a datetime would not survive in the record

    def prepare(self) -> None:
        super().prepare()
        if self.snoozed_until is not None and self.snoozed_until <= self.workspace.clock.time():
            raise UsageError(f"snoozed_until is in the past: {self.snoozed_until}; it is in epoch seconds, UTC.")

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._change(item_id, self.state, self.snoozed_until)

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
        """A snooze that is over by now cannot be set again: the conversation is opened, as it would be by then."""
        del after
        state = before.get("state")
        if state not in STATES:
            raise LeftAlone(f"Its state was {state!r}, which cannot be set.", code="no_before")
        if state != "snoozed":
            self._change(item_id, state, None)
            return None
        over = self._snooze_again(item_id, before.get("snoozed_until"))
        if over is not None:
            self._change(item_id, "open", None)
        return over

    def effect(self, item: dict[str, Any]) -> Effect:
        before = {"state": item.get("state"), "snoozed_until": item.get("snoozed_until")}
        if self.state == "snoozed":
            return Effect(before, {"state": "snoozed", "snoozed_until": self.snoozed_until})
        return Effect(before, {"state": self.state})

    def with_fields(self, item: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        """Whatever ends a snooze takes its time away."""
        return {**item, "snoozed_until": None, **fields}

    def side_effects(self, item: dict[str, Any]) -> Iterable[str]:
        yield from super().side_effects(item)
        if item.get("state") == "snoozed" and self.state != "snoozed":
            yield "It is snoozed: the snooze ends."
        if item.get("state") == "closed" and self.state != "closed":
            yield "It is closed: this reopens it, and closing it later counts as another closure."


class ConversationCloser(StateChanger):
    """Closes conversations, silently unless there is a `message`.

    The message goes to the customer with the close (OpenAPI 2.16: `body`), which cannot be taken back: an undo opens
    the conversation again, and the message stays. It is sent once, so a close whose answer was lost, and that does not
    show the message, is left for a person. Conversations that are closed already get none.
    """

    idempotent = True  # the close is; __init__ takes it back where there is a message

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, message: str | None = None,
        **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, state="closed", **connection)
        self.message = None if message is None else checked_body(message, "message")
        if self.message is not None:
            self.idempotent = False
            self.irreversible = "the message goes to the customer, and stays when the conversation is opened again."

    def perform_action(self, item_id: str) -> dict[str, Any]:
        more = {} if self.message is None else {"body": self.message}
        return self._change(item_id, "closed", None, **more)

    def already_done(self, item_id: str) -> bool | None:
        """Closed may be somebody else's doing: the message says that it was ours."""
        if self.message is None:
            return super().already_done(item_id)
        if self.run_began is None:
            return None
        parts = parts_of(self.read_item(item_id))
        return bool(written_by(parts, self.admin_id, self.message, since=self.run_began, kinds=["close"]))

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
        said = super().restore(item_id, before, after)
        if self.message is None:
            return said
        return f"The message to the customer stays. {said or ''}".strip()

    def side_effects(self, item: dict[str, Any]) -> Iterable[str]:
        yield from super().side_effects(item)
        if self.message is not None:
            yield TO_CUSTOMER

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


def epoch_seconds(moment: datetime | int | None) -> int | None:
    """The end of a snooze, given in either way. Raises `UsageError`."""
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise UsageError("The end of a snooze needs a time zone: datetime(..., tzinfo=...), or give epoch seconds.")
        return int(moment.timestamp())
    if moment is not None and (isinstance(moment, bool) or not isinstance(moment, int) or moment > LATEST):
        raise UsageError(f"The end of a snooze must be an aware datetime or epoch seconds, not {moment!r}.")
    return moment
