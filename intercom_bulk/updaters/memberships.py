"""Which companies contacts belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import segment
from intercom_bulk.errors import Gone, ItemIdError, Rejected, UnknownNameError
from intercom_bulk.runs.model import Effect
from intercom_bulk.updaters.contacts import ContactUpdater
from intercom_bulk.updaters.nested import held, with_entry

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CompanyAttacher", "CompanyDetacher"]

PER_PAGE = 50


class CompanyAttacher(ContactUpdater):
    """Makes contacts members of a `company`, given by Intercom's id of it or by your own `company_id`.

    A contact has at most 1,000 companies (OpenAPI 2.16): one more fails.
    """

    idempotent = True
    attaches = True

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, company: str, **connection: Any
    ) -> None:
        super().__init__(access_token, admin_id, **connection)
        self.company = company
        self._found: str | None = None

    @property
    def intercom_id(self) -> str:
        """Intercom's id of the company; looked up once. Raises `UnknownNameError`."""
        if self._found is None:
            self._found = self._look_up(str(self.company).strip())
        return self._found

    def _look_up(self, company: str) -> str:
        try:
            return str(self.workspace.get(f"companies/{segment(company)}")["id"])
        except (Gone, ItemIdError):
            pass  # not one of Intercom's ids: the id by which you know it?
        try:
            answer = self.workspace.get("companies", company_id=company)
        except Gone:
            answer = {}
        found = [one for one in answer.get("data", [answer]) if str(one.get("company_id")) == company]
        if len(found) == 1:
            return str(found[0]["id"])
        raise UnknownNameError(
            f"The workspace has no company {company[:80]!r}: give Intercom's id of it, or your own company_id."
        )

    def prepare(self) -> None:
        super().prepare()
        _ = self.intercom_id

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._attach(item_id)

    def _attach(self, item_id: str) -> dict[str, Any]:
        return self.request("POST", f"contacts/{segment(item_id)}/companies", json={"id": self.intercom_id})

    def _detach(self, item_id: str) -> dict[str, Any]:
        try:
            return self.request("DELETE", f"contacts/{segment(item_id)}/companies/{segment(self.intercom_id)}")
        except Rejected as error:
            if error.code != "company_not_found":
                raise
            return {}  # the contact is no member of it, which is what was asked for

    def effect(self, item: dict[str, Any]) -> Effect | None:
        attached = held(item.get("companies"), self.intercom_id)
        return None if attached is None else Effect({"attached": attached}, {"attached": self.attaches})

    def with_fields(self, item: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        return {**item, "companies": with_entry(item.get("companies"), self.intercom_id, present=fields["attached"])}

    def read_item(self, item_id: str) -> dict[str, Any]:
        """A contact shows ten of its companies; where it has more they are listed, up to the one that matters."""
        found, page = super().read_item(item_id), 0
        listed, path = found.get("companies"), f"contacts/{segment(item_id)}/companies"
        while held(listed, self.intercom_id) is None:
            page += 1
            answer = self.request("GET", path, params={"page": page, "per_page": PER_PAGE})
            listed = {**answer, "has_more": page < int((answer.get("pages") or {}).get("total_pages") or 0)}
        return {**found, "companies": listed}

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        del after
        if before["attached"]:
            self._attach(item_id)
        else:
            self._detach(item_id)


class CompanyDetacher(CompanyAttacher):
    """Ends contacts' membership of a `company`, given by Intercom's id of it or by your own `company_id`."""

    idempotent = True
    attaches = False

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self._detach(item_id)
