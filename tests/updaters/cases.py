"""One case of each updater: how it is made, what it is let loose on, and what it promises."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from intercom_bulk import IntercomBulkUpdater
    from intercom_bulk.sandbox import Sandbox
    from tests.undo.person import Person

    Make = Callable[..., IntercomBulkUpdater]
    """Called with what it needs to reach the sandbox (and `irreversible=True`) as keywords."""

__all__ = ["ALL", "CONTACTS", "Case"]

ALL: Mapping[str, Any] = {"query": {"field": "created_at", "operator": ">", "value": 0}}
CONTACTS: Mapping[str, Any] = {"query": {"field": "role", "operator": "=", "value": "user"}}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is true of an updater, and is held against the sandbox.

    `make`: the updater, from connection keywords. `search`: keywords of the run; `ids`: what stands in for the search
    (`RunOptions(source=...)`), where what it acts on cannot be searched. `on`: the resource it changes.
    `knobs`: the population, of about a dozen items; `before`: what people did in it, by their API.
    `undoes`: an undo restores the sandbox's digest (with `irreversible` and without `undoes`: it refuses).
    `irreversible`: a writing run wants `irreversible=True`. `appends`: a second effect would harm, so what is in doubt
    and cannot be found is left to a person. `tells`: the search result says what is done already, so that a second run
    does nothing. `effects`: the sandbox counts so many for an item; None: one or more.
    `causes`: sentences (or their beginnings) that a preview has to say.
    """

    name: str
    make: Make
    on: str = "conversations"
    search: Mapping[str, Any] = field(default_factory=lambda: ALL)
    ids: Callable[[Sandbox], Sequence[str]] | None = None
    knobs: Mapping[str, Any] = field(default_factory=dict)
    before: Callable[[Sandbox, Person], None] | None = None
    undoes: bool = True
    irreversible: bool = False
    appends: bool = False
    tells: bool = True
    effects: int | None = 1
    causes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name
