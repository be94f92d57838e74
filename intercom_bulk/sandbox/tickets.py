"""Handlers of /tickets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intercom_bulk.sandbox import documents, threads
from intercom_bulk.sandbox.answers import Answer, Call, Problem, ok
from intercom_bulk.sandbox.population import TICKET_STATES
from intercom_bulk.sandbox.records import Part, Ticket

if TYPE_CHECKING:
    from intercom_bulk.sandbox.workspace import Workspace

__all__ = ["delete_ticket", "get_ticket", "put_ticket", "reply", "tag_ticket", "untag_ticket"]


def get_ticket(workspace: Workspace, call: Call) -> Answer:
    """GET /tickets/{id}."""
    return ok(threads.ticket(workspace, workspace.ticket(call.ids[0])))


def put_ticket(workspace: Workspace, call: Call) -> Answer:
    """PUT /tickets/{id}: attributes, state, assignee, open, snoozed_until, is_shared."""
    one, body = workspace.ticket(call.ids[0]), call.json
    _check(workspace, one, call)
    workspace.changing(one, call.now)
    workspace.effect(one)
    one.updated_at = int(call.now)
    if "ticket_attributes" in body:
        merged = {**one.attributes, **(body["ticket_attributes"] or {})}
        kept = {name: value for name, value in merged.items() if value is not None or name.startswith("_default_")}
        one.attributes = kept
    if "ticket_state_id" in body:
        one.state_id = str(body["ticket_state_id"])
        author = str(body.get("admin_id") or workspace.options.admin_id)
        kind = "ticket_state_updated_by_admin"
        part = Part(workspace.part_id(), kind, one.updated_at, "admin", author, None, None, one.state_id)
        workspace.append(one, part)
    if "assignee_id" in body:
        _assign(workspace, one, str(body["assignee_id"]))
    if "open" in body:
        one.open = bool(body["open"])
        one.snoozed_until = None
    if "snoozed_until" in body:
        one.snoozed_until = body["snoozed_until"]
    if "is_shared" in body:
        one.is_shared = bool(body["is_shared"])
    return ok(threads.ticket(workspace, one))


def _check(workspace: Workspace, one: Ticket, call: Call) -> None:
    body = call.json
    state = TICKET_STATES.get(str(body.get("ticket_state_id")))
    if "ticket_state_id" in body and (state is None or one.type_id not in state.types):
        message = "Ticket state id is not valid or is not associated with the ticket type"
        raise Problem(400, "ticket_state_id_invalid", message)
    author, assignee = body.get("admin_id"), str(body.get("assignee_id", "0"))
    if author is not None and str(author) not in workspace.admins:
        raise Problem(404, "assignee_not_found", "Assignee not found")
    if assignee != "0" and assignee not in workspace.admins and assignee not in workspace.teams:
        raise Problem(404, "assignee_not_found", "Assignee not found")


def _assign(workspace: Workspace, one: Ticket, assignee: str) -> None:
    if assignee in workspace.teams:
        one.team = int(assignee)
    else:
        one.admin = int(assignee)


def reply(workspace: Workspace, call: Call) -> Answer:
    """POST /tickets/{id}/reply: returns the part, not the ticket."""
    one, kind = workspace.ticket(call.ids[0]), call.text("message_type")
    if kind not in ("comment", "note"):
        raise Problem(400, "parameter_invalid", f"message_type '{kind}' is not valid", field="message_type")
    author, body = workspace.admin(call.text("admin_id")), call.text("body")
    workspace.changing(one, call.now)
    workspace.effect(one)
    one.updated_at = int(call.now)
    part = Part(workspace.part_id(), kind, one.updated_at, "admin", author, body, None, one.state_id)
    workspace.append(one, part)
    return ok(threads.ticket_part(workspace, part))


def tag_ticket(workspace: Workspace, call: Call) -> Answer:
    """POST /tickets/{id}/tags."""
    one, author = workspace.ticket(call.ids[0]), workspace.admin(call.text("admin_id"))
    mark = workspace.add_tag(one, workspace.tag(call.text("id")), author, call.now)
    return ok(documents.tag_mark(workspace, *mark))


def untag_ticket(workspace: Workspace, call: Call) -> Answer:
    """DELETE /tickets/{id}/tags/{tag}, with `admin_id` in a JSON body."""
    one, author = workspace.ticket(call.ids[0]), workspace.admin(call.text("admin_id"))
    tag_id = workspace.tag(call.ids[1])
    workspace.remove_tag(one, tag_id, call.now)
    return ok(documents.tag_mark(workspace, tag_id, int(call.now), author))


def delete_ticket(workspace: Workspace, call: Call) -> Answer:
    """DELETE /tickets/{id}."""
    one = workspace.ticket(call.ids[0])
    workspace.remove(one, call.now)
    return ok({"id": str(one.id), "object": "ticket", "deleted": True})
