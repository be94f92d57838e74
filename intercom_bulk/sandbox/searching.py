"""POST .../search: query, sort and cursor to a page of documents, with the misbehaviour that the options ask for."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from intercom_bulk.sandbox import documents, threads
from intercom_bulk.sandbox.answers import Answer, Call, Problem, html, ok
from intercom_bulk.sandbox.fields import Field, find_field
from intercom_bulk.sandbox.query import Filter, Grammar, compile_query
from intercom_bulk.sandbox.records import Contact, Conversation, Record, Ticket

if TYPE_CHECKING:
    from intercom_bulk.sandbox.index import Key, View
    from intercom_bulk.sandbox.workspace import Workspace

__all__ = ["list_by_cursor", "search_contacts", "search_conversations", "search_tickets"]

LARGEST_PAGE = 150
_COMPILED = 256
_compiled: dict[Any, Filter] = {}
Document = Callable[[Any, Any], dict[str, Any]]


def search_conversations(workspace: Workspace, call: Call) -> Answer:
    """POST /conversations/search."""
    return _search(workspace, call, "conversations")


def search_contacts(workspace: Workspace, call: Call) -> Answer:
    """POST /contacts/search."""
    return _search(workspace, call, "contacts")


def search_tickets(workspace: Workspace, call: Call) -> Answer:
    """POST /tickets/search."""
    return _search(workspace, call, "tickets")


class Listing(NamedTuple):
    """How a resource is listed."""

    record_type: type[Record]
    default_size: int
    list_type: str
    list_key: str
    document: Document


class Order(NamedTuple):
    """`stable`: the value of the field never changes, and every record has one."""

    field: Field
    stable: bool
    descending: bool


_LISTINGS = {
    "conversations": Listing(Conversation, 20, "conversation.list", "conversations", threads.conversation),
    "contacts": Listing(Contact, 50, "list", "data", documents.contact),
    "tickets": Listing(Ticket, 20, "ticket.list", "tickets", threads.ticket),
}
_EVERYTHING = Filter(lambda _: True, list)


def _search(workspace: Workspace, call: Call, resource: str) -> Answer:
    body, options, listing = call.json, workspace.options, _LISTINGS[resource]
    if "query" not in body:
        raise Problem(400, "parameter_not_found", "query is a required parameter", field="query")
    size, cursor = _pagination(body.get("pagination"), listing.default_size)
    grammar = _grammar(workspace, listing.record_type)
    strict = resource == "contacts" or options.check_sort_order
    field, descending, sort_name = _sort(body.get("sort"), grammar, strict=strict)
    if options.ignore_sort:
        field, descending, sort_name = _field("updated_at", grammar), True, "updated_at"
    name = orjson.dumps([body["query"], sort_name])
    filter_ = _compile(resource, name, body["query"], grammar)
    order = Order(field, sort_name in ("id", "created_at"), descending)
    return _answer(workspace, call, resource, name, filter_, order, size, cursor)


def list_by_cursor(workspace: Workspace, call: Call, resource: str, default_size: int) -> Answer:
    """GET of a whole collection, newest update first, with the cursor in the query string."""
    query: dict[str, Any] = {"starting_after": call.query.get("starting_after")}
    if "per_page" in call.query:
        given = call.query["per_page"]
        query["per_page"] = int(given) if given.isdecimal() else given
    size, cursor = _pagination(query, default_size)
    field = _field("updated_at", _grammar(workspace, _LISTINGS[resource].record_type))
    order = Order(field, stable=False, descending=True)
    return _answer(workspace, call, resource, b"list", _EVERYTHING, order, size, cursor)


def _answer(
    workspace: Workspace,
    call: Call,
    resource: str,
    name: bytes,
    filter_: Filter,
    order: Order,
    size: int,
    cursor: str | None,
) -> Answer:
    options, listing, index = workspace.options, _LISTINGS[resource], workspace.indexes[resource]
    if options.page_504_over and size > options.page_504_over:
        return html(504, "Gateway Time-out")
    filter_ = _present(filter_) if resource == "contacts" else filter_
    view = index.view(name, filter_, _sort_key(order), call.now, stable=order.stable)
    page, keys, more = _page(view, cursor, size, order, by_offset=options.offset_paging)
    records = [index.seen(key[1], call.now) for key in keys]
    listed = [listing.document(workspace, record) for record in records if record is not None]
    total = len(view.keys)
    pages: dict[str, Any] = {"type": "pages", "page": page, "per_page": size, "total_pages": -(-total // size)}
    repeat = options.repeat_cursor
    if more or (repeat and page > repeat and keys):
        following = _next_cursor(view, keys, page, order.field, repeat=repeat)
        pages["next"] = {"page": page + 1, "starting_after": following}
    elif options.next_null:
        pages["next"] = None
    return ok({"type": listing.list_type, listing.list_key: listed, "total_count": total, "pages": pages})


def _present(filter_: Filter) -> Filter:
    """Contacts that are archived, or were merged into another one, are in no search and no list."""
    return Filter(
        lambda record: _is_present(record) and filter_.test(record),
        lambda records: filter_.select([record for record in records if _is_present(record)]),
        filter_.ids,
    )


def _is_present(record: Any) -> bool:
    return not record.archived and record.merged_into is None


def _grammar(workspace: Workspace, record_type: type[Record]) -> Grammar:
    options = workspace.options
    return Grammar(
        record_type=record_type,
        attributes=workspace.attributes[record_type.__name__.lower()],
        zone=workspace.zone,
        gt_inclusive=options.gt_inclusive,
        malformed_status=500 if options.bad_query_500 else 400,
    )


def _compile(resource: str, name: bytes, query: Any, grammar: Grammar) -> Filter:
    known = (resource, name, grammar.gt_inclusive, grammar.zone, len(grammar.attributes))
    found = _compiled.get(known)
    if found is None:
        found = compile_query(query, grammar)
        if len(_compiled) >= _COMPILED:
            _compiled.clear()
        _compiled[known] = found
    return found


def _pagination(given: Any, default_size: int) -> tuple[int, str | None]:
    if given is None:
        return default_size, None
    if not isinstance(given, dict):
        raise Problem(400, "parameter_invalid", "pagination must be an object", field="pagination")
    size = given.get("per_page", default_size)
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= LARGEST_PAGE:
        raise Problem(400, "parameter_invalid", f"per_page must be between 1 and {LARGEST_PAGE}", field="per_page")
    cursor = given.get("starting_after")
    if cursor is not None and not isinstance(cursor, str):
        raise _bad_cursor()
    return size, cursor or None


def _sort(given: Any, grammar: Grammar, *, strict: bool) -> tuple[Field, bool, str]:
    if not isinstance(given, dict):
        return _field("updated_at", grammar), True, "updated_at"
    order = given.get("order", "descending")
    if order not in ("ascending", "descending") and strict:
        message = f"Invalid sort order '{order}'. Must be one of: ascending, descending"
        raise Problem(400, "invalid_sort_order", message)
    name = str(given.get("field", "updated_at"))
    return _field(name, grammar), order != "ascending", name


def _field(name: str, grammar: Grammar) -> Field:
    field = find_field(grammar.record_type, name, grammar.attributes)
    if field is None or field.kind == "ids":
        raise Problem(400, "parameter_invalid", f"{name} cannot be sorted by", field="sort")
    return field


def _sort_key(order: Order) -> Callable[[Record], Any]:
    field, get = order.field, order.field.get
    if order.stable:
        return get
    if field.kind == "str":
        return lambda record: str(value) if (value := get(record)) is not None else ""
    return lambda record: value if (value := get(record)) is not None else -1


def _page(view: View, cursor: str | None, size: int, order: Order, *, by_offset: bool) -> tuple[int, list[Key], bool]:
    field, descending = order.field, order.descending
    page, key = (1, None) if cursor is None else _read_cursor(cursor, field)
    if by_offset:
        keys = view.slice((page - 1) * size, size, descending=descending)
        return page, keys, page * size < len(view.keys)
    keys = view.after(key, size + 1, descending=descending)
    return page, keys[:size], len(keys) > size


def _read_cursor(cursor: str, field: Field) -> tuple[int, Key]:
    try:
        value, record_id, page = orjson.loads(b64decode(cursor, validate=True))
        page = int(page)
        if field.kind == "date" and value >= 0:
            value //= 1000
        if page < 1 or isinstance(value, str) != (field.kind == "str"):
            raise _bad_cursor()
    except (ValueError, TypeError) as error:
        raise _bad_cursor() from error
    return page, (value, record_id)


def _bad_cursor() -> Problem:
    message = "Invalid starting_after param. Please try again using a starting_after value from a paginated response"
    return Problem(400, "client_error", message)


def _next_cursor(view: View, keys: list[Key], page: int, field: Field, *, repeat: int) -> str:
    """With `repeat` n, page n + 1 leads back to page 2: n different cursors, over and over."""
    if repeat and page > repeat and view.first_cursor is not None:
        return view.first_cursor
    value, record_id = keys[-1] if keys else (-1, 0)
    if field.kind == "date" and value >= 0:
        value *= 1000
    made = b64encode(orjson.dumps([value, record_id, page + 1])).decode()
    if page == 1:
        view.first_cursor = made
    return made
