"""Handlers of /companies."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from intercom_bulk.sandbox import documents
from intercom_bulk.sandbox.answers import Answer, Call, Problem, ok

if TYPE_CHECKING:
    from intercom_bulk.sandbox.records import Company
    from intercom_bulk.sandbox.workspace import Workspace

__all__ = [
    "delete_company",
    "get_company",
    "list_companies",
    "list_page",
    "put_company",
    "scroll",
    "upsert_company",
]

_FARTHEST = 10_000
_FIELDS = ("size", "website", "industry", "monthly_spend")


def _find(workspace: Workspace, company_id: str) -> Company:
    found = workspace.companies.get(company_id)
    if found is None:
        raise Problem(404, "company_not_found", "Company Not Found")
    return found


def get_company(workspace: Workspace, call: Call) -> Answer:
    """GET /companies/{id}."""
    return ok(documents.company(workspace, _find(workspace, call.ids[0])))


def list_companies(workspace: Workspace, call: Call) -> Answer:
    """POST /companies/list and GET /companies: pages by number, at most 10,000 companies far."""
    page, size = call.page_number(15, 60)
    if call.method == "GET" and "company_id" in call.query:
        named = [one for one in workspace.companies.values() if one.company_id == call.query["company_id"]]
        if not named:
            raise Problem(404, "company_not_found", "Company Not Found")
        return ok(documents.company(workspace, named[0]))
    if page * size > _FARTHEST:
        raise Problem(400, "bad_request", "page limit reached, please use scroll API")
    listed = [one for one in workspace.companies.values() if one.user_count]
    descending = call.query.get("order", "desc") != "asc"
    listed.sort(key=lambda one: (one.last_request_at or 0, one.id), reverse=descending)
    path = "/companies/list" if call.method == "POST" else "/companies"
    return ok(list_page(listed, page, size, path, call, lambda one: documents.company(workspace, one)))


def list_page(records: list[Any], page: int, size: int, path: str, call: Call, document: Any) -> dict[str, Any]:
    """A page of a list that is paged by number; `next` is a URL on Intercom's own host, or null."""
    following = None
    if page * size < len(records):
        query = urlencode({**call.query, "page": page + 1, "per_page": size})
        following = f"https://api.intercom.io{path}?{query}"
    shown = records[(page - 1) * size : page * size]
    return {
        "type": "list",
        "data": [document(one) for one in shown],
        "total_count": len(records),
        "pages": {
            "type": "pages",
            "next": following,
            "page": page,
            "per_page": size,
            "total_pages": -(-len(records) // size),
        },
    }


def scroll(workspace: Workspace, call: Call) -> Answer:
    """GET /companies/scroll: one at a time per workspace; it dies after a minute without use, or at its end.

    Every answer moves it on, also one that is lost on its way. It shows what there was when it was opened.
    """
    given, current = call.query.get("scroll_param"), workspace.scroll
    if current is not None and call.now - current[1] >= workspace.options.scroll_idle_s:
        current = workspace.scroll = None
    if not given:
        if current is not None:
            raise Problem(400, "scroll_exists", "scroll already exists for this workspace")
        current = (str(uuid.uuid4()), call.now, [one.snapshot() for one in workspace.companies.values()])
    elif current is None or current[0] != given:
        raise Problem(404, "not_found", "scroll parameter not found")
    name, _, left = current
    listed, left = left[: workspace.options.scroll_page], left[workspace.options.scroll_page :]
    workspace.scroll = (name, call.now, left) if listed else None
    shown = [documents.company(workspace, one) for one in listed]
    return ok({"type": "list", "data": shown, "pages": None, "total_count": None, "scroll_param": name})


def upsert_company(workspace: Workspace, call: Call) -> Answer:
    """POST /companies: create, or update by `company_id`."""
    company_id = call.text("company_id")
    found = next((one for one in workspace.companies.values() if one.company_id == company_id), None)
    if found is None:
        found = workspace.population.company(len(workspace.companies) + 1, int(call.now))
        found.company_id = company_id
        workspace.changing(found, call.now, created=True)
        workspace.companies[found.id] = found
    return _change(workspace, call, found)


def put_company(workspace: Workspace, call: Call) -> Answer:
    """PUT /companies/{id}."""
    return _change(workspace, call, _find(workspace, call.ids[0]))


def _change(workspace: Workspace, call: Call, one: Company) -> Answer:
    body = call.json
    attributes = body.get("custom_attributes") or {}
    workspace.changing(one, call.now)
    workspace.effect(one)
    one.updated_at = int(call.now)
    one.name = str(body.get("name", one.name))
    one.plan = body.get("plan", one.plan)
    fields = {**one.fields, **{name: body[name] for name in _FIELDS if name in body}}
    one.fields = {name: value for name, value in fields.items() if value is not None}
    merged = {**one.attributes, **attributes}
    one.attributes = {name: value for name, value in merged.items() if value is not None}
    return ok(documents.company(workspace, one))


def delete_company(workspace: Workspace, call: Call) -> Answer:
    """DELETE /companies/{id}: its contacts are detached, not deleted."""
    one = _find(workspace, call.ids[0])
    for contact in workspace.contacts.values():
        if one.id in contact.companies:
            workspace.changing(contact, call.now)
            contact.companies = tuple(known for known in contact.companies if known != one.id)
    workspace.remove(one, call.now)
    return ok({"id": one.id, "object": "company", "deleted": True})
