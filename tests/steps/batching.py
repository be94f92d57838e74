"""Updaters that act on many contacts in one call, and those that only look as if they did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from intercom_bulk import Effect, Gone, IntercomBulkUpdater

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Careless", "ContactTagger", "OldStyle", "OneByOne"]


class ContactTagger(IntercomBulkUpdater):
    """Tags contacts by POST /tags, many in one call (OpenAPI 2.16, tag_multiple_users_request)."""

    idempotent = True
    max_batch = 20
    tag = "vip"
    tag_id = "102"

    def __init__(self, **connection: Any) -> None:
        super().__init__(**connection)
        self.calls: list[int] = []

    def get_search_endpoint(self) -> str:
        return "contacts/search"

    def get_search_query(self) -> dict[str, Any]:
        return {"field": "created_at", "operator": ">", "value": 0}

    def effect(self, item: dict[str, Any]) -> Effect:
        held = sorted(str(tag["id"]) for tag in item["tags"].get("data") or item["tags"].get("tags") or [])
        return Effect({"tags": held}, {"tags": sorted({*held, self.tag_id})})

    def perform_action(self, item_id: str) -> dict[str, Any]:
        raise AssertionError(item_id)

    def perform_batch(self, item_ids: Sequence[str]) -> Mapping[str, Exception | None]:
        self.calls.append(len(item_ids))
        answer = self.request("POST", "tags", json={"name": self.tag, "users": [{"id": one} for one in item_ids]})
        tagged = {one["id"] for one in answer["users"] if one["tagged"]}
        gone = Gone("There is no such contact.", code="gone", status=404)
        return {one: None if one in tagged else gone for one in item_ids}


class OneByOne(ContactTagger):
    """Changes what is done to one: it must not be passed by."""

    def perform_action(self, item_id: str) -> dict[str, Any]:
        self.calls.append(1)
        return self.request("POST", f"contacts/{item_id}/tags", json={"id": self.tag_id})


class Careless(ContactTagger):
    """Forgets every second item."""

    def perform_batch(self, item_ids: Sequence[str]) -> Mapping[str, Exception | None]:
        told = super().perform_batch(item_ids)
        return {one: told[one] for one in item_ids[::2]}


class OldStyle(ContactTagger):
    """Sends with `requests`, as the original framework's updaters did; what it raises is every item's."""

    def perform_batch(self, item_ids: Sequence[str]) -> Mapping[str, Exception | None]:
        self.calls.append(len(item_ids))
        body = {"name": self.tag, "users": [{"id": one} for one in item_ids]}
        response = requests.post(f"{self.base_url}/tags", headers=self.headers, json=body, timeout=30)
        response.raise_for_status()
        return dict.fromkeys(item_ids)
