"""The table of endpoints, and the way from a method and a path to one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from intercom_bulk.sandbox import companies, contacts, conversations, directory, extras, notes, searching, tickets
from intercom_bulk.sandbox.answers import Answer, Call

if TYPE_CHECKING:
    from intercom_bulk.sandbox.workspace import Workspace

__all__ = ["Route", "find_route"]

Handler = Callable[["Workspace", Call], Answer]


class Route(NamedTuple):
    """`kind` is read, write or search; `item` says whether the first wildcard is an item that can be gone."""

    name: str
    kind: str
    item: bool
    handler: Handler


_TABLE: dict[str, Handler] = {
    "read GET /me": directory.me,
    "read GET /admins": directory.list_admins,
    "read GET /admins/*": directory.get_admin,
    "read GET /teams": directory.list_teams,
    "read GET /teams/*": directory.get_team,
    "read GET /tags": directory.list_tags,
    "write POST /tags": directory.create_tag,
    "read GET /tags/*": directory.get_tag,
    "write DELETE /tags/*": directory.delete_tag,
    "read GET /ticket_types": directory.list_ticket_types,
    "read GET /ticket_states": directory.list_ticket_states,
    "read GET /data_attributes": directory.list_data_attributes,
    "read GET /subscription_types": directory.list_subscription_types,
    "search POST /conversations/search": searching.search_conversations,
    "search GET /conversations": extras.list_conversations,
    "read GET /conversations/attributes": directory.list_conversation_attributes,
    "read GET /conversations/deleted": extras.list_deleted,
    "write POST /conversations/redact": extras.redact,
    "read GET /conversations/*": conversations.get_conversation,
    "write PUT /conversations/*": conversations.put_conversation,
    "write DELETE /conversations/*": extras.delete_conversation,
    "write POST /conversations/*/parts": conversations.add_part,
    "write POST /conversations/*/reply": conversations.reply,
    "write POST /conversations/*/tags": conversations.tag_conversation,
    "write DELETE /conversations/*/tags/*": conversations.untag_conversation,
    "write POST /conversations/*/convert": extras.convert,
    "write POST /conversations/*/customers": extras.attach_contact,
    "write DELETE /conversations/*/customers/*": extras.detach_contact,
    "search POST /contacts/search": searching.search_contacts,
    "search GET /contacts": contacts.list_contacts,
    "write POST /contacts": contacts.create_contact,
    "read GET /contacts/*": contacts.get_contact,
    "write PUT /contacts/*": contacts.put_contact,
    "write DELETE /contacts/*": contacts.delete_contact,
    "write POST /contacts/*/archive": contacts.archive,
    "write POST /contacts/*/unarchive": contacts.unarchive,
    "write POST /contacts/*/block": contacts.block,
    "read GET /contacts/*/tags": contacts.list_contact_tags,
    "write POST /contacts/*/tags": contacts.tag_contact,
    "write DELETE /contacts/*/tags/*": contacts.untag_contact,
    "read GET /contacts/*/notes": notes.list_contact_notes,
    "write POST /contacts/*/notes": notes.add_contact_note,
    "read GET /contacts/*/companies": contacts.list_contact_companies,
    "write POST /contacts/*/companies": contacts.attach_company,
    "write DELETE /contacts/*/companies/*": contacts.detach_company,
    "read GET /contacts/*/subscriptions": contacts.list_subscriptions,
    "write POST /contacts/*/subscriptions": contacts.subscribe,
    "write DELETE /contacts/*/subscriptions/*": contacts.unsubscribe,
    "search POST /companies/list": companies.list_companies,
    "search GET /companies": companies.list_companies,
    "search GET /companies/scroll": companies.scroll,
    "write POST /companies": companies.upsert_company,
    "read GET /companies/*": companies.get_company,
    "write PUT /companies/*": companies.put_company,
    "write DELETE /companies/*": companies.delete_company,
    "read GET /companies/*/notes": notes.list_company_notes,
    "write POST /companies/*/notes": notes.add_company_note,
    "search POST /tickets/search": searching.search_tickets,
    "read GET /tickets/*": tickets.get_ticket,
    "write PUT /tickets/*": tickets.put_ticket,
    "write DELETE /tickets/*": tickets.delete_ticket,
    "write POST /tickets/*/reply": tickets.reply,
    "write POST /tickets/*/tags": tickets.tag_ticket,
    "write DELETE /tickets/*/tags/*": tickets.untag_ticket,
}
_ITEMS = ("conversations", "contacts", "tickets", "companies")


def _tree() -> dict[str, Any]:
    root: dict[str, Any] = {}
    for line, handler in _TABLE.items():
        kind, method, path = line.split(" ")
        node = root.setdefault(method, {})
        segments = path[1:].split("/")
        for segment in segments:
            node = node.setdefault(segment, {})
        item = segments[0] in _ITEMS and segments[1:2] == ["*"]
        node[""] = Route(f"{method} {path}", kind, item, handler)
    return root


_ROOT = _tree()


def find_route(method: str, path: str) -> tuple[Route | None, tuple[str, ...]]:
    """The route, and the segments that stand for its wildcards; None where there is no such endpoint."""
    node = _ROOT.get(method)
    ids: list[str] = []
    for segment in path[1:].split("/"):
        if node is None or not segment:
            return None, ()
        following = node.get(segment)
        if following is None:
            following = node.get("*")
            ids.append(segment)
        node = following
    route = node.get("") if node is not None else None
    return route, tuple(ids)
