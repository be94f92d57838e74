"""Custom attributes, which must exist in the workspace before."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import segment
from intercom_bulk.errors import UsageError
from intercom_bulk.runs.model import Effect
from intercom_bulk.updaters.collections import checked_collection, query_alone, search_endpoint
from intercom_bulk.updaters.conversations import ConversationUpdater

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import EllipsisType

    from intercom_bulk.updaters.collections import Asked, Query

__all__ = ["CustomAttributeUpdater", "checked_attributes", "checked_finite"]


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
        self.attributes = checked_attributes(attributes)
        self.collection = checked_collection(on, ("conversations", "contacts"))

    def get_search_endpoint(self) -> str:
        return search_endpoint(self.collection)

    def get_search_query(
        self, *, team_id: str | int | EllipsisType | None = ..., state: str | None = None, query: Query | None = None
    ) -> Asked:
        """As for conversations; contacts have neither team nor state, and are chosen by `query` alone."""
        if self.collection == "conversations":
            return super().get_search_query(team_id=team_id, state=state, query=query)
        return query_alone(self.collection, query, team_id=team_id, state=state)

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

    def with_fields(self, item: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        return {**item, "custom_attributes": {**(item.get("custom_attributes") or {}), **fields}}


def checked_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Names and plain values. Raises `UsageError`."""
    for name, value in attributes.items():
        if value is not None and not isinstance(value, (str, int, float, bool)):
            raise UsageError(f"The attribute {name!r} must be text, a number, true, false or null, not {value!r}.")
    return checked_finite(attributes)


def checked_finite(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Raises `UsageError` for NaN and the like: JSON has none, and it could go out as the null that clears a value."""
    for name, value in attributes.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"The attribute {name!r} cannot be {value!r}: leave it out, or pass None to clear it.")
    return dict(attributes)
