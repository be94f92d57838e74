"""A simulated workspace at a time of the test's own: the sandbox's state and search, without server and clock."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.pages import RawPage, Search
from intercom_bulk.sandbox import SandboxOptions, threads
from intercom_bulk.sandbox.answers import Call
from intercom_bulk.sandbox.records import Conversation, Part
from intercom_bulk.sandbox.searching import search_conversations
from intercom_bulk.sandbox.workspace import Workspace
from tests.mirror.made import T

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["World"]


@dataclass
class World:
    """`per_page` cuts every page; `between` happens after each answer: whoever is there does not wait for a reader."""

    options: SandboxOptions
    now: float = float(T)
    per_page: int = 150
    pages: int = 0
    between: Callable[[], None] = lambda: None
    state: Workspace = field(init=False)
    made: list[int] = field(default_factory=list)
    log: list[tuple[str, int]] = field(default_factory=list)
    """Every conversation that appeared or changed, and in which second."""

    def __post_init__(self) -> None:
        self.state = Workspace(self.options.with_knobs(conversations=0, parts=0, contacts=3, companies=0, tickets=0))

    def create(self) -> None:
        self.made.append(self.state.add_conversation(self.now).id)
        self.log.append((str(self.made[-1]), int(self.now)))

    def change(self, which: int) -> None:
        """The `which`-th of those that are there gets a note, if there are any."""
        known = list(self.state.conversations.values())
        if not known:
            return
        one: Conversation = known[which % len(known)]
        self.state.changing(one, self.now)
        one.updated_at = int(self.now)
        self.log.append((str(one.id), one.updated_at))
        self.state.append(one, Part(self.state.part_id(), "note", int(self.now), "admin", "780", "Hm", None, one.state))

    def delete(self, which: int) -> None:
        known = list(self.state.conversations.values())
        if known:
            one = known[which % len(known)]
            self.state.remove(one, self.now)
            self.state.deleted.append((str(one.id), int(self.now), True))

    def ask(self, search: Search, cursor: str | None) -> RawPage:
        """What the API would answer now."""
        pagination: dict[str, Any] = {"per_page": min(search.per_page, self.per_page)}
        if cursor is not None:
            pagination["starting_after"] = cursor
        sort = {"field": search.sort, "order": search.order}
        body = json.dumps({"query": dict(search.query), "pagination": pagination, "sort": sort}).encode()
        answer = json.loads(search_conversations(self.state, Call("POST", (), {}, body, self.now)).body)
        self.pages += 1
        self.between()
        after = (answer["pages"].get("next") or {}).get("starting_after")
        return RawPage(answer["conversations"], after, answer["total_count"], int(self.now))

    def thread(self, item_id: str) -> dict[str, Any] | None:
        """GET of one conversation; None: it is gone."""
        one = self.state.conversations.get(int(item_id))
        return None if one is None else threads.full_conversation(self.state, one)

    def threads(self) -> dict[str, dict[str, Any]]:
        """All of them, as they are now."""
        made = [threads.full_conversation(self.state, one) for one in self.state.conversations.values()]
        return {one["id"]: json.loads(json.dumps(one)) for one in made}
