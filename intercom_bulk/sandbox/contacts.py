"""Handlers of /contacts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from intercom_bulk.sandbox import documents
from intercom_bulk.sandbox.answers import Answer, Call, Problem, ok
from intercom_bulk.sandbox.companies import list_page
from intercom_bulk.sandbox.directory import subscription
from intercom_bulk.sandbox.population import SUBSCRIPTIONS
from intercom_bulk.sandbox.searching import list_by_cursor

if TYPE_CHECKING:
    from intercom_bulk.sandbox.records import Contact
    from intercom_bulk.sandbox.workspace import Workspace

__all__ = [
    "archive",
    "attach_company",
    "block",
    "create_contact",
    "delete_contact",
    "detach_company",
    "get_contact",
    "list_contact_companies",
    "list_contact_tags",
    "list_contacts",
    "list_subscriptions",
    "put_contact",
    "subscribe",
    "tag_contact",
    "unarchive",
    "unsubscribe",
    "untag_contact",
]

_TEXTS = ("name", "email", "phone", "external_id", "role", "owner_id")
_FIELDS = ("last_seen_at", "unsubscribed_from_emails")
_MOST_COMPANIES = 1000


def get_contact(workspace: Workspace, call: Call) -> Answer:
    """GET /contacts/{id}."""
    return ok(documents.contact(workspace, workspace.contact(call.ids[0])))


def list_contacts(workspace: Workspace, call: Call) -> Answer:
    """GET /contacts: ten a page unless asked otherwise."""
    return list_by_cursor(workspace, call, "contacts", 10)


def create_contact(workspace: Workspace, call: Call) -> Answer:
    """POST /contacts: 409 where the email or the external id is taken, also by an archived contact."""
    body = call.json
    _refuse_taken(workspace, body, None)
    one = workspace.population.contact(len(workspace.contacts) + 1, int(call.now))
    one.name, one.email, one.external_id = body.get("name"), body.get("email"), body.get("external_id")
    one.role = str(body.get("role", "user"))
    workspace.changing(one, call.now, created=True)
    workspace.contacts[one.id] = one
    workspace.contact_ids.append(one.id)
    workspace.effect(one)
    return ok(documents.contact(workspace, one))


def _refuse_taken(workspace: Workspace, body: dict[str, Any], own: Contact | None) -> None:
    email, external = body.get("email"), body.get("external_id")
    if not email and not external:
        return
    for one in workspace.contacts.values():
        if one is not own and ((email and one.email == email) or (external and one.external_id == external)):
            kind = "An archived contact" if one.archived else "A contact"
            raise Problem(409, "conflict", f"{kind} matching those details already exists with id={one.id}")


def put_contact(workspace: Workspace, call: Call) -> Answer:
    """PUT /contacts/{id}: only the given keys change; unknown custom attributes are refused."""
    one, body = workspace.contact(call.ids[0]), call.json
    attributes = body.get("custom_attributes") or {}
    unknown = [name for name in attributes if name not in workspace.attributes["contact"]]
    if unknown:
        raise Problem(400, "parameter_invalid", f"Custom attribute '{unknown[0]}' does not exist")
    owner = body.get("owner_id")
    if owner is not None and str(owner) not in workspace.admins:
        raise Problem(400, "parameter_invalid", "owner_id is not a teammate", field="owner_id")
    _refuse_taken(workspace, body, one)
    workspace.changing(one, call.now)
    workspace.effect(one)
    one.updated_at = int(call.now)
    for name in _TEXTS:
        if name in body:
            setattr(one, name, None if body[name] is None else str(body[name]))
    fields = {**one.fields, **{name: body[name] for name in _FIELDS if name in body}}
    one.fields = {name: value for name, value in fields.items() if value}
    if "signed_up_at" in body:
        one.signed_up_at = body["signed_up_at"]
    merged = {**one.attributes, **attributes}
    one.attributes = {name: value for name, value in merged.items() if value is not None}
    return ok(documents.contact(workspace, one))


def delete_contact(workspace: Workspace, call: Call) -> Answer:
    """DELETE /contacts/{id}: also of one that is archived."""
    one = workspace.contact(call.ids[0], archived=True)
    workspace.remove(one, call.now)
    return ok({"id": one.id, "external_id": one.external_id, "type": "contact", "deleted": True})


def archive(workspace: Workspace, call: Call) -> Answer:
    """POST /contacts/{id}/archive: it leaves search and lists, and its own path answers 404 (intercom-ruby #561)."""
    return _flag(workspace, call, archived=True, shown={"archived": True})


def unarchive(workspace: Workspace, call: Call) -> Answer:
    """POST /contacts/{id}/unarchive: not of one that was merged into another."""
    found = workspace.contacts.get(call.ids[0])
    if found is not None and found.merged_into:
        raise Problem(400, "bad_request", "User has been merged and is not restorable.")
    return _flag(workspace, call, archived=False, shown={"archived": False})


def block(workspace: Workspace, call: Call) -> Answer:
    """POST /contacts/{id}/block: no way back."""
    workspace.contact(call.ids[0], archived=True).blocked = True
    return _flag(workspace, call, archived=True, shown={"blocked": True})


def _flag(workspace: Workspace, call: Call, *, archived: bool, shown: dict[str, bool]) -> Answer:
    one = workspace.contact(call.ids[0], archived=True)
    workspace.changing(one, call.now)
    workspace.effect(one)
    one.archived, one.updated_at = archived, int(call.now)
    return ok({"id": one.id, "external_id": one.external_id, "type": "contact", **shown})


def list_contact_tags(workspace: Workspace, call: Call) -> Answer:
    """GET /contacts/{id}/tags."""
    one = workspace.contact(call.ids[0])
    return ok({"type": "list", "data": [documents.tag_mark(workspace, *mark) for mark in one.tags]})


def tag_contact(workspace: Workspace, call: Call) -> Answer:
    """POST /contacts/{id}/tags."""
    one, tag_id = workspace.contact(call.ids[0]), _tag(workspace, call.text("id"))
    return ok(documents.tag_mark(workspace, *workspace.add_tag(one, tag_id, workspace.options.admin_id, call.now)))


def untag_contact(workspace: Workspace, call: Call) -> Answer:
    """DELETE /contacts/{id}/tags/{tag}."""
    one, tag_id = workspace.contact(call.ids[0]), _tag(workspace, call.ids[1])
    workspace.remove_tag(one, tag_id, call.now)
    return ok(documents.tag_mark(workspace, tag_id, int(call.now), workspace.options.admin_id))


def _tag(workspace: Workspace, tag_id: str) -> str:
    if tag_id not in workspace.tags:
        raise Problem(404, "not_found", "Resource Not Found")
    return tag_id


def list_contact_companies(workspace: Workspace, call: Call) -> Answer:
    """GET /contacts/{id}/companies."""
    one = workspace.contact(call.ids[0])
    page, size = call.page_number(50, 60)
    known = [workspace.companies[company] for company in one.companies if company in workspace.companies]
    path = f"/contacts/{one.id}/companies"
    return ok(list_page(known, page, size, path, call, lambda company: documents.company(workspace, company)))


def attach_company(workspace: Workspace, call: Call) -> Answer:
    """POST /contacts/{id}/companies."""
    one, company = workspace.contact(call.ids[0]), workspace.companies.get(call.text("id"))
    if company is None:
        raise Problem(404, "company_not_found", "Company Not Found")
    if company.id not in one.companies and len(one.companies) >= _MOST_COMPANIES:
        message = "Contact has reached the maximum of 1000 company associations"
        raise Problem(400, "contact_company_limit_exceeded", message)
    workspace.changing(one, call.now)
    workspace.effect(one)
    one.companies = (*(known for known in one.companies if known != company.id), company.id)
    return ok(documents.company(workspace, company))


def detach_company(workspace: Workspace, call: Call) -> Answer:
    """DELETE /contacts/{id}/companies/{company}."""
    one, company = workspace.contact(call.ids[0]), workspace.companies.get(call.ids[1])
    if company is None or company.id not in one.companies:
        raise Problem(404, "company_not_found", "Company Not Found")
    workspace.changing(one, call.now)
    workspace.effect(one)
    one.companies = tuple(known for known in one.companies if known != company.id)
    return ok(documents.company(workspace, company))


def list_subscriptions(workspace: Workspace, call: Call) -> Answer:
    """GET /contacts/{id}/subscriptions."""
    one = workspace.contact(call.ids[0])
    return ok({"type": "list", "data": [subscription(known) for known in one.subscriptions]})


def subscribe(workspace: Workspace, call: Call) -> Answer:
    """POST /contacts/{id}/subscriptions."""
    call.text("consent_type")
    return _subscribe(workspace, call, call.text("id"), on=True)


def unsubscribe(workspace: Workspace, call: Call) -> Answer:
    """DELETE /contacts/{id}/subscriptions/{subscription}."""
    return _subscribe(workspace, call, call.ids[1], on=False)


def _subscribe(workspace: Workspace, call: Call, name: str, *, on: bool) -> Answer:
    one = workspace.contact(call.ids[0])
    if name not in SUBSCRIPTIONS:
        raise Problem(404, "not_found", "Resource Not Found")
    workspace.changing(one, call.now)
    workspace.effect(one)
    others = tuple(known for known in one.subscriptions if known != name)
    one.subscriptions = (*others, name) if on else others
    return Answer(200, orjson.dumps(subscription(name)))
