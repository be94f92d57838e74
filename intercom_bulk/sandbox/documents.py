"""People, companies and tags as Intercom's JSON objects (API 2.16)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.sandbox.population import SUBSCRIPTIONS

if TYPE_CHECKING:
    from intercom_bulk.sandbox.records import Company, Contact, Record
    from intercom_bulk.sandbox.workspace import Workspace

__all__ = ["admin", "company", "contact", "contact_links", "tag", "tag_mark", "tags", "team"]


def admin(workspace: Workspace, admin_id: str) -> dict[str, Any]:
    """An admin as in the list of admins."""
    one = workspace.admins[admin_id]
    return {
        "type": "admin",
        "id": one.id,
        "name": one.name,
        "email": one.email,
        "job_title": None,
        "away_mode_enabled": False,
        "away_mode_reassign": False,
        "has_inbox_seat": True,
        "team_ids": list(one.team_ids),
    }


def team(workspace: Workspace, team_id: str) -> dict[str, Any]:
    """A team with its members."""
    members = [int(one.id) for one in workspace.admins.values() if int(team_id) in one.team_ids]
    return {"type": "team", "id": team_id, "name": workspace.teams[team_id], "admin_ids": members}


def tag(workspace: Workspace, tag_id: str) -> dict[str, Any]:
    """A tag as in the list of tags."""
    return {"type": "tag", "id": tag_id, "name": workspace.tags[tag_id]}


def tag_mark(workspace: Workspace, tag_id: str, at: int, by: str) -> dict[str, Any]:
    """A tag on an item."""
    return {
        "type": "tag",
        "id": tag_id,
        "name": workspace.tags.get(tag_id, ""),
        "applied_at": at,
        "applied_by": {"type": "admin", "id": by},
    }


def tags(workspace: Workspace, record: Record) -> dict[str, Any]:
    """The tags of an item."""
    return {"type": "tag.list", "tags": [tag_mark(workspace, *mark) for mark in record.tags]}


def contact_links(workspace: Workspace, ids: tuple[str, ...]) -> dict[str, Any]:
    """The people of an item."""
    listed = []
    for one in ids:
        known = workspace.contacts.get(one)
        listed.append({"type": "contact", "id": one, "external_id": known.external_id if known else None})
    return {"type": "contact.list", "contacts": listed}


def contact(workspace: Workspace, one: Contact) -> dict[str, Any]:
    """A contact with its nested lists, of which each shows at most ten."""
    path = f"/contacts/{one.id}"
    return {
        "type": "contact",
        "id": one.id,
        "workspace_id": workspace.options.app_id,
        "external_id": one.external_id,
        "role": one.role,
        "email": one.email,
        "phone": one.phone,
        "name": one.name,
        "avatar": None,
        "owner_id": one.owner_id,
        "has_hard_bounced": False,
        "marked_email_as_spam": False,
        "unsubscribed_from_emails": bool(one.fields.get("unsubscribed_from_emails", False)),
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "signed_up_at": one.signed_up_at,
        "last_seen_at": one.fields.get("last_seen_at"),
        "last_replied_at": one.fields.get("last_replied_at"),
        "last_contacted_at": None,
        "last_email_opened_at": None,
        "last_email_clicked_at": None,
        "language_override": None,
        "browser": None,
        "browser_version": None,
        "browser_language": None,
        "os": None,
        "location": {"type": "location", "country": None, "region": None, "city": None},
        "custom_attributes": one.attributes,
        "tags": _short(f"{path}/tags", [("tag", mark.tag_id, f"/tags/{mark.tag_id}") for mark in one.tags]),
        "notes": _short(f"{path}/notes", [("note", str(note[0]), f"/notes/{note[0]}") for note in one.notes]),
        "companies": _short(f"{path}/companies", [("company", one_, f"/companies/{one_}") for one_ in one.companies]),
        "social_profiles": {"type": "list", "data": []},
        "opted_out_subscription_types": _subscriptions(one, "opt_out"),
        "opted_in_subscription_types": _subscriptions(one, "opt_in"),
    }


def _subscriptions(one: Contact, consent: str) -> dict[str, Any]:
    known = [known for known in one.subscriptions if SUBSCRIPTIONS[known][1] == consent]
    return _short(
        f"/contacts/{one.id}/subscriptions", [("subscription", each, f"/subscription_types/{each}") for each in known]
    )


def _short(url: str, entries: list[tuple[str, str, str]]) -> dict[str, Any]:
    shown = [{"type": kind, "id": one, "url": link} for kind, one, link in entries[:10]]
    return {"type": "list", "data": shown, "url": url, "total_count": len(entries), "has_more": len(entries) > 10}


def company(workspace: Workspace, one: Company) -> dict[str, Any]:
    """A company."""
    return {
        "type": "company",
        "id": one.id,
        "company_id": one.company_id,
        "app_id": workspace.options.app_id,
        "name": one.name,
        "remote_created_at": one.created_at,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "last_request_at": one.last_request_at,
        "session_count": 0,
        "user_count": one.user_count,
        "tags": tags(workspace, one),
        "segments": {"type": "segment.list", "segments": []},
        "plan": {"type": "plan", "id": "1", "name": one.plan} if one.plan else {},
        "custom_attributes": one.attributes,
        "monthly_spend": 0,
        **one.fields,
    }
