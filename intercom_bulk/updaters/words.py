"""Words: notes for teammates, and replies that go to the customer. What was said twice cannot be unsaid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import segment
from intercom_bulk.errors import ChangedSince, LeftAlone, UsageError
from intercom_bulk.runs.model import Effect
from intercom_bulk.updaters.collections import query_alone, search_endpoint
from intercom_bulk.updaters.conversations import ConversationUpdater
from intercom_bulk.updaters.running.holdouts import of_words
from intercom_bulk.updaters.threads import checked_body, parts_of, shortened, written_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import EllipsisType

    from intercom_bulk.updaters.collections import Asked, Query

__all__ = ["NoteAdder", "Replier"]

THREADS = ("conversations", "tickets")


class _Writer(ConversationUpdater):
    """Adds a text to each item. Sent once: where its answer is lost, the item is searched for what we wrote.

    A text on a snoozed conversation wakes it (OpenAPI, pull request 588), so the state is part of the effect.
    """

    appends = True
    kind = ""
    word = ""
    collections: tuple[str, ...] = THREADS

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, body: str,
        on: str = "conversations", **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        if on not in self.collections:
            raise UsageError(f"on must be one of {', '.join(self.collections)}, not {on!r}.")
        self.body = checked_body(body, "body")
        self.collection = on

    def get_search_endpoint(self) -> str:
        return f"{self.collection}/search"

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._reply(item_id)

    def _reply(self, item_id: str, **more: bool) -> dict[str, Any]:
        said = {"message_type": self.kind, "type": "admin", "admin_id": self.admin_id, "body": self.body, **more}
        return self.request("POST", f"{self.collection}/{segment(item_id)}/reply", json=said)

    def effect(self, item: dict[str, Any]) -> Effect:
        before: dict[str, Any] = {self.word: self._written(item)}
        after: dict[str, Any] = {self.word: shortened(self.body)}
        if self.collection == "conversations":
            before |= {"state": item.get("state"), "snoozed_until": item.get("snoozed_until")}
            if item.get("state") == "snoozed":
                after |= {"state": "open", "snoozed_until": None}
        return Effect(before, after)

    def already_done(self, item_id: str) -> bool | None:
        """Whether this teammate said the same on it since the run began; None where not all of it can be seen."""
        if self.run_began is None:
            return None
        item = self.read_item(item_id)
        return True if self._found(item) else None if item.get("has_more") else False

    def side_effects(self, item: dict[str, Any]) -> Iterable[str]:
        return [*super().side_effects(item), *of_words(item, to_customer=self.kind == "comment")]

    def _written(self, item: Mapping[str, Any]) -> str | None:
        count = len(self._found(item))
        return None if count == 0 else shortened(self.body) if count == 1 else f"{count} times {shortened(self.body)}"

    def _found(self, item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """What we wrote since the run began; nothing in a search result, which has no parts."""
        since = self.run_began
        return [] if since is None else self._ours(item, since)

    def _ours(self, item: Mapping[str, Any], since: int) -> list[Mapping[str, Any]]:
        return written_by(parts_of(item), self.admin_id, self.body, since=since, kinds=[self.kind])


class Replier(_Writer):
    """Replies to the customer of conversations or tickets (`on`): an e-mail, a push, a line in the messenger.

    `body` is sent as it is given: plain text, or the HTML that Intercom takes. `skip_notifications`: the customer
    finds the reply and is not told of it (2.15 and later). Cannot be undone.
    """

    irreversible = "a reply reaches the customer and cannot be called back."
    kind, word = "comment", "reply"

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, body: str,
        on: str = "conversations", skip_notifications: bool = False, **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, body=body, on=on, **connection)
        self.skip_notifications = skip_notifications

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._reply(item_id, **({"skip_notifications": True} if self.skip_notifications else {}))


class NoteAdder(_Writer):
    """Adds an internal note to conversations, tickets, contacts or companies (`on`); customers do not see it.

    `body` is sent as it is given: plain text, or the HTML that Intercom takes. An undo blanks the note in a
    conversation (`redact`; a line saying that something was deleted stays) and sets a snooze that it ended again. Notes
    elsewhere cannot be deleted through the API. Companies are all looked at: they have no search.
    """

    writes_apart = True
    kind, word = "note", "note"
    collections = (*THREADS, "contacts", "companies")

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, body: str,
        on: str = "conversations", **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, body=body, on=on, **connection)
        if on != "conversations":
            self.irreversible = f"notes on {on} cannot be deleted through the API."

    @property
    def restores(self) -> bool:
        return self.collection == "conversations"

    def get_search_endpoint(self) -> str:
        return search_endpoint(self.collection)

    def get_search_query(
        self,
        *,
        team_id: str | int | EllipsisType | None = ...,
        state: str | None = None,
        query: Query | None = None,
    ) -> Asked:
        if self.collection in THREADS:
            return super().get_search_query(team_id=team_id, state=state, query=query)
        return query_alone(self.collection, query, team_id=team_id, state=state)

    def perform_action(self, item_id: str) -> dict[str, Any]:
        if self.collection in THREADS:
            return self._reply(item_id)
        note = {"body": self.body, "admin_id": self.admin_id}
        return self.request("POST", f"{self.collection}/{segment(item_id)}/notes", json=note)

    def read_item(self, item_id: str) -> dict[str, Any]:
        if self.collection in THREADS:
            return super().read_item(item_id)
        listed = self.request("GET", f"{self.collection}/{segment(item_id)}/notes")
        pages = listed.get("pages")
        return {"listed": listed.get("data") or [], "has_more": isinstance(pages, dict) and bool(pages.get("next"))}

    def _ours(self, item: Mapping[str, Any], since: int) -> list[Mapping[str, Any]]:
        if self.collection in THREADS:
            return super()._ours(item, since)
        return written_by(item.get("listed") or [], self.admin_id, self.body, since=since)

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
        """Blanks the note, only where exactly one can be the run's own, and then lets the conversation sleep again.

        Of an undo, there is no way back: a note that was blanked is not written a second time.
        """
        if before.get("note") is not None and after.get("note") is None:
            raise LeftAlone("The note was blanked, and is not written again.", code="stays")
        if after.get("note") is not None:
            self._redact(item_id)
        if before.get("state") == "snoozed" and after.get("state") != "snoozed":
            return self._snooze_again(item_id, before.get("snoozed_until"))
        return None

    def _redact(self, item_id: str) -> None:
        found = self._found(self.read_item(item_id))
        if len(found) != 1:
            raise ChangedSince(f"{len(found)} notes could be the one of this run: none is touched.")
        part = {"type": "conversation_part", "conversation_id": item_id, "conversation_part_id": str(found[0]["id"])}
        self.request("POST", "conversations/redact", json=part)
