"""Handlers of /conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.sandbox import documents, threads
from intercom_bulk.sandbox.answers import Answer, Call, Problem, ok
from intercom_bulk.sandbox.records import Conversation, Part

if TYPE_CHECKING:
    from intercom_bulk.sandbox.workspace import Workspace

__all__ = [
    "add_part",
    "change_state",
    "get_conversation",
    "put_conversation",
    "reply",
    "tag_conversation",
    "untag_conversation",
]


def get_conversation(workspace: Workspace, call: Call) -> Answer:
    """GET /conversations/{id}."""
    return ok(threads.full_conversation(workspace, workspace.conversation(call.ids[0])))


def put_conversation(workspace: Workspace, call: Call) -> Answer:
    """PUT /conversations/{id}: title, read, company_id, custom_attributes. Unknown attributes are refused."""
    one, body, options = workspace.conversation(call.ids[0]), call.json, workspace.options
    attributes = body.get("custom_attributes") or {}
    if not isinstance(attributes, dict):
        raise Problem(400, "parameter_invalid", "custom_attributes must be an object", field="custom_attributes")
    known = workspace.attributes["conversation"]
    for name in attributes:
        if name not in known:
            raise Problem(
                400, "parameter_invalid", f"Custom attribute '{name}' does not exist", field="custom_attributes"
            )
    workspace.changing(one, call.now)
    workspace.effect(one)
    one.updated_at = int(call.now)
    if "title" in body:
        one.title = None if body["title"] is None else str(body["title"])
    if "read" in body:
        one.read = bool(body["read"])
    if "company_id" in body:
        one.company = None if body["company_id"] is None else str(body["company_id"])
    if attributes:
        merged = {**one.attributes, **attributes}
        one.attributes = {name: value for name, value in merged.items() if value is not None}
        kind = "conversation_attribute_updated_by_admin"
        bot = Part(workspace.part_id(), kind, int(call.now), "bot", options.admin_id, None, None, one.state)
        workspace.append(one, bot)
    return ok(threads.full_conversation(workspace, one))


def add_part(workspace: Workspace, call: Call) -> Answer:
    """POST /conversations/{id}/parts: close, open, snoozed, assignment."""
    one, kind = workspace.conversation(call.ids[0]), call.text("message_type")
    if kind not in ("close", "open", "snoozed", "assignment"):
        raise Problem(400, "parameter_invalid", f"message_type '{kind}' is not valid", field="message_type")
    author = workspace.admin(call.text("admin_id"))
    body = call.json.get("body") or None
    if kind == "assignment":
        _assign(workspace, call, one, author, body)
    else:
        until = _snooze_time(call) if kind == "snoozed" else None
        change_state(workspace, one, kind, author, body, call.now, until)
    return ok(threads.full_conversation(workspace, one))


def _snooze_time(call: Call) -> int:
    try:
        until = int(call.text("snoozed_until"))
    except ValueError as error:
        raise Problem(400, "parameter_invalid", "snoozed_until must be a timestamp", field="snoozed_until") from error
    if until <= call.now:
        raise Problem(400, "parameter_invalid", "snoozed_until must be in the future", field="snoozed_until")
    return until


def change_state(
    workspace: Workspace,
    one: Conversation,
    kind: str,
    author: str,
    body: str | None,
    now: float,
    until: int | None = None,
) -> None:
    """Close, open or snooze. It counts as an effect even where nothing changes."""
    state = {"close": "closed", "open": "open", "snoozed": "snoozed"}[kind]
    same = one.state == state and one.snoozed_until == until
    workspace.changing(one, now)
    workspace.effect(one)
    if same and not body and not workspace.options.repeat_adds_part:
        return
    at = int(now)
    if state == "closed":
        one.first_close_at = one.first_close_at or at
        one.last_close_at, one.closed_by, one.waiting_since = at, author, None
    elif one.state == "closed":
        one.reopens += 1
    one.state, one.snoozed_until, one.updated_at = state, until, at
    workspace.append(one, Part(workspace.part_id(), kind, at, "admin", author, body, None, state))


def _assign(workspace: Workspace, call: Call, one: Conversation, author: str, body: str | None) -> None:
    kind, assignee = str(call.json.get("type", "admin")), call.text("assignee_id")
    if kind not in ("admin", "team"):
        raise Problem(400, "parameter_invalid", f"type '{kind}' is not valid", field="type")
    if assignee != "0" and assignee not in (workspace.admins if kind == "admin" else workspace.teams):
        raise Problem(404, "assignee_not_found", "Assignee not found")
    workspace.changing(one, call.now)
    workspace.effect(one)
    part_kind = "assignment"
    if one.state == "closed":
        one.state, part_kind = "open", "assign_and_reopen"
        one.reopens += 1
    if kind == "admin":
        one.admin = int(assignee)
    else:
        one.team = int(assignee)
    one.assignments += 1
    one.updated_at = int(call.now)
    target = (kind, assignee) if assignee != "0" else ("nobody_admin", None)
    part = Part(workspace.part_id(), part_kind, one.updated_at, "admin", author, body, target, one.state)
    workspace.append(one, part)


def reply(workspace: Workspace, call: Call) -> Answer:
    """POST /conversations/{id}/reply: a comment or a note by an admin, or a comment by a contact."""
    one, kind = workspace.conversation(call.ids[0]), call.text("message_type")
    if kind not in ("comment", "note"):
        raise Problem(400, "parameter_invalid", f"message_type '{kind}' is not valid", field="message_type")
    body, at = call.text("body"), int(call.now)
    author_type, author = _author(workspace, call)
    workspace.changing(one, call.now)
    workspace.effect(one)
    if author_type == "user":
        one.reopens += one.state == "closed"
        one.waiting_since = one.waiting_since or at
        contact = workspace.contact(author)
        workspace.changing(contact, call.now)
        contact.fields = {**contact.fields, "last_replied_at": at}
    if (one.state == "snoozed" and workspace.options.words_wake) or author_type == "user":
        one.state, one.snoozed_until = "open", None
    elif kind == "comment":
        one.waiting_since = None
    one.updated_at = at
    part = Part(workspace.part_id(), kind, at, author_type, author, body, None, one.state)
    workspace.append(one, part)
    return ok(threads.full_conversation(workspace, one))


def _author(workspace: Workspace, call: Call) -> tuple[str, str]:
    if call.json.get("type") != "user":
        return "admin", workspace.admin(call.text("admin_id"))
    return "user", workspace.contact(call.text("intercom_user_id")).id


def tag_conversation(workspace: Workspace, call: Call) -> Answer:
    """POST /conversations/{id}/tags."""
    one = _tagged(workspace, call)
    author = workspace.admin(call.text("admin_id"))
    mark = workspace.add_tag(one, workspace.tag(call.text("id")), author, call.now)
    return ok(documents.tag_mark(workspace, *mark))


def untag_conversation(workspace: Workspace, call: Call) -> Answer:
    """DELETE /conversations/{id}/tags/{tag}, with `admin_id` in a JSON body."""
    one = _tagged(workspace, call)
    author = workspace.admin(call.text("admin_id"))
    tag_id = workspace.tag(call.ids[1])
    applied: Any = next((mark for mark in one.tags if mark.tag_id == tag_id), (tag_id, int(call.now), author))
    workspace.remove_tag(one, tag_id, call.now)
    return ok(documents.tag_mark(workspace, *applied))


def _tagged(workspace: Workspace, call: Call) -> Conversation:
    try:
        return workspace.conversation(call.ids[0])
    except Problem as problem:
        raise Problem(404, "not_found", "Conversation not found") from problem
