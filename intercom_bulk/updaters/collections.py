"""What kinds of items an updater is for, and what `on=` and `query=` stand for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.query import checked
from intercom_bulk.errors import UsageError

if TYPE_CHECKING:
    from intercom_bulk.api.language.expression import Expression
    from intercom_bulk.updaters.base import IntercomBulkUpdater

    Query = Mapping[str, Any] | Expression | str
    Asked = dict[str, Any] | Expression | str

__all__ = ["checked_collection", "collection_of", "query_alone", "query_of", "search_endpoint"]


def checked_collection(on: str, allowed: Collection[str]) -> str:
    """`on`, where it is one of those. Raises `UsageError`."""
    if on not in allowed:
        raise UsageError(f"on must be one of {', '.join(allowed)}, not {on!r}.")
    return on


def collection_of(updater: IntercomBulkUpdater) -> str:
    """What its search finds: "conversations", "tickets" ..."""
    where = updater.get_search_endpoint()
    path = where if isinstance(where, str) else where.path
    return path.strip("/").partition("/")[0]


def search_endpoint(collection: str) -> str:
    """Companies have no search (OpenAPI 2.16; there is one in Preview): all of them are scrolled."""
    return "companies/scroll" if collection == "companies" else f"{collection}/search"


def query_of(collection: str, query: Query | None) -> Asked:
    """The query as it was said, which must be there: who leaves it out by mistake would mean all.

    Companies are filtered by Intercom in no way: an expression, or its text, is held against each of them here.
    """
    if query is None:
        everything = "; query={} means all of them" if collection == "companies" else ""
        raise UsageError(f"What to search for? Pass query=: without one every item would match{everything}.")
    if not isinstance(query, Mapping):
        return query
    if collection != "companies":
        return checked(query)
    if query:
        raise UsageError("Intercom cannot search companies by JSON: give the query as text or as an expression.")
    return {}


def query_alone(
    collection: str, query: Query | None, *, team_id: str | int | EllipsisType | None, state: str | None
) -> Asked:
    """The query for contacts or companies, which have neither team nor state to narrow it by."""
    if state is not None or not isinstance(team_id, EllipsisType):
        raise UsageError(f"team_id= and state= are of conversations: choose {collection} by query=.")
    return query_of(collection, query)
