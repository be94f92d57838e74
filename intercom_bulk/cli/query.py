"""`query`: try a search before anything is done with what it finds. Reads only."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from intercom_bulk.cli.ending import Exit
from intercom_bulk.cli.making import settings
from intercom_bulk.cli.screen import Screen, clip, when, wrapped
from intercom_bulk.updaters.base import IntercomBulkUpdater
from intercom_bulk.updaters.running.holdouts import name_of
from intercom_bulk.updaters.running.searching import compiled, endpoint_of, source_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from intercom_bulk.runs.model import Item, Page

__all__ = ["count", "explain", "sample"]

ENDPOINTS = {"companies": "companies/scroll"}
"""Where the others are found by `<resource>/search`."""


class _Look(IntercomBulkUpdater):
    """A search without an action."""

    def __init__(self, resource: str, **connection: Any) -> None:
        super().__init__(**connection)
        self.resource = resource

    def get_search_endpoint(self) -> str:
        return ENDPOINTS.get(self.resource, f"{self.resource}/search")

    def get_search_query(self, *, query: str) -> str:
        return query

    def perform_action(self, item_id: str) -> dict[str, Any]:
        raise RuntimeError(f"a look was about to write to {item_id}")

    def explain(self, text: str) -> Any:
        """The search as it is sent, and what is filtered here. Names are looked up."""
        return compiled(self.workspace, endpoint_of(self), text, self.workspace.begin())

    def pages(self, text: str) -> Iterator[Page]:
        """What it finds, page by page. The first one tells the number of all, where Intercom counts them."""
        source = source_of(self, {"query": text}, self.workspace.begin(), 30.0)
        part = source.open()[0]
        while not part.done:
            page = source.read(part)
            part = page.after
            yield page


def explain(given: argparse.Namespace) -> int:
    """In words, and the JSON that is sent."""
    screen = Screen(given)
    made = _Look(given.on, settings=settings(given)).explain(given.where)
    screen.show(*chain.from_iterable(_lines(line) for line in made.explain().splitlines()))
    screen.give(
        {
            "resource": made.resource,
            "query": made.query,
            "filtered_here": None if made.rest is None else str(made.rest),
            "why": dict(made.why),
            "names": made.names,
            "notes": made.notes,
        }
    )
    return Exit.DONE


def count(given: argparse.Namespace) -> int:
    """By Intercom's own count where it can; else by reading all of them."""
    screen = Screen(given)
    found = _counted(_Look(given.on, settings=settings(given)).pages(given.where))
    screen.show(f"{found:,} {given.on}")
    screen.give({"resource": given.on, "count": found})
    return Exit.DONE


def sample(given: argparse.Namespace) -> int:
    """The first ones."""
    screen = Screen(given)
    pages = _Look(given.on, settings=settings(given)).pages(given.where)
    items = [*islice((item for page in pages for item in page.items), given.sample)]
    screen.show(*(_shown(item) for item in items))
    if not items:
        screen.say("Nothing is found.")
    screen.give({"resource": given.on, "items": [item.data for item in items]})
    return Exit.DONE


def _counted(pages: Iterator[Page]) -> int:
    known: set[str] = set()
    for page in pages:
        if page.total is not None:
            return page.total
        known.update(item.id for item in page.items)
    return len(known)


def _lines(line: str) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip()))
    return wrapped(line.strip(), first=indent, rest=indent + "  ") or [""]


def _shown(item: Item) -> str:
    data = item.data
    told = (str(data.get("state") or data.get("role") or ""), when(data.get("updated_at")), name_of(data) or "")
    return clip("  ".join((item.id, *filter(None, told))))
