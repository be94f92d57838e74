"""What an updater searches for, in whatever form it was said: what is sent, what is filtered here, what is found."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from intercom_bulk.api.language.compile import compile_query
from intercom_bulk.api.language.expression import Expression
from intercom_bulk.api.language.text import parse_query
from intercom_bulk.api.pages import Endpoint, Search, checked_per_page, endpoint
from intercom_bulk.api.query import checked
from intercom_bulk.errors import QueryError, Unauthorized
from intercom_bulk.sources import IteratorSource, SearchSource
from intercom_bulk.updaters.running.action import accepted_keywords
from intercom_bulk.updaters.running.holdouts import overrides

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import tzinfo

    from intercom_bulk.api.language.compile import Compiled
    from intercom_bulk.runs.seams import Source
    from intercom_bulk.updaters.base import IntercomBulkUpdater
    from intercom_bulk.workspace import Workspace

__all__ = ["compiled", "endpoint_of", "expressed", "found_ids", "source_of"]


def endpoint_of(updater: IntercomBulkUpdater) -> Endpoint:
    """Where it searches, and how that is read."""
    where = updater.get_search_endpoint()
    return where if isinstance(where, Endpoint) else endpoint(where)


def source_of(updater: IntercomBulkUpdater, keywords: Mapping[str, Any], cutoff: int, timeout: float) -> Source:
    """Where a run's items come from: the search, or an overridden `search_items()`."""
    if overrides(updater, "search_items"):
        found = updater.search_items(**accepted_keywords(updater.search_items, keywords))
        return IteratorSource(found, told=f"search_items() of {type(updater).__name__}")
    return _search(updater, 150, keywords, cutoff, timeout)


def found_ids(updater: IntercomBulkUpdater, per_page: int, keywords: Mapping[str, Any]) -> Iterator[str]:
    """What the search finds now, each once."""
    checked_per_page(per_page, endpoint_of(updater))
    source = _search(updater, per_page, keywords, updater.workspace.begin(), timeout=30.0)
    seen: set[str] = set()
    part = source.open()[0]
    while not part.done:
        page = source.read(part)
        part = page.after
        for item in page.items:
            if item.id not in seen:
                seen.add(item.id)
                yield item.id


def _search(
    updater: IntercomBulkUpdater, per_page: int, keywords: Mapping[str, Any], cutoff: int, timeout: float
) -> SearchSource:
    where = endpoint_of(updater)
    size = checked_per_page(per_page, where)
    said = updater.get_search_query(**accepted_keywords(updater.get_search_query, keywords))
    query, made = _prepared(updater.workspace, where, said, cutoff)
    return SearchSource(
        updater.workspace.client,
        updater.workspace.reads,
        Search(where, query, size),
        item_id=updater.get_item_id,
        cutoff=cutoff,
        timeout=timeout,
        keep=made.keeps if made is not None and made.rest is not None else None,
    )


def expressed(query: Mapping[str, Any] | Expression | str) -> Mapping[str, Any] | Expression:
    """Text as the expression that it means; Intercom's JSON and expressions as they are."""
    return parse_query(query) if isinstance(query, str) else query


def _prepared(
    workspace: Workspace, where: Endpoint, query: Mapping[str, Any] | Expression | str | None, now: float
) -> tuple[Mapping[str, Any], Compiled | None]:
    """The filter (or query string) to send, and what filters here where there is such a part.

    Raises `QueryError` before anything is sent that searches.
    """
    said = expressed(query) if query is not None else None
    if not isinstance(said, Expression):
        return (checked(said) if where.style == "search" else said or {}), None
    made = compiled(workspace, where, said, now)
    if made.query is None and where.style == "search":
        raise QueryError(
            f"{where.path} takes Intercom's own query JSON only: search companies/scroll or companies/list."
        )
    return made.query or {}, made


def compiled(workspace: Workspace, where: Endpoint, expression: Expression | str, now: float) -> Compiled:
    """The expression for this endpoint of this workspace; relative times count from `now` (epoch seconds)."""
    return compile_query(
        expression,
        where.path.partition("/")[0],
        names=partial(_id, workspace),
        zone=_zone(workspace),
        now=now,
        by_server=where.style == "search",
    )


def _id(workspace: Workspace, kind: str, wanted: str) -> str:
    """An id of what exists; where the token may not list those, an id as it is given."""
    if kind == "admin" and wanted.casefold() == "me":
        return workspace.directory.admin_id()
    is_id = wanted.isascii() and wanted.isdigit()
    if not workspace.directory.knows(kind):
        if is_id:
            return wanted
        raise QueryError(f"A {kind.replace('_', ' ')} is given by its id in a search, not by a name such as {wanted!r}")
    try:
        return workspace.directory.resolve(kind, wanted)
    except Unauthorized:
        if is_id:
            return wanted
        raise


def _zone(workspace: Workspace) -> tzinfo | None:
    """The workspace's; None where it is not said, or by a name that this machine does not know."""
    name = (workspace.directory.me().get("app") or {}).get("timezone")
    try:
        return ZoneInfo(name) if isinstance(name, str) and name else None
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        return None
