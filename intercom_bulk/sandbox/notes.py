"""Handlers of the notes of contacts and companies. There is no way to delete one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.sandbox import documents
from intercom_bulk.sandbox.answers import Answer, Call, Problem, ok
from intercom_bulk.sandbox.companies import list_page

if TYPE_CHECKING:
    from intercom_bulk.sandbox.records import Company, Contact
    from intercom_bulk.sandbox.workspace import Workspace

__all__ = ["add_company_note", "add_contact_note", "list_company_notes", "list_contact_notes"]


def list_contact_notes(workspace: Workspace, call: Call) -> Answer:
    """GET /contacts/{id}/notes."""
    return _listed(workspace, call, workspace.contact(call.ids[0]), "contact")


def add_contact_note(workspace: Workspace, call: Call) -> Answer:
    """POST /contacts/{id}/notes."""
    return _added(workspace, call, workspace.contact(call.ids[0]), "contact")


def list_company_notes(workspace: Workspace, call: Call) -> Answer:
    """GET /companies/{id}/notes."""
    return _listed(workspace, call, _company(workspace, call), "company")


def add_company_note(workspace: Workspace, call: Call) -> Answer:
    """POST /companies/{id}/notes."""
    return _added(workspace, call, _company(workspace, call), "company")


def _company(workspace: Workspace, call: Call) -> Company:
    found = workspace.companies.get(call.ids[0])
    if found is None:
        raise Problem(404, "company_not_found", "Company Not Found")
    return found


def _listed(workspace: Workspace, call: Call, one: Contact | Company, kind: str) -> Answer:
    page, size = call.page_number(50, 150)
    path = f"/{'contacts' if kind == 'contact' else 'companies'}/{one.id}/notes"
    newest = list(reversed(one.notes))
    return ok(list_page(newest, page, size, path, call, lambda note: _note(workspace, one, kind, note)))


def _added(workspace: Workspace, call: Call, one: Contact | Company, kind: str) -> Answer:
    body = call.text("body")
    author = workspace.admin(str(call.json.get("admin_id") or workspace.options.admin_id))
    workspace.changing(one, call.now)
    workspace.effect(one)
    note = (workspace.part_id(), int(call.now), author, body)
    one.notes = (*one.notes, note)
    return ok(_note(workspace, one, kind, note))


def _note(workspace: Workspace, one: Contact | Company, kind: str, note: tuple[int, int, str, str]) -> dict[str, Any]:
    note_id, at, author, body = note
    return {
        "type": "note",
        "id": str(note_id),
        "created_at": at,
        kind: {"type": kind, "id": one.id},
        "author": documents.admin(workspace, author),
        "body": body if body.startswith("<") else f"<p>{body}</p>",
    }
