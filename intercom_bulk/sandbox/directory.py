"""Handlers of what items refer to: me, admins, teams, tags, types, states, attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.sandbox import documents, threads
from intercom_bulk.sandbox.answers import Answer, Call, Problem, ok
from intercom_bulk.sandbox.population import SUBSCRIPTIONS, TICKET_STATES, TICKET_TYPES

if TYPE_CHECKING:
    from intercom_bulk.sandbox.records import Record
    from intercom_bulk.sandbox.workspace import Workspace

__all__ = [
    "create_tag",
    "delete_tag",
    "get_admin",
    "get_tag",
    "get_team",
    "list_admins",
    "list_conversation_attributes",
    "list_data_attributes",
    "list_subscription_types",
    "list_tags",
    "list_teams",
    "list_ticket_states",
    "list_ticket_types",
    "me",
    "subscription",
]


def me(workspace: Workspace, _: Call) -> Answer:
    """GET /me."""
    options = workspace.options
    document = documents.admin(workspace, options.admin_id)
    document["email_verified"] = True
    document["avatar"] = {"type": "avatar", "image_url": "https://static.example.com/avatar.png"}
    document["app"] = {
        "type": "app",
        "id_code": options.app_id,
        "name": "Sandbox",
        "created_at": workspace.population.now - 400 * 86_400,
        "secure": False,
        "identity_verification": False,
        "timezone": options.timezone,
        "region": options.region,
    }
    return ok(document)


def list_admins(workspace: Workspace, _: Call) -> Answer:
    """GET /admins."""
    return ok({"type": "admin.list", "admins": [documents.admin(workspace, one) for one in workspace.admins]})


def get_admin(workspace: Workspace, call: Call) -> Answer:
    """GET /admins/{id}."""
    return ok(documents.admin(workspace, workspace.admin(call.ids[0])))


def list_teams(workspace: Workspace, _: Call) -> Answer:
    """GET /teams."""
    return ok({"type": "team.list", "teams": [documents.team(workspace, one) for one in workspace.teams]})


def get_team(workspace: Workspace, call: Call) -> Answer:
    """GET /teams/{id}."""
    if call.ids[0] not in workspace.teams:
        raise Problem(404, "team_not_found", "Team not found")
    return ok(documents.team(workspace, call.ids[0]))


def list_tags(workspace: Workspace, _: Call) -> Answer:
    """GET /tags."""
    return ok({"type": "list", "data": [documents.tag(workspace, one) for one in workspace.tags]})


def get_tag(workspace: Workspace, call: Call) -> Answer:
    """GET /tags/{id}."""
    return ok(documents.tag(workspace, _known_tag(workspace, call.ids[0])))


def delete_tag(workspace: Workspace, call: Call) -> Answer:
    """DELETE /tags/{id}: 200 and an empty body."""
    workspace.delete_tag(_known_tag(workspace, call.ids[0]), call.now)
    return Answer(200, b"")


def _known_tag(workspace: Workspace, tag_id: str) -> str:
    if tag_id not in workspace.tags:
        raise Problem(404, "not_found", "Resource Not Found")
    return tag_id


def create_tag(workspace: Workspace, call: Call) -> Answer:
    """POST /tags: create or find by name, rename, or tag and untag many contacts or companies."""
    name = call.json.get("name")
    if not isinstance(name, str) or not name.strip():
        raise Problem(400, "parameter_invalid", "invalid tag parameters")
    if (tag_id := call.json.get("id")) is not None:
        workspace.tags[_known_tag(workspace, str(tag_id))] = name
        return ok(documents.tag(workspace, str(tag_id)))
    tag_id = workspace.create_tag(name)
    document = documents.tag(workspace, tag_id)
    if "users" in call.json or "companies" in call.json:
        document["users"] = _tag_many(workspace, call, tag_id, "users")
        document["companies"] = _tag_many(workspace, call, tag_id, "companies")
    return ok(document)


def _tag_many(workspace: Workspace, call: Call, tag_id: str, key: str) -> list[dict[str, Any]]:
    """Unknown ids are skipped, and listed as not tagged or not at all: the description leaves that open."""
    results = []
    for entry in call.json.get(key) or []:
        found = _entity(workspace, entry, key)
        if found is None and workspace.options.tag_omits_unknown:
            continue
        untag = bool(entry.get("untag"))
        if found is not None and untag:
            workspace.remove_tag(found, tag_id, call.now)
        elif found is not None:
            workspace.add_tag(found, tag_id, workspace.options.admin_id, call.now)
        shown = str(found.id if found is not None else entry.get("id") or entry.get("company_id"))
        results.append({"id": shown, "tagged": found is not None and not untag})
    return results


def _entity(workspace: Workspace, entry: Any, key: str) -> Record | None:
    if not isinstance(entry, dict):
        raise Problem(400, "parameter_invalid", "invalid tag parameters")
    if key == "users":
        found = workspace.contacts.get(str(entry.get("id")))
        return None if found is None or found.archived or found.merged_into else found
    by_id = workspace.companies.get(str(entry.get("id")))
    if by_id is not None or "company_id" not in entry:
        return by_id
    wanted = entry["company_id"]
    return next((one for one in workspace.companies.values() if one.company_id == wanted), None)


def list_ticket_types(workspace: Workspace, _: Call) -> Answer:
    """GET /ticket_types."""
    listed = [threads.ticket_type(workspace, type_id) for type_id, _, _ in TICKET_TYPES]
    return ok({"type": "list", "data": listed})


def list_ticket_states(workspace: Workspace, _: Call) -> Answer:
    """GET /ticket_states: each with the types that have it."""
    listed = []
    for state in TICKET_STATES.values():
        types = [threads.ticket_type(workspace, type_id) for type_id in state.types]
        named = {"type": "list", "data": types}
        listed.append({**threads.ticket_state(state.id), "archived": False, "ticket_types": named})
    return ok({"type": "list", "data": listed})


def list_conversation_attributes(workspace: Workspace, _: Call) -> Answer:
    """GET /conversations/attributes."""
    created = workspace.population.now - 90 * 86_400
    listed = [
        {
            "type": "conversation_attribute",
            "id": number,
            "name": name,
            "description": "",
            "data_type": data_type,
            "required": False,
            "visible_to_team_ids": [],
            "archived": False,
            "created_at": created,
            "updated_at": created,
            "admin_id": workspace.options.admin_id,
        }
        for number, (name, data_type) in enumerate(workspace.attributes["conversation"].items(), 12_000)
    ]
    return ok({"type": "list", "data": listed})


def list_data_attributes(workspace: Workspace, call: Call) -> Answer:
    """GET /data_attributes: of contacts and companies; those of conversations have a path of their own."""
    model = call.query.get("model", "contact")
    if model not in ("contact", "company"):
        raise Problem(422, "parameter_invalid", f"model '{model}' is not valid", field="model")
    created = workspace.population.now - 90 * 86_400
    listed = [
        {
            "type": "data_attribute",
            "id": number,
            "model": model,
            "name": name,
            "full_name": f"custom_attributes.{name}",
            "label": name,
            "description": "",
            "data_type": data_type,
            "api_writable": True,
            "ui_writable": True,
            "messenger_writable": False,
            "custom": True,
            "archived": False,
            "created_at": created,
            "updated_at": created,
        }
        for number, (name, data_type) in enumerate(workspace.attributes[model].items(), 12_000)
    ]
    return ok({"type": "list", "data": listed})


def subscription(subscription_id: str) -> dict[str, Any]:
    """A subscription type."""
    name, consent = SUBSCRIPTIONS[subscription_id]
    return {
        "type": "subscription",
        "id": subscription_id,
        "state": "live",
        "consent_type": consent,
        "default_translation": {"name": name, "description": name, "locale": "en"},
        "translations": [{"name": name, "description": name, "locale": "en"}],
        "content_types": ["email"],
    }


def list_subscription_types(_: Workspace, __: Call) -> Answer:
    """GET /subscription_types."""
    return ok({"type": "list", "data": [subscription(one) for one in SUBSCRIPTIONS]})
