"""Tags on and off: on conversations and tickets one by one, on contacts and companies many in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import segment
from intercom_bulk.errors import Gone, Rejected
from intercom_bulk.runs.model import Effect
from intercom_bulk.updaters.collections import checked_collection, query_alone, search_endpoint
from intercom_bulk.updaters.conversations import ConversationUpdater

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import EllipsisType

    from intercom_bulk.updaters.collections import Asked, Query

__all__ = ["TagAssigner", "Untagger"]

MOST = 50
"""Items in one POST /tags: how many it takes is not documented, and a call that is refused fails all of them."""
MANY = {"contacts": "users", "companies": "companies"}
"""What POST /tags takes many of, and how it calls them."""


class TagAssigner(ConversationUpdater):
    """Puts an existing tag, given by name or id, on conversations, contacts, companies or tickets (`on`).

    Contacts and companies are tagged many in one call, POST /tags, which goes by the tag's name and would make a tag of
    a name that it does not know (OpenAPI 2.16): the name is looked up first, and sent as the workspace has it.
    """

    idempotent = True

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, tag: str | int,
        on: str = "conversations", **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        self.tag = tag
        self.collection = checked_collection(on, ("conversations", "contacts", "companies", "tickets"))
        self.max_batch = MOST if self._is_by_name() else 1
        self._tag_id: str | None = None
        if on == "tickets":
            self.not_restored = "tickets do not tell their tags, so which of them had it before is not known."

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
        return search_endpoint(self.collection)

    def get_search_query(
        self, *, team_id: str | int | EllipsisType | None = ..., state: str | None = None, query: Query | None = None
    ) -> Asked:
        """As for conversations; contacts and companies have neither team nor state, and are chosen by `query` alone."""
        if self.collection not in MANY:
            return super().get_search_query(team_id=team_id, state=state, query=query)
        return query_alone(self.collection, query, team_id=team_id, state=state)

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._tag(item_id, self.tag_id)

    def perform_batch(self, item_ids: Sequence[str]) -> Mapping[str, Exception | None]:
        """One POST /tags; what it does not know it leaves out, or lists as not tagged (OpenAPI 2.16)."""
        return self._together(item_ids, self.tag_id, untag=False)

    def effect(self, item: dict[str, Any]) -> Effect | None:
        held = item.get("tags")
        if not isinstance(held, dict) or held.get("has_more"):
            return None  # tickets do not say, and a contact's nested tags stop at ten: what is not shown is not known
        tags = {str(tag.get("id")) for tag in held.get("tags") or held.get("data") or []}
        return Effect({"tags": sorted(tags)}, {"tags": sorted(self._changed(tags))})

    def with_fields(self, item: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        return {**item, "tags": {"type": "tag.list", "tags": [{"type": "tag", "id": tag} for tag in fields["tags"]]}}

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
        if self.collection == "companies":
            return self._alone(item_id, tag_id, untag=False)
        return self.request("POST", f"{self.collection}/{segment(item_id)}/tags", json={"id": tag_id, **self._author()})

    def _untag(self, item_id: str, tag_id: str) -> dict[str, Any]:
        if self.collection == "companies":
            return self._alone(item_id, tag_id, untag=True)
        path = f"{self.collection}/{segment(item_id)}/tags/{segment(tag_id)}"
        try:
            return self.request("DELETE", path, json=self._author() or None)
        except Rejected as error:
            if error.code != "tag_not_found":
                raise
            return {}  # it is not on the item, which is what was asked for

    def _author(self) -> dict[str, Any]:
        return {} if self.collection == "contacts" else {"admin_id": self.admin_id}

    # -- many in one call

    def _is_by_name(self) -> bool:
        return self.collection in MANY

    def _alone(self, item_id: str, tag_id: str, *, untag: bool) -> dict[str, Any]:
        error = self._together([item_id], tag_id, untag=untag)[item_id]
        if error is not None:
            raise error
        return {}

    def _together(self, item_ids: Sequence[str], tag_id: str, *, untag: bool) -> dict[str, Exception | None]:
        key, name = MANY[self.collection], self.workspace.directory.name("tag", tag_id)
        if name is None:
            raise Rejected(
                f"The workspace has no tag {tag_id} any more.", code="tag_not_found", status=None, target=True
            )
        wanted = [{"id": one, "untag": True} if untag else {"id": one} for one in map(segment, item_ids)]
        answer = self.request("POST", "tags", json={"name": name, key: wanted})
        if str(answer.get("id")) != tag_id:
            raise Rejected(
                f"The tag {name!r} was deleted or renamed while the run went on, and Intercom made it anew with id"
                f" {answer.get('id')}: look at what bears that one.",
                code="tag_changed", status=None, target=True,
            )  # fmt: skip
        listed = answer.get(key)
        if listed is None:
            return dict.fromkeys(item_ids)  # before 2.16 an unknown item refused the whole call
        told = {str(one.get("id")): bool(one.get("tagged")) for one in listed}
        return {one: None if one in told and (untag or told[one]) else _gone(one) for one in item_ids}


class Untagger(TagAssigner):
    """Takes a tag, given by name or id, off conversations, contacts, companies or tickets (`on`).

    Companies many in one call; contacts one by one, for POST /tags does not untag those (OpenAPI 2.16).
    """

    idempotent = True

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._untag(item_id, self.tag_id)

    def perform_batch(self, item_ids: Sequence[str]) -> Mapping[str, Exception | None]:
        return self._together(item_ids, self.tag_id, untag=True)

    def _changed(self, tags: set[str]) -> set[str]:
        return tags - {self.tag_id}

    def _is_by_name(self) -> bool:
        return self.collection == "companies"


def _gone(item_id: str) -> Gone:
    return Gone(f"The item no longer exists: Intercom did not tag {item_id}.", code="gone", status=None)
