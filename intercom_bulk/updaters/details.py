"""Small changes that can be taken back: a title, the read mark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import segment
from intercom_bulk.runs.model import Effect
from intercom_bulk.updaters.conversations import ConversationUpdater

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ReadMarker", "TitleSetter"]


class TitleSetter(ConversationUpdater):
    """Gives conversations a title; None takes it away."""

    idempotent = True

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, title: str | None,
        **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        self.title = title

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self.request("PUT", f"conversations/{segment(item_id)}", json={"title": self.title})

    def effect(self, item: dict[str, Any]) -> Effect:
        return Effect({"title": item.get("title")}, {"title": self.title})

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        del after
        self.request("PUT", f"conversations/{segment(item_id)}", json={"title": before["title"]})


class ReadMarker(ConversationUpdater):
    """Marks conversations as read, or with `read=False` as unread."""

    idempotent = True

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, read: bool = True,
        **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        self.read = read

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self.request("PUT", f"conversations/{segment(item_id)}", json={"read": self.read})

    def effect(self, item: dict[str, Any]) -> Effect:
        return Effect({"read": bool(item.get("read"))}, {"read": self.read})

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        del after
        self.request("PUT", f"conversations/{segment(item_id)}", json={"read": before["read"]})
