"""How each endpoint pages, from a table; and reading one page of it, whatever the style.

A cursor is data: a string that says where the next page starts, kept by whoever resumes. What it holds depends on the
style: Intercom's `starting_after`, the query string of the next page, or a scroll parameter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from intercom_bulk.errors import QueryError, SearchError, Transient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from intercom_bulk.api.client import Answer, Client

__all__ = ["ENDPOINTS", "Endpoint", "RawPage", "Search", "endpoint", "read_page"]

SORT_KEY = "created_at"
"""Search results are walked by a key that no action changes, so that acting on an item does not move the others."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What the table says of one paginated endpoint.

    `style` is "search" (POST, cursor inside the body), "list" (query string; the answer says what comes next) or
    "scroll" (one at a time in a workspace). `key` names the list in the answer; None: the first list found.
    `by_second`: dates in filters are exact, so the walk can be cut by `created_at` (contacts search knows whole days).
    `most`: how many items it lists at most; it refuses to go on behind them.
    """

    path: str
    style: str
    method: str = "GET"
    key: str | None = None
    max_per_page: int = 150
    sorted: bool = False
    by_second: bool = False
    most: int | None = None


ENDPOINTS: Mapping[str, Endpoint] = {
    e.path: e
    for e in (
        Endpoint("conversations/search", "search", "POST", "conversations", sorted=True, by_second=True),
        Endpoint("tickets/search", "search", "POST", "tickets", sorted=True, by_second=True),
        Endpoint("contacts/search", "search", "POST", "data", sorted=True),
        Endpoint("companies/search", "search", "POST", "data", max_per_page=50),
        Endpoint("companies/list", "list", "POST", "data", max_per_page=60, most=10_000),
        Endpoint("companies/scroll", "scroll", "GET", "data"),
        Endpoint("companies", "list", "GET", "data", max_per_page=60),
        Endpoint("conversations", "list", "GET", "conversations"),
        Endpoint("conversations/deleted", "list", "GET", "conversations", max_per_page=60),
        Endpoint("contacts", "list", "GET", "data"),
        Endpoint("admins", "list", "GET", "admins"),
        Endpoint("teams", "list", "GET", "teams"),
        Endpoint("tags", "list", "GET", "data"),
    )
}
"""Paging styles by endpoint (OpenAPI 2.16; per-page limits also from the field, intercom-api.md §4.1)."""


@dataclass(frozen=True, slots=True)
class Search:
    """What to list: an endpoint, its filter (or the query string of a list) and how many items a page.

    `sort` is the field by which a search is walked, and `order` which end comes first.
    """

    endpoint: Endpoint
    query: Mapping[str, Any]
    per_page: int
    sort: str = SORT_KEY
    order: str = "ascending"


@dataclass(frozen=True, slots=True)
class RawPage:
    """One page as it came. `cursor` None: the last one. `total` counts the whole search, if the endpoint says."""

    items: list[dict[str, Any]]
    cursor: str | None
    total: int | None
    date: int | None


def endpoint(path: str, **overrides: Any) -> Endpoint:
    """The table's row for a path, or a fair guess for one that it does not know; `overrides` replace its fields."""
    path = path.strip("/")
    known = ENDPOINTS.get(path)
    if known is None:
        is_search = path.endswith("/search")
        known = Endpoint(path, "search" if is_search else "list", "POST" if is_search else "GET")
    return replace(known, **overrides) if overrides else known


def checked_per_page(per_page: int, where: Endpoint) -> int:
    """`per_page` cut to what this endpoint gives; raises `QueryError` outside 1..150."""
    if isinstance(per_page, bool) or not isinstance(per_page, int) or not 1 <= per_page <= 150:
        raise QueryError(f"per_page must be a whole number from 1 to 150, not {per_page!r}.")
    return min(per_page, where.max_per_page)


def read_page(client: Client, search: Search, cursor: str | None) -> RawPage:
    """One request, one page. Raises what `Client.send` raises, and `Transient` for a page without its list."""
    if search.endpoint.style == "search":
        return _search_page(client, search, cursor)
    if search.endpoint.style == "scroll":
        return _scroll_page(client, search, cursor)
    return _list_page(client, search, cursor)


def _search_page(client: Client, search: Search, cursor: str | None) -> RawPage:
    pagination: dict[str, Any] = {"per_page": search.per_page}
    if cursor is not None:
        pagination["starting_after"] = cursor
    body: dict[str, Any] = {"query": search.query, "pagination": pagination}
    if search.endpoint.sorted:
        body["sort"] = {"field": search.sort, "order": search.order}
    answer = client.send(search.endpoint.method, search.endpoint.path, json=body)
    following = (answer.body.get("pages") or {}).get("next")
    after = following.get("starting_after") if isinstance(following, dict) else None
    return _page(search, answer, after)


def _list_page(client: Client, search: Search, cursor: str | None) -> RawPage:
    wanted = {key: str(value) for key, value in search.query.items()} | {"per_page": str(search.per_page)}
    params = cursor if cursor is not None else urlencode(wanted)
    json: dict[str, Any] | None = {} if search.endpoint.method == "POST" else None
    answer = client.send(search.endpoint.method, search.endpoint.path, json=json, params=params)
    _check_reach(search.endpoint, answer.body.get("total_count"))
    pages = answer.body.get("pages")
    following = pages.get("next") if isinstance(pages, dict) else None
    if isinstance(following, dict) and following.get("starting_after"):
        return _page(search, answer, urlencode(wanted | {"starting_after": str(following["starting_after"])}))
    if isinstance(following, str) and following:
        # Only the query string of a next URL is used: its host is not ours to trust with a token.
        return _page(search, answer, urlencode(wanted | dict(parse_qsl(urlsplit(following).query))))
    return _page(search, answer, None)


def _check_reach(where: Endpoint, total: object) -> None:
    if where.most is not None and isinstance(total, int) and total > where.most:
        raise SearchError(
            f"{where.path} lists {where.most:,} of the {total:,} that there are, and no more: scroll them instead"
            ' (source="scroll").'
        )


def _scroll_page(client: Client, search: Search, cursor: str | None) -> RawPage:
    """The end is an empty page. A 404 is none: so answers a scroll that died of a minute's rest, wherever it stood."""
    params = {"scroll_param": cursor} if cursor else None
    answer = client.send("GET", search.endpoint.path, params=params)
    page = _page(search, answer, answer.body.get("scroll_param"))
    return page if page.items else replace(page, cursor=None)


def _page(search: Search, answer: Answer, cursor: str | None) -> RawPage:
    items = answer.body.get(search.endpoint.key) if search.endpoint.key else _first_list(answer.body)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Transient(f"{search.endpoint.path} answered without its list of items.", sent=True, code="bad_answer")
    total = answer.body.get("total_count")
    return RawPage(items, cursor or None, total if isinstance(total, int) else None, answer.date)


def _first_list(body: Mapping[str, Any]) -> object:
    return next((value for value in body.values() if isinstance(value, list)), None)
