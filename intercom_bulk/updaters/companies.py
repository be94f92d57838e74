"""Companies: found by scroll or list, for they have no search; their fields; and their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import segment
from intercom_bulk.errors import UsageError
from intercom_bulk.updaters.base import IntercomBulkUpdater
from intercom_bulk.updaters.collections import query_of
from intercom_bulk.updaters.fields import checked_fields, field_effect, flat, put_body, with_fields
from intercom_bulk.updaters.removal import is_gone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from intercom_bulk.runs.model import Effect
    from intercom_bulk.updaters.collections import Asked, Query

__all__ = ["CompanyDeleter", "CompanyEditor", "CompanyUpdater"]

SOURCES = ("scroll", "list")
KINDS: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "plan": (str,),
    "size": (int,),
    "website": (str,),
    "industry": (str,),
    "monthly_spend": (int,),
}
"""OpenAPI 2.16, update_company_request; `company_id` cannot be changed."""


class CompanyUpdater(IntercomBulkUpdater):
    """Goes through all companies of the workspace, and keeps those that a query wants.

    `source="scroll"`: every company; but a workspace has one scroll at a time, so that another integration's is waited
    for (up to 70 s), and a run that stopped half-way keeps the next one waiting for up to a minute.
    `source="list"`: without that, but not beyond 10,000, and without companies that have no users.
    """

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, source: str = "scroll",
        **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        if source not in SOURCES:
            raise UsageError(f"source must be one of {', '.join(SOURCES)}, not {source!r}.")
        self.source = source

    def get_search_endpoint(self) -> str:
        return f"companies/{self.source}"

    def get_search_query(self, *, query: Query | None = None) -> Asked:
        """`query`: an expression or its text, held against each company here; {}: all of them."""
        return query_of("companies", query)


class CompanyEditor(CompanyUpdater):
    """Sets `fields` (name, plan, size, website, industry, monthly_spend) and custom `attributes`. None clears."""

    idempotent = True

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *,
        fields: Mapping[str, Any] | None = None, attributes: Mapping[str, Any] | None = None, source: str = "scroll",
        **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, source=source, **connection)
        if "company_id" in (fields or {}):
            raise UsageError("A company's company_id is set when it is created, and never changes.")
        self.wanted: Mapping[str, Any] = flat(checked_fields(fields or {}, KINDS), attributes or {})

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._put(item_id, self.wanted)

    def _put(self, item_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
        return self.request("PUT", f"companies/{segment(item_id)}", json=put_body(values))

    def effect(self, item: dict[str, Any]) -> Effect:
        return field_effect(item, self.wanted, _shown)

    def with_fields(self, item: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        return with_fields(item, fields)

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """The old values; null where there was none."""
        del after
        self._put(item_id, before)


class CompanyDeleter(CompanyUpdater):
    """Deletes companies: they are archived and their contacts detached, some time after Intercom's answer.

    Integrations that sync companies (Salesforce, Chargebee ...) make them anew (OpenAPI 2.16, DELETE /companies/{id}).
    Companies are scrolled here, never listed: each one that is deleted would move the pages behind it.
    """

    idempotent = True
    irreversible = "Intercom's API cannot bring a deleted company back, nor its contacts into it."

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, source: str = "scroll",
        **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, source=source, **connection)
        if source != "scroll":
            raise UsageError('Deleting moves the pages of the list, and some would be missed: use source="scroll".')

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self.request("DELETE", f"companies/{segment(item_id)}")

    def already_done(self, item_id: str) -> bool:
        """The deletion comes some time after its answer: a company that is there still is deleted once more."""
        return is_gone(self, item_id)

    def side_effects(self, item: dict[str, Any]) -> Iterable[str]:
        yield from super().side_effects(item)
        yield "An integration that syncs companies would make it anew."
        if item.get("user_count"):
            yield "Its contacts are detached from it."


def _shown(name: str, value: Any) -> Any:
    """A plan is set by its name and shown as an object."""
    if name != "plan":
        return value
    return (value.get("name") or None) if isinstance(value, dict) else value
