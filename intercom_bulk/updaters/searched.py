"""What `on=` and `query=` stand for, in updaters of more than one kind of item."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import EllipsisType
from typing import Any

from intercom_bulk.api.query import checked
from intercom_bulk.errors import UsageError

__all__ = ["checked_collection", "company_query", "contact_query", "query_alone", "search_endpoint"]


def checked_collection(on: str, allowed: Collection[str]) -> str:
    """`on`, where it is one of those. Raises `UsageError`."""
    if on not in allowed:
        raise UsageError(f"on must be one of {', '.join(allowed)}, not {on!r}.")
    return on


def search_endpoint(collection: str) -> str:
    """Companies have no search (OpenAPI 2.16; there is one in Preview): all of them are scrolled."""
    return "companies/scroll" if collection == "companies" else f"{collection}/search"


def contact_query(query: Any) -> Any:
    """Raw JSON is checked; what is not JSON (an expression, its text) is for the base to compile."""
    if query is None:
        raise UsageError("What to search for? Pass query=: without one every contact would match.")
    return checked(query) if isinstance(query, Mapping) else query


def company_query(query: Any) -> Any:
    """Nothing is filtered by Intercom: an expression, or its text, is held against each company here."""
    if isinstance(query, Mapping) and query:
        raise UsageError("Intercom cannot search companies by JSON: give the query as text or as an expression.")
    return {} if query is None else query


def query_alone(
    collection: str, query: Any, *, team_id: str | int | EllipsisType | None, state: str | None
) -> dict[str, Any]:
    """The query for contacts or companies, which have neither team nor state to narrow it by."""
    if state is not None or not isinstance(team_id, EllipsisType):
        raise UsageError(f"team_id= and state= are of conversations: choose {collection} by query=.")
    found: dict[str, Any] = contact_query(query) if collection == "contacts" else company_query(query)
    return found
